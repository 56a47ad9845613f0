"""The problems that an agent is set: starts and goals, drawn for a task."""

import torch
from torch import Tensor

from common.simulator import sample_scene, sample_start
from common.world import World
from part5_action_planning.config import Task
from part5_action_planning.tasks.rules import Problems


def sample_problems(
    task: Task, world: World, num_episodes: int, generator: torch.Generator
) -> Problems:
    """Problems drawn for a task; raises ValueError where the world has none."""
    if task.kind == "bank_shot":
        from part5_action_planning.tasks.bank_shots import sample_bank_shots  # needed by no other

        return sample_bank_shots(task, world, num_episodes, generator)
    scene = sample_scene(world, num_episodes, generator)
    start = sample_start(world, scene, generator)
    goal = sample_start(world, scene, generator)
    for _ in range(1000):
        bad = ~_is_apart(task, world, start, goal)
        if not bad.any():
            goal[..., 2:] = 0
            return Problems(start, goal, scene)
        goal[bad] = sample_start(world, scene[bad], generator)
        start[bad] = sample_start(world, scene[bad], generator)
        if task.kind == "left_right":  # only places an even number of steps away can be met
            goal[bad] = _steps_away(task, world, start[bad], generator)
    raise ValueError(
        f"found no start and goal {task.min_distance:g} px apart in a box of {world.size} px: "
        "use a smaller task.min_distance"
    )


def _is_apart(task: Task, world: World, start: Tensor, goal: Tensor) -> Tensor:
    offset = goal[:, 0, :2] - start[:, 0, :2]
    apart = offset.norm(dim=-1) >= task.min_distance
    if task.kind == "two_rooms":
        middle = world.size / 2
        apart &= (start[:, 0, 0] < middle) != (goal[:, 0, 0] < middle)
    if task.kind == "left_right":
        pairs = offset[:, 0] / (2 * world.speeds[0])
        apart &= ((pairs - pairs.round()).abs() < 1e-4) & (pairs.abs() <= task.budget // 2)
    return apart


def _steps_away(task: Task, world: World, start: Tensor, generator: torch.Generator) -> Tensor:
    """The start moved by an even number of steps, within the budget and the box."""
    pair, radius = 2 * world.speeds[0], world.radius[1]
    goal = start.clone()
    far = task.budget // 2
    fewest = torch.ceil((radius - start[:, 0, 0]) / pair).clamp(min=-far)
    most = torch.floor((world.size - radius - start[:, 0, 0]) / pair).clamp(max=far)
    share = torch.rand(len(start), generator=generator)
    goal[:, 0, 0] += pair * (fewest + torch.floor(share * (most - fewest + 1)))
    return goal
