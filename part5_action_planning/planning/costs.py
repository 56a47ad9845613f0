"""What a plan costs: the distance to the goal along what a world model predicts of it."""

from typing import Literal, assert_never

import torch
from torch import Tensor

from part5_action_planning.config import CostConfig
from part5_action_planning.model.jepa import WorldModel, rollout
from part5_action_planning.planning.search_state import CostFn


def goal_distance(z: Tensor, z_goal: Tensor, norm: Literal["squared_l2", "l1"]) -> Tensor:
    """Distances (...) of states (..., D): squared, or the sum of |difference| for l1."""
    match norm:
        case "squared_l2":
            return (z - z_goal).square().sum(-1)
        case "l1":
            return (z - z_goal).abs().sum(-1)
        case _:
            assert_never(norm)


def total_cost(distances: Tensor, cfg: CostConfig) -> Tensor:
    """The cost (E, S) of the distances (E, S, H) along each predicted path."""
    match cfg.when:
        case "sum":
            return distances.sum(-1)
        case "closest":
            return distances.amin(-1)
        case "last":
            return distances[..., -1]
        case _:
            assert_never(cfg.when)


def unfold_blocks(blocks: Tensor, action_repeat: int, coast: int) -> Tensor:
    """Blocks of actions (E, S, H, A), each held so many steps, then coast steps without."""
    actions = blocks.repeat_interleave(action_repeat, dim=2)
    if not coast:
        return actions
    rest = actions.new_zeros(*actions.shape[:2], coast, actions.shape[3])
    return torch.cat([actions, rest], dim=2)


def make_cost(
    model: WorldModel, z_past: Tensor, a_past: Tensor, z_goal: Tensor, cfg: CostConfig,
    coast: int = 0,
) -> CostFn:  # fmt: skip
    """What a planner minimises: blocks of actions (E, S, H, A) -> cost (E, S).

    z_goal (E, D). Each block is held for action_repeat steps; coast steps without thrust follow.
    """
    target = model.goal_features(z_goal)[:, None, None]

    def cost_fn(blocks: Tensor) -> Tensor:
        actions = unfold_blocks(blocks, cfg.action_repeat, coast)
        z = model.goal_features(rollout(model, z_past, a_past, actions))
        return total_cost(goal_distance(z, target, cfg.norm), cfg)

    return cost_fn
