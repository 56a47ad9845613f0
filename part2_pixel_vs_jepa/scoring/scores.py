"""Scores of a model on held-out pairs, and the baselines and upper bounds of the same pairs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.episodes import Clips, to_float
from common.metrics import (
    distance_to_ball,
    grey_mass,
    latent_smear,
    smear_index,
    smear_terms,
    weight_error,
)
from part2_pixel_vs_jepa.config import Config
from part2_pixel_vs_jepa.model import Arm, Model, Sampler
from part2_pixel_vs_jepa.scoring.heldout import CHUNK, Heldout, answers, basis_of, real_of
from part2_pixel_vs_jepa.scoring.probes import (
    embedding_scores,
    latent_scores,
    probe_scores,
    raw_pixels,
)
from part2_pixel_vs_jepa.scoring.rollout import rollout_bounds, rollout_scores
from part2_pixel_vs_jepa.scoring.samples import SINGLE, by_weight
from part2_pixel_vs_jepa.scoring.words import heldout_bits, random_bits, score_sampler

SHARES = ("coverage", "precision")  # of ambiguous pairs
IN_UNIT_INTERVAL = (
    *SHARES, "weighted_precision", "grey_mass", "weight_error", "collapse_ratio", "worth_",
    "sharpness_",
)  # fmt: skip


@torch.no_grad()
def heldout_error(model: Arm, held: Heldout) -> tuple[float, float]:
    """Held-out prediction error and what it is measured against.

    Tokens, likelihoods: bits of a frame, and those of a random one. Pixel methods: pixel MSE of the
    weighted mean of the hypotheses, and the Bayes floor, or where that is zero the variance of the
    frames. Jepa methods: squared error of the nearest hypothesis' embedding, and the variance of
    the target's.
    """
    if isinstance(model, Sampler):
        return heldout_bits(model, held).sum().item() / len(held.best), random_bits(model, held)
    if model.in_pixels:
        total = 0.0
        for _, batch, z_pred, log_odds in answers(model, held):
            error = mean_frame(model, z_pred, log_odds) - batch.x_next
            total += error.square().mean(dim=(1, 2, 3)).sum().item()
        return total / len(held.best), held.floor if held.is_uncertain else frame_variance(held)
    said, came = [], []
    for _, batch, z_pred, _ in answers(model, held):
        z_next = model.encoder(batch.x_next)
        nearest = (z_pred - z_next.unsqueeze(1)).square().mean(-1).argmin(1)
        said.append(z_pred.take_along_dim(nearest[:, None, None], 1)[:, 0])
        came.append(z_next)
    z_next = torch.cat(came)
    error = (torch.cat(said) - z_next).square().mean().item()
    return error, (z_next - z_next.mean(0)).square().mean().item()


def mean_frame(model: Model, z_pred: Tensor, log_odds: Tensor) -> Tensor:
    """The mean of the decoded hypotheses by their weights, (B, C, H, W)."""
    return (log_odds.softmax(-1)[:, :, None, None, None] * model.decode(z_pred)).sum(1)


def frame_variance(held: Heldout) -> float:
    """Variance of the held-out target frames, per pixel."""
    x_next = held.batch.x_next
    return (x_next - x_next.mean(0)).square().mean().item()


def score_run(
    models: Mapping[str, Arm], held: Heldout, train: Clips, cfg: Config
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A run's summary, and the single pairs' scores under the names of outcomes.npz."""
    scored, rows = {}, bounds(held, train, cfg)
    for name, model in models.items():
        if not isinstance(model, Sampler):
            scored[name] = score_model(model, held, train, cfg)
            continue
        *scored[name], own = score_sampler(model, held, cfg)
        rows |= {row: rows.get(row, {}) | found for row, found in own.items()}
    variants = {name: scores for name, (scores, _) in scored.items()}
    trials = int(rows["pairs"]["ambiguous"])
    summary = {
        "variants": variants,
        "bounds": rows,
        "protocol": {"steps": cfg.steps, "num_hypotheses": cfg.num_hypotheses},
        "shares": dict.fromkeys(SHARES, trials) if trials else {},
        "limits": {m: _limits(m) for row in (*variants.values(), *rows.values()) for m in row},
        "same_episodes": False,
    }
    outcomes = {
        f"{name}/{term}" if len(models) > 1 else term: values
        for name, (_, single) in scored.items()
        for term, values in single.items()
    }
    return summary, outcomes


