"""Copies the figures and weights of four runs into results/, for those who have not trained.

    for method in none barlow vicreg sigreg; do
        python part3_collapse_regularizers/train.py --config configs/part3/$method.yaml
    done
    python part3_collapse_regularizers/study.py publish runs/part3

results/figures: pca.gif of the naive and a regularised run side by side, dashboard.png of all four,
correlation.png and spectrum.png of Barlow Twins. results/weights/<method>: each run's encoder
in half precision with its config, below 3 MB each; evaluate.py reads them.
"""

import argparse

from common.figures.frames import write_gif
from common.figures.style import write_png
from common.harness.checkpoints import load_checkpoint
from common.harness.errors import typed_path
from common.harness.publish import finished, publish_figures, publish_weights
from part3_collapse_regularizers.config import PART
from part3_collapse_regularizers.plot import arrays_of, dashboard_figure, pca_frames

PUBLISHED = ("none", "barlow", "vicreg", "sigreg")
BESIDE = ("none", "vicreg")  # in the animation


def main() -> None:
    parser = argparse.ArgumentParser(description="Copies runs' figures and weights to results/.")
    parser.add_argument(
        "runs", type=typed_path, help="the folder that holds none-seed0 and the others"
    )
    folder = parser.parse_args().runs
    train = "python part3_collapse_regularizers/train.py --config configs/part3"
    runs = {name: finished(folder / f"{name}-seed0", f"{train}/{name}.yaml") for name in PUBLISHED}
    figures, weights = PART / "results" / "figures", PART / "results" / "weights"
    publish_figures(runs["barlow"], ("correlation.png", "spectrum.png"), figures)
    beside = {name: arrays_of(runs[name]) for name in BESIDE}
    write_gif(figures / "pca.gif", pca_frames(beside), fps=4)
    logs = {name: run / "metrics.jsonl" for name, run in runs.items()}
    write_png(figures / "dashboard.png", dashboard_figure(logs))
    for name, run in runs.items():
        model = load_checkpoint(run / "checkpoint.pt", f"{train}/{name}.yaml")["state"]["model"]
        head = "encoder."
        encoder = {k.removeprefix(head): v for k, v in model.items() if k.startswith(head)}
        publish_weights(run, {"encoder.pt": encoder}, weights / name)
