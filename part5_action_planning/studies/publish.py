"""Copies the figures and weights of a finished run into results/, for those who have not trained.

    python part5_action_planning/train.py
    python part5_action_planning/study.py publish runs/part5/baseline-seed0

results/weights/<method>: the run's config.yaml and model.pt, below 3 MB, which plan.py and
evaluate.py read; results/figures: its figures.
"""

import argparse

from common.harness.errors import typed_path
from common.harness.publish import finished, publish_figures, publish_weights
from part5_action_planning.config import PART
from part5_action_planning.model.loading import load_run

FIGURES = ("episode.gif", "imagined.png", "landscape.png", "paths.png", "search.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=typed_path, help="a finished run")
    run = finished(parser.parse_args().run_dir, "python part5_action_planning/train.py")
    publish_figures(run, FIGURES, PART / "results" / "figures")
    cfg, model = load_run(run)
    folder = PART / "results" / "weights" / cfg.method
    publish_weights(run, {"model.pt": model.state_dict()}, folder, half=False)
