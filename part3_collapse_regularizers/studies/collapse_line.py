"""Does the local theory tell where training from scratch collapses? -> collapse_line.json, seconds.

Every LeJEPA run that a sweep of this part trained, of all weights, batches, widths, rates and
lengths, against one line that is known before training: the sigreg_lambda above which the theory of
``stability`` says that an embedding spreads. The line is that of the untrained encoder's best
predicted direction, or the one that needs no encoder, of features that tell nothing of each other
(R² = rho = 0). A run collapsed where the embedding's mean standard deviation, of which SIGReg asks
1, ended below 0.01; it is on the right side where that is so exactly if its weight is below the
line.
"""

import time
from dataclasses import dataclass

from common.harness.errors import no_options
from common.harness.results import read_results, write_results
from common.intervals import mean_interval, share_interval
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
    """One run: the sweep it is of, its weight of SIGReg, the spread at its end."""

    sweep: str
    sigreg_lambda: float
    mean_std: float

    def is_right(self, line: float) -> bool:
        return (self.mean_std < COLLAPSED) == (self.sigreg_lambda < line)


def trained(setting: str) -> list[Trained]:
    """All runs of a setting, of the results files."""
    return [
        Trained(sweep, variant["params"][WEIGHT], spread)
        for sweep, prefix in SOURCES[setting].items()
        for name, variant in read_results(RESULTS / f"{sweep}.json")["variants"].items()
        if name.startswith(prefix)
        for spread in variant["metrics"]["mean_std"]["values"]
    ]


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    known = {"untrained encoder": {"features": "untrained"}, "no encoder": {"r2": 0.0}}
    predicted = read_results(RESULTS / "stability.json")
    variants = {}
    for setting in SOURCES:
        runs = trained(setting)
        for line, features in known.items():
            wanted = {"setting": setting, **features}
            each = predicted["variants"].values()
            (found,) = (v["metrics"]["predicted"] for v in each if v["params"] == wanted)
            right = sum(run.is_right(found["mean"]) for run in runs)
            below = [run.mean_std for run in runs if run.sigreg_lambda < found["mean"]]
            above = [run.mean_std for run in runs if run.sigreg_lambda >= found["mean"]]
            numbers = {
                "num_right": right, "num_runs": len(runs), "widest_below": max(below),
                "narrowest_above": min(above),
            }  # fmt: skip
            metrics = {name: mean_interval([number]) for name, number in numbers.items()}
            metrics["threshold"] = found
            metrics["right_side"] = share_interval([right / len(runs)], len(runs))
            params = {"setting": setting, "line": line}
            variants[f"{setting}, {line}"] = {"params": params, "metrics": metrics}
    files = [f"{name}.json" for sweeps in SOURCES.values() for name in sweeps]
    write_results(
        RESULTS / "collapse_line.json",
        "python part3_collapse_regularizers/study.py collapse_line",
        protocol={"of": ", ".join(files), "collapsed_below": COLLAPSED},
        seeds=predicted["seeds"],
        seconds=time.monotonic() - begin,
        variants=variants,
    )
