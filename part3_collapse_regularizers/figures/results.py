"""The figures of part3_collapse_regularizers/results/*.json."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.figures.charts import PALETTE, Bars, Curves, panels, write_png
from common.figures.panels import Phases, phases, points
from common.harness.errors import UserError
from common.harness.results import read_results
from common.sigreg import CURVATURE
from part3_collapse_regularizers.studies.loss_vs_quality import columns, is_alive

ARMS = {
    "none": "none",
    "stopgrad": "stop-gradient",
    "vicreg_no_variance": "VICReg, no variance",
    "vicreg_no_covariance": "VICReg, no covariance",
    "dino": "DINO",
    "simsiam": "SimSiam",
    "byol": "BYOL",
    "barlow": "Barlow Twins",
    "vicreg": "VICReg",
    "sigreg": "SIGReg (LeJEPA)",
    "supervised": "supervised",
}
SETTINGS = {"views": "two views", "next": "next frame"}
COLORS = {
    "two views": PALETTE["blue"],
    "next frame": PALETTE["orange"],
    "Barlow Twins": PALETTE["vermillion"],
    "VICReg": PALETTE["blue"],
    "VICReg, covariance": PALETTE["sky"],
    "SIGReg": PALETTE["green"],
}
METHODS = {
    "barlow-redundancy": "Barlow Twins",
    "vicreg-variance": "VICReg",
    "vicreg-covariance": "VICReg, covariance",
    "sigreg-odds": "SIGReg",
    "barlow": "Barlow Twins",
    "vicreg": "VICReg",
    "sigreg": "SIGReg",
}
LEAST_SHOWN = -0.1  # content R² of a run, in the figure of the loss
PROBES = "R² of noisy linear probes on held-out frames, from 1,000 labels."
SEEDS = "Whiskers: 95% interval over seeds; dots: single seeds."
BANDS = "Bands: 95% interval over seeds."
Content = Mapping[str, Any]


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results file is in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    makers: dict[str, Callable[[Path], Figure]] = {
        "main": main_figure,
        "weights": weights_figure,
        "batch": batch_figure,
        "dimension": dimension_figure,
        "loss_as_judge": judge_figure,
        "stability": stability_figure,
        "phase_batch": phase_figure,
    }
    written = []
    for name, make in makers.items():
        if (folder / f"{name}.json").exists():
            written.append(folder / "figures" / f"{name}.png")
            write_png(written[-1], make(folder))
    if not written:
        raise UserError(f"no results to draw in {folder}; expected main.json or others of a sweep")
    return written


def main_figure(folder: Path) -> Figure:
    """What can be read from each arm's embedding, in both settings, beside what needs no arm."""
    content = read_results(folder / "main.json")
    contents = []
    labels = {"position_1000": "position R²", "nuisance_1000": "nuisance R²"}
    for metric, label in labels.items():
        rows: dict[str, dict[str, Any]] = {}
        for arm, name in ARMS.items():
            for setting, shown in SETTINGS.items():
                scores = content["arms"].get(f"{arm}-{setting}", {})
                if metric in scores:
                    rows.setdefault(name, {})[shown] = scores[metric]
        raw, untrained = (
            content["bounds"][bound][metric]["mean"] for bound in ("raw_pixels", "random_encoder")
        )
        contents.append(Bars(rows, label, {"raw": raw, "untrained": untrained}))
    note = f"{PROBES} Supervised: a ceiling. {SEEDS}"
    return panels(contents, COLORS, note)


def weights_figure(folder: Path) -> Figure:
    """Content against how far one weight is off."""
    content = read_results(folder / "weights.json")
    contents = [
        Curves(_series(content, "-x", metric), "factor on the weight", label, log_x=True)
        for metric, label in (("position_1000", "position R²"), ("effective_rank", "rank"))
    ]
    note = (
        f"One weight of each method times a factor, the others at their default (VICReg: its "
        f"variance weight; SIGReg: the odds of its share). {PROBES} {BANDS}"
    )
    return panels(contents, COLORS, note)


def batch_figure(folder: Path) -> Figure:
    """Content against batch size."""
    content = read_results(folder / "batch.json")
    contents = [
        Curves(_series(content, "-n", metric), "batch size", label, log_x=True)
        for metric, label in (("position_1000", "position R²"), ("effective_rank", "rank"))
    ]
    return panels(contents, COLORS, f"Equal steps. {PROBES} {BANDS}")


def dimension_figure(folder: Path) -> Figure:
    """A world of two factors in embeddings of more and more dimensions."""
    content = read_results(folder / "dimension.json")
    contents = [
        Curves(_series(content, "-d", metric), "embedding dimensions D", label, log_x=True)
        for metric, label in (
            ("position_1000", "position R²"),
            ("effective_rank", "rank"),
            ("fvu", "unexplained variance"),
        )
    ]
    return panels(contents, COLORS, f"One ball of one size: two factors. {PROBES} {BANDS}")


