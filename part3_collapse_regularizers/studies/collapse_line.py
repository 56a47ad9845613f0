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
    right = [
        [
            (variant["params"]["loss_weights.sigreg_lambda"] > threshold) == (r2 > READ)
            for r2 in variant["metrics"]["position_1000"]["values"]
        ]
        for variant in variants
    ]
    return [sum(seed) / len(right) for seed in zip(*right, strict=True)]


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    known = read_results(RESULTS / "stability.json")["variants"].values()
    variants, seeds = {}, []
    for setting, experiment in SWEEPS.items():
        content = read_results(RESULTS / f"{experiment}.json")
        seeds, trials = content["seeds"], len(content["variants"])
        for line, wanted in (
            ("untrained encoder", {"setting": setting, "features": "untrained"}),
            ("no encoder", {"setting": setting, "r2": 0.0}),
        ):
            (found,) = (v["metrics"]["predicted"] for v in known if v["params"] == wanted)
            shares = share_interval(sides(experiment, found["mean"]), trials)
            count = trials * len(seeds)
            variants[f"{setting}, {line}"] = {
                "params": {"setting": setting, "line": line},
                "metrics": {
                    "threshold": found,
                    "right_side": shares,
                    "num_right": mean_interval([round(shares["mean"] * count)]),
                    "num_runs": mean_interval([count]),
                },
            }
    write_results(
        RESULTS / "collapse_line.json",
        "python part3_collapse_regularizers/study.py collapse_line",
        protocol={"of": ", ".join(f"{name}.json" for name in SWEEPS.values()), "read_above": READ},
        seconds=time.monotonic() - begin,
        seeds=seeds,
        variants=variants,
    )
