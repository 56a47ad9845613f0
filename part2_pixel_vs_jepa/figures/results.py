"""The figures of part2_pixel_vs_jepa/results/*.json, and how each method looks in every figure."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.figures.charts import Bars, Curves, panels
from common.figures.style import PALETTE, QUIET, write_png
from common.harness.errors import UserError
from common.harness.results import read_results
from part2_pixel_vs_jepa.config import HORIZONS
from part2_pixel_vs_jepa.report.tables import ARMS, DRAWN, METHODS, VERSUS

HUES = ("vermillion", "orange", "blue", "sky", "green", "purple")
LOOKS = {
    **{name: (METHODS[name], PALETTE[hue]) for name, hue in zip(METHODS, HUES, strict=True)},
    "pixels_nll": (DRAWN["pixels_nll"], PALETTE["vermillion"]),
    "pixels_nll_z": (DRAWN["pixels_nll_z"], PALETTE["orange"]),
    "tokens": ("tokens", PALETTE["black"]),
    "copy": ("a ball that stays", QUIET),
    "oracle": ("true dynamics, drawn again", PALETTE["black"]),
}
COLORS = dict(LOOKS.values())
WITH_Z = {"pixels": "pixels_z", "jepa": "jepa_z"}
WORLDS = {
    "main": "posts' world", "speeds": "three speeds", "stochastic_wall": "stochastic wall",
    "dots": "random dots", "squares": "flickering squares", "background": "static background",
    "two_frames": "mirror walls",
}  # fmt: skip
LABELS = {"mse_over_bayes": "MSE / Bayes floor", "position_error": "position error (px)"}
SHARES = ("coverage", "precision", "sharpness")  # drawn on 0 .. 1
BOUNDS = {"smear": {"real": 0.0, "exact blur": 1.0}, "mse_over_bayes": {"Bayes floor": 1.0}}
SMEAR = "Smear: 0 is a real future, 1 the exact blur of them all."
COVERAGE = "Coverage: share of the real futures that some hypothesis hits."
PRECISION = "Precision: share of the hypotheses that hit a real future."
SEEDS = "Whiskers: 95% intervals; dots: single seeds."
SHARPNESS = "Sharpness: 1 is a binary disc, 1/2 the same ball spread over twice its area."
BANDS = "Bands: 95% intervals."
Results = Mapping[str, dict[str, Any]]  # content by results file
Point = tuple[str, float, dict[str, Any]]  # method, x, interval


def look_of(method: str) -> tuple[str, str]:
    """Label and colour of a method or bound."""
    return LOOKS.get(method, (method.replace("_", " "), PALETTE["black"]))


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results files are in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    results = {path.stem: read_results(path) for path in sorted(folder.glob("*.json"))}
    makers = {"main": main_figure, "hypotheses": hypotheses_figure, "width": width_figure}
    drawn = {name: make(results) for name, make in makers.items() if name in results}
    if {"versus", "likelihood", "tokens", "frame_time"} <= set(results):
        drawn["versus"] = versus_figure(results)
    drawn |= {"worlds": worlds_figure(results), "horizon": horizon_figure(results)}
    figures = {folder / "figures" / f"{name}.png": f for name, f in drawn.items() if f}
    if not figures:
        raise UserError(f"no results to draw in {folder}; expected main.json or others of a sweep")
    for path, figure in figures.items():
        write_png(path, figure)
    return list(figures)


def main_figure(results: Results) -> Figure:
    """Smear, coverage and precision of each method, beside what copying the last frame scores."""
    content, metrics, contents = results["main"], ("smear", "coverage", "precision"), []
    for metric in metrics:
        labels = {look_of(name)[0]: v["metrics"] for name, v in content["variants"].items()}
        bounds = BOUNDS.get(metric, {})
        if metric == "smear" and "copy" in content["bounds"]:
            bounds = bounds | {"copy-last": content["bounds"]["copy"][metric]["mean"]}
        rows = {label: {label: scores[metric]} for label, scores in labels.items()}
        contents.append(Bars(rows, LABELS.get(metric, metric), bounds))
    return _shares(panels(contents, COLORS, f"{SMEAR} {COVERAGE} {PRECISION} {SEEDS}"), metrics)


def hypotheses_figure(results: Results) -> Figure:
    """Smear, coverage and precision against K; K = 1 is the method without a latent z."""
    metrics, contents = ("smear", "coverage", "precision"), []
    for metric in metrics:
        points = []
        for variant in results["hypotheses"]["variants"].values():
            (method,), k = variant["params"]["methods"], variant["params"]["num_hypotheses"]
            series, k = (WITH_Z[method], 1) if method in WITH_Z else (method, k)
            points.append((series, k, variant["metrics"][metric]))
        contents.append(_curves(points, "K (hypotheses)", metric))
    note = f"K = 1 is the method without z. {SMEAR} {COVERAGE} {PRECISION} {BANDS}"
    return _shares(panels(contents, COLORS, note), metrics)


def width_figure(results: Results) -> Figure:
    """Smear and error of the deterministic pixel predictor against its parameters."""
    found = [variant["metrics"] for variant in results["width"]["variants"].values()]
    contents = []
    for metric in ("smear", "mse_over_bayes"):
        points = [("pixels", m["parameters"]["mean"], m[metric]) for m in found]
        contents.append(_curves(points, "parameters", metric))
    fig = panels(contents, COLORS, f"{SMEAR} {BANDS}")
    for ax in fig.axes:
        ax.tick_params(axis="x", labelrotation=60)
    return fig


def worlds_figure(results: Results) -> Figure | None:
    """Smear and coverage of each method in each world that has ambiguous pairs."""
    metrics, contents = ("smear", "coverage"), []
    for metric in metrics:
        rows: dict[str, dict[str, dict[str, Any]]] = {}
        for world, method, scores in _in_worlds(results):
            if metric in scores and (metric, method) != ("coverage", "tokens"):  # of 16 samples
                rows.setdefault(world, {})[look_of(method)[0]] = scores[metric]
        if not rows:
            return None
        contents.append(Bars(rows, LABELS.get(metric, metric), BOUNDS.get(metric, {})))
    note = f"{SMEAR} {COVERAGE} {SEEDS} Tokens are samples, and of other seeds."
    return _shares(panels(contents, COLORS, note), metrics)


def versus_figure(results: Results) -> Figure:
    """Every method on the posts' world, on the same seeds, and what a frame costs."""
    places = [(*place.split(":"), label) for place, label in VERSUS.items() if "K8" not in place]
    found = {label: results[file]["variants"][name]["metrics"] for file, name, label in places}
    times = results["frame_time"]["variants"]
    cost = {label: times[name]["metrics"] for name, label in ARMS.items()}
    contents = []
    for metric, rows, label in (
        ("smear", found, "smear"), ("precision", found, "precision"),
        ("bits_above", found, "bits above the exact"), ("ms", cost, "ms a frame"),
    ):  # fmt: skip
        bars = {name: {name: scores[metric]} for name, scores in rows.items() if metric in scores}
        contents.append(Bars(bars, label, BOUNDS.get(metric, {})))
    labels = dict.fromkeys([*found, *cost], PALETTE["blue"]) | {"tokens": PALETTE["black"]}
    fig = panels(contents, labels, f"{SMEAR} {PRECISION} {SEEDS}", columns=2)
    for ax in fig.axes[2:]:
        ax.set_xscale("log")
    return fig


