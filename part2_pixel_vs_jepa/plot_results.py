"""The figures of part2_pixel_vs_jepa/results/*.json, and how each arm looks in every figure."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.config import UserError
from common.files import read_json
from common.plots import PALETTE, Bars, Curves, panels, write_png

LOOKS = {
    "pixels": ("pixels", PALETTE["vermillion"]),
    "pixels_z": ("pixels + z", PALETTE["orange"]),
    "jepa": ("JEPA", PALETTE["blue"]),
    "jepa_z": ("JEPA + z", PALETTE["sky"]),
    "jepa_sigreg": ("JEPA, SIGReg", PALETTE["green"]),
    "jepa_z_sigreg": ("JEPA + z, SIGReg", PALETTE["purple"]),
}
COLORS = dict(LOOKS.values())
LABELS = {
    "smear": "smear index",
    "coverage": "coverage",
    "precision": "precision",
    "mse_over_bayes": "held-out MSE / Bayes floor",
    "position_error": "position error (px)",
}
BOUNDS = {
    "smear": {"real future": 0.0, "exact blur": 1.0},
    "mse_over_bayes": {"Bayes floor": 1.0},
}
SHARES = (
    "Coverage: share of the real futures that a hypothesis hits. Precision: share of the "
    "hypotheses that hit a real future. 1 is best for both."
)
SMEAR = "Smear index: 0 is a real future, 1 the exact blur of them all."
SEEDS = "Whiskers: 95% interval over seeds; dots: single seeds."
BAND = "Bands: 95% interval over seeds."
Arms = dict[str, dict[str, dict[str, Any]]]


def arm_look(arm: str) -> tuple[str, str]:
    """Label and colour of an arm."""
    return LOOKS.get(arm, (arm.replace("_", " "), PALETTE["black"]))


def draw_results(folder: Path) -> list[Path]:
    """Draws the figures of every results file in a folder that has one; returns the files.

    Raises UserError when there is none.
    """
    written = []
    for name, draw in FIGURES.items():
        if (folder / f"{name}.json").is_file():
            path = folder / "figures" / f"{name}.png"
            write_png(path, draw(read_json(folder / f"{name}.json")))
            written.append(path)
    if not written:
        files = ", ".join(f"{name}.json" for name in FIGURES)
        raise UserError(f"no results to draw in {folder}; expected one or more of {files}")
    return written


def main_figure(results: dict[str, Any]) -> Figure:
    """Smear, coverage and precision of each arm, beside what copying the last frame scores."""
    arms: Arms = results["arms"]
    contents = []
    for metric in ("smear", "coverage", "precision"):
        rows = {
            label: {label: scores[metric]}
            for label, scores in ((arm_look(arm)[0], scores) for arm, scores in arms.items())
            if metric in scores
        }
        bounds = dict(BOUNDS.get(metric, {"all": 1.0}))
        if metric == "smear":
            copy = results["bounds"].get("copy", {}).get("smear")
            bounds |= {"copy-last": copy["mean"]} if copy else {}
        contents.append(Bars(rows, LABELS[metric], bounds))
    return panels(contents, COLORS, f"{SMEAR} {SHARES} {SEEDS}")


def hypotheses_figure(results: dict[str, Any]) -> Figure:
    """Smear, coverage and precision against K; K = 1 is the arm without a latent z."""
    contents = []
    for metric in ("smear", "coverage", "precision"):
        points = []
        for arm, scores in results["arms"].items():
            base, _, number = arm.partition("-K")
            if metric in scores:
                family = base if "_z" in base else re.sub("^(pixels|jepa)", r"\1_z", base)
                points.append((family, float(number or 1), scores[metric]))
        contents.append(
            Curves(
                _series(points), "K, hypotheses", LABELS[metric], BOUNDS.get(metric, {}), log_x=True
            )
        )
    return panels(contents, COLORS, f"K = 1: no latent z. {SMEAR} {SHARES} {BAND}")


def width_figure(results: dict[str, Any]) -> Figure:
    """Smear and error of the deterministic pixel model against its parameters."""
    contents = []
    for metric in ("smear", "mse_over_bayes"):
        points = [
            (arm.partition("-x")[0], scores["parameters"]["mean"], scores[metric])
            for arm, scores in results["arms"].items()
            if metric in scores
        ]
        contents.append(
            Curves(_series(points), "parameters", LABELS[metric], BOUNDS[metric], log_x=True)
        )
    return panels(contents, COLORS, f"{SMEAR} {BAND}")


def worlds_figure(results: dict[str, Any]) -> Figure:
    """Smear and coverage of each arm in each world."""
    contents = []
    for metric in ("smear", "coverage"):
        rows: Arms = {}
        for key, scores in results["arms"].items():
            world, _, arm = key.rpartition("/")
            if metric in scores:  # a world without ambiguity has no smear
                rows.setdefault(world.replace("_", " "), {})[arm_look(arm)[0]] = scores[metric]
        contents.append(Bars(rows, LABELS[metric], BOUNDS.get(metric, {})))
    return panels(contents, COLORS, f"{SMEAR} {SHARES.split('. ')[0]}. {SEEDS}")


def horizon_figure(results: dict[str, Any]) -> Figure:
    """Every metric measured at several steps of feeding predictions back, one row per world."""
    panel_points: dict[tuple[str, str], list] = {}
    for key, scores in results["arms"].items():
        world, _, arm = key.rpartition("/")
        for name, score in scores.items():
            if match := re.fullmatch(r"(.+)_at_(\d+)", name):
                points = panel_points.setdefault((world, match[1]), [])
                points.append((arm, float(match[2]), score))
    contents = [
        Curves(
            _series(points),
            "steps fed back",
            LABELS.get(metric, metric.replace("_", " ")),
            BOUNDS.get(metric, {}),
            title=world.replace("_", " "),
            log_x=True,
        )
        for (world, metric), points in panel_points.items()
    ]
    return panels(contents, COLORS, f"{SMEAR} {BAND}", columns=2)


def _series(
    points: Iterable[tuple[str, float, dict[str, Any]]],
) -> dict[str, dict[str, list[float]]]:
    """Points (arm, x, score) as the series of a panel of curves, in the order of x."""
    series: dict[str, dict[str, list[float]]] = {}
    for arm, x, score in sorted(points, key=lambda point: point[1]):
        curve = series.setdefault(arm_look(arm)[0], {"x": [], "mean": [], "low": [], "high": []})
        curve["x"].append(x)
        for key in ("mean", "low", "high"):
            curve[key].append(score[key])
    return series


FIGURES: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "main": main_figure,
    "hypotheses": hypotheses_figure,
    "width": width_figure,
    "worlds": worlds_figure,
    "horizon": horizon_figure,
}
