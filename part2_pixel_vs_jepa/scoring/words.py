"""What the method tokens says of held-out pairs: its bits beside the exact ones, and its samples.

Bits are -log2 p of the next frame's words given the past, a sum over its places. The exact ones are
the entropy of those words given the true state, which no model of frames can go below: its futures
come from the simulator, the squares' states are all played, and random dots are sampled.
"""

import numpy as np
import torch
from torch import Tensor

from common.distractors import sample_layers, square_masks
from common.episodes import to_float
from common.futures import entropy
from common.harness.errors import before_training
from common.language.codebook import Codebook
from common.metrics import grey_mass, smear_index, smear_terms
from common.probes import nearest
from common.vit import patchify
from part2_pixel_vs_jepa.config import Config, Stream, generator
from part2_pixel_vs_jepa.scoring.heldout import CHUNK, Heldout, real_of, take
from part2_pixel_vs_jepa.scoring.rollout import centre_of_mass
from part2_pixel_vs_jepa.tokens import TokenModel

KS = (1, 2, 4, 8, 16)  # samples of a pair, of which coverage is told
DOT_FRAMES, DOT_PATCHES = 1024, 4096  # of dots, drawn for the entropy of a patch: black, others
Scores = dict[str, float]


@torch.no_grad()
def heldout_bits(model: TokenModel, held: Heldout) -> Tensor:
    """Bits (B, N) of every word of every held-out next frame."""
    index = torch.arange(len(held.best), device=held.best.device).split(CHUNK)
    return torch.cat([model.bits(take(held.batch, part)) for part in index])


def random_bits(model: TokenModel) -> float:
    """Bits of a frame whose words are all equally likely."""
    return model.num_words * float(np.log2(len(model.codebook.words)))


@torch.no_grad()
def score_tokens(
    model: TokenModel, held: Heldout, cfg: Config
) -> tuple[Scores, dict[str, np.ndarray], dict[str, Scores]]:
    """Its scores, the single ambiguous pairs' terms, and its own bounds.

    Those are ``codebook``: every real future cut into words and back; ``shown``: every real future
    with what lies behind it; and ``sampler``: the true dynamics, drawn afresh.
    """
    with before_training():
        model.codebook.check_fits(held.batch.x_next[: 8 * CHUNK])
    draws = generator(cfg, Stream.SAMPLES, held.best.device)
    index = torch.arange(len(held.best), device=held.best.device).split(CHUNK)
    words = torch.cat([model.sample(take(held.batch, i), KS[-1], draws) for i in index])
    scores: Scores = {"parameters": float(model.num_parameters())}
    scores |= mean_scores(model, held, words)
    bits, ball = heldout_bits(model, held), ball_places(model, held)
    scores |= {"bits": bits.sum(1).mean().item(), "bits_ball": (bits * ball).sum(1).mean().item()}
    scores["bits_elsewhere"] = scores["bits"] - scores["bits_ball"]
    rows: dict[str, Scores] = {"sampler": {}, "codebook": {}, "shown": {}}
    if exact := exact_bits(model.codebook, held, ball, cfg):
        rows["sampler"] |= exact
        scores |= {f"{name}_above": scores[name] - exact[name] for name in exact}
    seen = model.codebook.decode(model.codebook.encode(held.batch.x_next))
    rows["codebook"]["mse"] = (seen - held.batch.x_next).square().mean().item()
    outcomes: dict[str, np.ndarray] = {}
    if held.ambiguous.any():
        smear, outcomes = sample_scores(model, held, words, cfg)
        scores |= smear
        rows["codebook"] |= future_scores(held, cfg, model.codebook)
        rows["shown"] |= future_scores(held, cfg)
        p = held.probabilities[held.ambiguous]
        for k in KS:
            hit = (1 - (1 - p) ** k).sum(1) / (p > 0).sum(1)
            rows["sampler"][_covers(k)] = hit.mean().item()
    return scores, outcomes, rows


def mean_scores(model: TokenModel, held: Heldout, words: Tensor) -> Scores:
    """Squared error of the mean of ever more samples, estimated from those there are (B, K, N).

    That of the mean of K is larger by their variance / K, which is taken off.
    """
    total = 0.0
    for i in torch.arange(len(words), device=words.device).split(CHUNK):
        frames = model.draw(words[i])  # (B, K, H, W)
        error = (frames.mean(1) - held.batch.x_next[i, 0]).square()
        total += (error - frames.var(1) / frames.shape[1]).mean(dim=(1, 2)).sum().item()
    scores = {"mse": total / len(words)}
    return scores | ({"mse_over_bayes": scores["mse"] / held.floor} if held.is_uncertain else {})


