"""What every method trains: one ViT, and around it what the method's loss needs, no more."""

from typing import assert_never

import torch
from torch import Tensor, nn

from common.dino import Centre
from common.ema import make_teacher
from common.heads import MLP, DinoHead
from common.vit import TokenPredictor, ViT, pick_tokens
from part4_dinov3_encoder.config import Config


class Model(nn.Module):
    """Encoder, predictor, heads and teacher of one config.

    encoder is the same in every method (but for vjepa's tubelets) and alone is measured.
    head reads whole views, dense_head single patches. Teachers and centres get no gradient.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        size, w = cfg.model, cfg.loss_weights
        self.encoder = ViT(**cfg.vit_sizes)
        heads = {"in_dim": size.embedding_dim, "hidden_dim": size.head_dim}
        match cfg.method:
            case "ijepa" | "vjepa":
                self.predictor = TokenPredictor(
                    dim=size.embedding_dim, hidden_dim=size.predictor_dim,
                    depth=size.predictor_depth, num_heads=size.num_heads,
                )  # fmt: skip
                self.teacher = make_teacher(self.encoder)
            case "dino":
                width, num = size.projection_dim, w.num_prototypes
                self.head, self.dense_head = (
                    DinoHead(**heads, bottleneck_dim=width, num_prototypes=num) for _ in range(2)
                )
                self.centre, self.dense_centre = (
                    Centre(num, momentum=w.centre_momentum) for _ in range(2)
                )
                self.teacher = make_teacher(self.encoder)
                self.teacher_head = make_teacher(self.head)
                self.teacher_dense_head = make_teacher(self.dense_head)
                if w.gram > 0:
                    self.gram_teacher = make_teacher(self.encoder)
            case "lejepa":
                self.head, self.dense_head = (
                    MLP(**heads, out_dim=size.projection_dim, normalise=True) for _ in range(2)
                )
            case _:
                assert_never(cfg.method)

    @property
    def kept(self) -> ViT:
        """What a method hands on: the teacher where it has one, as the papers do."""
        encoder = getattr(self, "teacher", self.encoder)
        assert isinstance(encoder, ViT)
        return encoder


def make_model(cfg: Config) -> Model:
    """The model of a config; its encoder's first weights depend on seed and sizes alone."""
    torch.manual_seed(cfg.seed)
    return Model(cfg)


def each(module: nn.Module, x: Tensor) -> Tensor:
    """A module over the first two axes of x at once: (V, B, ...) -> (V, B, ...)."""
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def encode_views(model: Model, large: Tensor, small: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Tokens (2, B, N, D) of the large views; mean tokens (., B, D) of the large, then the small.

    large (2, B, 3, V, V), small (L, B, 3, V / 2, V / 2), L may be 0.
    """
    tokens = each(model.encoder, large)
    pooled = [each(model.encoder, small).mean(2)] if len(small) else []
    return tokens, [tokens.mean(2), *pooled]


def tokens_at(tokens: Tensor, pairs: Tensor) -> Tensor:
    """Tokens (2, B, N, D) of two views at the places (2, B, K) they share: (2, B K, D)."""
    picked = pick_tokens(tokens.flatten(0, 1), pairs.flatten(0, 1))
    return picked.unflatten(0, tokens.shape[:2]).flatten(1, 2)
