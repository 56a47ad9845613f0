"""What an agent is asked to do: where an episode starts, where its goal is, what an action does.

    reach       be at the goal's position, and stay: thrust on a ball with momentum
    two_rooms   the same with a wall between start and goal, and a door in it
    bank_shot   thrust in the first few steps, then coast: only a bounce leads to the goal
    left_right  the post's own setting: the ball moves one step to the left or to the right

A goal is a frame of the ball at rest where it should end. Every episode starts from rest (but for
left_right, which knows no rest), so that a history of copies of the first frame is true.

To add one: its name in ``Task.kind`` (and in ``SEARCHED``, where actions are continuous) of
``config.py`` and what it cannot have in ``config_checks.check_task``; here ``largest_action``,
``choices`` and ``advance``; its starts and goals in ``goals.sample_problems``; the actions that are
recorded in ``data.random_actions``; a file configs/part5/NAME.yaml; and, where it should have them,
an id in ``gymnasium_env`` and a label in ``report/tables.py``. pyright finds what is forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.simulator import Scene, step
from common.world import World
from part5_action_planning.config import Task


@dataclass(frozen=True)
class Problems:
    """E of them: start and goal (E, 1, 4), the goal at rest, and the scene they lie in."""

    start: Tensor
    goal: Tensor
    scene: Scene

    def __getitem__(self, index: Tensor | slice) -> "Problems":
        return Problems(self.start[index], self.goal[index], self.scene[index])

    @staticmethod
    def cat(found: Sequence["Problems"]) -> "Problems":
        """Several sets of problems, one after another."""
        return Problems(
            torch.cat([problems.start for problems in found]),
            torch.cat([problems.goal for problems in found]),
            Scene.cat([problems.scene for problems in found]),
        )


def choices(task: Task, device: torch.device | str = "cpu") -> Tensor | None:
    """The actions one can choose from, (C, 2), where they are finitely many."""
    if task.kind != "left_right":
        return None
    return torch.tensor([[-1.0, 0.0], [1.0, 0.0]], device=device)


def largest_action(task: Task, world: World) -> float:
    """The bound of each component of an action."""
    return 1.0 if task.kind == "left_right" else world.max_thrust


def advance(
    task: Task, world: World, state: Tensor, scene: Scene, action: Tensor, time: int
) -> Tensor:
    """The state (B, 1, 4) one frame later.

    action (B, 2): thrust in px/frame^2, or for left_right a heading, -1 or +1, on its first
    component. Raises ValueError for an action of another shape or out of bounds.
    """
    if task.kind == "left_right":
        if action.shape != (len(state), 2) or not ((action[:, 0].abs() == 1).all()):
            raise ValueError(
                f"an action of left_right is (-1, 0) or (1, 0) for each of {len(state)} episodes, "
                f"got {tuple(action.shape)}: {action.flatten()[:4].tolist()}"
            )
        sideways = torch.tensor([1.0, 0.0], device=action.device)
        heading = world.speeds[0] * action[:, None] * sideways
        return step(world, torch.cat([state[..., :2], heading], -1), scene)
    if task.kind == "bank_shot" and time >= task.thrust_steps:
        action = torch.zeros_like(action)
    return step(world, state, scene, action)


def advance_all(
    task: Task, world: World, start: Tensor, scene: Scene, actions: Tensor, time: int = 0
) -> Tensor:
    """States (B, T + 1, 1, 4) under actions (B, T, 2), from start (B, 1, 4) at a step on."""
    states = [start]
    for t, action in enumerate(actions.unbind(1), time):
        states.append(advance(task, world, states[-1], scene, action, t))
    return torch.stack(states, 1)
