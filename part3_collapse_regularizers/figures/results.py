"""The figures of part3_collapse_regularizers/results/*.json."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.figures.charts import Bars, Curves, panels
from common.figures.panels import points
from common.figures.style import PALETTE, QUIET, write_png
from common.harness.errors import UserError
from common.harness.results import read_results
from common.sigreg import CURVATURE
from part3_collapse_regularizers.report.tables import METHODS, METRICS, SETTINGS, WEIGHTS
from part3_collapse_regularizers.studies.collapse_line import fresh, trained
from part3_collapse_regularizers.studies.loss_quality_correlation import chosen_runs, columns

COLORS = {
    SETTINGS["views"]: PALETTE["blue"], SETTINGS["next_frame"]: PALETTE["orange"],
    METHODS["barlow"]: PALETTE["vermillion"], METHODS["vicreg"]: PALETTE["blue"],
    METHODS["sigreg"]: PALETTE["green"], WEIGHTS["redundancy"]: PALETTE["vermillion"],
    WEIGHTS["variance"]: PALETTE["blue"], WEIGHTS["covariance"]: PALETTE["sky"],
    WEIGHTS["sigreg_lambda"]: PALETTE["green"],
}  # fmt: skip
SHARE = (0.0, 1.0)  # limits of an axis of R²
SWEEPS = {
    "loss_vs_quality": "random settings", "phase_batch": "batches", "weights": "weights",
    "batch": "one share", "collapse_fresh": "after the prediction",
}  # fmt: skip
LEAST_SPREAD = 1e-5
LEAST_SHOWN = -0.1  # content R² of a run, in the figure of the loss
PROBES = "R² of noisy linear probes on held-out frames, from 1,000 labels."
BANDS = "Bands: 95% interval over seeds."


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results file is in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    makers: dict[str, Callable[[Path], Figure]] = {
        "main": main_figure, "weight_tolerance": weights_figure, "batch": batch_figure,
        "dimension": dimension_figure, "loss_vs_quality": loss_figure,
        "stability": stability_figure, "collapse_line": line_figure,
    }  # fmt: skip
    written = []
    for name, make in makers.items():
        if (folder / f"{name}.json").exists():
            written.append(folder / "figures" / f"{name}.png")
            write_png(written[-1], make(folder))
    if not written:
        raise UserError(f"no results to draw in {folder}; expected main.json or others of a sweep")
    return written


def main_figure(folder: Path) -> Figure:
    """What can be read from each method's embedding, in both settings, beside the baselines."""
    content = read_results(folder / "main.json")
    contents = []
    for metric in ("position_1000", "nuisance_1000"):
        rows: dict[str, dict[str, Any]] = {}
        for method, label in METHODS.items():
            for suffix, shown in zip(("views", "next"), SETTINGS.values(), strict=True):
                if variant := content["variants"].get(f"{method}-{suffix}"):
                    rows.setdefault(label, {})[shown] = variant["metrics"][metric]
        baselines = {
            label: content["bounds"][bound][metric]["mean"]
            for label, bound in (("raw", "raw_pixels"), ("untrained", "random_encoder"))
        }
        contents.append(Bars(rows, METRICS[metric][0], baselines, limits=SHARE))
    note = f"{PROBES} Whiskers: 95% interval over seeds; dots: single seeds."
    return panels(contents, COLORS, note)


def weights_figure(folder: Path) -> Figure:
    """What is read against how far one weight is off."""
    found = _curves(folder, "weight_tolerance", ("weight", WEIGHTS), ("factor", "factor"))
    note = f"One weight times a factor, the others at their default. {PROBES} {BANDS}"
    return panels(found, COLORS, note)


def batch_figure(folder: Path) -> Figure:
    """What is read against batch size."""
    found = _curves(folder, "batch", ("method", METHODS), ("batch_size", "batch size"))
    note = f"Equal steps; SIGReg at LeJEPA's share of 0.02 in every batch. {PROBES} {BANDS}"
    return panels(found, COLORS, note)


def dimension_figure(folder: Path) -> Figure:
    """A world of two factors in embeddings of more and more dimensions."""
    width = ("model.embedding_dim", "embedding dimensions D")
    found = _curves(folder, "dimension", ("method", METHODS), width, "fvu")
    return panels(found, COLORS, f"One ball of one size: two factors. {PROBES} {BANDS}")


