"""95% intervals: over training seeds, over seeds x episodes, and of a share of successes."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import torch
from scipy import stats
from torch import Tensor

Interval = dict[str, Any]  # "mean", "low", "high", "n", "values" (one per seed)


def mean_interval(
    values: Sequence[float], limits: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """Returns {"mean", "low", "high", "n", "values"} of one value per seed.

    The interval is Student's, mean +- t sd / sqrt(n), over seeds as the sample, cut to the limits
    that the quantity has by its definition; low and high are None for a single seed, which says
    nothing about the spread. Raises ValueError without values.
    """
    values = [float(value) for value in values]
    if not values:
        raise ValueError("expected one or more values, got none")
    mean, n = fmean(values), len(values)
    low = high = None
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1)) * stdev(values) / math.sqrt(n)
        low, high = max(mean - half, min(limits[0], mean)), min(mean + half, max(limits[1], mean))
    return {"mean": mean, "low": low, "high": high, "n": n, "values": values}


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Returns the Wilson score interval of a share; 5 of 5 is (0.57, 1). Raises ValueError."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"expected 0 <= successes <= n and n > 0, got {successes} of {n}")
    found = stats.binomtest(successes, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def share_interval(values: Sequence[float], trials: int, *, of_all: bool = True) -> Interval:
    """As mean_interval, of shares of so many trials a seed: Wilson's, of the trials of all seeds.

    of_all=False: of one seed's, for seeds that meet the same trials.
    """
    values = [float(value) for value in values]
    mean, n = fmean(values), trials * (len(values) if of_all else 1)
    low, high = wilson(round(mean * n), n)
    ends = {"low": min(low, mean), "high": max(high, mean)}
    return {"mean": mean, **ends, "n": len(values), "values": values}


def bootstrap_seed_episode(
    outcomes: Tensor, generator: torch.Generator, num_resamples: int = 10_000
) -> Interval:
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
    return _percentiles(means, outcomes.mean(dim=1).tolist())


def bootstrap_nested(
    outcomes: Sequence[Tensor], generator: torch.Generator, num_resamples: int = 2_000
) -> Interval:
    """As bootstrap_seed_episode, where every seed has trials of its own: outcomes (n_s,) a seed.

    Seeds are drawn, then trials of each; the mean is over seeds.
    """
    own = []
    for values in outcomes:
        drawn = torch.randint(len(values), (num_resamples, len(values)), generator=generator)
        own.append(values.double()[drawn].mean(1))
    means = (torch.stack(own, 1) * _draw_shares(len(outcomes), num_resamples, generator)).sum(1)
    return _percentiles(means, [values.double().mean().item() for values in outcomes])


def paired(values: Sequence[float], reference: Sequence[float]) -> Interval:
    """``mean_interval`` of the differences, seed by seed. Raises ValueError for unequal numbers."""
    return mean_interval([a - b for a, b in zip(values, reference, strict=True)])


def _percentiles(means: Tensor, values: list[float]) -> Interval:
    """The interval of resampled means (R,) of the values of all seeds."""
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    mean = fmean(values)
    ends = {"low": min(low, mean), "high": max(high, mean)}
    return {"mean": mean, **ends, "n": len(values), "values": values}


def _draw_shares(size: int, num_resamples: int, generator: torch.Generator) -> Tensor:
    """Returns (R, size): how often each of ``size`` is drawn in a resample, as a share."""
    drawn = torch.randint(size, (num_resamples, size), generator=generator)
    ones = torch.ones(num_resamples, size, dtype=torch.double)
    return torch.zeros_like(ones).scatter_add_(1, drawn, ones) / size
