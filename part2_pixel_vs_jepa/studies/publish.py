"""Copies a run's figures and weights into results/, for those who have not trained.

    python part2_pixel_vs_jepa/train.py --config configs/part2/four_arms.yaml
    python part2_pixel_vs_jepa/publish.py runs/part2/four_arms-seed0

Weights are stored in half precision, one file an arm, below 3 MB each; evaluate.py reads
them: python part2_pixel_vs_jepa/evaluate.py part2_pixel_vs_jepa/results/weights
"""

import argparse
import shutil
from pathlib import Path

from common.harness.checkpoints import save_checkpoint
from common.harness.errors import UserError, run_script
from part2_pixel_vs_jepa.config import PART
from part2_pixel_vs_jepa.model import load_run

FIGURES = ("strip.png", "episode.gif", "training.png")


def main() -> None:
    parser = argparse.ArgumentParser(description="Copies a run's figures and weights to results/.")
    parser.add_argument("run_dir", type=Path, help="a finished run, figures included")
    run_dir = parser.parse_args().run_dir
    wanted = [run_dir / "summary.json", *(run_dir / "figures" / name for name in FIGURES)]
    for path in wanted:
        if not path.exists():
            raise UserError(f"{path} is missing: publish a finished run, with figures: true")
    _, arms = load_run(run_dir)
    weights, figures = PART / "results" / "weights", PART / "results" / "figures"
    weights.mkdir(parents=True, exist_ok=True)
    figures.mkdir(parents=True, exist_ok=True)
    shutil.copy(run_dir / "config.yaml", weights / "config.yaml")
    for name, arm in arms.items():
        half = {key: value.half() for key, value in arm.state_dict().items()}
        save_checkpoint(weights / f"{name}.pt", half)
    for name in FIGURES:
        shutil.copy(run_dir / "figures" / name, figures / name)


if __name__ == "__main__":
    run_script(main)
