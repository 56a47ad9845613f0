"""Planning problems with true dynamics, whose optima are known or searched for at great length.

Discrete: one step to the left or to the right on the posts' lattice, 14 times, so that all 16,384
sequences can be scored. Three costs of the squared distance (px^2) along the way:

    last     to a goal, at the last step: hundreds of sequences are optimal, any search finds one
    sum      to a goal, summed: go there straight, then step to and fro
    track    to a moving target, summed: catch up with it, then follow it; nearly always one optimum

Continuous: thrust on a ball, ``reach``, squared distance to the goal summed over the horizon.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from common.config import load_config
from common.schedules import stream
from part5_action_planning.experiment import BASELINE, Config
from part5_action_planning.imagine import distance, rollout, total_cost
from part5_action_planning.models import Oracle
from part5_action_planning.plans import Score
from part5_action_planning.tasks import advance, choices, random_actions, sample_episodes

STEPS = 14  # of a discrete problem
CALLS = 2**STEPS // 10  # rollouts that a planner may ask for: 1,638, a tenth of all sequences
COSTS = ("last", "sum", "track")


def discrete_score(cost: str, count: int, purpose: int) -> Score:
    """The score of ``count`` problems: indices (E, S, H) of left and right -> cost (E, S)."""
    cfg = load_config(
        Config,
        [BASELINE, BASELINE.with_name("left_right.yaml")],
        {"task.budget": STEPS, "planner.horizon": STEPS},
    )
    generator = stream(-1, purpose)
    problems = sample_episodes(cfg.task, cfg.world, count, generator)
    target = problems.goal[..., :2].expand(-1, STEPS, -1)  # (E, H, 2)
    if cost == "track":
        moving, path = problems.goal, []
        wandering = random_actions(cfg.task, cfg.world, count, STEPS, 0.0, generator)
        for t, heading in enumerate(wandering.unbind(1)):
            moving = advance(cfg.task, cfg.world, moving, problems.scene, heading, t)
            path.append(moving[:, 0, :2])
        target = torch.stack(path, 1)
    options = choices(cfg.task)
    assert options is not None
    scored = _score(cfg, problems.start, problems.scene, target, "last" if cost == "last" else "sum")
    return lambda index: scored(options[index])


def continuous_score(horizon: int, count: int, purpose: int) -> tuple[Score, Config]:
    """The score of ``count`` problems: thrusts (E, S, H, 2) -> cost (E, S), and their config."""
    cfg = load_config(Config, [BASELINE], {"planner.horizon": horizon})
    problems = sample_episodes(cfg.task, cfg.world, count, stream(-1, purpose))
    target = problems.goal[..., :2].expand(-1, horizon, -1)  # (E, H, 2)
    return _score(cfg, problems.start, problems.scene, target, "sum"), cfg


def _score(cfg: Config, start: Tensor, scene, target: Tensor, when: str) -> Callable:
    oracle = Oracle(cfg.task, cfg.world, scene)
    z_past = oracle.observe(None, start).unsqueeze(1)
    a_past = torch.zeros(len(start), 0, 2)

    def score(actions: Tensor) -> Tensor:
        z = oracle.compared(rollout(oracle, z_past, a_past, actions))  # (E, S, H, 2)
        return total_cost(distance(z, target.unsqueeze(1), "l2"), when)

    return score
