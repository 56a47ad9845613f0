"""What probes, rollouts and plans score without any learning: rows to read a model's numbers by.

pixels: the frames themselves are the state, and nothing ever moves. coasting: the true state and
the true dynamics, the thrust unknown: what a prediction can be worth that is not told the action.
Both on the held-out episodes, and from the moments on, that the task's default world model is
scored on; nothing is drawn anew for a seed. rendered: the true dynamics, compared with the goal by
the squared distance of frames: what a perfect pixel world model would be worth to the planner, on
the episodes and seeds of the expensive models.
"""

from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from common.episodes import to_float
from common.harness.config import load_config
from common.harness.runs import RUNS
from common.rendering import render
from common.simulator import Scene, step
from common.sweep import read_sweep
from common.world import World
from part5_action_planning.config import (
    BASELINE,
    Config,
    SharedStream,
    shared_generator,
    task_config,
)
from part5_action_planning.data import make_recording
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, success
from part5_action_planning.scoring.model_metrics import describe
from part5_action_planning.studies import SWEEPS, variant, write_study

TASKS = ("reach", "two_rooms", "bank_shot", "left_right")


class Pixels:
    """A frame is its own embedding (B, C H W), and the next one is predicted to be the same."""

    def __init__(self, history_length: int) -> None:
        self.history_length, self.frame_skip = history_length, 1

    def encode(self, frames: Tensor, states: Tensor | None = None) -> Tensor:
        return frames.flatten(1)

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        return z_past[:, -1]

    def goal_features(self, z: Tensor) -> Tensor:
        return z


class Coasting:
    """The true state (B, 4) of px and px per frame, moved on as if nobody pushed.

    The last state says all; history_length is that of the model whose rollouts it is compared with.
    The radius and the door are those of the scene's first episode.
    """

    def __init__(self, world: World, scene: Scene, history_length: int) -> None:
        self.world, self.scene = world, scene
        self.history_length, self.frame_skip = history_length, 1

    def encode(self, frames: Tensor | None, states: Tensor) -> Tensor:
        return states[:, 0]

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        return step(self.world, z_past[:, -1:], self.scene[:1].repeat(len(z_past)))[:, 0]

    def goal_features(self, z: Tensor) -> Tensor:
        return z[..., :2]


class Rendered(Oracle):
    """The true dynamics, whose states are compared as the frames that they would be seen as."""

    def goal_features(self, z: Tensor) -> Tensor:
        """Frames (..., C H W) in [0, 1] of a white ball's states (..., 6)."""
        flat = z.flatten(0, -2)
        white = torch.ones(len(flat), 1, self.world.channels)
        scene = Scene(radius=flat[:, 4:5], color=white, door=flat[:, 5])
        frames = render(self.world, flat[:, None, None, :4], scene)
        return to_float(frames).flatten(1).unflatten(0, z.shape[:-1])


def plan_on_frames(cfg: Config) -> dict[str, float]:
    """Success of a planner on Rendered, in the episodes of a config."""
    episodes = EvalEpisodes(cfg, cfg.evaluation.num_test_episodes)
    model = Rendered(cfg.task, cfg.world, episodes.problems.scene)
    return success(episodes.play(make_agent(model, episodes)), cfg.task)


def describe_task(task: str) -> dict[str, dict[str, float]]:
    """{model: metrics} of one task, whose radius and door are the same in every episode."""
    cfg = task_config(task)
    heldout = shared_generator(cfg, SharedStream.HELDOUT_DATA)
    recording = make_recording(cfg, cfg.evaluation.num_heldout_episodes, heldout)
    models = {
        "pixels": Pixels(cfg.model.history_length),
        "coasting": Coasting(cfg.world, recording.scene, cfg.model.history_length),
    }
    return {name: describe(model, recording) for name, model in models.items()}


def measure() -> dict[str, Any]:
    variants = {}
    for task in TASKS:
        for model, scores in describe_task(task).items():
            variants[f"{task}/{model}"] = variant({"task": task, "model": model}, [scores])
    _, jobs = read_sweep(SWEEPS / "expensive.yaml", RUNS)
    oracles = [
        load_config(Config, [BASELINE], job.config) for job in jobs if job.variant == "oracle"
    ]
    variants["expensive/rendered"] = variant(
        {"task": "expensive", "model": "rendered"},
        [plan_on_frames(cfg) for cfg in tqdm(oracles)],
        oracles[0].evaluation.num_test_episodes,
    )
    evaluation = task_config("reach").evaluation
    return {
        "variants": variants,
        "protocol": {"episodes": evaluation.num_heldout_episodes, "split": evaluation.split},
        "seeds": [cfg.seed for cfg in oracles],
    }


def main() -> None:
    write_study("baselines", measure, __doc__)
