"""Results files: their one form.

    {"experiment", "command", "commit", "machine", "device", "versions", "protocol", "seconds",
     "seeds", "reference",
     "variants": {name: {"params": {option: value}, "metrics": {metric: interval},
                         "differences": {metric: interval}}},      paired, less the reference's
     "bounds":   {name: {metric: interval}},                       baselines and upper bounds
     "curves":   {variant: {metric: {"x", "mean", "low", "high"}}}}            optional

An interval is {"mean", "low", "high", "n", "values": [one per seed]}: low and high are the ends of
the 95% interval of this number, the only one there is, null for a single seed. It is Student's over
seeds, cut to what the quantity can be; a share has a bootstrap over seeds x episodes, or Wilson's
interval. reference names the variant or bound that differences are taken from, seed by seed.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.harness.errors import UserError
from common.harness.files import read_json, write_json
from common.harness.provenance import git_commit, machine, versions

FORM = {
    "experiment": str, "command": str, "commit": str | None, "machine": str, "device": str,
    "versions": dict, "protocol": dict, "seconds": float | int, "seeds": list,
    "reference": str | None, "variants": dict, "bounds": dict,
}  # fmt: skip
PARTS = {"params", "metrics", "differences"}
NUMBER = float | int
ELSEWHERE = dict.fromkeys(("commit", "machine", "versions", "seconds"))  # not the numbers


def read_results(path: Path) -> dict[str, Any]:
    """A results file; raises UserError when it is missing or not in this form."""
    content = read_json(path)
    try:
        validate_results(content)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return content


def write_results(
    path: Path, command: str, *, protocol: Mapping[str, Any], seconds: float, seeds: Sequence[int],
    variants: Mapping[str, Any], bounds: Mapping[str, Any] | None = None,
    reference: str | None = None, device: str = "cpu", **curves: Mapping[str, Any],
) -> None:  # fmt: skip
    """Writes the results of an experiment, named as its file, and where they were made.

    variants: {name: {"params": ..., "metrics": ...}}; the differences from the reference are added
    here. A file that holds the same numbers, but for rounding, is left as it is; which it was is
    printed. Raises ValueError where the content is not of this module's form.
    """
    content = {
        "experiment": path.stem, "command": command, "commit": git_commit(), "machine": machine(),
        "device": device, "versions": versions(), "protocol": dict(protocol),
        "seconds": round(seconds, 1), "seeds": list(seeds), "reference": reference,
        "variants": {name: dict(variant) for name, variant in variants.items()},
        "bounds": dict(bounds or {}), **curves,
    }  # fmt: skip
    add_differences(content)
    validate_results(content)
    there = read_json(path) if path.exists() else {}
    made_from_a_commit = "dirty" not in str(there.get("commit"))
    here = json.loads(json.dumps(content))  # as it would be read
    if made_from_a_commit and _same(*({**found, **ELSEWHERE} for found in (there, here))):
        print(f"{path} is left as it is: these numbers, but for rounding, and where it was made")
        return
    write_json(path, content)
    print(f"wrote {path}")


def _same(one: Any, two: Any) -> bool:
    """Whether two JSON values are equal but for the rounding of their numbers."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-9)
    return one == two


def add_differences(content: dict[str, Any]) -> None:
    """Adds to every variant its paired differences from the file's reference, where it has one."""
    from common.intervals import paired  # scipy and torch, which readers of results do without

    variants, reference = content["variants"], content["reference"]
    known = {name: variant["metrics"] for name, variant in variants.items()} | content["bounds"]
    if reference is not None and reference not in known:
        raise ValueError(f"reference: expected one of {', '.join(known)}, got {reference}")
    for name, variant in variants.items():
        variant["differences"] = {
            metric: paired(cell["values"], known[reference][metric]["values"])
            for metric, cell in variant["metrics"].items()
            if reference not in (None, name)
            and known[reference].get(metric, {}).get("n") == cell["n"] > 1
        }


def validate_results(content: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the place, where the content is not of this module's form."""
    for key, kind in FORM.items():
        if key not in content or not isinstance(content[key], kind):
            raise ValueError(f"{key}: expected {kind}, got {content.get(key)!r}")
    if strange := sorted(set(content) - set(FORM) - {"curves"}):
        raise ValueError(f"unknown key {strange[0]}; expected one of {sorted(FORM)}")
    if not content["seeds"] or not all(type(seed) is int for seed in content["seeds"]):
        raise ValueError(f"seeds: expected one or more integers, got {content['seeds']}")
    if not content["variants"]:
        raise ValueError("variants: expected one or more, got none")
    for name, variant in content["variants"].items():
        if not isinstance(variant, dict) or set(variant) != PARTS:
            raise ValueError(f"variants.{name}: expected {', '.join(sorted(PARTS))}")
        parts = {part: variant[part] for part in ("metrics", "differences")}
        for place, cell in _cells(f"variants.{name}", parts):
            _check_interval(place, cell)
    for place, cell in _cells("bounds", content["bounds"]):
        _check_interval(place, cell)
    for place, curve in _cells("curves", content.get("curves", {})):
        if not isinstance(curve, dict) or set(curve) != {"x", "mean", "low", "high"}:
            raise ValueError(f"{place}: expected x, mean, low and high, got {curve!r}")
        if len({len(points) for points in curve.values()}) > 1:
            raise ValueError(f"{place}: expected {len(curve['x'])} values of each")


def _cells(section: str, rows: Any) -> Iterator[tuple[str, Any]]:
    """Yields (place, cell) of {row: {metric: cell}}."""
    for row, metrics in rows.items():
        for metric, cell in metrics.items():
            yield f"{section}.{row}.{metric}", cell


def _check_interval(place: str, cell: Any) -> None:
    if not isinstance(cell, dict) or set(cell) != {"mean", "low", "high", "n", "values"}:
        raise ValueError(f"{place}: expected mean, low, high, n and values, got {cell!r}")
    low, mean, high = (cell[key] for key in ("low", "mean", "high"))
    if len(cell["values"]) != cell["n"] or not all(isinstance(v, NUMBER) for v in cell["values"]):
        raise ValueError(f"{place}.values: expected {cell['n']} numbers, got {cell['values']}")
    if not isinstance(mean, NUMBER) or not math.isfinite(mean):
        raise ValueError(f"{place}.mean: expected a number, got {mean!r}")
    if low is None and high is None and cell["n"] == 1:
        return
    slack = 1e-9 * max(1.0, abs(mean))
    if not (isinstance(low, NUMBER) and isinstance(high, NUMBER)):
        raise ValueError(f"{place}: expected low and high as numbers, got {low!r} and {high!r}")
    if not low - slack <= mean <= high + slack:
        raise ValueError(f"{place}: expected low <= mean <= high, got {low}, {mean}, {high}")
