"""What the samples of a method that draws the next frame are worth: tokens, and likelihoods."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from common.metrics import centre_of_mass, grey_mass, smear_index, smear_terms
from part2_pixel_vs_jepa.config import Config, Stream, generator
from part2_pixel_vs_jepa.model import Sampler
from part2_pixel_vs_jepa.scoring.heldout import CHUNK, Heldout, real_of, take

KS = (1, 2, 4, 8, 16)  # samples of a pair, of which coverage is told
SINGLE = ("numerator", "denominator", "coverage", "precision")  # terms kept of each pair
Scores = dict[str, float]
Terms = dict[str, Tensor]


@torch.no_grad()
def sample_scores(
    model: Sampler, held: Heldout, cfg: Config
) -> tuple[Scores, dict[str, np.ndarray]]:
    """Of 16 samples a pair: MSE of their mean; of ambiguous pairs all that hypotheses have, and
    coverage of the first 1, 2, .. samples; and the single pairs' terms."""
    draws = generator(cfg, Stream.SAMPLES, held.best.device)
    error, distance, grey = 0.0, [], []
    parts: dict[int, list[Terms]] = {k: [] for k in KS}
    for index in torch.arange(len(held.best), device=held.best.device).split(CHUNK):
        frames = model.sample(take(held.batch, index), KS[-1], draws)  # (B, K, H, W)
        error += mean_error(frames, held.batch.x_next[index, 0]).sum().item()
        several = held.ambiguous[index].nonzero()[:, 0]
        for some in several.split(CHUNK // 4) if len(several) else ():
            seen, i = frames[some], index[some]
            for k in KS:
                parts[k].append(smear_terms(seen[:, :k], *real_of(held, i)))
            distance.append(ball_distance(seen, held, i, cfg.world.antialias))
            grey += [grey_mass(seen)] * len(i)
    scores = {"mse": error / len(held.best)}
    if held.is_uncertain:
        scores["mse_over_bayes"] = scores["mse"] / held.floor
    if not grey:
        return scores, {}
    terms = {k: {n: torch.cat([p[n] for p in parts[k]]) for n in parts[k][0]} for k in KS}
    last = terms[KS[-1]]
    scores |= {covers(k): terms[k]["coverage"].mean().item() for k in KS}
    scores["smear"] = smear_index(last["numerator"], last["denominator"])
    scores["precision"] = last["precision"].mean().item()
    scores["grey_mass"] = sum(grey) / len(grey)
    if cfg.distractor.kind == "none":
        scores["distance"] = torch.cat(distance).mean().item()
    return scores, {name: last[name].cpu().numpy() for name in SINGLE}


def mean_error(frames: Tensor, x_next: Tensor) -> Tensor:
    """Squared error (B,) of the mean of ever more samples, estimated from those (B, K, H, W).

    That of the mean of K is larger by their variance / K, which is taken off.
    """
    error = (frames.mean(1) - x_next).square() - frames.var(1) / frames.shape[1]
    return error.mean(dim=(1, 2))


def sampler_bounds(held: Heldout, cfg: Config) -> dict[str, Scores]:
    """``sampler``: coverage of the true dynamics, drawn afresh; ``shown``: every real future."""
    if not held.ambiguous.any() or (cfg.give_action and cfg.history_length == 1):
        return {}  # of held-out futures given the frame alone, who is told the action knows more
    p = held.probabilities[held.ambiguous]
    hit = {covers(k): (1 - (1 - p) ** k).sum(1) / (p > 0).sum(1) for k in KS}
    drawn = {name: share.mean().item() for name, share in hit.items()}
    return {"sampler": drawn, "shown": future_scores(held, cfg, lambda seen: seen)}


def future_scores(held: Heldout, cfg: Config, show: Callable[[Tensor], Tensor]) -> Scores:
    """The scores of every real future, with what lies behind it, as ``show`` draws it."""
    parts, distance, grey = [], [], []
    for i in held.ambiguous.nonzero()[:, 0].split(CHUNK // 4):
        futures = held.futures[i]  # (B, F, H, W), here with what lies behind the ball
        seen = show(futures + (1 - futures) * held.layer_next[i].unsqueeze(1))
        parts.append(smear_terms(seen, *real_of(held, i)))
        distance.append(ball_distance(seen, held, i, cfg.world.antialias))
        grey += [grey_mass(seen)] * len(i)
    terms = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    scores = {name: terms[name].mean().item() for name in ("coverage", "precision")}
    scores["smear"] = smear_index(terms["numerator"], terms["denominator"])
    scores["grey_mass"] = sum(grey) / len(grey)
    if cfg.distractor.kind == "none":
        scores["distance"] = torch.cat(distance).mean().item()
    return scores


def ball_distance(frames: Tensor, held: Heldout, index: Tensor, antialias: bool) -> Tensor:
    """From the ball in each frame (B, K, H, W) to the nearest real future, (B, K), in px."""
    far = torch.where(held.probabilities[index] > 0, 0.0, torch.inf).unsqueeze(1)  # (B, 1, F)
    place = held.states[index, :, 0, :2]  # (B, F, 2)
    found = centre_of_mass(frames) + (0.5 if antialias else 0.0)  # where a pixel's centre lies
    return (torch.cdist(found, place) + far).amin(2)


def covers(k: int) -> str:
    """The name of the coverage of k samples; that of all of them is ``coverage``."""
    return "coverage" if k == KS[-1] else f"coverage_{k}"


def by_weight(parts: list[dict[str, Tensor]], log_odds: list[Tensor]) -> dict[str, float]:
    """Smear and precision of hypotheses that are drawn by their weights, as samples are."""
    names = ("distance", "hits", "denominator")
    distance, hits, blur = (torch.cat([part[name] for part in parts]) for name in names)
    p = torch.cat(log_odds).softmax(1)  # (B, K)
    smear = smear_index((p * distance).sum(1), blur)
    return {"weighted_smear": smear, "weighted_precision": (p * hits).sum(1).mean().item()}
