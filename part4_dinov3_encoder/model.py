"""What every recipe trains: one ViT, and around it what the recipe's loss needs, no more."""

from typing import Self

import torch
from torch import Tensor, nn

from common.dino import Centre
from common.ema import make_teacher
from common.heads import MLP, DinoHead
from common.vit import TokenPredictor, ViT
from part4_dinov3_encoder.config import Config


class Model(nn.Module):
    """Encoder, predictor, heads and teacher of one config.

    encoder is the same in every recipe (but for vjepa's tubelets) and alone is measured.
    head reads whole views, dense_head single patches. Teachers and centres get no gradient.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        size, w = cfg.model, cfg.weights
        self.encoder = ViT(**cfg.vit_sizes)
        if cfg.recipe in ("ijepa", "vjepa"):
            self.predictor = TokenPredictor(
                dim=size.dim,
                hidden_dim=size.predictor_dim,
                depth=size.predictor_depth,
                num_heads=size.num_heads,
            )
            self.teacher = make_teacher(self.encoder)
        elif cfg.recipe == "dino":
            self.head, self.dense_head = (
                DinoHead(
                    in_dim=size.dim,
                    hidden_dim=size.head_dim,
                    bottleneck_dim=size.projection_dim,
                    num_prototypes=w.num_prototypes,
                )
                for _ in range(2)
            )
            self.centre, self.dense_centre = (
                Centre(w.num_prototypes, momentum=w.centre_momentum) for _ in range(2)
            )
            self.teacher = make_teacher(self.encoder)
            self.teacher_head = make_teacher(self.head)
            self.teacher_dense_head = make_teacher(self.dense_head)
            if w.gram_weight > 0:
                self.gram_teacher = make_teacher(self.encoder)
        else:
            self.head, self.dense_head = (
                MLP(
                    in_dim=size.dim,
                    hidden_dim=size.head_dim,
                    out_dim=size.projection_dim,
                    normalise=True,
                )
                for _ in range(2)
            )

    def train(self, mode: bool = True) -> Self:
        """As nn.Module's; a teacher stays in evaluation mode."""
        super().train(mode)
        for name, module in self.named_children():
            if "teacher" in name:
                module.eval()
        return self


def make_model(cfg: Config) -> Model:
    """The model of a config; its encoder's first weights depend on seed and sizes alone."""
    torch.manual_seed(cfg.seed)
    return Model(cfg)


def each(module: nn.Module, x: Tensor) -> Tensor:
    """A module over the first two axes of x at once: (V, B, ...) -> (V, B, ...)."""
    return module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
