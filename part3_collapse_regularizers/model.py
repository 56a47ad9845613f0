"""What every method trains: one encoder, and behind it what the method needs, no more."""

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from common.dino import Centre
from common.ema import ema_rate, make_teacher, update_teacher
from common.encoders import ConvEncoder
from common.heads import MLP, DinoHead
from common.sigreg import random_slices
from part3_collapse_regularizers.config import Config
from part3_collapse_regularizers.data import CONTENT, Batch, Sample

CHANNELS = (32, 64)  # of the encoder, at width 1


class Model(nn.Module):
    """Encoder, predictor, heads and teacher of one config.

    encoder is the same in every method and alone is measured. predictor is the identity where the
    method has none. The teacher's encoder and head, and the centre, get no gradient.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.cfg = cfg
        dim, hidden = cfg.model.embedding_dim, cfg.model.hidden_dim
        channels = (round(CHANNELS[0] * cfg.model.width), round(CHANNELS[1] * cfg.model.width))
        size = cfg.world.size
        self.encoder = ConvEncoder(in_channels=1, channels=channels, size=size, embedding_dim=dim)
        self.predictor: nn.Module = nn.Identity()
        if cfg.predictor or (cfg.setting == "next_frame" and cfg.method != "supervised"):
            by_angle = cfg.method == "cosine"  # SimSiam, BYOL; other losses compare lengths
            self.predictor = MLP(in_dim=dim, hidden_dim=hidden, out_dim=dim, normalise=by_angle)
        self.head: nn.Module = nn.Identity()
        if cfg.method == "dino":
            w = cfg.loss_weights
            self.head = DinoHead(
                in_dim=dim, hidden_dim=hidden, bottleneck_dim=dim, num_prototypes=w.num_prototypes
            )
            self.centre = Centre(w.num_prototypes, momentum=w.centre_momentum)
        elif cfg.method == "supervised":
            self.head = nn.Linear(dim, len(CONTENT) // 2 * cfg.world.num_balls)
        if cfg.target == "teacher":
            self.teacher_encoder = make_teacher(self.encoder)
            self.teacher_head = make_teacher(self.head)

    def train(self, mode: bool = True) -> Self:
        """As nn.Module's; a teacher stays in evaluation mode."""
        super().train(mode)
        if self.cfg.target == "teacher":
            self.teacher_encoder.eval()
            self.teacher_head.eval()
        return self

    def embed(self, x: Tensor) -> Tensor:
        """Frames (V, B, C, H, W) -> embeddings (V, B, D)."""
        return _embed(self.encoder, x)

    def pairs(self, z: Tensor, target: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Each prediction z_pred (B, D) from embeddings z (V, B, D), and what it should have been.

        target (V, B, D) or DINO's logits (V, B, K); None: the embeddings themselves.
        """
        target = z if target is None else target
        if self.cfg.setting == "views":
            yield self.predictor(z[0]), target[1]
            yield self.predictor(z[1]), target[0]
        else:
            z_pred = z[0]
            for h in range(1, len(z)):
                z_pred = self.predictor(z_pred)
                yield z_pred, target[h]

    @torch.no_grad()
    def targets(self, x: Tensor) -> Tensor | None:
        """What the other side says of frames (V, B, C, H, W), without a gradient.

        Embeddings (V, B, D), or DINO's logits (V, B, K); None where the other side learns too.
        """
        if self.cfg.target == "gradient":
            return None
        teacher = self.cfg.target == "teacher"
        z = _embed(self.teacher_encoder if teacher else self.encoder, x)
        head = self.teacher_head if teacher else self.head
        return head(z) if self.cfg.method == "dino" else z

    def after_step(self, batch: Batch, step: int) -> None:
        """Moves what learns without a gradient: DINO's centre, by its targets, and the teacher."""
        if self.cfg.method == "dino":
            assert batch.target is not None
            self.centre.update(batch.target)
        if self.cfg.target == "teacher":
            rate = ema_rate(step, self.cfg.steps, self.cfg.loss_weights.ema_rate)
            update_teacher(self.teacher_encoder, self.encoder, rate)
            update_teacher(self.teacher_head, self.head, rate)


def make_model(cfg: Config) -> Model:
    """The model of a config; its encoder's first weights depend on seed and sizes alone."""
    torch.manual_seed(cfg.seed)
    return Model(cfg)


def make_optimizer(model: Model) -> torch.optim.AdamW:
    """AdamW on all that gets a gradient."""
    learnt = [p for p in model.parameters() if p.requires_grad]
    rate, decay = model.cfg.learning_rate, model.cfg.weight_decay
    return torch.optim.AdamW(learnt, lr=rate, weight_decay=decay, fused=True)


def make_batch(model: Model, sample: Sample, cfg: Config, slices: torch.Generator) -> Batch:
    """A sample with all that its loss takes as given; slices draws those of SIGReg, there alone."""
    w, drawn = cfg.loss_weights, None
    if cfg.method == "sigreg":
        drawn = random_slices(cfg.model.embedding_dim, w.num_slices, slices)
    return Batch(**vars(sample), target=model.targets(sample.x), slices=drawn)


def _embed(encoder: nn.Module, x: Tensor) -> Tensor:
    return encoder(x.flatten(0, 1)).unflatten(0, x.shape[:2])
