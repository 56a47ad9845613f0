"""Planning problems with true dynamics, whose optima are known, or sought at great length.

Discrete: one step to the left or to the right on the posts' lattice, 14 times, so that all 16,384
sequences can be tried. Costs are squared distances in steps, whole numbers, so that ties are ties:

    last     to a goal, at the last step: many sequences are optimal, and any search finds one
    sum      to a goal, summed over all steps: go there straight, then step to and fro
    track    to a moving target, summed: catch up with it, then follow; often a single optimum

Continuous: thrust on a ball (``reach``), squared px to the goal, summed over the horizon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from common.schedules import stream
from part5_action_planning.config import Config, task_config
from part5_action_planning.data import random_actions
from part5_action_planning.model.jepa import rollout
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import action_bounds
from part5_action_planning.planning.search_state import Bounds, CostFn
from part5_action_planning.tasks.goals import sample_problems
from part5_action_planning.tasks.rules import Problems, advance_all, choices

STEPS = 14  # of a discrete problem
CALLS = 2**STEPS // 10  # rollouts that a planner may ask for: 1,638, a tenth of all sequences
COSTS = ("last", "sum", "track")


class BenchStream(IntEnum):
    """What the bench draws chance for; settings are chosen on the validation problems."""

    OPTIMUM = 0
    DISCRETE_SEARCH = 1
    SEARCH = 2
    BOOTSTRAP = 9
    LONG_SEARCH = 20  # and 21, ...: one for each restart
    VALIDATION = 70  # and 71, of continuous problems
    TEST = 80  # and 81


SPLITS = {"validation": BenchStream.VALIDATION, "test": BenchStream.TEST}


@dataclass(frozen=True)
class Thrusts:
    """So many problems at once: what a planner gets. start (E, H, A) is the middle of bounds."""

    cost_fn: CostFn
    bounds: Bounds
    start: Tensor


def discrete_cost(cost: str, count: int, split: str) -> CostFn:
    """The cost of ``count`` problems: indices (E, S, H) of left and right -> cost (E, S)."""
    cfg = task_config("left_right", {"task.budget": STEPS, "planner.horizon": STEPS})
    generator = stream(-1, SPLITS[split])
    problems = sample_problems(cfg.task, cfg.world, count, generator)
    target = problems.goal[..., :1].expand(-1, STEPS, -1)  # (E, H, 1)
    if cost == "track":
        target = _wander(cfg, problems, generator)
    options, speed = choices(cfg.task), cfg.world.speeds[0]
    assert options is not None
    places = _places(cfg, problems)

    def cost_fn(index: Tensor) -> Tensor:
        away = places(options[index])[..., :1] - target.unsqueeze(1)  # (E, S, H, 1)
        steps = (away / speed).round()
        squares = steps.square().sum(-1)
        return squares[..., -1] if cost == "last" else squares.sum(-1)

    return cost_fn


def continuous_problems(horizon: int, count: int, split: str) -> Thrusts:
    """``count`` problems whose cost function takes thrusts (E, S, H, 2) to their cost (E, S)."""
    cfg = task_config("reach", {"planner.horizon": horizon})
    problems = sample_problems(cfg.task, cfg.world, count, stream(-1, SPLITS[split] + 1))
    goal = problems.goal[:, :, None, :2]  # (E, 1, 1, 2)
    places, bounds = _places(cfg, problems), action_bounds(cfg)

    def cost_fn(actions: Tensor) -> Tensor:
        return (places(actions) - goal).square().sum(-1).sum(-1)

    return Thrusts(cost_fn, bounds, bounds.middle.expand(count, horizon, -1))


def _places(cfg: Config, problems: Problems) -> Callable[[Tensor], Tensor]:
    """Actions (E, S, H, A) -> places (E, S, H, 2) by the true dynamics."""
    oracle = Oracle(cfg.task, cfg.world, problems.scene)
    z_past = oracle.encode(None, problems.start).unsqueeze(1)
    a_past = torch.zeros(len(z_past), 0, 2)
    return lambda actions: oracle.goal_features(rollout(oracle, z_past, a_past, actions))


def _wander(cfg: Config, problems: Problems, generator: torch.Generator) -> Tensor:
    """x (E, H, 1) of targets that start at the goals and turn left or right by chance."""
    turns = random_actions(cfg, len(problems.goal), STEPS, generator)
    path = advance_all(cfg.task, cfg.world, problems.goal, problems.scene, turns)
    return path[:, 1:, 0, :1]
