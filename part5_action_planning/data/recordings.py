"""What happened when actions were executed, and the policy that collects such recordings."""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.distractors import Distractor, sample_layers
from common.rendering import render
from common.simulator import Scene
from common.world import World
from part5_action_planning.tasks.rules import Task, advance


@dataclass(frozen=True)
class Recording:
    """E episodes: frames (E, T, C, H, W) uint8, states (E, T, 1, 4), actions (E, T - 1, 2)."""

    frames: Tensor
    states: Tensor
    actions: Tensor
    scene: Scene


def random_actions(
    task: Task,
    world: World,
    num_episodes: int,
    length: int,
    smoothness: float,
    generator: torch.Generator,
) -> Tensor:
    """The policy that collects data, (E, length, 2): it knows no goal.

    reach and two_rooms: an autoregressive walk a <- smoothness a + sqrt(1 - smoothness^2) noise,
    of standard deviation max_thrust, clamped to the bounds. bank_shot: uniform in the steps that
    have thrust, then 0. left_right: a fair coin each step.
    """
    shape = (num_episodes, length, 2)
    if task.kind == "left_right":
        heading = 2.0 * torch.randint(2, shape, generator=generator) - 1
        return heading * torch.tensor([1.0, 0.0])
    if task.kind == "bank_shot":
        actions = world.max_thrust * (2 * torch.rand(shape, generator=generator) - 1)
        actions[:, task.thrust_steps :] = 0
        return actions
    noise = world.max_thrust * torch.randn(shape, generator=generator)
    walk = noise.clone()
    for t in range(1, length):
        walk[:, t] = smoothness * walk[:, t - 1] + (1 - smoothness**2) ** 0.5 * noise[:, t]
    return walk.clamp(-world.max_thrust, world.max_thrust)


def record(
    task: Task,
    world: World,
    distractor: Distractor,
    start: Tensor,
    scene: Scene,
    actions: Tensor,
    generator: torch.Generator,
) -> Recording:
    """What happens when actions (E, T - 1, 2) are executed from start (E, 1, 4), and its frames."""
    states = [start]
    for t in range(actions.shape[1]):
        states.append(advance(task, world, states[-1], scene, actions[:, t], t))
    stacked = torch.stack(states, dim=1)
    episodes, length = stacked.shape[:2]
    layers, _ = sample_layers(distractor, world.size, episodes, length, generator)
    return Recording(render(world, stacked, scene, layers), stacked, actions, scene)


def crossing_share(world: World, states: Tensor) -> float:
    """Share of episodes (E, T, 1, 4) in which the ball changes rooms."""
    left = states[:, :, 0, 0] < world.size / 2
    return (left.any(1) & (~left).any(1)).float().mean().item()
