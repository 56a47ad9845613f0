"""Encoders of one frame, the decoder, and the blocks of this part's transformers."""

from typing import assert_never

import torch
from torch import Tensor, nn

from common.encoders import ConvDecoder, ConvEncoder, gather_patches
from common.heads import MLP
from common.vit import Block
from part5_action_planning.config import Config

HEAD_DIM = 16


def make_encoder(cfg: Config) -> nn.Module:
    """A trainable encoder of one frame, (B, C, H, W) -> (B, D)."""
    sizes = {"size": cfg.world.size, "embedding_dim": cfg.model.embedding_dim}
    match cfg.model.encoder:
        case "conv":
            return ConvEncoder(in_channels=cfg.world.channels, channels=_channels(cfg), **sizes)
        case "vit":
            if cfg.model.projector:
                sizes |= {"patch_size": 8, "dim": cfg.model.hidden_dim, "depth": cfg.model.depth}
            channels, ends = cfg.world.channels, cfg.model.projector
            return VitEncoder(in_channels=channels, projector=ends, **sizes)
        case "frozen":
            raise ValueError("model.encoder frozen is not trained: see TokenModel")
        case _:
            assert_never(cfg.model.encoder)


def make_decoder(cfg: Config) -> nn.Module:
    """The convolutional encoder's mirror image, (B, D) -> (B, C, H, W)."""
    return ConvDecoder(
        out_channels=cfg.world.channels, channels=_channels(cfg), size=cfg.world.size,
        embedding_dim=cfg.model.embedding_dim,
    )  # fmt: skip


def _channels(cfg: Config) -> tuple[int, int]:
    return max(1, round(32 * cfg.model.width)), max(1, round(64 * cfg.model.width))


def make_blocks(dim: int, depth: int, condition_dim: int = 0) -> nn.ModuleList:
    """Transformer blocks with a head for every HEAD_DIM of their width."""
    heads = max(1, dim // HEAD_DIM)
    blocks = (Block(dim=dim, num_heads=heads, condition_dim=condition_dim) for _ in range(depth))
    return nn.ModuleList(blocks)


class VitEncoder(nn.Module):
    """A small vision transformer, (B, C, H, W) -> (B, D): the mean of its tokens, projected.

    projector: as LeWorldModel (arXiv 2603.19312, sec. 3) has it, a class token goes in with the
    patches and alone comes out, through an MLP with batch norm: the layer norm at the end of a ViT
    would not let the embedding be Gaussian.
    """

    def __init__(
        self, *, in_channels: int, size: int, embedding_dim: int, patch_size: int = 16,
        dim: int = 64, depth: int = 2, projector: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch_size = patch_size
        self.patch = nn.Linear(patch_size**2 * in_channels, dim)
        self.place = nn.Parameter(0.02 * torch.randn((size // patch_size) ** 2, dim))
        self.blocks = make_blocks(dim, depth)
        self.norm = nn.LayerNorm(dim)
        self.class_token = nn.Parameter(0.02 * torch.randn(dim)) if projector else None
        self.project = make_projector(dim, embedding_dim, projector)

    def forward(self, x: Tensor) -> Tensor:
        patches = gather_patches(x.movedim(1, -1), self.patch_size).flatten(1, 2)  # (B, N, P^2 C)
        h = self.patch(patches) + self.place
        if self.class_token is not None:
            h = torch.cat([self.class_token.expand(len(h), 1, -1), h], 1)
        for block in self.blocks:
            h = block(h)
        h = self.norm(h)
        return self.project(h.mean(1) if self.class_token is None else h[:, 0])


def make_projector(dim: int, embedding_dim: int, normalise: bool) -> nn.Module:
    """(B, dim) -> (B, D): linear, or an MLP of four times the width with batch norm."""
    if not normalise:
        return nn.Linear(dim, embedding_dim)
    return MLP(in_dim=dim, hidden_dim=4 * dim, out_dim=embedding_dim, normalise=True)
