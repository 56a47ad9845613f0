"""Does the local theory tell where training from scratch collapses? -> collapse_line.json, seconds.

A run of phase_batch.json (two views) or phase_rollout.json (next frame) did not collapse where
position R² is above 0.5. It is on the right side where that is so exactly if its sigreg_lambda is
above the threshold of ``stability``: that of the untrained encoder's best predicted direction, or
the one that needs no encoder, of features that tell nothing of each other (R² = rho = 0).
"""

import time

from common.harness.errors import no_options
from common.harness.results import read_results, write_results
from common.intervals import mean_interval, share_interval
from part3_collapse_regularizers.config import PART

RESULTS = PART / "results"
SWEEPS = {"views": "phase_batch", "next_frame": "phase_rollout"}
READ = 0.5  # position R² above which a run did not collapse


def sides(experiment: str, threshold: float) -> list[float]:
    """Per seed: the share of a sweep's runs that are on the side where the threshold puts them."""
    variants = read_results(RESULTS / f"{experiment}.json")["variants"].values()
    above = [variant["params"]["loss_weights.sigreg_lambda"] > threshold for variant in variants]
    r2 = [variant["metrics"]["position_1000"]["values"] for variant in variants]
    return [
        sum((value > READ) == up for value, up in zip(seed, above, strict=True)) / len(above)
        for seed in zip(*r2, strict=True)
    ]


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    known = {"untrained encoder": {"features": "untrained"}, "no encoder": {"r2": 0.0}}
    predicted = read_results(RESULTS / "stability.json")["variants"].values()
    variants, seeds = {}, []
    for setting, experiment in SWEEPS.items():
        content = read_results(RESULTS / f"{experiment}.json")
        seeds, trials = content["seeds"], len(content["variants"])
        for line, features in known.items():
            wanted = {"setting": setting, **features}
            (found,) = (v["metrics"]["predicted"] for v in predicted if v["params"] == wanted)
            right, count = sides(experiment, found["mean"]), trials * len(seeds)
            metrics = {
                "threshold": found,
                "right_side": share_interval(right, trials),
                "num_right": mean_interval([round(sum(right) * trials)]),
                "num_runs": mean_interval([count]),
            }
            params = {"setting": setting, "line": line}
            variants[f"{setting}, {line}"] = {"params": params, "metrics": metrics}
    protocol = {"of": ", ".join(f"{name}.json" for name in SWEEPS.values()), "read_above": READ}
    command = "python part3_collapse_regularizers/study.py collapse_line"
    write_results(
        RESULTS / "collapse_line.json", command, protocol=protocol, seeds=seeds,
        seconds=time.monotonic() - begin, variants=variants,
    )  # fmt: skip
