"""From the finished runs of a sweep to the content of a results file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.harness.config import UserError
from common.harness.files import read_json, read_lines
from common.intervals import mean_interval


def collect(
    folders: Mapping[str, Sequence[Path]], *, curves: Sequence[str], bounds_per_arm: bool
) -> dict[str, Any]:
    """Returns protocol, versions, seconds, arms, bounds and curves of finished runs.

    ``folders`` holds, by arm of the sweep, its runs in the order of the seeds. Runs that compare
    several arms of their own give rows "<arm of the sweep>/<arm of the run>". Raises UserError.
    """
    summaries = {arm: [_summary(run) for run in runs] for arm, runs in folders.items()}
    distinct = sorted({run for runs in folders.values() for run in runs})
    settings = [read_json(run / "run.json") for run in distinct]
    arms: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for arm, runs in summaries.items():
        inner = list(runs[0]["arms"])
        for name in inner:
            row = arm if len(inner) == 1 else f"{arm}/{name}"
            arms[row] = _intervals(row, [run["arms"].get(name, {}) for run in runs])
            if len(inner) == 1:
                took = [read_json(run / "run.json")["seconds"] for run in folders[arm]]
                arms[row]["seconds"] = mean_interval(took)
            series = {key: [_series(run, key, name) for run in folders[arm]] for key in curves}
            found[row] = {key: _curve(runs) for key, runs in series.items() if all(runs)}
    protocols = {arm: runs[0].get("protocol", {}) for arm, runs in summaries.items()}
    first = next(iter(protocols.values()))
    same = all(protocol == first for protocol in protocols.values())
    content = {
        "protocol": first if same else protocols,
        "versions": _versions(settings),
        "seconds": round(sum(setting["seconds"] for setting in settings), 1),
        "arms": arms,
        "bounds": _bounds(summaries, bounds_per_arm),
    }
    for key in curves:
        if not any(key in metrics for metrics in found.values()):
            raise UserError(f"curves: no run has {key} in every seed's metrics.jsonl")
    return content | ({"curves": found} if curves else {})


def collect_outcomes(
    folders: Mapping[str, Sequence[Path]], seeds: Sequence[int]
) -> dict[str, np.ndarray]:
    """Returns the single outcomes of every run, by "<arm>/seed<k>/<name in outcomes.npz>"."""
    found = {}
    for arm, runs in folders.items():
        for seed, run in zip(seeds, runs, strict=True):
            if (run / "outcomes.npz").exists():
                with np.load(run / "outcomes.npz") as arrays:
                    found |= {f"{arm}/seed{seed}/{name}": arrays[name] for name in arrays}
    return found


def _summary(run: Path) -> dict[str, Any]:
    summary = read_json(run / "summary.json")
    if not isinstance(summary.get("arms"), dict) or not summary["arms"]:
        raise UserError(f"{run}/summary.json: expected arms with their metrics, got none")
    return summary


def _versions(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the version of each package, several where the runs differ."""
    names = sorted({name for setting in settings for name in setting["versions"]})
    return {
        name: ", ".join(sorted({setting["versions"].get(name, "?") for setting in settings}))
        for name in names
    }


def _intervals(row: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns {metric: interval} over runs; a metric that is null in a run lacks that value."""
    intervals = {}
    for metric in dict.fromkeys(metric for run in runs for metric in run):
        values = [run[metric] for run in runs if run.get(metric) is not None]
        if not all(isinstance(value, float | int) for value in values):
            raise UserError(f"{row}: {metric} is {values[0]!r}, expected a number")
        if values:
            intervals[metric] = mean_interval(values)
    return intervals


def _bounds(
    summaries: Mapping[str, Sequence[Mapping[str, Any]]], bounds_per_arm: bool
) -> dict[str, Any]:
    """Returns {bound: {metric: interval}}; arms that share a bound must agree on it."""
    rows: dict[str, dict[int, Mapping[str, Any]]] = {}
    for arm, runs in summaries.items():
        for index, run in enumerate(runs):
            for name, metrics in run.get("bounds", {}).items():
                row = f"{arm}/{name}" if bounds_per_arm else name
                first = rows.setdefault(row, {}).setdefault(index, metrics)
                if not _same(first, metrics):
                    raise UserError(
                        f"bound {name} of arm {arm} is {metrics}, expected {first} as in the arms "
                        "before it; set bounds_per_arm: true if the worlds differ"
                    )
    return {row: _intervals(row, list(runs.values())) for row, runs in rows.items()}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[key] == other[key]
        or (None not in (one[key], other[key]) and math.isclose(one[key], other[key], rel_tol=1e-6))
        for key in one
    )


def _series(run: Path, metric: str, arm: str) -> dict[int, float]:
    """Returns {step: value} of a metric from the lines of metrics.jsonl that belong to the arm."""
    lines = read_lines(run / "metrics.jsonl")
    mine = (line for line in lines if line.get("arm", arm) == arm and metric in line)
    return {line["step"]: line[metric] for line in mine}


def _curve(runs: Sequence[Mapping[int, float]]) -> dict[str, Any]:
    """Returns x, mean, low, high at the steps that every run has."""
    steps = sorted(set.intersection(*(set(run) for run in runs)))
    points = [mean_interval([run[step] for run in runs]) for step in steps]
    return {"x": steps} | {key: [point[key] for point in points] for key in ("mean", "low", "high")}