def _limits(metric: str) -> list[float | None]:
    """What a metric can be by its definition; None for no limit."""
    if metric == "smear_excess" or metric.endswith("_above"):  # a difference
        return [None, None]
    if metric.startswith(("probe_", "z_reads_")):  # R^2
        return [None, 1.0]
    if metric.startswith(IN_UNIT_INTERVAL):
        return [0.0, 1.0]
    return [1.0 if metric == "effective_rank" else 0.0, None]


@torch.no_grad()
def score_model(
    model: Model, held: Heldout, train: Clips, cfg: Config
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Every score of a model, and the single ambiguous pairs' terms that the smear is summed from.

    What each score is: the glossary of results/README.md.
    """
    scores = {"parameters": float(model.num_parameters()), "ball_error": _ball_error(model, held)}
    error, reference = heldout_error(model, held)
    if model.in_pixels:
        scores |= {"mse": error, "pixel_fvu": error / frame_variance(held)}
        if held.is_uncertain:
            scores["mse_over_bayes"] = error / reference
    else:
        scores |= {"fvu": error / reference}
    smear, outcomes = _smear_scores(model, held)
    scores |= smear
    scores |= embedding_scores(model.encoder, held)
    scores |= probe_scores(model.encoder, held, train, cfg)
    scores |= latent_scores(model, held, cfg)
    if cfg.history_length > 1:  # from one frame the motion is a guess, and so is all that follows
        scores |= rollout_scores(model, held.clips, cfg)
    return scores, outcomes


def _ball_error(model: Model, held: Heldout) -> float:
    """Squared error of the weighted mean frame against the ball that came, distractors apart."""
    errors = []
    for index, batch, z_pred, log_odds in answers(model, held):
        mean = mean_frame(model, z_pred, log_odds)
        errors.append(distance_to_ball(mean, batch.clean_next, basis_of(held, index)).flatten())
    return torch.cat(errors).mean().item()


def _smear_scores(model: Model, held: Heldout) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    if not held.ambiguous.any():  # no smear to speak of
        return {}, {}
    seen = to_float(held.bank.frames.flatten(0, 1))
    bank_z = torch.cat([model.encoder(part) for part in seen.split(512)])  # (n, D)
    bank_frames = to_float(held.bank.clean.flatten(0, 1))[:, 0]  # (n, H, W)
    sums = {"own": [], "readout": [], "bank": []}
    latent, frames_seen, calibration = [], [], []
    for index, _, z_pred, log_odds in answers(model, held, held.ambiguous.nonzero()[:, 0]):
        real = real_of(held, index)
        frames = model.decode(z_pred)[:, :, 0]  # (B, K, H, W)
        terms = smear_terms(frames, *real)
        sums["own"].append(terms)
        frames_seen.append(frames)
        calibration.append((log_odds, terms["nearest"], held.probabilities[index]))
        if model.in_pixels:
            found = _nearest(frames.flatten(2), bank_frames.flatten(1))
        else:
            found = _nearest(z_pred, bank_z)
            futures = held.futures[index]  # (B, F, H, W), here with what lies behind the ball
            futures = futures + (1 - futures) * held.layer_next[index].unsqueeze(1)
            z_futures = model.encode(futures.unsqueeze(2))
            latent.append((z_pred, z_futures, held.probabilities[index]))
            sums["readout"].append(smear_terms(model.decode(z_futures)[:, :, 0], *real))
        sums["bank"].append(smear_terms(bank_frames[found], *real))
    shares, single = _summed(sums["own"])
    scores = shares | {"smear_bank": _summed(sums["bank"])[0]["smear"]}
    if not model.in_pixels:
        scores["smear_readout"] = _summed(sums["readout"])[0]["smear"]
        scores["smear_excess"] = scores["smear"] - scores["smear_readout"]
        scores["latent_smear"] = latent_smear(*map(torch.cat, zip(*latent, strict=True)))
    scores["grey_mass"] = grey_mass(torch.cat(frames_seen))
    scores["weight_error"] = weight_error(*map(torch.cat, zip(*calibration, strict=True)))
    if model.has_z:
        scores |= by_weight(sums["own"], [log_odds for log_odds, _, _ in calibration])
    return scores, {name: single[name].numpy(force=True) for name in SINGLE}


def _summed(parts: list[dict[str, Tensor]]) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Smear, coverage and precision of the terms of chunks of pairs, and those terms in one."""
    terms = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    scores = {"smear": smear_index(terms["numerator"], terms["denominator"])}
    return scores | {name: terms[name].mean().item() for name in SHARES}, terms


def _nearest(queries: Tensor, bank: Tensor) -> Tensor:
    """Index of the bank's row nearest to each query, (B, K), for queries (B, K, S)."""
    return torch.cdist(queries.flatten(0, 1), bank).argmin(-1).view(queries.shape[:2])


@torch.no_grad()
def bounds(held: Heldout, train: Clips, cfg: Config) -> dict[str, dict[str, float]]:
    """Baselines and upper bounds of the same held-out pairs, none of them trained."""
    batch, mean = held.batch, to_float(train.frames.flatten(0, 1)).mean(0)
    clean_mean = to_float(train.clean.flatten(0, 1)).mean(0)[0]
    rows: dict[str, dict[str, float]] = {
        "bayes": {"mse": held.floor, "ball_error": held.ball_floor},
        "copy": {"mse": (batch.x_past[:, -1] - batch.x_next).square().mean().item()},
        "mean": {"mse": (mean - batch.x_next).square().mean().item()},
        "blank": {"mse": batch.x_next.square().mean().item()},
    }
    for name in ("bayes", "copy", "mean", "blank") if held.is_uncertain else ():
        rows[name]["mse_over_bayes"] = rows[name]["mse"] / held.floor
    index = held.ambiguous.nonzero()[:, 0]
    rows["raw_pixels"] = probe_scores(raw_pixels, held, train, cfg)
    torch.manual_seed(cfg.seed)
    encoder = Model("pixels", cfg).encoder.to(held.best.device)  # of every method, untrained
    rows["random_encoder"] = probe_scores(encoder, held, train, cfg)
    rows["random_encoder"] |= embedding_scores(encoder, held)
    if cfg.history_length > 1:
        rows["oracle"] = {}
        for name, errors in rollout_bounds(held.clips, cfg).items():
            rows[name] |= errors
    rows["pairs"] = {"count": float(len(batch.x_next)), "ambiguous": float(len(index))}
    if len(index) == 0:
        return rows
    now = held.clips.clean[batch.episode, batch.time]
    single = {
        "bayes": (held.probabilities[:, :, None, None] * held.futures).sum(1),
        "copy": to_float(now)[:, 0],
        "mean": clean_mean.expand_as(held.best),
        "blank": torch.zeros_like(held.best),
    }
    for name, frames in single.items():
        rows[name] |= _bound_scores(frames.unsqueeze(1), held, index)
    rows["oracle"] = rows.get("oracle", {}) | _bound_scores(held.futures, held, index)
    return rows


def _bound_scores(frames: Tensor, held: Heldout, index: Tensor) -> dict[str, float]:
    """Smear, coverage and precision of given frames (B, K, H, W)."""
    parts = [smear_terms(frames[part], *real_of(held, part)) for part in index.split(CHUNK)]
    return _summed(parts)[0] | {"grey_mass": grey_mass(frames[index])}
