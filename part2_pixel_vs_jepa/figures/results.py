"""The figures of part2_pixel_vs_jepa/results/*.json, and how each arm looks in every figure."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.figures.charts import PALETTE, QUIET, Bars, Curves, panels, write_png
from common.harness.errors import UserError
from common.harness.results import read_results

LOOKS = {
    "pixels": ("pixels", PALETTE["vermillion"]),
    "pixels_z": ("pixels + z", PALETTE["orange"]),
    "jepa": ("JEPA", PALETTE["blue"]),
    "jepa_z": ("JEPA + z", PALETTE["sky"]),
    "jepa_sigreg": ("JEPA, SIGReg", PALETTE["green"]),
    "jepa_z_sigreg": ("JEPA + z, SIGReg", PALETTE["purple"]),
    "copy": ("a ball that stays", QUIET),
    "oracle": ("true dynamics, drawn again", PALETTE["black"]),
}
COLORS = dict(LOOKS.values())
WORLDS = {
    "main": "posts' world",
    "speeds": "three speeds",
    "stochastic_wall": "stochastic wall",
    "dots": "random dots",
    "squares": "flickering squares",
    "background": "static background",
    "two_frames": "mirror walls",
}
LABELS = {
    "smear": "smear index",
    "mse_over_bayes": "MSE / Bayes floor",
    "position_error": "position error (px)",
    "sharpness": "sharpness",
}
BOUNDS = {
    "smear": {"real": 0.0, "exact blur": 1.0},
    "mse_over_bayes": {"Bayes floor": 1.0},
}
SMEAR = "Smear index: 0 is a real future, 1 the exact blur of them all."
COVERAGE = "Coverage: share of the real futures that some hypothesis hits; 1 is all."
PRECISION = "Precision: share of the hypotheses that hit a real future; 1 is all."
SEEDS = "Whiskers: 95% interval over seeds; dots: single seeds."
SHARPNESS = "Sharpness: 1 is a binary disc, 1/2 the same ball spread over twice its area."
BANDS = "Bands: 95% interval over seeds."
Results = Mapping[str, dict[str, Any]]  # by experiment


def arm_look(arm: str) -> tuple[str, str]:
    """Label and colour of an arm."""
    return LOOKS.get(arm, (arm.replace("_", " "), PALETTE["black"]))


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results files are in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    results = {path.stem: read_results(path) for path in sorted(folder.glob("*.json"))}
    figures = {
        "main": main_figure(results) if "main" in results else None,
        "hypotheses": hypotheses_figure(results) if "hypotheses" in results else None,
        "width": width_figure(results) if "width" in results else None,
        "worlds": worlds_figure(results),
        "horizon": horizon_figure(results),
    }
    written = []
    for name, figure in figures.items():
        if figure is not None:
            written.append(folder / "figures" / f"{name}.png")
            write_png(written[-1], figure)
    if not written:
        raise UserError(f"no results to draw in {folder}; expected main.json or others of a sweep")
    return written


def main_figure(results: Results) -> Figure:
    """Smear, coverage and precision of each arm, beside what copying the last frame scores."""
    content = results["main"]
    contents = []
    for metric in ("smear", "coverage", "precision"):
        arms = {arm_look(arm)[0]: scores[metric] for arm, scores in content["arms"].items()}
        rows = {label: {label: score} for label, score in arms.items()}
        bounds = BOUNDS.get(metric, {})
        if metric == "smear" and "copy" in content["bounds"]:
            bounds = bounds | {"copy-last": content["bounds"]["copy"][metric]["mean"]}
        contents.append(Bars(rows, LABELS.get(metric, metric), bounds))
    return panels(contents, COLORS, f"{SMEAR} {COVERAGE} {PRECISION} {SEEDS}")


def hypotheses_figure(results: Results) -> Figure:
    """Smear, coverage and precision against K; K = 1 is the arm without a latent z."""
    contents = []
    for metric in ("smear", "coverage", "precision"):
        points = []
        for arm, scores in results["hypotheses"]["arms"].items():
            base, _, number = arm.partition("-K")
            with_z = base if "_z" in base else re.sub("^(pixels|jepa)", r"\1_z", base)
            points.append((with_z, float(number or 1), scores[metric]))
        label = LABELS.get(metric, metric)
        contents.append(
            Curves(_series(points), "K (hypotheses)", label, BOUNDS.get(metric, {}), log_x=True)
        )
    note = f"K = 1 is the arm without z. {SMEAR} {COVERAGE} {PRECISION} {BANDS}"
    return panels(contents, COLORS, note)


def width_figure(results: Results) -> Figure:
    """Smear and error of the deterministic pixel model against its parameters."""
    contents = []
    for metric in ("smear", "mse_over_bayes"):
        points = [
            (arm.partition("-x")[0], scores["parameters"]["mean"], scores[metric])
            for arm, scores in results["width"]["arms"].items()
        ]
        series, bounds = _series(points), BOUNDS[metric]
        contents.append(Curves(series, "parameters", LABELS[metric], bounds, log_x=True))
    fig = panels(contents, COLORS, f"{SMEAR} {BANDS}")
    for ax in fig.axes:
        ax.tick_params(axis="x", labelrotation=60)
    return fig


def worlds_figure(results: Results) -> Figure | None:
    """Smear and coverage of each arm in each world that has ambiguous pairs."""
    contents = []
    for metric in ("smear", "coverage"):
        rows: dict[str, dict[str, dict[str, Any]]] = {}
        for world, arm, scores in _in_worlds(results):
            if metric in scores:
                rows.setdefault(world, {})[arm_look(arm)[0]] = scores[metric]
        if rows:
            contents.append(Bars(rows, LABELS.get(metric, metric), BOUNDS.get(metric, {})))
    return panels(contents, COLORS, f"{SMEAR} {COVERAGE} {SEEDS}") if contents else None


def horizon_figure(results: Results) -> Figure | None:
    """What was measured at several steps of feeding predictions back, one row per world."""
    found: dict[tuple[str, str], list[tuple[str, float, dict[str, Any]]]] = {}
    for world, arm, scores in _in_worlds(results, with_bounds=True):
        for name, score in scores.items():
            if match := re.fullmatch(r"(.+)_at_(\d+)", name):
                points = found.setdefault((world, match[1]), [])
                points.append((arm, float(match[2]), score))
    contents = []
    for (world, metric), points in found.items():
        label = LABELS.get(metric, metric.replace("_", " "))
        series, bounds = _series(points), BOUNDS.get(metric, {})
        contents.append(Curves(series, "steps fed back", label, bounds, title=world, log_x=True))
    return panels(contents, COLORS, f"{SHARPNESS} {BANDS}", columns=2) if contents else None


def _in_worlds(
    results: Results, with_bounds: bool = False
) -> Iterator[tuple[str, str, dict[str, dict[str, Any]]]]:
    """(world, arm, scores) of the experiments in WORLDS, and of arms named "<world>/<arm>"."""
    order = [name for name in WORLDS if name in results]
    for experiment in [*order, *(name for name in results if name not in WORLDS)]:
        content = results[experiment]
        for key, scores in (content["arms"] | (content["bounds"] if with_bounds else {})).items():
            world, _, arm = key.rpartition("/")
            if world or experiment in WORLDS:
                world = world or experiment
                yield WORLDS.get(world, world.replace("_", " ")), arm, scores


def _series(
    points: list[tuple[str, float, dict[str, Any]]],
) -> dict[str, dict[str, list[float]]]:
    """Points (arm, x, score) as the series of a panel of curves, in the order of x."""
    series: dict[str, dict[str, list[float]]] = {}
    for arm, x, score in sorted(points, key=lambda point: point[1]):
        curve = series.setdefault(arm_look(arm)[0], {"x": [], "mean": [], "low": [], "high": []})
        curve["x"].append(x)
        for key in ("mean", "low", "high"):
            curve[key].append(score[key])
    return series
