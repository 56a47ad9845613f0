"""What probes, rollouts and plans score without any learning: rows to read a model's numbers by.

    python part5_action_planning/floors.py        -> results/floors.json, some minutes

pixels: the frames themselves are the state, and nothing ever moves. coasting: the true state and
the true dynamics, the thrust unknown: what a prediction can be worth that is not told the action.
Both on the held-out episodes, and from the moments on, that the task's default world model is
scored on; nothing is drawn anew for a seed. rendered: the true dynamics, compared with the goal by
the squared distance of frames: what a perfect pixel world model would be worth to the planner, on
the episodes and seeds of the dear models.
"""

import time

import torch
from torch import Tensor
from tqdm import tqdm

from common.episodes import to_float
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import no_options, run_script
from common.harness.results import write_results
from common.harness.runs import RUNS
from common.intervals import mean_intervals
from common.rendering import render
from common.simulator import Scene, step
from common.sweep import read_sweep
from common.world import World
from part5_action_planning.config import BASELINE, PART, Config, generator, shared_generator
from part5_action_planning.data.clips import make_recording
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import PlanningAgent
from part5_action_planning.planning.closed_loop import Stage, success
from part5_action_planning.scoring.model_metrics import describe

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
    """The true state (B, 4) of px and px per frame, moved on as if nobody pushed.

    The last state says all; history is that of the model whose rollouts it is compared with.
    """

    def __init__(self, world: World, scene: Scene, history: int) -> None:
        self.world, self.scene, self.history = world, scene, history

    def observe(self, frames: Tensor | None, states: Tensor) -> Tensor:
        return states[:, 0]

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        scene = self.scene[torch.zeros(len(z_past), dtype=torch.long)]
        return step(self.world, z_past[:, -1:], scene)[:, 0]

    def compared(self, z: Tensor) -> Tensor:
        return z[..., :2]


class Rendered(Oracle):
    """The true dynamics, whose states are compared as the frames that they would be seen as."""

    def compared(self, z: Tensor) -> Tensor:
        """Frames (..., C H W) in [0, 1] of a white ball's states (..., 6)."""
        flat = z.flatten(0, -2)
        white = torch.ones(len(flat), 1, self.world.channels)
        scene = Scene(radius=flat[:, 4:5], color=white, door=flat[:, 5])
        frames = render(self.world, flat[:, None, None, :4], scene)
        return to_float(frames).flatten(1).unflatten(0, z.shape[:-1])


@torch.no_grad()
def plan_on_frames(cfg: Config) -> dict[str, float]:
    """Success of a planner on Rendered, in the episodes of a config."""
    stage = Stage(cfg, cfg.evaluation.episodes)
    model = Rendered(cfg.task, cfg.world, stage.episodes.scene)
    agent = PlanningAgent(cfg, model, stage.goal_frames, stage.goal_states, generator(cfg, 6))
    return success(stage.play(agent), cfg.task)


def score(task: str) -> dict[str, dict[str, float]]:
    """{row: metrics} of one task, whose radius and door are the same in every episode."""
    folder = REPOSITORY / "configs" / "part5"
    own = [] if task == "reach" else [folder / f"{task}.yaml"]
    cfg = load_config(Config, [BASELINE, *own])
    recording = make_recording(cfg, cfg.evaluation.heldout_episodes, shared_generator(cfg, 2))
    models = {
        "pixels": Pixels(cfg.model.history),
        "coasting": Coasting(cfg.world, recording.scene, cfg.model.history),
    }
    return {name: describe(model, recording) for name, model in models.items()}


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)  # as a sweep's runs
    arms = {f"{task}/{row}": [scores] for task in TASKS for row, scores in score(task).items()}
    _, jobs = read_sweep(BASELINE.parent / "sweeps" / "slow.yaml", RUNS)
    oracles = [load_config(Config, [BASELINE], job.config) for job in jobs if job.arm == "oracle"]
    arms["slow/rendered"] = [plan_on_frames(cfg) for cfg in tqdm(oracles)]
    cfg = load_config(Config, [BASELINE])
    write_results(
        PART / "results" / "floors.json",
        "python part5_action_planning/floors.py",
        protocol={"episodes": cfg.evaluation.heldout_episodes, "split": cfg.evaluation.split},
        seconds=time.monotonic() - begin,
        seeds=[cfg.seed for cfg in oracles],
        arms={arm: mean_intervals(runs) for arm, runs in arms.items()},
    )


if __name__ == "__main__":
    run_script(main)
