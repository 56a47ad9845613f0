"""How precise a world model has to be: the true dynamics, a little off at every step.

A learnt model errs a little at each step, the same way wherever it stands the same way, and a
planner looks for what its errors promise. Here the error is known: to each step's place and
velocity a smooth field over state and action is added, whose root mean square in each coordinate is
ERRORS px (px / frame). Success of the task's planner on it, and how far off the place is five steps
ahead, on the task's held-out episodes, say what a learnt model of such precision could do.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from common.simulator import Scene
from part5_action_planning.config import (
    Config,
    SharedStream,
    Stream,
    generator,
    shared_generator,
    task_config,
)
from part5_action_planning.data import make_recording
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, success
from part5_action_planning.scoring.model_metrics import describe
from part5_action_planning.studies import variant, write_study
from part5_action_planning.studies.baselines import Coasting
from part5_action_planning.tasks.rules import advance, largest_action

TASKS = ("reach", "bank_shot")
ERRORS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SEEDS = (5, 6, 7)
EPISODES = 40
WAVES = 64  # of a field


class Disturbed(Coasting):
    """The true state (B, 4) in px and px / frame, moved on truly, and a field added.

    spread (6,): the scale of state and action over which the field changes.
    """

    def __init__(
        self, cfg: Config, scene: Scene, spread: Tensor, error: float, generator: torch.Generator
    ) -> None:
        super().__init__(cfg.world, scene, cfg.model.history_length)
        self.task = cfg.task
        self.waves = torch.randn(6, WAVES, generator=generator) / spread[:, None]
        self.phases = math.tau * torch.rand(WAVES, generator=generator)
        mix = torch.randn(WAVES, 4, generator=generator)
        self.mix = error * mix / mix.norm(dim=0) * math.sqrt(2)  # a sine's mean square is a half

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        z, action = z_past[:, -1], a_past[:, -1]
        scene = self.scene[:1].repeat(len(z))
        ahead = advance(self.task, self.world, z.unsqueeze(1), scene, action, 0)[:, 0]
        field = torch.sin(torch.cat([z, action], 1) @ self.waves + self.phases) @ self.mix
        return ahead + field


def score(cfg: Config, error: float) -> dict[str, float]:
    """Success of a config's planner on dynamics that are so far off, and their rollout errors."""
    heldout = shared_generator(cfg, SharedStream.HELDOUT_DATA)
    recording = make_recording(cfg, cfg.evaluation.num_heldout_episodes, heldout)
    spread = recording.states.flatten(0, 2).std(0)  # (4,)
    push = torch.full((2,), largest_action(cfg.task, cfg.world))
    aside = generator(cfg, Stream.ASIDE)
    model = Disturbed(cfg, recording.scene, torch.cat([spread, push]), error, aside)
    episodes = EvalEpisodes(cfg, EPISODES)
    ahead = {k: v for k, v in describe(model, recording).items() if k.startswith("error_px")}
    return success(episodes.play(make_agent(model, episodes)), cfg.task) | ahead


def measure() -> dict[str, Any]:
    variants = {}
    for task in TASKS:
        cfg = task_config(task)
        for error in tqdm(ERRORS, desc=task):
            runs = [score(replace(cfg, seed=seed), error) for seed in SEEDS]
            params = {"task": task, "error_px": error}
            variants[f"{task}-e{error:g}"] = variant(params, runs, EPISODES)
    return {
        "variants": variants,
        "protocol": {"episodes": EPISODES, "waves": WAVES},
        "seeds": SEEDS,
    }


def main() -> None:
    write_study("precision", measure, __doc__)
