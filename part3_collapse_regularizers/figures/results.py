"""The figures of part3_collapse_regularizers/results/*.json."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.figures.charts import Bars, Curves, panels
from common.figures.panels import points
from common.figures.style import FONT, PALETTE, QUIET, write_png
from common.harness.errors import UserError
from common.harness.results import read_results
from common.sigreg import CURVATURE
from part3_collapse_regularizers.report.tables import METHODS, METRICS, SETTINGS, WEIGHTS
from part3_collapse_regularizers.studies.loss_quality_correlation import chosen_runs, columns

COLORS = {
    SETTINGS["views"]: PALETTE["blue"], SETTINGS["next_frame"]: PALETTE["orange"],
    METHODS["barlow"]: PALETTE["vermillion"], METHODS["vicreg"]: PALETTE["blue"],
    METHODS["sigreg"]: PALETTE["green"], WEIGHTS["redundancy"]: PALETTE["vermillion"],
    WEIGHTS["variance"]: PALETTE["blue"], WEIGHTS["covariance"]: PALETTE["sky"],
    WEIGHTS["sigreg_lambda"]: PALETTE["green"],
}  # fmt: skip
SHARE = (0.0, 1.0)  # limits of an axis of R²
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
    """Where training from scratch collapses, and where the local theory says it should."""
    lines = read_results(folder / "collapse_line.json")["variants"]
    contents = []
    for title, file, size, label in (
        (SETTINGS["views"], "phase_batch", "batch_size", "batch"),
        (SETTINGS["next_frame"], "phase_rollout", "rollout", "rollout"),
    ):
        variants = read_results(folder / f"{file}.json")["variants"]
        found = _series(variants, size, "loss_weights.sigreg_lambda", "position_1000", {})
        shown = {f"{label} {number}": curve for number, curve in found.items()}
        axes = ("sigreg_lambda", "position R²")
        contents.append(Curves(shown, *axes, title=title, log_x=True, limits=SHARE))
    figure = panels(
        contents,
        note=f"{PROBES} {BANDS} Dashed: the theory's threshold for the untrained encoder; left of "
        "it no direction of the embedding should grow (for one step of prediction).",
    )
    for ax, setting in zip(figure.axes, SETTINGS, strict=True):
        threshold = lines[f"{setting}, untrained encoder"]["metrics"]["threshold"]["mean"]
        ax.axvline(threshold, color=QUIET, linestyle="--", linewidth=1, zorder=0)
        ax.annotate(
            "theory", (threshold, 1), xytext=(-4, 0), textcoords="offset points", ha="right",
            va="top", fontsize=FONT, color=QUIET,
        )  # fmt: skip
        low, high = ax.get_xlim()
        ticks = (0.001, 0.01, 0.1, 1, 10) if high > 5 else (0.2, 0.5, 1, 2)
        shown = [tick for tick in ticks if low <= tick <= high]
        ax.set_xticks(shown, [f"{tick:g}" for tick in shown])
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
