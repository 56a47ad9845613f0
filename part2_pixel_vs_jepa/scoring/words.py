"""What a next frame costs, in bits, methods that give its likelihood: tokens, and pixels'.

Bits are -log2 p of the next frame's words given the past, a sum over its places. The exact ones are
the entropy of those words given all that the past frames tell, which no model of them can go below:
the futures come from the simulator, the squares' states are all played, and dots are sampled.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from common.distractors import sample_layers, square_masks
from common.episodes import to_float
from common.futures import entropy
from common.harness.errors import before_training
from common.language.codebook import Codebook
from common.probes import nearest
from common.vit import patchify
from part2_pixel_vs_jepa.config import Config, Stream, generator
from part2_pixel_vs_jepa.model import LikelihoodModel, Sampler
from part2_pixel_vs_jepa.scoring.heldout import CHUNK, Heldout, take
from part2_pixel_vs_jepa.scoring.rollout import rollout_scores
from part2_pixel_vs_jepa.scoring.samples import (
    Scores,
    future_scores,
    sample_scores,
    sampler_bounds,
)  # fmt: skip
from part2_pixel_vs_jepa.tokens import TokenModel

DOT_FRAMES, DOT_PATCHES = 1024, 4096  # of dots, drawn for the entropy of a patch: black, others


@torch.no_grad()
def heldout_bits(model: Sampler, held: Heldout) -> Tensor:
    """Bits of every held-out next frame: (B, N) of its words, (B,) of its pixels together."""
    index = torch.arange(len(held.best), device=held.best.device).split(CHUNK)
    return torch.cat([model.bits(take(held.batch, part)) for part in index])


def random_bits(model: Sampler, held: Heldout) -> float:
    """Bits of a frame whose words, or black and white pixels, are all equally likely."""
    if isinstance(model, TokenModel):
        return model.num_words * float(np.log2(len(model.codebook.words)))
    return float(held.best[0].numel())


@torch.no_grad()
def score_sampler(
    model: Sampler, held: Heldout, cfg: Config
) -> tuple[Scores, dict[str, np.ndarray], dict[str, Scores]]:
    """Its scores, the single ambiguous pairs' terms, and its own bounds.

    Of these ``sampler`` (of words) and ``frames`` (of whole frames) have the exact bits, and
    ``codebook`` is every real future, cut into words and back.
    """
    if isinstance(model, TokenModel):
        with before_training():
            model.codebook.check_fits(held.batch.x_next[: 8 * CHUNK])
    scores, outcomes = sample_scores(model, held, cfg)
    scores["parameters"] = float(model.num_parameters())
    if cfg.history_length > 1:
        scores |= rollout_scores(model, held.clips, cfg)
    if isinstance(model, TokenModel):
        bits, rows = word_bits(model, held, cfg)
    else:
        bits, rows = pixel_bits(model, held, cfg)
    for row, found in sampler_bounds(held, cfg).items():
        rows[row] = rows.get(row, {}) | found
    return scores | bits, outcomes, rows


def word_bits(model: TokenModel, held: Heldout, cfg: Config) -> tuple[Scores, dict[str, Scores]]:
    """Bits of a language model's words, all, at the ball's places, elsewhere; and their bounds."""
    codebook = model.codebook
    bits, ball = heldout_bits(model, held), ball_places(model, held)
    scores = {"bits": bits.sum(1).mean().item(), "bits_ball": (bits * ball).sum(1).mean().item()}
    scores["bits_elsewhere"] = scores["bits"] - scores["bits_ball"]
    exact = exact_bits(codebook, held, ball, cfg)
    scores |= {f"{name}_above": scores[name] - exact[name] for name in exact}

    def in_words(frames: Tensor) -> Tensor:
        """Frames (B, F, H, W) as the codebook shows them."""
        seen = codebook.decode(codebook.encode(frames.flatten(0, 1).unsqueeze(1)))
        return seen.view_as(frames)

    x_next = held.batch.x_next
    rows = {"codebook": {"mse": (in_words(x_next) - x_next).square().mean().item()}}
    if held.ambiguous.any():
        rows["codebook"] |= future_scores(held, cfg, in_words)
    return scores, rows | ({"sampler": exact} if exact else {})


def pixel_bits(
    model: LikelihoodModel, held: Heldout, cfg: Config
) -> tuple[Scores, dict[str, Scores]]:
    """Bits of a frame's pixels together, and where its futures can all be played the exact ones."""
    scores = {"bits": heldout_bits(model, held).mean().item()}
    told_more = cfg.give_action and cfg.history_length == 1  # than the futures held are given
    if cfg.distractor.kind not in ("none", "squares") or told_more:
        return scores, {}
    exact = enumerated_bits(which_frame, held, cfg).mean().item()
    return scores | {"bits_above": scores["bits"] - exact}, {"frames": {"bits": exact}}