def horizon_figure(results: Results) -> Figure | None:
    """Position error and sharpness after steps of feeding predictions back, one row per world."""
    found: dict[tuple[str, str], list[Point]] = {}
    for world, method, scores in _in_worlds(results, with_bounds=True):
        for metric in ("position_error", "sharpness"):
            for steps in HORIZONS:
                if score := scores.get(f"{metric}_at_{steps}"):
                    found.setdefault((world, metric), []).append((method, steps, score))
    if not found:
        return None
    contents = [_curves(points, "steps fed back", *place[::-1]) for place, points in found.items()]
    fig = panels(contents, COLORS, f"{SHARPNESS} {BANDS}", columns=2)
    return _shares(fig, [metric for _, metric in found])


def _shares(fig: Figure, metrics: Sequence[str]) -> Figure:
    """The figure with the panels of shares, in the order of its metrics, drawn on 0 .. 1."""
    for ax, metric in zip(fig.axes, metrics, strict=True):
        if metric in SHARES and ax.patches:
            ax.set_xlim(0, 1)
        elif metric in SHARES:
            ax.set_ylim(-0.03, 1.03)
    return fig


def _in_worlds(
    results: Results, with_bounds: bool = False
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(world, method, metrics) of the results files that are named like a world."""
    for world in (name for name in WORLDS if name in results):
        content = results[world]
        rows = {name: variant["metrics"] for name, variant in content["variants"].items()}
        file, variant = ("tokens", "tokens") if world == "main" else ("tokens_worlds", world)
        if variant in results.get(file, {}).get("variants", {}):
            rows["tokens"] = results[file]["variants"][variant]["metrics"]
        for name, metrics in (rows | (content["bounds"] if with_bounds else {})).items():
            yield WORLDS[world], name, metrics


def _curves(points: Sequence[Point], x_label: str, metric: str, title: str = "") -> Curves:
    """A panel of points, a line a method in the order of x, on a logarithmic x."""
    series: dict[str, dict[str, list[float]]] = {}
    for method, x, interval in sorted(points, key=lambda point: point[1]):
        curve = series.setdefault(look_of(method)[0], {})
        for key, value in (("x", x), *((end, interval[end]) for end in ("mean", "low", "high"))):
            curve.setdefault(key, []).append(value)
    label, bounds = LABELS.get(metric, metric), BOUNDS.get(metric, {})
    return Curves(series, x_label, label, bounds, title, log_x=True)
