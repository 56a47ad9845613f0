"""Copies encoders of the sweep ``length`` into common/weights, where load_frozen finds them.

    python part4_dinov3_encoder/study.py length
    python part4_dinov3_encoder/study.py publish

<method>.pt: in half precision, below 3 MB; <method>.yaml: the config it was trained with, whole. Of
each method the run of the sweep's first seed, whatever it scored. None of them is DINOv3, and each
says what it is on every figure and page.
"""

import shutil

from common.frozen import METHODS, WEIGHTS, load_frozen
from common.harness.config import REPOSITORY
from common.harness.errors import no_options
from common.harness.publish import finished
from common.harness.runs import RUNS
from common.sweep import read_sweep

SWEEP = REPOSITORY / "configs" / "part4" / "sweeps" / "length.yaml"


def main() -> None:
    no_options(__doc__)
    asked, jobs = read_sweep(SWEEP, RUNS)
    first = {job.variant: job for job in jobs if job.seed == asked.seeds[0]}
    for method in METHODS:
        finished(first[method].folder, "python part4_dinov3_encoder/study.py length")
        load_frozen(method, first[method].folder)  # refuses what is not this method's
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    for method in METHODS:
        shutil.copy(first[method].folder / "encoder.pt", WEIGHTS / f"{method}.pt")
        shutil.copy(first[method].folder / "config.yaml", WEIGHTS / f"{method}.yaml")
        print(WEIGHTS / f"{method}.pt")
