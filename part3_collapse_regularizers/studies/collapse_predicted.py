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
from common.sigreg import critical_lambda
from common.sweep import read_sweep
from part3_collapse_regularizers.config import PART, Config, Stream, generator
from part3_collapse_regularizers.data import draw_sample, frames_ahead, make_pool
from part3_collapse_regularizers.model import make_model

SWEEP = REPOSITORY / "configs" / "part3" / "sweeps" / "collapse_fresh.yaml"
SAMPLES = 2048


def untrained_line(cfg: Config) -> float:
    """The critical sigreg_lambda of a config's encoder as it starts."""
    pool = make_pool(cfg, SAMPLES, 1 + frames_ahead(cfg), generator(cfg, Stream.LABELLED_EPISODES))
    sample = draw_sample(cfg, pool, SAMPLES, generator(cfg, Stream.TRAIN_SAMPLES))
    with torch.no_grad():
        z_a, z_b = make_model(cfg).embed(sample.x)
    return critical_lambda(z_a, z_b, has_predictor=cfg.setting == "next_frame")


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
