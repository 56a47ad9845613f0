"""What every arm trains: one encoder, and behind it what the arm's loss needs, no more."""

from typing import Self

import torch
from torch import Tensor, nn

from common.dino import Centre
from common.ema import make_teacher
from common.encoders import ConvEncoder
from common.heads import MLP, DinoHead
from part3_collapse_regularizers.config import Config
from part3_collapse_regularizers.data import CONTENT

CHANNELS = (32, 64)  # of the encoder, at width 1


class Model(nn.Module):
    """Encoder, predictor, heads and teacher of one config.

    encoder is the same in every arm and alone is measured. predictor is the identity where the
    arm has none. The teacher's encoder and head, and the centre, get no gradient.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        dim, hidden = cfg.model.embedding_dim, cfg.model.hidden_dim
        channels = (round(CHANNELS[0] * cfg.model.width), round(CHANNELS[1] * cfg.model.width))
        self.encoder = ConvEncoder(
            in_channels=1, channels=channels, size=cfg.world.size, embedding_dim=dim
        )
        self.predictor: nn.Module = nn.Identity()
        if cfg.predictor or (cfg.setting == "next_frame" and cfg.loss != "supervised"):
            by_angle = cfg.loss == "cosine"  # SimSiam, BYOL; other losses compare lengths
            self.predictor = MLP(in_dim=dim, hidden_dim=hidden, out_dim=dim, normalise=by_angle)
        self.head: nn.Module = nn.Identity()
        if cfg.loss == "dino":
            self.head = DinoHead(
                in_dim=dim,
                hidden_dim=hidden,
                bottleneck_dim=dim,
                num_prototypes=cfg.weights.num_prototypes,
            )
            self.centre = Centre(cfg.weights.num_prototypes, momentum=cfg.weights.centre_momentum)
        elif cfg.loss == "supervised":
            self.head = nn.Linear(dim, len(CONTENT) // 2 * cfg.world.num_balls)
        if cfg.target == "teacher":
            self.teacher_encoder = make_teacher(self.encoder)
            self.teacher_head = make_teacher(self.head)

    def train(self, mode: bool = True) -> Self:
        """As nn.Module's; a teacher stays in evaluation mode."""
        super().train(mode)
        for module in (getattr(self, "teacher_encoder", None), getattr(self, "teacher_head", None)):
            if module is not None:
                module.eval()
        return self

    def teacher_embed(self, x: Tensor) -> Tensor:
        """As embed, by the teacher."""
        return self.teacher_encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def embed(self, x: Tensor) -> Tensor:
        """Frames (V, B, C, H, W) -> embeddings (V, B, D)."""
        return self.encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def make_model(cfg: Config) -> Model:
    """The model of a config; its encoder's first weights depend on seed and sizes alone."""
    torch.manual_seed(cfg.seed)
    return Model(cfg)
