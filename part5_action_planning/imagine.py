"""What a plan would lead to, and what that costs: all that joins a world model and a planner."""

import torch
from torch import Tensor

from part5_action_planning.experiment import CostConfig
from part5_action_planning.models import WorldModel
from part5_action_planning.plans import Score


def rollout(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """Imagined states (E, S, H, D) of S action sequences for each of E episodes.

    z_past (E, n, D) what was observed, oldest first; a_past (E, n - 1, A) the actions between;
    actions (E, S, H, A), the first of them leaving z_past[:, -1]. The window slides: later
    steps see what was imagined, and the actions that go with it. Raises ValueError for another
    history.
    """
    episodes, samples, horizon, _ = actions.shape
    wanted = (model.history, model.history - 1)
    if (z_past.shape[1], a_past.shape[1]) != wanted:
        raise ValueError(
            f"got a history of {z_past.shape[1]} observations and {a_past.shape[1]} actions; the "
            f"model wants {wanted[0]} and {wanted[1]}"
        )
    z_window = z_past.repeat_interleave(samples, 0)  # (E S, n, D)
    flat = actions.flatten(0, 1)  # (E S, H, A)
    a_window = torch.cat([a_past.repeat_interleave(samples, 0), flat[:, :1]], 1)  # (E S, n, A)
    imagined = []
    for h in range(horizon):
        z_next = model.step(z_window, a_window)
        imagined.append(z_next)
        z_window = torch.cat([z_window[:, 1:], z_next.unsqueeze(1)], 1)
        if h + 1 < horizon:
            a_window = torch.cat([a_window[:, 1:], flat[:, h + 1 : h + 2]], 1)
    return torch.stack(imagined, 1).unflatten(0, (episodes, samples))


def distance(z: Tensor, z_goal: Tensor, norm: str) -> Tensor:
    """Distances (...) of states (..., D): squared for l2, the sum of |difference| for l1."""
    difference = z - z_goal
    return difference.square().sum(-1) if norm == "l2" else difference.abs().sum(-1)


def total_cost(distances: Tensor, when: str) -> Tensor:
    """The cost (E, S) of the distances (E, S, H) along each imagined path."""
    match when:
        case "sum":
            return distances.sum(-1)
        case "closest":
            return distances.amin(-1)
        case _:
            return distances[..., -1]


def make_score(
    model: WorldModel,
    z_past: Tensor,
    a_past: Tensor,
    z_goal: Tensor,
    cost: CostConfig,
    coast: int = 0,
) -> Score:
    """The score that a planner minimises: blocks of actions (E, S, H, A) -> cost (E, S).

    z_goal (E, D). Each block is held for cost.repeat steps; coast steps without thrust follow.
    """
    target = model.compared(z_goal)[:, None, None]

    def score(blocks: Tensor) -> Tensor:
        actions = blocks.repeat_interleave(cost.repeat, dim=2)
        if coast:
            rest = torch.zeros(*actions.shape[:2], coast, actions.shape[3])
            actions = torch.cat([actions, rest], dim=2)
        z = model.compared(rollout(model, z_past, a_past, actions))
        return total_cost(distance(z, target, cost.norm), cost.when)

    return score
