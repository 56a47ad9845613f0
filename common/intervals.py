"""95% intervals: over training seeds, over seeds x episodes, and of a share of successes."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

NORMAL_QUANTILE = 1.959963984540054  # 97.5%


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """Returns {"mean", "low", "high", "n", "values"} of one value per seed.

    The interval is Student's, mean +- t sd / sqrt(n), over seeds as the sample; low and high are
    None for a single seed, which says nothing about the spread. Raises ValueError without values.
    """
    values = [float(value) for value in values]
    if not values:
        raise ValueError("expected one or more values, got none")
    mean, n = fmean(values), len(values)
    half = student_quantile(n - 1) * stdev(values) / math.sqrt(n) if n > 1 else None
    low, high = (None, None) if half is None else (mean - half, mean + half)
    return {"mean": mean, "low": low, "high": high, "n": n, "values": values}


def mean_intervals(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """``mean_interval`` of each metric of runs that have the same metrics, a run a seed."""
    return {name: mean_interval([run[name] for run in runs]) for name in runs[0]}


def student_quantile(degrees: int) -> float:
    """Returns the 97.5% quantile of Student's t, by bisection on its distribution function."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _student_mass(angle, degrees) < 0.95 else (low, angle)
    return math.sqrt(degrees) * math.tan(low)


def _student_mass(angle: float, degrees: int) -> float:
    """P(|t| < sqrt(degrees) tan(angle)), Abramowitz and Stegun 26.7.3 and 26.7.4."""
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    series = 0.0
    for k in range(degrees // 2):
        series += term
        term *= math.cos(angle) ** 2 * (2 * k + 1 + odd) / (2 * k + 2 + odd)
    return (angle + math.sin(angle) * series) * 2 / math.pi if odd else math.sin(angle) * series


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Returns the Wilson score interval of a share; 5 of 5 is (0.57, 1). Raises ValueError."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"expected 0 <= successes <= n and n > 0, got {successes} of {n}")
    share, z2 = successes / n, NORMAL_QUANTILE**2
    center = share + z2 / (2 * n)
    half = NORMAL_QUANTILE * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, (center - half) / (1 + z2 / n)), min(1.0, (center + half) / (1 + z2 / n))


def bootstrap_seed_episode(
    outcomes: Tensor, generator: torch.Generator, num_resamples: int = 10_000
) -> dict[str, Any]:
    """Returns {"mean", "low", "high", "n", "values"} of outcomes (S, E), seeds x shared episodes.

    Percentile bootstrap of the mean that draws seeds and episodes anew, crossed, since every seed
    meets the same episodes; n counts seeds and values are the means per seed.
    """
    if outcomes.dim() != 2 or outcomes.numel() == 0:
        raise ValueError(f"expected outcomes (S, E), got {tuple(outcomes.shape)}")
    outcomes = outcomes.double()
    num_seeds, num_episodes = outcomes.shape
    seeds = _draw_shares(num_seeds, num_resamples, generator)  # (R, S)
    episodes = _draw_shares(num_episodes, num_resamples, generator)  # (R, E)
    means = ((seeds @ outcomes) * episodes).sum(dim=1)  # (R,)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    values = outcomes.mean(dim=1).tolist()
    return {"mean": fmean(values), "low": low, "high": high, "n": num_seeds, "values": values}


def _draw_shares(size: int, num_resamples: int, generator: torch.Generator) -> Tensor:
    """Returns (R, size): how often each of ``size`` is drawn in a resample, as a share."""
    drawn = torch.randint(size, (num_resamples, size), generator=generator)
    ones = torch.ones(num_resamples, size, dtype=torch.double)
    return torch.zeros_like(ones).scatter_add_(1, drawn, ones) / size
