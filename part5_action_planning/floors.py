"""What probes and rollouts score without any learning: rows to read a world model's numbers by.

    python part5_action_planning/floors.py        -> results/floors.json

pixels: the frames themselves are the state, and nothing ever moves. coasting: the true state and
the true dynamics, the thrust unknown: what a prediction can be worth that is not told the action.
Both on the held-out episodes that every world model of the task is scored on; nothing is drawn
anew for a seed.
"""

import argparse
import time

import torch
from torch import Tensor

from common.config import REPOSITORY, load_config, run_script
from common.intervals import mean_interval
from common.results import write_results
from common.simulator import Scene, step
from common.world import World
from part5_action_planning.clips import make_recording
from part5_action_planning.experiment import BASELINE, PART, Config, shared_generator
from part5_action_planning.measures import describe

TASKS = ("reach", "two_rooms", "bank_shot", "left_right")


class Pixels:
    """A frame is its own embedding (B, C H W), and the next one is predicted to be the same."""

    def __init__(self, history: int) -> None:
        self.history = history

    def observe(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return frames.flatten(1)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        return z_past[:, -1]

    def compared(self, z: Tensor) -> Tensor:
        return z


class Coasting:
    """The true state (B, 4) of px and px per frame, moved on as if nobody pushed."""

    history = 1

    def __init__(self, world: World, scene: Scene) -> None:
        self.world, self.scene = world, scene

    def observe(self, frames: Tensor, states: Tensor) -> Tensor:
        return states[:, 0]

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        scene = self.scene[torch.zeros(len(z_past), dtype=torch.long)]
        return step(self.world, z_past[:, -1:], scene)[:, 0]

    def compared(self, z: Tensor) -> Tensor:
        return z[..., :2]


def score(task: str) -> dict[str, dict[str, float]]:
    """{row: metrics} of one task, whose radius and door are the same in every episode."""
    folder = REPOSITORY / "configs" / "part5"
    own = [] if task == "reach" else [folder / f"{task}.yaml"]
    cfg = load_config(Config, [BASELINE, *own])
    recording = make_recording(cfg, cfg.evaluation.heldout_episodes, shared_generator(cfg, 2))
    models = {
        "pixels": Pixels(cfg.model.history),
        "coasting": Coasting(cfg.world, recording.scene),
    }
    return {name: describe(model, recording) for name, model in models.items()}


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    begin = time.monotonic()
    arms = {f"{task}/{row}": scores for task in TASKS for row, scores in score(task).items()}
    cfg = load_config(Config, [BASELINE])
    write_results(
        PART / "results" / "floors.json",
        "python part5_action_planning/floors.py",
        protocol={"episodes": cfg.evaluation.heldout_episodes, "split": cfg.evaluation.split},
        seconds=time.monotonic() - begin,
        seeds=[0],
        arms={
            arm: {key: mean_interval([value]) for key, value in metrics.items()}
            for arm, metrics in arms.items()
        },
    )


if __name__ == "__main__":
    run_script(main)
