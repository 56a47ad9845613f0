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
from part2_pixel_vs_jepa.model import Model, make_models
from part2_pixel_vs_jepa.scoring.heldout import Heldout, basis_of, chunks, take
from part2_pixel_vs_jepa.scoring.probes import (
    embedding_scores,
    latent_scores,
    probe_scores,
    raw_pixels,
)
from part2_pixel_vs_jepa.scoring.rollout import rollout_bounds, rollout_scores

SHARES = ("coverage", "precision")  # of ambiguous pairs
IN_UNIT_INTERVAL = (
    *SHARES, "grey_mass", "weight_error", "collapse_ratio", "worth_", "sharpness_"
)  # fmt: skip


@torch.no_grad()
def heldout_error(model: Model, held: Heldout) -> tuple[float, float]:
    """Held-out prediction error and what it is measured against.

    Pixel methods: pixel MSE of the weighted mean of the hypotheses, and the Bayes floor, or where
    that is zero the variance of the frames. Jepa methods: squared error of the nearest hypothesis'
    embedding, and the variance of the target's.
    """
    if not model.in_pixels:
        z_pred, z_next = [], []
        for index in chunks(torch.arange(len(held.best))):
            batch = take(held.batch, index)
            _, hypotheses, _ = model.predict(batch)
            target = model.encoder(batch.x_next)
            nearest = (hypotheses - target.unsqueeze(1)).square().mean(-1).argmin(1)
            z_pred.append(hypotheses[torch.arange(len(index)), nearest])
            z_next.append(target)
        target = torch.cat(z_next)
        error = (torch.cat(z_pred) - target).square().mean().item()
        return error, (target - target.mean(0)).square().mean().item()
    total = 0.0
    for index in chunks(torch.arange(len(held.best))):
        batch = take(held.batch, index)
        _, z_pred, log_odds = model.predict(batch)
        frames = model.decode(z_pred)
        mean = (log_odds.softmax(-1)[:, :, None, None, None] * frames).sum(1)
        total += (mean - batch.x_next).square().mean(dim=(1, 2, 3)).sum().item()
    return total / len(held.best), held.floor if held.is_uncertain else frame_variance(held)


def frame_variance(held: Heldout) -> float:
    """Variance of the held-out target frames, per pixel."""
    x_next = held.batch.x_next
    return (x_next - x_next.mean(0)).square().mean().item()


def score_run(
    models: Mapping[str, Model], held: Heldout, train: Clips, cfg: Config
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A run's summary, and the single pairs' scores under the names of outcomes.npz."""
    scored = {name: score_model(model, held, train, cfg) for name, model in models.items()}
    variants = {name: scores for name, (scores, _) in scored.items()}
    rows = bounds(held, train, cfg)
    trials = int(rows["pairs"]["ambiguous"])
    summary = {
        "variants": variants,
        "bounds": rows,
        "protocol": {"steps": cfg.steps, "num_hypotheses": cfg.num_hypotheses},
        "shares": dict.fromkeys(SHARES, trials) if trials else {},
        "limits": {
            metric: _limits(metric)
            for metric in sorted({m for row in (*variants.values(), *rows.values()) for m in row})
        },
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
    if metric == "smear_excess":  # a difference
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
    for index in chunks(torch.arange(len(held.best))):
        batch = take(held.batch, index)
        _, z_pred, log_odds = model.predict(batch)
        mean = (log_odds.softmax(-1)[:, :, None, None] * model.decode(z_pred)[:, :, 0]).sum(1)
        ball = batch.clean_next
        errors.append(distance_to_ball(mean.unsqueeze(1), ball, basis_of(held, index)).flatten())
    return torch.cat(errors).mean().item()


def _smear_scores(model: Model, held: Heldout) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    if not held.ambiguous.any():  # no smear to speak of
        return {}, {}
    bank_z, bank_frames = _bank(model, held)
    sums = {"own": [], "readout": [], "bank": []}
    latent, frames_seen, calibration = [], [], []
    for index in chunks(held.ambiguous.nonzero()[:, 0]):
        batch, basis = take(held.batch, index), basis_of(held, index)
        real = (held.futures[index], held.probabilities[index], held.shifted[index], basis)
        _, z_pred, log_odds = model.predict(batch)
        frames = model.decode(z_pred)[:, :, 0]  # (B, K, H, W)
        terms = smear_terms(frames, *real)
        sums["own"].append(terms)
        frames_seen.append(frames)
        calibration.append((log_odds, terms["nearest"], held.probabilities[index]))
        if model.in_pixels:
            found = _nearest(frames.flatten(2), bank_frames.flatten(1))
        else:
            found = _nearest(z_pred, bank_z)
            z_futures = model.encode(_as_seen(held, index).unsqueeze(2))
            latent.append((z_pred, z_futures, held.probabilities[index]))
            sums["readout"].append(smear_terms(model.decode(z_futures)[:, :, 0], *real))
        sums["bank"].append(smear_terms(bank_frames[found], *real))
    smear = {name: _index(terms) for name, terms in sums.items() if terms}
    scores = {"smear": smear["own"], "smear_bank": smear["bank"]}
    if not model.in_pixels:
        scores["smear_readout"] = smear["readout"]
        scores["smear_excess"] = smear["own"] - smear["readout"]
        columns = zip(*latent, strict=True)
        scores["latent_smear"] = latent_smear(*(torch.cat(column) for column in columns))
    single = {
        name: torch.cat([part[name] for part in sums["own"]])
        for name in ("numerator", "denominator", "coverage", "precision")
    }
    scores |= {
        "coverage": single["coverage"].mean().item(),
        "precision": single["precision"].mean().item(),
        "grey_mass": grey_mass(torch.cat(frames_seen)),
        "weight_error": weight_error(*(torch.cat(c) for c in zip(*calibration, strict=True))),
    }
    return scores, {name: values.numpy() for name, values in single.items()}


def _index(terms: list[dict[str, Tensor]]) -> float:
    return smear_index(
        torch.cat([part["numerator"] for part in terms]),
        torch.cat([part["denominator"] for part in terms]),
    )


def _as_seen(held: Heldout, index: Tensor) -> Tensor:
    """Every real future with what truly lies behind the ball, (B, F, H, W)."""
    futures = held.futures[index]
    return futures + (1 - futures) * held.layer_next[index].unsqueeze(1)


def _bank(model: Model, held: Heldout) -> tuple[Tensor, Tensor]:
    """Embeddings (n, D) and clean frames (n, H, W) of the bank's frames."""
    seen = to_float(held.bank.frames.flatten(0, 1))
    z = torch.cat([model.encoder(part) for part in seen.split(512)])
    return z, to_float(held.bank.clean.flatten(0, 1))[:, 0]


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
    encoder = next(iter(make_models(cfg).values())).encoder
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
    terms = []
    for part in chunks(index):
        real = (held.futures[part], held.probabilities[part], held.shifted[part])
        terms.append(smear_terms(frames[part], *real, basis_of(held, part)))
    return {
        "smear": _index(terms),
        "coverage": torch.cat([t["coverage"] for t in terms]).mean().item(),
        "precision": torch.cat([t["precision"] for t in terms]).mean().item(),
        "grey_mass": grey_mass(frames[index]),
    }
