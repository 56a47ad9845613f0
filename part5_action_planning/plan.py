"""One episode: the agent drives the ball to a goal image, beside what it predicted on the way.

    python part5_action_planning/plan.py                                  the published model
    python part5_action_planning/plan.py runs/part5/baseline-seed0        a run of yours
    python part5_action_planning/plan.py --episode 3 --planner.kind=mppi --cost.when=last

Options of the run's config, as --key=value, change all but method, model and world (train.py --help
says what they mean). Writes the figures that plot.py describes into --out; without it, each model,
episode and set of options has a folder of its own in runs/part5/plan/.
"""

import re

from common.harness.errors import UserError, before_training, run_script, typed_path
from common.harness.machine import device_of
from common.harness.runs import RUNS
from part5_action_planning.model.loading import model_of_command
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.plot import draw_figures


def main() -> None:
    args, cfg, model = model_of_command(
        __doc__,
        {"--episode": {"type": int, "default": 0, "help": "which of the evaluation's"},
         "--out": {"type": typed_path, "help": "a folder; default: in runs/part5/plan/"}},
    )  # fmt: skip
    count = cfg.evaluation.num_test_episodes
    if not 0 <= args.episode < count:
        raise UserError(f"--episode {args.episode}: expected 0 to {count - 1}")
    with before_training():
        episodes = EvalEpisodes(cfg, count, device_of(model)).only(args.episode)
    words = [*args.run_dir.resolve().parts[-2:], f"episode{args.episode}", *args.options]
    name = "-".join(re.findall(r"[\w.]+", " ".join(words)))[-200:]
    folder = args.out or RUNS / "part5" / "plan" / name
    played, paths = draw_figures(folder, model, episodes)
    distance = played.distance[0]
    reached = "reached" if distance[-1] <= cfg.task.success_radius else "missed"
    print(
        f"{reached}: {distance[0]:.1f} px away at the start, {distance.min():.1f} at the nearest, "
        f"{distance[-1]:.1f} at the end; {1000 * played.seconds / cfg.task.budget:.0f} ms a step"
    )
    print(*paths, sep="\n")


if __name__ == "__main__":
    run_script(main)
