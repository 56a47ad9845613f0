"""One episode: the agent drives the ball to a goal image, and shows what it imagined on the way.

    python part5_action_planning/plan.py                                  the published model
    python part5_action_planning/plan.py runs/part5/baseline-seed0        a run of yours
    python part5_action_planning/plan.py --episode 3 --planner.kind=mppi --cost.when=last

Any knob of the run's config can be turned (--help lists them); those of the network cannot. Writes
the figures that plot.py describes into --out (default: runs/part5/plan).
"""

import argparse
from pathlib import Path

import torch

from common.harness.errors import UserError, before_training, run_script
from common.harness.runs import RUNS
from common.simulator import Scene
from part5_action_planning.model.build import PUBLISHED, load_with_knobs
from part5_action_planning.planning.closed_loop import Stage
from part5_action_planning.plot import draw_figures
from part5_action_planning.tasks.rules import Episodes


def pick(stage: Stage, episode: int) -> None:
    """Leaves only one episode on the stage; raises UserError when there is none of that number."""
    problems, count = stage.episodes, len(stage.goal_frames)
    if not 0 <= episode < count:
        raise UserError(f"--episode {episode}: expected 0 to {count - 1}")
    one = slice(episode, episode + 1)
    scene = problems.scene
    stage.episodes = Episodes(
        problems.start[one],
        problems.goal[one],
        Scene(scene.radius[one], scene.color[one], scene.door[one]),
    )
    stage.layers = None if stage.layers is None else stage.layers[one]
    stage.goal_states, stage.goal_frames = stage.goal_states[one], stage.goal_frames[one]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    parser.add_argument("run_dir", nargs="?", type=Path, default=PUBLISHED)
    parser.add_argument("--episode", type=int, default=0, help="which of the evaluation's")
    parser.add_argument("--out", type=Path, default=RUNS / "part5" / "plan")
    args, knobs = parser.parse_known_args()
    cfg, model = load_with_knobs(args.run_dir, knobs, __doc__ or "")
    torch.set_num_threads(cfg.threads)
    with before_training():
        stage = Stage(cfg, cfg.evaluation.episodes)
    pick(stage, args.episode)
    trial, paths = draw_figures(args.out, model, stage, cfg)
    distance = trial.distance[0]
    reached = "reached" if distance[-1] <= cfg.task.success_radius else "missed"
    print(
        f"{reached}: {distance[0]:.1f} px away at the start, {distance.min():.1f} at the nearest, "
        f"{distance[-1]:.1f} at the end; {1000 * trial.seconds / cfg.task.budget:.0f} ms a step"
    )
    for path in paths:
        print(path)


if __name__ == "__main__":
    run_script(main)
