"""Copies a run's figures and weights into results/, for those who have not trained.

    python part2_pixel_vs_jepa/train.py --config configs/part2/four_arms.yaml
    python part2_pixel_vs_jepa/study.py publish runs/part2/four_arms-seed0

Weights are stored in half precision, one file a method, below 3 MB each; evaluate.py reads them:
python part2_pixel_vs_jepa/evaluate.py part2_pixel_vs_jepa/results/weights. The encoder of the
deterministic JEPA goes to common/weights too, where ``common.frozen.load_conv_jepa`` finds it.

Of a run of tokens alone, runs/part2/tokens-seed0, the figures go to results/figures/tokens/.
"""

import argparse

from common.frozen import CONV_JEPA, WEIGHTS
from common.harness.checkpoints import save_checkpoint
from common.harness.errors import UserError, typed_path
from common.harness.publish import finished, publish_figures, publish_weights
from part2_pixel_vs_jepa.config import PART
from part2_pixel_vs_jepa.model import Model, load_run

FIGURES = ("strip.png", "episode.gif", "training.png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=typed_path, help="a finished run, figures included")
    made_by = "python part2_pixel_vs_jepa/train.py --config configs/part2/four_arms.yaml"
    run = finished(parser.parse_args().run_dir, made_by)
    _, models = load_run(run)
    if [*models] == ["tokens"]:
        return publish_figures(run, FIGURES, PART / "results" / "figures" / "tokens")
    jepa = models.get("jepa")
    if not isinstance(jepa, Model):
        raise UserError(f"{run} trained no deterministic jepa; make one with: {made_by}")
    publish_figures(run, FIGURES, PART / "results" / "figures")
    states = {f"{name}.pt": model.state_dict() for name, model in models.items()}
    publish_weights(run, states, PART / "results" / "weights")
    encoder = jepa.encoder.state_dict()
    save_checkpoint(WEIGHTS / CONV_JEPA, {name: value.half() for name, value in encoder.items()})
