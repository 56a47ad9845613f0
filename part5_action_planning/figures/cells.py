"""Results files -> what charts draw: rows, percentages, curves."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from common.harness.results import read_results

BANDS = "Bands: 95% intervals."
Cell = Mapping[str, Any]
Points = Iterable[tuple[str, float, Cell]]  # of curves: name, x, interval


def rows_of(folder: Path, name: str) -> list[tuple[dict[str, Any], dict[str, Cell]]]:
    """Params and metrics of each variant of a results file."""
    found = read_results(folder / f"{name}.json")["variants"].values()
    return [(variant["params"], variant["metrics"]) for variant in found]


def metrics_of(folder: Path, name: str) -> dict[str, dict[str, Cell]]:
    """{variant: metrics} of a results file, bounds among them."""
    content = read_results(folder / f"{name}.json")
    found = {row: variant["metrics"] for row, variant in content["variants"].items()}
    return found | content.get("bounds", {})


def percent(cell: Cell) -> dict[str, Any]:
    scaled = {k: None if cell[k] is None else 100 * cell[k] for k in ("mean", "low", "high")}
    return scaled | {"values": [100 * value for value in cell["values"]]}


def curves(points: Points) -> dict[str, dict[str, list[float]]]:
    """{name: curve}, x ascending."""
    series: dict[str, dict[str, list[float]]] = {}
    for name, x, cell in sorted(points, key=lambda point: point[1]):
        of = series.setdefault(name, {"x": [], "mean": [], "low": [], "high": []})
        for end, value in ({**cell, "x": float(x)}).items():
            if end in of:
                of[end].append(value)
    return series