def sample_scores(
    model: TokenModel, held: Heldout, words: Tensor, cfg: Config
) -> tuple[Scores, dict[str, np.ndarray]]:
    """Smear, precision, distance, grey of samples (B, K, N), coverage of the first 1, 2, .. ."""
    parts: dict[int, list[dict[str, Tensor]]] = {k: [] for k in KS}
    distance, grey = [], []
    for i in held.ambiguous.nonzero()[:, 0].split(CHUNK // 4):
        frames, real = model.draw(words[i]), real_of(held, i)
        for k in KS:
            parts[k].append(smear_terms(frames[:, :k], *real))
        distance.append(_distance(frames, held, i))
        grey += [grey_mass(frames)] * len(i)
    terms = {k: {n: torch.cat([p[n] for p in parts[k]]) for n in parts[k][0]} for k in KS}
    last = terms[KS[-1]]
    scores = {_covers(k): terms[k]["coverage"].mean().item() for k in KS}
    scores["smear"] = smear_index(last["numerator"], last["denominator"])
    scores["precision"] = last["precision"].mean().item()
    scores["grey_mass"] = sum(grey) / len(grey)
    if cfg.distractor.kind == "none":
        scores["distance"] = torch.cat(distance).mean().item()
    return scores, {name: last[name].cpu().numpy() for name in last if name != "nearest"}


def future_scores(held: Heldout, cfg: Config, codebook: Codebook | None = None) -> Scores:
    """The scores of every real future, with what lies behind it; as a codebook's words show it."""
    parts, distance, grey = [], [], []
    for i in held.ambiguous.nonzero()[:, 0].split(CHUNK // 4):
        futures = held.futures[i]  # (B, F, H, W), here with what lies behind the ball
        seen = futures + (1 - futures) * held.layer_next[i].unsqueeze(1)
        if codebook is not None:
            words = codebook.encode(seen.flatten(0, 1).unsqueeze(1))
            seen = codebook.decode(words).view_as(futures)
        parts.append(smear_terms(seen, *real_of(held, i)))
        distance.append(_distance(seen, held, i))
        grey += [grey_mass(seen)] * len(i)
    terms = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    scores = {name: terms[name].mean().item() for name in ("coverage", "precision")}
    scores["smear"] = smear_index(terms["numerator"], terms["denominator"])
    scores["grey_mass"] = sum(grey) / len(grey)
    if cfg.distractor.kind == "none":
        scores["distance"] = torch.cat(distance).mean().item()
    return scores


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
            total, at_ball = _enumerated_bits(codebook, held, ball, cfg)
        case "dots":
            total, at_ball = _dotted_bits(codebook, held, ball, cfg)
        case _:
            return {}
    both = {"bits": total.mean().item(), "bits_ball": at_ball.mean().item()}
    return both | {"bits_elsewhere": both["bits"] - both["bits_ball"]}


def _enumerated_bits(
    codebook: Codebook, held: Heldout, ball: Tensor, cfg: Config
) -> tuple[Tensor, Tensor]:
    """Of every future with every state of the squares behind it: (B,) each."""
    device = held.best.device
    layers = torch.zeros(1, cfg.world.size, cfg.world.size, device=device)
    if cfg.distractor.kind == "squares":
        masks = square_masks(cfg.distractor, cfg.world.size, device)
        bit = torch.arange(2.0, device=device)
        states = torch.cartesian_prod(*[bit] * len(masks)).view(-1, len(masks))
        layers = torch.einsum("ls,shw->lhw", states, masks)  # (L, H, W)
    total, at_ball = [], []
    for i in torch.arange(len(held.best), device=held.best.device).split(CHUNK // 4):
        futures = held.futures[i].unsqueeze(2)  # (B, F, 1, H, W)
        shown = (futures + (1 - futures) * layers).flatten(1, 2)  # (B, F L, H, W)
        p = held.probabilities[i].repeat_interleave(len(layers), 1) / len(layers)
        words = codebook.encode(shown.flatten(0, 1).unsqueeze(1)).unflatten(0, p.shape)
        total.append(entropy(p, words))
        at_ball.append(entropy(p, words * ball[i].unsqueeze(1)))
    return torch.cat(total), torch.cat(at_ball)


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


def _distance(frames: Tensor, held: Heldout, index: Tensor) -> Tensor:
    """From the ball in each frame (B, K, H, W) to the nearest real future, (B, K), in px."""
    far = torch.where(held.probabilities[index] > 0, 0.0, torch.inf).unsqueeze(1)  # (B, 1, F)
    place = held.states[index, :, 0, :2]  # (B, F, 2)
    return (torch.cdist(centre_of_mass(frames), place) + far).amin(2)


def _covers(k: int) -> str:
    """The name of the coverage of k samples; that of all of them is ``coverage``."""
    return "coverage" if k == KS[-1] else f"coverage_{k}"
