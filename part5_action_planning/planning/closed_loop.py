"""The closed loop: agents act in the simulator, and what came of it is scored.

``BatchedEnv`` is the loop itself, under the evaluation and the Gymnasium environments alike;
``EvalEpisodes`` are the episodes that every model of every seed is scored on.
"""

import copy
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from common.distractors import sample_layers
from common.distributed import exact
from common.episodes import to_float
from common.harness.machine import to_device
from common.rendering import render
from part5_action_planning.config import Config, SharedStream, Task, shared_generator
from part5_action_planning.tasks.goals import sample_problems
from part5_action_planning.tasks.rules import Problems, advance


class Agent(Protocol):
    """Acts for E episodes at once: see ``planning/agents.py``."""

    def act(self, time: int, frames: Tensor, states: Tensor) -> Tensor: ...


class BatchedEnv:
    """E episodes of a task, played in step.

    state (E, 1, 4) now, time the steps so far; layers (E, budget + 2, H, W), one for each moment
    and one for the goal, are what is behind the ball, None for nothing.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.time: int | None = None  # none has begun

    def start(self, problems: Problems, layers: Tensor | None) -> None:
        """Begins these episodes."""
        self.problems, self.layers = problems, layers
        self.state, self.time = problems.start, 0

    def step(self, actions: Tensor) -> None:
        """Carries out one action of each episode, (E, A)."""
        assert self.time is not None
        cfg, scene = self.cfg, self.problems.scene
        self.state = advance(cfg.task, cfg.world, self.state, scene, actions, self.time)
        self.time += 1

    @property
    def over(self) -> bool:
        """Whether the budget is used up."""
        return self.time == self.cfg.task.budget

    def frames(self) -> Tensor:
        """What is seen now, uint8 (E, C, H, W)."""
        return self._render(self.state, self.time or 0)

    def goal_frames(self) -> Tensor:
        """The ball at its goal, uint8 (E, C, H, W)."""
        return self._render(self.problems.goal, self.cfg.task.budget + 1)

    def distance(self) -> Tensor:
        """The ball's to its goal (px), (E,)."""
        return (self.state - self.problems.goal)[:, 0, :2].norm(dim=-1)

    def _render(self, states: Tensor, moment: int) -> Tensor:
        behind = None if self.layers is None else self.layers[:, moment].unsqueeze(1)
        return render(self.cfg.world, states.unsqueeze(1), self.problems.scene, behind)[:, 0]


@dataclass(frozen=True)
class Trajectories:
    """Episodes as they went: states (E, T + 1, 1, 4), frames (E, T + 1, C, H, W) uint8 and actions.

    distance (E, T + 1) is the ball's to its goal (px); seconds are those that the agent thought.
    """

    states: Tensor
    frames: Tensor
    actions: Tensor
    distance: Tensor
    seconds: float


class EvalEpisodes:
    """The episodes of an evaluation, and how they look: the same for every agent, seed and device.

    Drawn on the CPU, and played on the device. goal_frames (E, C, H, W) in [0, 1]; goal_states
    (E, 1, 4).
    """

    def __init__(self, cfg: Config, num_episodes: int, device: torch.device | str = "cpu") -> None:
        self.cfg = cfg
        random = shared_generator(cfg, SharedStream.TEST_EPISODES)
        problems = sample_problems(cfg.task, cfg.world, num_episodes, random)
        length = cfg.task.budget + 2
        layers, _ = sample_layers(cfg.distractor, cfg.world.size, num_episodes, length, random)
        self.problems, self.layers = to_device(problems, device), to_device(layers, device)
        self.goal_states = self.problems.goal
        self.goal_frames = to_float(self._begin().goal_frames())

    def only(self, episode: int) -> "EvalEpisodes":
        """One of the episodes alone."""
        one, which = copy.copy(self), slice(episode, episode + 1)
        one.problems, one.goal_states = self.problems[which], self.goal_states[which]
        one.layers = None if self.layers is None else self.layers[which]
        one.goal_frames = self.goal_frames[which]
        return one

    def _begin(self) -> BatchedEnv:
        env = BatchedEnv(self.cfg)
        env.start(self.problems, self.layers)
        return env

    @torch.no_grad()
    def play(self, agent: Agent, *, progress: bool = False) -> Trajectories:
        """Lets an agent act in every episode until the budget is used up."""
        env, seconds, actions = self._begin(), 0.0, []
        states, frames, distances = [env.state], [env.frames()], [env.distance()]
        for t in tqdm(range(self.cfg.task.budget), desc="acting", disable=not progress):
            begin = time.perf_counter()
            action = agent.act(t, to_float(frames[-1]), env.state)
            seconds += time.perf_counter() - begin
            env.step(action)
            actions.append(action)
            states.append(env.state)
            frames.append(env.frames())
            distances.append(env.distance())
        return Trajectories(
            states=torch.stack(states, 1),
            frames=torch.stack(frames, 1),
            actions=torch.stack(actions, 1),
            distance=torch.stack(distances, 1),
            seconds=seconds,
        )


def reached(distance: Tensor, task: Task) -> dict[str, Tensor]:
    """Per episode, of distances to the goal (E, T + 1) in px: whether it was met, as 0 or 1.

    last: at the last step; held: in each of the last held_steps; ever: at any step; at_start.
    """
    there = exact(distance <= task.success_radius)
    return {
        "last": there[:, -1],
        "held": there[:, -task.held_steps :].amin(1),
        "ever": there.amax(1),
        "at_start": there[:, 0],
    }


def success(played: Trajectories, task: Task) -> dict[str, float]:
    """Shares of the episodes, and the mean last distance (px)."""
    shares = {name: met.mean().item() for name, met in reached(played.distance, task).items()}
    return shares | {"last_distance_px": played.distance[:, -1].mean().item()}
