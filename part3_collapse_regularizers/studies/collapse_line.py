"""Does the local theory tell where training from scratch collapses? -> collapse_line.json, seconds.

Every LeJEPA run that a sweep of this part trained, of all weights, batches, widths, rates and
lengths, against one line that is known before training: the sigreg_lambda above which the theory of
``stability`` says that an embedding spreads. The line is that of the untrained encoder's best
predicted direction, or the one that needs no encoder, of features that tell nothing of each other
(R² = rho = 0). A run collapsed where the embedding's mean standard deviation, of which SIGReg asks
1, ended below 0.01; it is on the right side where that is so exactly if its weight is below the
line. The runs of ``collapse_fresh`` were trained after collapse_predicted.json had said of each on
which side it is, by its own untrained encoder, or on the next frame by its untrained predictor.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.harness.errors import no_options
from common.harness.results import read_results, write_results
from common.intervals import Interval, mean_interval, share_interval
from part3_collapse_regularizers.config import PART

RESULTS = PART / "results"
SOURCES = {  # setting -> {sweep: the variants of it that are LeJEPA's}
    "views": {"phase_batch": "", "loss_vs_quality": "", "weights": "sigreg-", "batch": "sigreg-"},
    "next_frame": {"phase_rollout": ""},
}
WEIGHT = "loss_weights.sigreg_lambda"
COLLAPSED = 0.01  # mean standard deviation below which a run collapsed


@dataclass(frozen=True)
class Trained:
    """One run: the sweep it is of, its weight of SIGReg over the line, the spread at its end."""

    sweep: str
    over_line: float
    mean_std: float

    @property
    def is_right(self) -> bool:
        return (self.mean_std < COLLAPSED) == (self.over_line < 1)


def trained(setting: str, line: float) -> list[Trained]:
    """All runs of a setting, of the results files, beside one line."""
    return [
        Trained(sweep, variant["params"][WEIGHT] / line, spread)
        for sweep, prefix in SOURCES[setting].items()
        for name, variant in read_results(RESULTS / f"{sweep}.json")["variants"].items()
        if name.startswith(prefix)
        for spread in variant["metrics"]["mean_std"]["values"]
    ]


def fresh(setting: str) -> list[Trained]:
    """The runs whose lines were written down before they were trained, each beside its own."""
    predicted = read_results(RESULTS / "collapse_predicted.json")["variants"]
    found = read_results(RESULTS / "collapse_fresh.json")["variants"]
    return [
        Trained("collapse_fresh", predicted[name]["params"]["sigreg_lambda"] / line, spread)
        for name in predicted
        if name.startswith(setting[:4])
        for line, spread in zip(
            predicted[name]["metrics"]["line"]["values"],
            found[name]["metrics"]["mean_std"]["values"], strict=True,
        )
    ]  # fmt: skip


def row(setting: str, line: str, runs: Sequence[Trained], **more: Interval) -> dict[str, Any]:
    """A variant of the results file: how many runs are on the right side of their line."""
    right = sum(run.is_right for run in runs)
    below = [run.mean_std for run in runs if run.over_line < 1]
    above = [run.mean_std for run in runs if run.over_line >= 1]
    numbers = {
        "num_right": right, "num_runs": len(runs), "widest_below": max(below),
        "narrowest_above": min(above),
    }  # fmt: skip
    metrics = more | {name: mean_interval([number]) for name, number in numbers.items()}
    metrics["right_side"] = share_interval([right / len(runs)], len(runs))
    return {"params": {"setting": setting, "line": line}, "metrics": metrics}


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    known = {"untrained encoder": {"features": "untrained"}, "no encoder": {"r2": 0.0}}
    predicted = read_results(RESULTS / "stability.json")
    variants = {}
    for setting in SOURCES:
        for line, features in known.items():
            wanted = {"setting": setting, **features}
            each = predicted["variants"].values()
            (found,) = (v["metrics"]["predicted"] for v in each if v["params"] == wanted)
            runs = trained(setting, found["mean"])
            variants[f"{setting}, {line}"] = row(setting, line, runs, threshold=found)
        variants[f"{setting}, fresh"] = row(setting, "fresh", fresh(setting))
    files = [f"{name}.json" for sweeps in SOURCES.values() for name in (*sweeps, "collapse_fresh")]
    write_results(
        RESULTS / "collapse_line.json",
        "python part3_collapse_regularizers/study.py collapse_line",
        protocol={"of": ", ".join(files), "collapsed_below": COLLAPSED},
        seeds=predicted["seeds"],
        seconds=time.monotonic() - begin,
        variants=variants,
    )
