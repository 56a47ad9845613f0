"""The closed loop: agents act in the simulator, and what came of it is scored."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from common.distractors import sample_layers
from common.episodes import to_float
from common.rendering import render
from part5_action_planning.config import Config, shared_generator
from part5_action_planning.planning.agents import Agent
from part5_action_planning.tasks.goals import sample_episodes
from part5_action_planning.tasks.rules import Episodes, Task, advance


@dataclass(frozen=True)
class Trial:
    """Episodes as they went: states (E, T + 1, 1, 4), frames (E, T + 1, C, H, W) uint8 and actions.

    distance (E, T + 1) is the ball's to its goal (px); seconds are those that the agent thought.
    """

    states: Tensor
    frames: Tensor
    actions: Tensor
    distance: Tensor
    seconds: float


class Stage:
    """The episodes of an evaluation, and how they look: the same for every agent and seed."""

    def __init__(self, cfg: Config, num_episodes: int) -> None:
        self.cfg = cfg
        random = shared_generator(cfg, 1)
        self.episodes: Episodes = sample_episodes(cfg.task, cfg.world, num_episodes, random)
        size, length = cfg.world.size, cfg.task.budget + 2
        self.layers, _ = sample_layers(cfg.distractor, size, num_episodes, length, random)
        self.goal_states = self.episodes.goal
        self.goal_frames = self.look(self.goal_states, length - 1)

    def look(self, states: Tensor, moment: int) -> Tensor:
        """Frames (E, C, H, W) in [0, 1] of states (E, 1, 4)."""
        return to_float(self._render(states, moment))

    def _render(self, states: Tensor, moment: int) -> Tensor:
        behind = None
        if self.layers is not None:
            behind = self.layers[:, min(moment, self.layers.shape[1] - 1)].unsqueeze(1)
        frames = render(self.cfg.world, states.unsqueeze(1), self.episodes.scene, behind)
        return frames[:, 0]

    @torch.no_grad()
    def play(self, agent: Agent, *, progress: bool = False) -> Trial:
        """Lets an agent act in every episode until the budget is used up."""
        task, world, scene = self.cfg.task, self.cfg.world, self.episodes.scene
        state = self.episodes.start
        states, frames, actions = [state], [self._render(state, 0)], []
        seconds = 0.0
        for t in tqdm(range(task.budget), desc="acting", disable=not progress):
            begin = time.perf_counter()
            action = agent.act(t, to_float(frames[-1]), state)
            seconds += time.perf_counter() - begin
            state = advance(task, world, state, scene, action, t)
            states.append(state)
            frames.append(self._render(state, t + 1))
            actions.append(action)
        path = torch.stack(states, 1)
        offset = path[:, :, 0, :2] - self.goal_states[:, None, 0, :2]
        return Trial(
            path, torch.stack(frames, 1), torch.stack(actions, 1), offset.norm(dim=-1), seconds
        )


def reached(distance: Tensor, success_radius: float, held_steps: int) -> dict[str, Tensor]:
    """Per episode, of distances to the goal (E, T + 1) in px: whether it was met, as 0 or 1.

    last: at the last step; held: in each of the last held_steps; ever: at any step; at_start.
    """
    there = (distance <= success_radius).double()
    return {
        "last": there[:, -1],
        "held": there[:, -held_steps:].amin(1),
        "ever": there.amax(1),
        "at_start": there[:, 0],
    }


def success(trial: Trial, task: Task) -> dict[str, float]:
    """Shares of the episodes, and the mean last distance (px)."""
    met = reached(trial.distance, task.success_radius, task.held_steps)
    shares = {name: share.mean().item() for name, share in met.items()}
    return shares | {"last_distance_px": trial.distance[:, -1].mean().item()}
