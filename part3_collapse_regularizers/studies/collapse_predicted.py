"""What theory says of runs before they are trained. -> collapse_predicted.json, a minute.

Of every run of the sweep ``collapse_fresh``: the sigreg_lambda above which its own untrained
encoder would spread (``critical_lambda``; on the next frame 1 / CURVATURE, since its predictor is
untrained too), and whether its weight lies above that.
"""

import time

import torch

from common.harness.config import REPOSITORY, load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from common.harness.runs import RUNS
from common.intervals import mean_interval
from common.sweep import read_sweep
from part3_collapse_regularizers.config import PART, Config
from part3_collapse_regularizers.critical import SAMPLES, untrained_line

SWEEP = REPOSITORY / "configs" / "part3" / "sweeps" / "collapse_fresh.yaml"


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)  # as a sweep's runs
    sweep, jobs = read_sweep(SWEEP, RUNS)
    variants = {}
    for name in dict.fromkeys(job.variant for job in jobs):
        mine = [job for job in jobs if job.variant == name]
        cfgs = [load_config(Config, [], job.config) for job in mine]
        lines = [untrained_line(cfg) for cfg in cfgs]
        weight = cfgs[0].loss_weights.sigreg_lambda
        assert weight != "auto"
        above = [float(weight > line) for line in lines]
        metrics = {"line": mean_interval(lines), "is_above": mean_interval(above)}
        variants[name] = {"params": {"sigreg_lambda": weight}, "metrics": metrics}
    write_results(
        PART / "results" / "collapse_predicted.json",
        "python part3_collapse_regularizers/study.py collapse_predicted",
        protocol={"of": "collapse_fresh", "samples": SAMPLES},
        seeds=sweep.seeds,
        seconds=time.monotonic() - begin,
        variants=variants,
    )
