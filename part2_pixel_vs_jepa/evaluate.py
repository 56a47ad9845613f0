"""Scores a run again from its checkpoint and prints its table; trains and writes nothing.

    python part2_pixel_vs_jepa/evaluate.py runs/part2/baseline-seed0

A few seconds a run. An unfinished run is scored as it stands. The numbers are those of the run's
summary.json, to the bit, on the same machine and device with the same number of threads.
"""

import argparse

from common.episodes import make_clips
from common.harness.errors import run_script, typed_path
from common.harness.machine import add_device, pick_device, to_device
from part2_pixel_vs_jepa.config import Stream, generator
from part2_pixel_vs_jepa.model import load_run
from part2_pixel_vs_jepa.report.tables import run_text
from part2_pixel_vs_jepa.scoring.heldout import make_heldout
from part2_pixel_vs_jepa.scoring.scores import score_run


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores a run again from its checkpoint.")
    parser.add_argument("run_dir", type=typed_path, help="a run directory, or a folder of weights")
    add_device(parser)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    cfg, models = load_run(arguments.run_dir)
    models = {name: model.to(device) for name, model in models.items()}
    draws = generator(cfg, Stream.TRAIN_DATA, device)
    clips = make_clips(cfg.world, cfg.distractor, cfg.data.num_train_episodes, draws)
    summary, _ = score_run(models, to_device(make_heldout(cfg), device), clips, cfg)
    print(run_text(summary, cfg.regularizer))


if __name__ == "__main__":
    run_script(main)
