"""Scores a run again from its checkpoint and prints its table; trains and writes nothing.

    python part3_collapse_regularizers/evaluate.py runs/part3/vicreg-seed0

A few seconds. An unfinished run is scored as it stands. A folder of published weights, such as
part3_collapse_regularizers/results/weights/vicreg, is scored the same way.
"""

import argparse
from pathlib import Path

from common.harness.errors import run_script, typed_path
from common.harness.machine import add_device, pick_device
from common.harness.trained import load_trained, run_config
from part3_collapse_regularizers.config import BASELINE, Config
from part3_collapse_regularizers.model import Model, make_model
from part3_collapse_regularizers.report.tables import run_table
from part3_collapse_regularizers.scoring.scores import bounds, evaluate, make_heldout


def load_run(run_dir: Path) -> tuple[Config, Model]:
    """The config and the model of a run, or of published weights (the encoder alone is trained).

    Sets the run's number of threads. Raises UserError.
    """
    train = "python part3_collapse_regularizers/train.py"
    cfg = run_config(run_dir, Config, BASELINE, train)
    model = make_model(cfg)
    load_trained(run_dir, {"model": model}, {"encoder": model.encoder}, train)
    return cfg, model


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores a run again from its checkpoint.")
    parser.add_argument("run_dir", type=typed_path, help="a run directory, or a folder of weights")
    add_device(parser)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    cfg, model = load_run(arguments.run_dir)
    held = make_heldout(cfg)
    scores = {cfg.method: evaluate(model.to(device), held)}
    summary = {"variants": scores, "bounds": bounds(held, cfg, device)}
    print(run_table(arguments.run_dir.resolve().name, summary))


if __name__ == "__main__":
    run_script(main)
