"""What every method trains: one ViT, and around it what the method's loss needs, no more."""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.dino import Centre
from common.ema import ema_rate, make_teacher, update_teacher
from common.heads import MLP, DinoHead
from common.vit import TokenPredictor, ViT, patchify, pick_tokens
from part4_dinov3_encoder.config import Config
from part4_dinov3_encoder.data.batches import Mask, Views, Windows


class Model(nn.Module):
    """Encoder, predictor, heads and teacher of one config.

    encoder is the same in every method, but for vjepa's tubelets. kept is what a method hands on,
    and what is measured: dino's teacher, as published; I-JEPA and V-JEPA publish theirs too, which
    at these lengths lag behind their encoders. head reads whole views, dense_head single patches.
    Teachers and centres get no gradient.
    """

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        size, w = cfg.model, cfg.loss_weights
        self.method, self.has_deep_targets = cfg.method, size.deep_targets
        self.encoder = ViT(**cfg.vit_sizes)
        heads = {"in_dim": size.embedding_dim, "hidden_dim": size.head_dim}
        match cfg.method:
            case "ijepa" | "vjepa" | "pixels":
                pixels = 3 * size.tubelet * size.patch_size**2
                latent = size.embedding_dim * (size.depth if size.deep_targets else 1)
                self.predictor = TokenPredictor(
                    dim=size.embedding_dim, hidden_dim=size.predictor_dim,
                    depth=size.predictor_depth, num_heads=size.num_heads,
                    out_dim=pixels if cfg.method == "pixels" else latent,
                )  # fmt: skip
                if cfg.method != "pixels":
                    self.teacher = make_teacher(self.encoder)
            case "dino":
                width, num = size.projection_dim, w.num_prototypes
                self.head, self.dense_head = (
                    DinoHead(**heads, bottleneck_dim=width, num_prototypes=num) for _ in range(2)
                )
                self.centre, self.dense_centre = (
                    Centre(num, momentum=w.centre_momentum) for _ in range(2)
                )
                self.teacher: ViT = make_teacher(self.encoder)
                self.teacher_head = make_teacher(self.head)
                self.teacher_dense_head = make_teacher(self.dense_head)
                if w.gram > 0:
                    self.gram_teacher = make_teacher(self.encoder)
            case "lejepa":
                self.head, self.dense_head = (
                    MLP(**heads, out_dim=size.projection_dim, normalise=True) for _ in range(2)
                )
            case "supervised":
                tokens = (cfg.data.view // size.patch_size) ** 2
                self.place_head = nn.Linear(tokens * size.embedding_dim, 2)
                self.cover_head = nn.Linear(size.embedding_dim, 1)
            case _:
                assert_never(cfg.method)

    @property
    def kept(self) -> ViT:
        """What a method hands on: dino's teacher, of all others the encoder."""
        return self.teacher if self.method == "dino" else self.encoder

    @torch.no_grad()
    def targets(self, x: Tensor) -> Tensor:
        """What masked methods predict, at every place of clips x: (B, N, .).

        The teacher's tokens, of one depth or of all, or patches of pixels; each normalised over its
        coordinates, as in the papers' code (MAE, arXiv 2111.06377, sec. 4, for pixels).
        """
        if self.method == "pixels":
            found = [patchify(2 * x - 1, self.encoder.patch_size).flatten(1, 3)]
        else:
            depths = self.teacher.depths(x)
            found = depths if self.has_deep_targets else depths[-1:]
        return torch.cat([F.layer_norm(t, t.shape[-1:], eps=1e-6) for t in found], dim=-1)

    def predict(self, batch: Windows, mask: Mask) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens seen, E(x_seen), (B, n, D); what is predicted where they are, and where wanted.

        (M B, n, .) and (M B, m, .): from each of the mask's M blocks alone.
        """
        context = self.encoder(batch.x, mask.seen)
        blocks, num_seen = len(mask.wanted), context.shape[1]
        where = mask.seen.repeat(blocks, 1), mask.wanted.flatten(0, 1)
        predicted = self.predictor(context.repeat(blocks, 1, 1), *where, batch.grid)
        return context, predicted[:, :num_seen], predicted[:, num_seen:]


def make_model(cfg: Config) -> Model:
    """The model of a config; its encoder's first weights depend on seed and sizes alone."""
    torch.manual_seed(cfg.seed)
    return Model(cfg)


def after_step(model: Model, terms: dict[str, Tensor], step: int, cfg: Config) -> None:
    """Moves what has no gradient: dino's centres, by the logits of the step, and the teachers."""
    if cfg.method not in ("ijepa", "vjepa", "dino"):
        return
    rate = ema_rate(step, cfg.steps, cfg.loss_weights.ema_rate)
    update_teacher(model.teacher, model.encoder, rate)
    if cfg.method == "dino":
        model.centre.update(terms["teacher_logits"])
        model.dense_centre.update(terms["teacher_dense_logits"])
        update_teacher(model.teacher_head, model.head, rate)
        update_teacher(model.teacher_dense_head, model.dense_head, rate)
        w = cfg.loss_weights
        if w.gram and step + 1 == round(w.gram_start * cfg.steps):
            model.gram_teacher.load_state_dict(model.teacher.state_dict())


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


@torch.no_grad()
def teacher_logits(model: Model, batch: Views) -> tuple[Tensor, Tensor]:
    """Of dino's teacher: of the large views (2, B, K), of the patches they share (2, B K', K)."""
    tokens = each(model.teacher, batch.large)
    shared = model.teacher_dense_head(tokens_at(tokens, batch.pairs))
    return each(model.teacher_head, tokens.mean(2)), shared


def wanted_of(target: Tensor, mask: Mask) -> Tensor:
    """Targets (B, N, .) at the places that a mask's blocks want: (M B, m, .)."""
    return pick_tokens(target.repeat(len(mask.wanted), 1, 1), mask.wanted.flatten(0, 1))


def tokens_at(tokens: Tensor, pairs: Tensor) -> Tensor:
    """Tokens (2, B, N, D) of two views at the places (2, B, K) they share: (2, B K, D)."""
    picked = pick_tokens(tokens.flatten(0, 1), pairs.flatten(0, 1))
    return picked.unflatten(0, tokens.shape[:2]).flatten(1, 2)
