"""What a plan would lead to, and what that costs: all that joins a world model and a planner."""

import torch
from torch import Tensor

from part5_action_planning.config import CostConfig
from part5_action_planning.model.world_models import WorldModel
from part5_action_planning.planning.search_state import Score

CHUNK_ELEMENTS = 65_536  # state numbers imagined at a time, so that they stay in a core's cache


def rollout(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """Imagined states (E, S, H, D) of S action sequences for each of E episodes.

    z_past (E, n, D) what was observed, oldest first; a_past (E, n - 1, A) the actions between;
    actions (E, S, H, A), the first of them leaving z_past[:, -1]. The window slides: later
    steps see what was imagined, and the actions that go with it. Raises ValueError for another
    history.
    """
    episodes, samples = actions.shape[:2]
    wanted = (model.history, model.history - 1)
    if (z_past.shape[1], a_past.shape[1]) != wanted:
        raise ValueError(
            f"got a history of {z_past.shape[1]} observations and {a_past.shape[1]} actions; the "
            f"model wants {wanted[0]} and {wanted[1]}"
        )
    z_past, a_past = (past.repeat_interleave(samples, 0) for past in (z_past, a_past))
    flat = actions.flatten(0, 1)  # (E S, H, A)
    rows = min(2048, max(64, CHUNK_ELEMENTS // z_past[0, 0].numel()))
    parts = zip(z_past.split(rows), a_past.split(rows), flat.split(rows), strict=True)
    imagined = torch.cat([_rollout(model, *part) for part in parts])
    return imagined.unflatten(0, (episodes, samples))


def _rollout(model: WorldModel, z_past: Tensor, a_past: Tensor, actions: Tensor) -> Tensor:
    """Imagined states (B, H, D) of one action sequence (B, H, A) each."""
    z_window, a_window = z_past, torch.cat([a_past, actions[:, :1]], 1)  # (B, n, D), (B, n, A)
    imagined = []
    for h in range(actions.shape[1]):
        z_next = model.step(z_window, a_window)
        imagined.append(z_next)
        if h + 1 < actions.shape[1]:
            z_window = torch.cat([z_window[:, 1:], z_next.unsqueeze(1)], 1)
            a_window = torch.cat([a_window[:, 1:], actions[:, h + 1 : h + 2]], 1)
    return torch.stack(imagined, 1)


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


def unfold_blocks(blocks: Tensor, repeat: int, coast: int) -> Tensor:
    """Blocks of actions (E, S, H, A), each held for repeat steps, then coast steps without."""
    actions = blocks.repeat_interleave(repeat, dim=2)
    if not coast:
        return actions
    return torch.cat([actions, torch.zeros(*actions.shape[:2], coast, actions.shape[3])], dim=2)


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
        actions = unfold_blocks(blocks, cost.repeat, coast)
        z = model.compared(rollout(model, z_past, a_past, actions))
        return total_cost(distance(z, target, cost.norm), cost.when)

    return score
