"""Scores a trained world model again, with another planner, cost or task of the same world.

    python part5_action_planning/evaluate.py                              the published model
    python part5_action_planning/evaluate.py runs/part5/baseline-seed0    a run of yours
    python part5_action_planning/evaluate.py RUN --planner.kind=mppi --cost.when=last

Prints the table; writes nothing. Any knob but the network's, the objective's and the world's can be
turned, as --key=value.
"""

import argparse
from pathlib import Path

import torch

from common.harness.errors import before_training, run_script
from part5_action_planning.model.build import PUBLISHED, load_with_knobs
from part5_action_planning.planning.closed_loop import Stage
from part5_action_planning.report.run_table import run_table
from part5_action_planning.scoring.scores import bounds, evaluate
from part5_action_planning.scoring.surprise import check_events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("run_dir", nargs="?", type=Path, default=PUBLISHED)
    args, knobs = parser.parse_known_args()
    cfg, model = load_with_knobs(args.run_dir, knobs, __doc__ or "")
    torch.set_num_threads(cfg.threads)
    with before_training():
        stage = Stage(cfg, cfg.evaluation.episodes)
        check_events(cfg)
    scores, _ = evaluate(model, stage, cfg)
    summary = {"arms": {cfg.objective: scores}, "bounds": bounds(stage, cfg)}
    print(run_table(summary, args.run_dir.name, cfg.task.kind))


if __name__ == "__main__":
    run_script(main)
