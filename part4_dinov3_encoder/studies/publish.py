"""Copies the encoders of runs into results/weights, where load_frozen finds them by name.

    for recipe in ijepa vjepa dino lejepa; do
        python part4_dinov3_encoder/train.py --config configs/part4/$recipe.yaml --threads=1
    done
    python part4_dinov3_encoder/publish.py runs/part4

results/weights/<recipe>.pt: in half precision, below 3 MB; <recipe>.yaml: the config it was
trained with, whole. They are of seed 0, on which the settings were chosen, and trained apart from
the sweep, whose seeds are others; one thread, as there. None of them is DINOv3, and each says what
it is on every figure and page.
"""

import argparse
import shutil
from pathlib import Path

from common.frozen import RECIPES, WEIGHTS, load_frozen
from common.harness.errors import UserError, run_script


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="the folder that holds ijepa-seed0 and the others")
    runs = {recipe: parser.parse_args().runs / f"{recipe}-seed0" for recipe in RECIPES}
    for recipe, run in runs.items():
        if not (run / "summary.json").exists():
            raise UserError(
                f"{run} is no finished run; make it with: python "
                f"part4_dinov3_encoder/train.py --config configs/part4/{recipe}.yaml"
            )
        load_frozen(recipe, run)  # refuses what is not this recipe's
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    for recipe, run in runs.items():
        shutil.copy(run / "encoder.pt", WEIGHTS / f"{recipe}.pt")
        shutil.copy(run / "config.yaml", WEIGHTS / f"{recipe}.yaml")
        print(WEIGHTS / f"{recipe}.pt")


if __name__ == "__main__":
    run_script(main)
