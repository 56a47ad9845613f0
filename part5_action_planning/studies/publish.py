"""Copies the figures and weights of a finished run into results/, for those who have not trained.

    python part5_action_planning/train.py
    python part5_action_planning/publish.py runs/part5/baseline-seed0

results/weights/<objective>: the run's config.yaml and model.pt, below 3 MB, which plan.py and
evaluate.py read; results/figures: its figures.
"""

import argparse
import shutil
from pathlib import Path

from common.harness.checkpoints import save_checkpoint
from common.harness.errors import UserError, run_script
from part5_action_planning.config import PART
from part5_action_planning.model.build import load_model

FIGURES = ("episode.gif", "imagined.png", "landscape.png", "paths.png", "search.png")


def main() -> None:
    parser = argparse.ArgumentParser(description="Copies a run's figures and weights to results/.")
    parser.add_argument("run_dir", type=Path, help="a finished run")
    run = parser.parse_args().run_dir
    if not (run / "summary.json").exists():
        raise UserError(
            f"{run} is no finished run; make one with: python part5_action_planning/train.py"
        )
    for name in FIGURES:
        if not (run / "figures" / name).exists():
            raise UserError(f"{run} has no {name}: draw it with plot.py, or publish another model")
    cfg, model = load_model(run)
    weights, figures = PART / "results" / "weights" / cfg.objective, PART / "results" / "figures"
    weights.mkdir(parents=True, exist_ok=True)
    figures.mkdir(parents=True, exist_ok=True)
    save_checkpoint(weights / "model.pt", model.state_dict())
    shutil.copy(run / "config.yaml", weights / "config.yaml")
    for name in FIGURES:
        shutil.copy(run / "figures" / name, figures / name)


if __name__ == "__main__":
    run_script(main)
