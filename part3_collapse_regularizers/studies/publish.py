"""Copies the figures and weights of four runs into results/, for those who have not trained.

    for arm in none barlow vicreg sigreg; do
        python part3_collapse_regularizers/train.py --config configs/part3/$arm.yaml
    done
    python part3_collapse_regularizers/publish.py runs/part3

results/figures: pca.gif of the naive and a regularised run side by side, dashboard.png of all four,
correlation.png and spectrum.png of Barlow Twins. results/weights/<arm>: each run's encoder
in half precision with its config, below 3 MB each; evaluate.py reads them.
"""

import argparse
import shutil
from pathlib import Path

import torch

from common.figures.charts import write_png
from common.figures.frames import write_gif
from common.harness.checkpoints import load_checkpoint, save_checkpoint
from common.harness.errors import UserError, run_script
from part3_collapse_regularizers.config import PART
from part3_collapse_regularizers.plot import dashboard_figure, pca_frames, read_arrays

ARMS = ("none", "barlow", "vicreg", "sigreg")
FIGURES = ("correlation.png", "spectrum.png")  # of Barlow Twins
BESIDE = ("none", "vicreg")  # in the animation


def main() -> None:
    parser = argparse.ArgumentParser(description="Copies runs' figures and weights to results/.")
    parser.add_argument("runs", type=Path, help="the folder that holds none-seed0 and the others")
    runs = {arm: parser.parse_args().runs / f"{arm}-seed0" for arm in ARMS}
    for arm, run in runs.items():
        if not (run / "summary.json").exists():
            raise UserError(
                f"{run} is no finished run; make it with: python "
                f"part3_collapse_regularizers/train.py --config configs/part3/{arm}.yaml"
            )
    for name in FIGURES:
        if not (runs["barlow"] / "figures" / name).exists():
            raise UserError(f"{runs['barlow']} has no figures/{name}: train it with figures: true")
    figures, weights = PART / "results" / "figures", PART / "results" / "weights"
    beside = {arm: read_arrays(runs[arm]) for arm in BESIDE}
    write_gif(figures / "pca.gif", pca_frames(beside), fps=4)
    logs = {arm: run / "metrics.jsonl" for arm, run in runs.items()}
    write_png(figures / "dashboard.png", dashboard_figure(logs))
    for name in FIGURES:
        shutil.copy(runs["barlow"] / "figures" / name, figures / name)
    for arm, run in runs.items():
        made_by = f"python part3_collapse_regularizers/train.py --run_dir {run}"
        model = load_checkpoint(run / "checkpoint.pt", made_by)["state"]["model"]
        encoder = {
            name.removeprefix("encoder."): value.to(torch.float16)
            for name, value in model.items()
            if name.startswith("encoder.")
        }
        (weights / arm).mkdir(parents=True, exist_ok=True)
        save_checkpoint(weights / arm / "encoder.pt", encoder)
        shutil.copy(run / "config.yaml", weights / arm / "config.yaml")


if __name__ == "__main__":
    run_script(main)
