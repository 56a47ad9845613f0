"""The READMEs' tables, each from a file of results/."""

import math
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from common.harness.results import Table, format_interval, read_results
from common.intervals import mean_interval
from part3_collapse_regularizers.config import PART
from part3_collapse_regularizers.figures.results import ARMS

NUMBERS_TO_SET = {
    "none": "none",
    "stopgrad": "none",
    "simsiam": "predictor",
    "byol": "predictor, EMA rate",
    "dino": "EMA rate, two temperatures, centre momentum, prototypes",
    "barlow": "one weight",
    "vicreg": "three weights",
    "vicreg_no_variance": "two weights",
    "vicreg_no_covariance": "two weights",
    "sigreg": "one share",
    "supervised": "labels",
}
BOUNDS = {"random_encoder": "*floor: untrained encoder*", "raw_pixels": "*no encoder: raw pixels*"}
COLUMNS = {
    "collapse_ratio": ("collapse ratio", 4),
    "effective_rank": ("rank", 1),
    "position_100": ("position R², 100 labels", 2),
    "position_1000": ("position R²", 2),
    "content_1000": ("content R²", 2),
    "nuisance_1000": ("nuisance R²", 2),
    "seconds": ("seconds", 0),
}
WITHIN = 0.05  # of a method's best: what a weight may cost before it counts as off
METRIC = "position_1000"
JUDGED = "content_1000"  # the mean over all that the two frames share


def read(experiment: str) -> dict[str, Any]:
    """The results file of an experiment."""
    return read_results(PART / "results" / f"{experiment}.json")


def cell(metrics: Mapping[str, Any], name: str, digits: int) -> str:
    """A metric with its interval; empty where a row has none."""
    return format_interval(metrics[name], digits) if name in metrics else ""


def recipes(setting: str) -> Table:
    """Every arm of one setting between its bounds."""
    content = read("main")
    header = [f"{len(content['seeds'])} seeds", *(label for label, _ in COLUMNS.values())]
    rows = []
    for arm, label in ARMS.items():
        metrics = content["arms"][f"{arm}-{setting}"]
        label = f"*ceiling: {label}*" if arm == "supervised" else label
        values = [cell(metrics, name, digits) for name, (_, digits) in COLUMNS.items()]
        rows.append([label, *values, NUMBERS_TO_SET[arm]])
    for bound, label in BOUNDS.items():
        metrics = content["bounds"][bound]
        rows.append([label, *(cell(metrics, n, d) for n, (_, d) in COLUMNS.items()), ""])
    return [*header, "to set"], rows


def main_table() -> Table:
    """Two views of a frame."""
    return recipes("views")


def next_frame_table() -> Table:
    """The next frame."""
    return recipes("next")


def inside_table() -> Table:
    """What the headline leaves out: scale, correlation, SIGReg, scale-blind and k-NN probes."""
    columns = {
        "mean_std": ("mean std", 3),
        "correlation": ("mean |correlation|", 3),
        "sigreg_per_sample": ("SIGReg / sample", 4),
        "fvu": ("FVU", 3),
        "position_clean": ("position R², no noise", 2),
        "knn_content": ("content R², 10-NN", 2),
        "radius_1000": ("radius R²", 2),
        "second_1000": ("second ball R²", 2),
        "brightness_1000": ("brightness R²", 2),
        "background_1000": ("background R²", 2),
    }
    content = read("main")
    rows = [
        [label, *(cell(content["arms"][f"{arm}-views"], n, d) for n, (_, d) in columns.items())]
        for arm, label in ARMS.items()
    ]
    for bound, label in BOUNDS.items():
        metrics = content["bounds"][bound]
        rows.append([label, *(cell(metrics, n, d) for n, (_, d) in columns.items())])
    return ["two views", *(label for label, _ in columns.values())], rows


METHOD_WEIGHTS = {
    "barlow-redundancy": "Barlow Twins, redundancy",
    "vicreg-variance": "VICReg, variance",
    "vicreg-covariance": "VICReg, covariance",
    "sigreg-odds": "LeJEPA, odds of the share",
}


def factors(method: str) -> dict[float, Mapping[str, Any]]:
    """{factor on the weight: metrics} of one method of weights.json."""
    arms = read("weights")["arms"]
    return {
        float(arm.removeprefix(f"{method}-x")): metrics
        for arm, metrics in arms.items()
        if arm.startswith(f"{method}-x")
    }


def decades(method: str, metric: str) -> tuple[dict[str, Any], bool]:
    """Decades of one weight over which an R² stays within WITHIN of the method's best.

    Per seed, the best of any weight of that method; and whether a seed's range touches an end of
    the factors tried, which makes the number a lower bound.
    """
    mine = factors(method)
    family = [m for m in METHOD_WEIGHTS if m.split("-")[0] == method.split("-")[0]]
    everything = [metrics for m in family for metrics in factors(m).values()]
    sizes, is_bound = [], False
    for seed in range(len(read("weights")["seeds"])):
        best = max(metrics[metric]["values"][seed] for metrics in everything)
        good = [(f, mine[f][metric]["values"][seed] >= best - WITHIN) for f in sorted(mine)]
        runs = [[f for f, _ in run] for fine, run in groupby(good, lambda item: item[1]) if fine]
        longest = max(runs, key=lambda run: run[-1] / run[0], default=[1.0])
        sizes.append(math.log10(longest[-1] / longest[0]))
        is_bound |= longest[0] == min(mine) or longest[-1] == max(mine)
    return mean_interval(sizes), is_bound


def show_decades(method: str, metric: str) -> str:
    """The decades of a weight, as a table shows them."""
    found, is_bound = decades(method, metric)
    return f"{'at least ' if is_bound else ''}{found['mean']:.1f}"


def weights_table() -> Table:
    """Content R², position R² and rank against how far one weight is off."""
    scales = sorted(factors("barlow-redundancy"))
    seeds = len(read("weights")["seeds"])
    header = [f"{seeds} seeds", *(f"x{scale:g}" for scale in scales), "decades within 0.05"]
    shown = {JUDGED: ("content R²", 2), METRIC: ("position R²", 2), "effective_rank": ("rank", 1)}
    rows = []
    for metric, (label, digits) in shown.items():
        for method, name in METHOD_WEIGHTS.items():
            table = factors(method)
            values = [f"{table[scale][metric]['mean']:.{digits}f}" for scale in scales]
            width = "" if metric == "effective_rank" else show_decades(method, metric)
            rows.append([f"{name}: {label}", *values, width])
    return header, rows


def stability_table() -> Table:
    """The local theory's threshold and the one measured."""
    rows, seeds = [], len(read("stability")["seeds"])
    for name, metrics in read("stability")["arms"].items():
        setting, _, r2 = name.rpartition("-")
        if "threshold" in metrics:
            what = f"next frame, R² = {r2}" if setting == "next_frame" else f"two views, rho = {r2}"
            found = format_interval(metrics["threshold"], 4)
            rows.append([what, f"{metrics['predicted']['mean']:.4f}", found])
    return [f"r at which collapse turns unstable, {seeds} seeds", "theory", "measured"], rows
