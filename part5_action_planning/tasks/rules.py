"""What an agent is asked to do: where an episode starts, where its goal is, what an action does.

    reach       be at the goal's position, and stay: thrust on a ball with momentum
    two_rooms   the same with a wall between start and goal, and a door in it
    bank_shot   thrust in the first few steps, then coast: only a bounce leads to the goal
    left_right  the post's own setting: the ball moves one step to the left or to the right

A goal is a frame of the ball at rest where it should end. Every episode starts from rest (but for
left_right, which knows no rest), so that a history of copies of the first frame is true.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from common.simulator import Scene, step
from common.world import World


@dataclass(frozen=True)
class Task:
    """What counts as success, and when an agent may act.

    Args:
        kind: which task.
        budget: steps of an episode.
        success_radius: the ball's distance to the goal that counts as reached (px).
        held_steps: last steps in all of which the ball must be there, for "held".
        min_distance: least distance from start to goal (px), so that none starts solved.
        thrust_steps: bank_shot: steps in which the ball can be pushed; later actions do nothing.
    """

    kind: Literal["reach", "two_rooms", "bank_shot", "left_right"]
    budget: int = field(metadata={"min": 1, "max": 10_000})
    success_radius: float = field(metadata={"above": 0.0, "max": 64.0})
    held_steps: int = field(metadata={"min": 1, "max": 1000})
    min_distance: float = field(metadata={"min": 0.0, "max": 512.0})
    thrust_steps: int = field(metadata={"min": 1, "max": 1000})

    def __post_init__(self) -> None:
        if self.held_steps > self.budget:
            raise ValueError(
                f"task.held_steps {self.held_steps} is more than the budget of {self.budget} steps"
            )
        if self.thrust_steps > self.budget:
            raise ValueError(
                f"task.thrust_steps {self.thrust_steps} is more than the budget of {self.budget} "
                "steps"
            )


def check_task(task: Task, world: World) -> None:
    """Raises ValueError where a world does not fit its task."""
    if world.num_balls != 1 or world.wall == "stochastic":
        raise ValueError(
            f"task {task.kind} steers one ball that the dynamics alone decide about: set "
            f"world.num_balls to 1 (got {world.num_balls}) and world.wall to reflect or turn_back "
            f"(got {world.wall})"
        )
    wants_door = task.kind in ("two_rooms", "bank_shot")
    if wants_door and not world.door_width:
        raise ValueError(f"task {task.kind} needs an inner wall: set world.door_width above 0")
    if task.kind == "left_right":
        if world.axes != 1 or world.max_thrust or len(world.speeds) != 1:
            raise ValueError(
                "task left_right moves the ball by one speed: it needs world.axes 1, "
                f"world.max_thrust 0 and one of world.speeds, got {world.axes}, "
                f"{world.max_thrust:g} and {list(world.speeds)}"
            )
    elif world.max_thrust == 0:
        raise ValueError(f"task {task.kind} needs an action: set world.max_thrust above 0")
    elif world.speeds != (0.0,):
        raise ValueError(
            f"task {task.kind} starts from rest: set world.speeds to [0.0], got "
            f"{list(world.speeds)}"
        )


def choices(task: Task) -> Tensor | None:
    """The actions one can choose from, (C, 2), where they are finitely many."""
    return torch.tensor([[-1.0, 0.0], [1.0, 0.0]]) if task.kind == "left_right" else None


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
        heading = world.speeds[0] * action[:, None] * torch.tensor([1.0, 0.0])
        return step(world, torch.cat([state[..., :2], heading], -1), scene)
    if task.kind == "bank_shot" and time >= task.thrust_steps:
        action = torch.zeros_like(action)
    return step(world, state, scene, action)


@dataclass(frozen=True)
class Episodes:
    """E problems: start and goal (E, 1, 4), the goal at rest, and the scene they lie in."""

    start: Tensor
    goal: Tensor
    scene: Scene


def joined(found: list[Episodes], count: int) -> Episodes:
    """The first so many of several sets of problems."""
    scenes = [problems.scene for problems in found]
    scene = Scene(
        torch.cat([scene.radius for scene in scenes]),
        torch.cat([scene.color for scene in scenes]),
        torch.cat([scene.door for scene in scenes]),
    )
    start = torch.cat([problems.start for problems in found])
    goal = torch.cat([problems.goal for problems in found])
    return Episodes(start[:count], goal[:count], scene[torch.arange(count)])