def loss_figure(folder: Path) -> Figure:
    """Loss against content, a dot a run."""
    found = columns(read_results(folder / "loss_vs_quality.json"))
    kept = chosen_runs(found)["not collapsed"].numpy()
    quality, contents = found["quality"].numpy(), []
    for key, label in (("loss", "held-out loss"), ("scaled_loss", "loss / weight^0.4")):
        x, y = found[key].numpy(), quality.clip(min=LEAST_SHOWN)
        shown = {"not collapsed": (x[kept], y[kept]), "collapsed": (x[~kept], y[~kept])}
        contents.append((shown, label))
    below = ", ".join(f"{value:.2f}" for value in quality[quality < LEAST_SHOWN])
    still = (quality[~kept] > quality[kept].min()).sum()
    note = (
        f"{len(kept)} runs of LeJEPA, of several weights, rates, batches, widths and steps; "
        f"{still} that count as collapsed, for their tiny scale, read as much as others. Drawn at "
        f"{LEAST_SHOWN:g}, but below: {below}."
    )
    return points(contents, "content R²", note)


def stability_figure(folder: Path) -> Figure:
    """Growth of a tiny embedding against SIGReg's weight, over the predicted threshold."""
    content = read_results(folder / "stability.json")
    contents = []
    for setting, title in SETTINGS.items():
        shown = {}
        for name, curve in content["curves"].items():
            variant = content["variants"][name]
            if variant["params"]["setting"] == setting:
                growth, scale = curve["growth"], CURVATURE * variant["metrics"]["predicted"]["mean"]
                ends = {key: [y / scale for y in growth[key]] for key in ("mean", "low", "high")}
                shown[f"{variant['params']['r2']:g}"] = {"x": growth["x"]} | ends
        title = f"{title}, by {'rho' if setting == 'views' else 'R²'}"
        axes = ("sigreg_lambda / threshold", "growth / (k threshold)")
        contents.append(Curves(shown, *axes, {"no growth": 0.0}, title=title))
    note = "The theory is the line through (1, 0) with slope 1, for every R² and rho."
    return panels(contents, note=note, columns=2)


def line_figure(folder: Path) -> Figure:
    """Every LeJEPA run on two views: its spread against its weight over the known threshold."""
    lines = read_results(folder / "collapse_line.json")["variants"]
    threshold = lines["views, untrained encoder"]["metrics"]["threshold"]["mean"]
    runs, series = [*trained("views", threshold), *fresh("views")], {}
    for sweep, label in SWEEPS.items():
        mine = [(run.over_line, run.mean_std) for run in runs if run.sweep == sweep]
        over_line, spread = np.array(mine).T
        series[label] = (over_line, spread.clip(LEAST_SPREAD))
    figure = points(
        [(series, "sigreg_lambda / threshold of the untrained encoder, known before training")],
        "spread at the end (mean std)",
        "A point is a run on two views. Theory: left of the line the embedding shrinks to a point, "
        f"right of it it spreads to 1. What is below {LEAST_SPREAD:g} is drawn there.",
    )
    (ax,) = figure.axes
    ax.set_yscale("log")
    ax.axvline(1, color=QUIET, linestyle="--", linewidth=1, zorder=0)
    return figure


def _curves(
    folder: Path, file: str, row: tuple[str, Mapping[Any, str]], x: tuple[str, str], *more: str
) -> list[Curves]:
    """Position R², rank and more metrics of a results file over a parameter and its label x."""
    variants = read_results(folder / f"{file}.json")["variants"]
    contents = []
    for metric in ("position_1000", "effective_rank", *more):
        shown = _series(variants, row[0], x[0], metric, row[1])
        limits = SHARE if metric == "position_1000" else None
        contents.append(Curves(shown, x[1], METRICS[metric][0], log_x=True, limits=limits))
    return contents


def _series(
    variants: Mapping[str, Any], row: str, x: str, metric: str, labels: Mapping[Any, str]
) -> dict[str, dict[str, list[float]]]:
    """Variants as curves of a metric over the parameter x, a line for each value of another."""
    found: dict[str, dict[str, list[float]]] = {}
    for variant in sorted(variants.values(), key=lambda variant: variant["params"].get(x, 0)):
        params, metrics = variant["params"], variant["metrics"]
        if x in params:
            name = labels.get(params[row], str(params[row]))
            curve = found.setdefault(name, {"x": [], "mean": [], "low": [], "high": []})
            curve["x"].append(params[x])
            for key in ("mean", "low", "high"):
                curve[key].append(metrics[metric][key])
    return found
