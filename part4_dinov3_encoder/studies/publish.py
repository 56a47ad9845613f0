"""Copies the encoders of runs into common/weights, where load_frozen finds them by name.

    for method in ijepa vjepa dino lejepa; do
        python part4_dinov3_encoder/train.py --config configs/part4/$method.yaml --threads=1
    done
    python part4_dinov3_encoder/study.py publish runs/part4

<method>.pt: in half precision, below 3 MB; <method>.yaml: the config it was trained with, whole.
They are of seed 0, on which the settings were chosen, and trained apart from the sweep, whose seeds
are others; one thread, as there. None of them is DINOv3, and each says what it is on every figure
and page.
"""

import argparse
import shutil

from common.frozen import METHODS, WEIGHTS, load_frozen
from common.harness.errors import typed_path
from common.harness.publish import finished


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", type=typed_path, help="the folder that holds ijepa-seed0 and the others"
    )
    folder = parser.parse_args().runs
    runs = {method: folder / f"{method}-seed0" for method in METHODS}
    for method, run in runs.items():
        finished(run, f"python part4_dinov3_encoder/train.py --config configs/part4/{method}.yaml")
        load_frozen(method, run)  # refuses what is not this method's
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    for method, run in runs.items():
        shutil.copy(run / "encoder.pt", WEIGHTS / f"{method}.pt")
        shutil.copy(run / "config.yaml", WEIGHTS / f"{method}.yaml")
        print(WEIGHTS / f"{method}.pt")
