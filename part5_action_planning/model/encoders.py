"""Encoders of one frame, the decoder, and the blocks of this part's transformers."""

from typing import assert_never

import torch
from torch import Tensor, nn

from common.encoders import ConvDecoder, ConvEncoder, gather_patches
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
            return VitEncoder(in_channels=cfg.world.channels, **sizes)
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
    """A small vision transformer, (B, C, H, W) -> (B, D): 16 px patches, two blocks, their mean.

    LeWorldModel encodes with a ViT-tiny and projects its class token; the projection matters, since
    a layer norm at the end would not let the embedding be Gaussian.
    """

    def __init__(
        self, *, in_channels: int, size: int, embedding_dim: int, dim: int = 64, depth: int = 2
    ) -> None:
        super().__init__()
        self.patch = nn.Linear(16 * 16 * in_channels, dim)
        self.place = nn.Parameter(0.02 * torch.randn((size // 16) ** 2, dim))
        self.blocks = make_blocks(dim, depth)
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        patches = gather_patches(x.movedim(1, -1), 16).flatten(1, 2)  # (B, N, 256 C)
        h = self.patch(patches) + self.place
        for block in self.blocks:
            h = block(h)
        return self.project(self.norm(h).mean(1))
