"""From the finished runs of a sweep to the content of a results file."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.harness.errors import UserError
from common.harness.files import read_json, read_lines
from common.harness.provenance import read_setting
from common.harness.results import add_differences
from common.intervals import (
    Interval,
    bootstrap_nested,
    bootstrap_seed_episode,
    mean_interval,
    share_interval,
)


def aggregate(
    folders: Mapping[str, Sequence[Path]], params: Mapping[str, Mapping[str, Any]], *,
    curves: Sequence[str], bounds_per_variant: bool, reference: str | None,
    bounds: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """All of a results file but its name, command and seeds, from finished runs.

    ``folders``: by variant of the sweep, its runs in the order of the seeds; ``params`` sets it
    apart; ``bounds`` are further ones. Runs of several methods give rows "<variant>/<method>".
    Raises UserError.
    """
    summaries = {name: [_summary(run) for run in runs] for name, runs in folders.items()}
    settings = [read_setting(run) for run in sorted({*chain(*folders.values())})]
    variants: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, runs in summaries.items():
        several = len(runs[0]["variants"]) > 1
        for method in runs[0]["variants"]:
            row, prefix = (f"{name}/{method}", f"{method}/") if several else (name, "")
            scores = [run["variants"].get(method, {}) for run in runs]
            outcomes = [_outcomes(run, prefix) for run in folders[name]]
            metrics = metric_intervals(row, scores, runs[0], outcomes)
            if not several:
                took = [read_setting(run)["seconds"] for run in folders[name]]
                metrics["seconds"] = mean_interval(took, (0, math.inf))
            variants[row] = {"params": dict(params[name]), "metrics": metrics}
            series = {key: [_series(run, key, method) for run in folders[name]] for key in curves}
            found[row] = {key: _curve(each) for key, each in series.items() if all(each)}
    for key in curves:
        if not any(key in metrics for metrics in found.values()):
            raise UserError(f"curves: no run has {key} in every seed's metrics.jsonl")
    protocols = {name: runs[0].get("protocol", {}) for name, runs in summaries.items()}
    first, *others = protocols.values()
    content = {
        "commit": _joined(settings, "git"),
        "machine": _joined(settings, "machine") or "?",
        "device": _joined(settings, "device") or "?",
        "protocol": first if all(other == first for other in others) else protocols,
        "versions": {
            name: _joined([setting["versions"] for setting in settings], name)
            for name in sorted({*chain(*(setting["versions"] for setting in settings))})
        },
        "seconds": round(sum(setting["seconds"] for setting in settings), 1),
        "reference": reference,
        "variants": variants,
        "bounds": _bounds(summaries, bounds_per_variant) | dict(bounds),
    }
    add_differences(content)
    return content | ({"curves": found} if curves else {})


def collect_outcomes(
    folders: Mapping[str, Sequence[Path]], seeds: Sequence[int]
) -> dict[str, np.ndarray]:
    """The single outcomes of every run, by "<variant>/seed<k>/<name in outcomes.npz>"."""
    return {
        f"{variant}/seed{seed}/{name}": values
        for variant, runs in folders.items()
        for seed, run in zip(seeds, runs, strict=True)
        for name, values in _outcomes(run, "").items()
    }


def interval_of(
    values: Sequence[float], trials: int | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
    outcomes: Sequence[np.ndarray] | None = None, same_episodes: bool = False,
) -> Interval:  # fmt: skip
    """The one interval of a metric, of one value per seed.

    A share has trials (per seed): a bootstrap of its single outcomes, crossed where all seeds meet
    the same episodes; Wilson's interval where there are none, or all are alike (of one seed's
    trials where all seeds meet the same ones). Anything else has Student's.
    """
    if trials is None:
        return mean_interval(values, limits)
    alike = outcomes is None or len(np.unique(np.concatenate(outcomes))) == 1
    if outcomes is None or alike or len(values) == 1:
        return share_interval(values, trials, of_all=not same_episodes)
    draws, each = torch.Generator().manual_seed(0), [torch.from_numpy(o) for o in outcomes]
    if same_episodes:
        made = bootstrap_seed_episode(torch.stack(each), draws)
    else:
        made = bootstrap_nested(each, draws)
    return mean_interval(values) | {"low": made["low"], "high": made["high"]}


def _summary(run: Path) -> dict[str, Any]:
    summary = read_json(run / "summary.json")
    if not isinstance(summary.get("variants"), dict) or not summary["variants"]:
        raise UserError(f"{run}/summary.json: expected variants with their metrics, got none")
    return summary


def _joined(settings: Sequence[Mapping[str, Any]], key: str) -> str | None:
    return ", ".join(sorted({setting[key] for setting in settings if setting.get(key)})) or None


def _outcomes(run: Path, prefix: str) -> dict[str, np.ndarray]:
    """The single outcomes of a run whose names have a prefix, without it."""
    if not (run / "outcomes.npz").exists():
        return {}
    with np.load(run / "outcomes.npz") as arrays:
        return {n.removeprefix(prefix): arrays[n] for n in arrays if n.startswith(prefix)}


def metric_intervals(
    row: str, runs: Sequence[Mapping[str, Any]], summary: Mapping[str, Any],
    outcomes: Sequence[Mapping[str, np.ndarray]] = (),
) -> dict[str, Any]:  # fmt: skip
    """{metric: interval} over runs; a metric that is null in a run lacks that value.

    summary says, as a run's does, which metrics are shares, of how many trials, and the limits of
    others.
    """
    intervals = {}
    for metric in dict.fromkeys(metric for run in runs for metric in run):
        values = [run[metric] for run in runs if run.get(metric) is not None]
        if not all(isinstance(value, float | int) for value in values):
            raise UserError(f"{row}: {metric} is {values[0]!r}, expected a number")
        single = [each[metric] for each in outcomes if metric in each]
        if values:
            low, high = summary.get("limits", {}).get(metric, (None, None))  # JSON has no infinity
            intervals[metric] = interval_of(
                values, summary.get("shares", {}).get(metric),
                (-math.inf if low is None else low, math.inf if high is None else high),
                single if len(single) == len(values) else None, summary.get("same_episodes", False),
            )  # fmt: skip
    return intervals


def _bounds(summaries: Mapping[str, Sequence[Any]], per_variant: bool) -> dict[str, Any]:
    """{bound: {metric: interval}}; variants that share a bound must agree on it."""
    rows: dict[str, dict[int, Mapping[str, Any]]] = {}
    for variant, runs in summaries.items():
        for index, run in enumerate(runs):
            for name, metrics in run.get("bounds", {}).items():
                row = f"{variant}/{name}" if per_variant else name
                first = rows.setdefault(row, {}).setdefault(index, metrics)
                if not _same(first, metrics):
                    wrong = f"bound {name} of {variant} is {metrics}, expected {first} as before it"
                    raise UserError(f"{wrong}; set bounds_per_variant: true if the worlds differ")
    summary = next(iter(summaries.values()))[0]
    return {row: metric_intervals(row, list(runs.values()), summary) for row, runs in rows.items()}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[key] == other[key]
        or (None not in (one[key], other[key]) and math.isclose(one[key], other[key], rel_tol=1e-6))
        for key in one
    )


def _series(run: Path, metric: str, method: str) -> dict[int, float]:
    """{step: value} of a metric from the lines of metrics.jsonl that belong to the method."""
    lines = read_lines(run / "metrics.jsonl")
    mine = (line for line in lines if line.get("method", method) == method and metric in line)
    return {line["step"]: line[metric] for line in mine}


def _curve(runs: Sequence[Mapping[int, float]]) -> dict[str, Any]:
    """x, mean, low, high at the steps that every run has."""
    steps = sorted(set.intersection(*(set(run) for run in runs)))
    points = [mean_interval([run[step] for run in runs]) for step in steps]
    return {"x": steps} | {key: [point[key] for point in points] for key in ("mean", "low", "high")}
