"""Planning problems with true dynamics, whose optima are known, or sought at great length.

Discrete: one step to the left or to the right on the posts' lattice, 14 times, so that all 16,384
sequences can be scored. Costs are squared distances in steps, whole numbers, so that ties are ties:

    last     to a goal, at the last step: many sequences are optimal, and any search finds one
    sum      to a goal, summed over all steps: go there straight, then step to and fro
    track    to a moving target, summed: catch up with it, then follow; often a single optimum

Continuous: thrust on a ball (``reach``), squared px to the goal, summed over the horizon.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.harness.config import load_config
from common.schedules import stream
from part5_action_planning.config import BASELINE, Config
from part5_action_planning.data.recordings import random_actions
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import action_bounds
from part5_action_planning.planning.rollout import distance, rollout, total_cost
from part5_action_planning.planning.search_state import Bounds, Score
from part5_action_planning.tasks.goals import sample_episodes
from part5_action_planning.tasks.rules import Episodes, advance, choices

STEPS = 14  # of a discrete problem
CALLS = 2**STEPS // 10  # rollouts that a planner may ask for: 1,638, a tenth of all sequences
COSTS = ("last", "sum", "track")
PURPOSES = {"validation": 70, "test": 80}  # streams of chance: settings are chosen on the first


@dataclass(frozen=True)
class Problems:
    """So many problems at once: what a planner gets. start (E, H, A) is the middle of bounds."""

    score: Score
    bounds: Bounds
    start: Tensor


def discrete_score(cost: str, count: int, split: str) -> Score:
    """The score of ``count`` problems: indices (E, S, H) of left and right -> cost (E, S)."""
    settings = {"task.budget": STEPS, "planner.horizon": STEPS}
    cfg = load_config(Config, [BASELINE, BASELINE.with_name("left_right.yaml")], settings)
    generator = stream(-1, PURPOSES[split])
    problems = sample_episodes(cfg.task, cfg.world, count, generator)
    target = problems.goal[..., :1].expand(-1, STEPS, -1)  # (E, H, 1)
    if cost == "track":
        target = _wander(cfg, problems, generator)
    options, speed = choices(cfg.task), cfg.world.speeds[0]
    assert options is not None
    imagine = _imagine(cfg, problems)

    def score(index: Tensor) -> Tensor:
        away = imagine(options[index])[..., :1] - target.unsqueeze(1)  # (E, S, H, 1)
        steps = (away / speed).round()
        return total_cost(steps.square().sum(-1), "last" if cost == "last" else "sum")

    return score


def continuous_problems(horizon: int, count: int, split: str) -> Problems:
    """``count`` problems whose score takes thrusts (E, S, H, 2) to their cost (E, S)."""
    cfg = load_config(Config, [BASELINE], {"planner.horizon": horizon})
    problems = sample_episodes(cfg.task, cfg.world, count, stream(-1, PURPOSES[split] + 1))
    goal = problems.goal[:, :, None, :2]  # (E, 1, 1, 2)
    imagine, bounds = _imagine(cfg, problems), action_bounds(cfg)

    def score(actions: Tensor) -> Tensor:
        return total_cost(distance(imagine(actions), goal, "l2"), "sum")

    return Problems(score, bounds, bounds.middle.expand(count, horizon, -1))


def _imagine(cfg: Config, problems: Episodes) -> Score:
    """Actions (E, S, H, A) -> places (E, S, H, 2) by the true dynamics."""
    oracle = Oracle(cfg.task, cfg.world, problems.scene)
    z_past = oracle.observe(None, problems.start).unsqueeze(1)
    a_past = torch.zeros(len(z_past), 0, 2)
    return lambda actions: oracle.compared(rollout(oracle, z_past, a_past, actions))


def _wander(cfg: Config, problems: Episodes, generator: torch.Generator) -> Tensor:
    """x (E, H, 1) of targets that start at the goals and turn left or right by chance."""
    state, places = problems.goal, []
    turns = random_actions(cfg.task, cfg.world, len(state), STEPS, 0.0, generator)
    for t, heading in enumerate(turns.unbind(1)):
        state = advance(cfg.task, cfg.world, state, problems.scene, heading, t)
        places.append(state[:, 0, :1])
    return torch.stack(places, 1)