def judge_figure(folder: Path) -> Figure:
    """Loss against content, a dot a run."""
    found = columns(read_results(folder / "loss_as_judge.json"))
    alive = is_alive(found).numpy()
    panels_of = []
    for key, label in (("loss", "held-out loss"), ("scaled", "loss / weight^0.4")):
        x, y = found[key].numpy(), found["quality"].numpy().clip(min=LEAST_SHOWN)
        series = {"not collapsed": (x[alive], y[alive]), "collapsed": (x[~alive], y[~alive])}
        panels_of.append((series, label))
    quality = found["quality"].numpy()
    below = ", ".join(f"{value:.2f}" for value in quality[quality < LEAST_SHOWN])
    still = (quality[~alive] > quality[alive].min()).sum()
    note = (
        f"{len(alive)} runs of LeJEPA, of several weights, rates, batches, widths and steps; "
        f"{still} that count as collapsed, for their tiny scale, read as much as others. Drawn at "
        f"{LEAST_SHOWN:g}, but below: {below}."
    )
    return points(panels_of, "content R²", note)


def stability_figure(folder: Path) -> Figure:
    """Growth of a tiny embedding against SIGReg's weight, over the predicted threshold."""
    content = read_results(folder / "stability.json")
    contents = []
    for setting, title in (("next_frame", "next frame"), ("views", "two views")):
        series = {
            name.replace(f"{setting}-", "R² = " if setting == "next_frame" else "rho = "): {
                key: [value / _scale(content, name) for value in curve["growth"][key]]
                if key != "x"
                else curve["growth"]["x"]
                for key in ("x", "mean", "low", "high")
            }
            for name, curve in content["curves"].items()
            if name.startswith(setting)
        }
        label = "growth / (k threshold)"
        contents.append(
            Curves(series, "r / predicted threshold", label, {"no growth": 0.0}, title=title)
        )
    note = "The theory is the line through (1, 0) with slope 1, for every R²."
    return panels(contents, note=note, columns=2)


def _scale(content: Content, name: str) -> float:
    return CURVATURE * content["arms"][name]["predicted"]["mean"]


def phase_figure(folder: Path) -> Figure:
    """Where training from scratch collapses, and where the local theory says it should."""
    stability = read_results(folder / "stability.json")["arms"]
    contents = []
    for experiment, letter, label, setting, title in (
        ("phase_batch", "n", "batch size N", "views", "two views"),
        ("phase_rollout", "h", "steps of rollout", "next_frame", "next frame"),
    ):
        path = folder / f"{experiment}.json"
        if not path.exists():
            continue
        content = read_results(path)
        cells = {weight_and_size(arm): scores for arm, scores in content["arms"].items()}
        weights = sorted({w for w, _ in cells})
        columns_ = sorted({n for _, n in cells})
        mean = np.array([[cells[w, n]["position_1000"]["mean"] for n in columns_] for w in weights])
        batches = columns_ if letter == "n" else [content["protocol"]["batch_size"]] * len(columns_)
        r = stability[f"{setting}-untrained"]["predicted"]["mean"]
        height = np.interp(np.log([r / n for n in batches]), np.log(weights), range(len(weights)))
        contents.append(
            Phases(
                np.clip(mean, 0, 1),
                [f"{w:g}" for w in weights],
                [f"{n:g}" for n in columns_],
                "odds of SIGReg's share",
                label,
                title,
                height.tolist(),
                "local theory",
            )
        )
    note = (
        f"{PROBES} Mean over seeds. Below the line no direction of the untrained encoder's "
        "embedding should grow (for one step of prediction, whatever the rollout)."
    )
    return phases(contents, "position R²", note)


def weight_and_size(arm: str) -> tuple[float, float]:
    """An arm "w<odds>-n<batch size>" or "w<odds>-h<rollout>" of a phase diagram, as numbers."""
    match = re.fullmatch(r"w(.+)-[nh](\d+)", arm)
    if match is None:
        raise UserError(f"arm {arm}: expected a name such as w0.01-n64")
    return float(match[1]), float(match[2])


def _series(content: Content, mark: str, metric: str) -> dict[str, dict[str, list[float]]]:
    """Arms "<method><mark><number>" as curves of a metric, a line a method."""
    series: dict[str, dict[str, list[float]]] = {}
    for arm, scores in content["arms"].items():
        method, _, number = arm.rpartition(mark)
        name = METHODS[method]
        curve = series.setdefault(name, {"x": [], "mean": [], "low": [], "high": []})
        curve["x"].append(float(number))
        for key in ("mean", "low", "high"):
            curve[key].append(scores[metric][key])
    return series