def which_frame(frames: Tensor) -> Tensor:
    """A number (b, 1) for each of frames (b, 1, H, W), the same where they look alike."""
    return frames.flatten(1).unique(dim=0, return_inverse=True)[1].unsqueeze(1)


def ball_places(model: TokenModel, held: Heldout) -> Tensor:
    """Places (B, N) of the next frame that the ball may touch."""
    lit = patchify(held.futures.unsqueeze(2), model.codebook.patch_size)  # (B, F, H', W', P^2)
    return ((lit.amax(-1) > 0).flatten(2) & (held.probabilities > 0).unsqueeze(2)).any(1)


def exact_bits(codebook: Codebook, held: Heldout, ball: Tensor, cfg: Config) -> Scores:
    """Mean entropy of the next frame's words given the state: all, at the ball's places, elsewhere.

    Empty for a background, whose unseen cells have too many states to play.
    """
    match cfg.distractor.kind:
        case "none" | "squares":
            total = enumerated_bits(codebook.encode, held, cfg)
            at_ball = enumerated_bits(codebook.encode, held, cfg, ball)
        case "dots":
            total, at_ball = _dotted_bits(codebook, held, ball, cfg)
        case _:
            return {}
    both = {"bits": total.mean().item(), "bits_ball": at_ball.mean().item()}
    return both | {"bits_elsewhere": both["bits"] - both["bits_ball"]}


def enumerated_bits(
    read: Callable[[Tensor], Tensor], held: Heldout, cfg: Config, where: Tensor | None = None
) -> Tensor:
    """Entropy (B,) of what is read of the next frame, ``read``: (b, 1, H, W) -> (b, ...).

    Of every future with every state of the squares behind it. where (B, ...): these places alone.
    """
    device = held.best.device
    layers = torch.zeros(1, cfg.world.size, cfg.world.size, device=device)
    if cfg.distractor.kind == "squares":
        masks = square_masks(cfg.distractor, cfg.world.size, device)
        bit = torch.arange(2.0, device=device)
        states = torch.cartesian_prod(*[bit] * len(masks)).view(-1, len(masks))
        layers = torch.einsum("ls,shw->lhw", states, masks)  # (L, H, W)
    found = []
    for i in torch.arange(len(held.best), device=device).split(CHUNK // 4):
        futures = held.futures[i].unsqueeze(2)  # (B, F, 1, H, W)
        shown = (futures + (1 - futures) * layers).flatten(1, 2)  # (B, F L, H, W)
        p = held.probabilities[i].repeat_interleave(len(layers), 1) / len(layers)
        told = read(shown.flatten(0, 1).unsqueeze(1)).unflatten(0, p.shape)  # (B, F L, ...)
        found.append(entropy(p, told if where is None else told * where[i].unsqueeze(1)))
    return torch.cat(found)


def _dotted_bits(
    codebook: Codebook, held: Heldout, ball: Tensor, cfg: Config
) -> tuple[Tensor, Tensor]:
    """Of the futures, and of dots drawn before each: (B,) each.

    Patches count as independent and the future as visible through the dots; a fixed number of dots
    on a frame makes this too large by at most the entropy of their number, about 6 bits.
    """
    draws = generator(cfg, Stream.SAMPLES, held.best.device)
    layer, _ = sample_layers(cfg.distractor, cfg.world.size, DOT_FRAMES, 1, draws)
    assert layer is not None
    dots = patchify(to_float(layer).unsqueeze(2), codebook.patch_size).flatten(0, 3)
    clean = patchify(held.futures.unsqueeze(2), codebook.patch_size).flatten(2, 3)
    different, which = clean.flatten(0, 2).unique(dim=0, return_inverse=True)
    noise = torch.stack([_noise_bits(codebook, patch, dots) for patch in different])
    bits = noise[which].view(clean.shape[:3])  # (B, F, N)
    p = held.probabilities
    of_ball = entropy(p, held.futures)
    at_ball = of_ball + (p * (bits * ball.unsqueeze(1)).sum(2)).sum(1)
    return of_ball + (p * bits.sum(2)).sum(1), at_ball


def _noise_bits(codebook: Codebook, patch: Tensor, dots: Tensor) -> Tensor:
    """Entropy of the word of a clean patch (P^2,) with dots behind, after Miller and Madow."""
    shown = torch.maximum(patch, dots if patch.amax() == 0 else dots[:DOT_PATCHES])
    share = nearest(shown, codebook.words).bincount() / len(shown)
    share = share[share > 0]
    bias = (len(share) - 1) / (2 * len(shown) * np.log(2))
    return -(share * share.log2()).sum() + bias
