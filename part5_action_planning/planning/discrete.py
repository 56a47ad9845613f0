"""Planners over a finite set of actions: enumeration, random shooting, and categorical forms.

As ``planners``, with each step's action one of C choices. The cost function sees indices
(E, S, H) of the choices, in int64. Categorical CEM, iCEM and MPPI keep one distribution over the
choices for every step, (E, H, C), and differ in how it is refitted and in what one iteration hands
to the next.
"""

from collections.abc import Callable
from typing import Literal, assert_never

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from common.harness.config import config, option
from part5_action_planning.config_checks import MAX_SEQUENCES, check_elites
from part5_action_planning.planning.search_state import CostFn, Plan, softmin

CHUNK = 4096  # sequences whose cost is asked at a time


@config
class DiscreteConfig:
    """How a sequence of choices is searched for; see ``config.PlannerConfig``."""

    kind: Literal["enumerate", "random", "cem", "icem", "mppi"]
    horizon: int = option(ge=1, le=1000)
    num_samples: int = option(1, ge=1, le=1_000_000)
    num_iterations: int = option(1, ge=1, le=10_000)
    num_elites: int = option(1, ge=1, le=1_000_000, when="kind=cem|icem")
    smoothing: float = option(0.0, ge=0, lt=0.5, when="kind=cem|icem|mppi")
    """Least probability of a choice: no choice is ever ruled out."""
    momentum: float = option(0.0, ge=0, lt=1, when="kind=cem|icem|mppi")
    keep_share: float = option(0.0, ge=0, le=1, when="kind=icem")
    """Share of the elites that iCEM keeps, as they are and with one step changed."""
    temperature: float = option(1.0, gt=0, le=1e6, when="kind=mppi")

    def __post_init__(self) -> None:
        check_elites(self.kind, self.num_elites, self.num_samples)


def plan_discrete(
    cfg: DiscreteConfig,
    cost_fn: CostFn,
    num_choices: int,
    num_episodes: int,
    generator: torch.Generator,
) -> Plan:
    """The plan of the config's planner: actions (E, H) are indices of the choices.

    Raises ValueError for fewer than two choices and smoothing that leaves nothing to choose.
    """
    if num_choices < 2 or num_choices * cfg.smoothing >= 1:
        raise ValueError(
            f"got {num_choices} choices and smoothing {cfg.smoothing}; wanted 2 choices or more, "
            "and smoothing below 1 / choices"
        )
    device = generator.device
    empty = torch.zeros(num_episodes, cfg.horizon, dtype=torch.long, device=device)
    found = Plan(empty, torch.full((num_episodes,), torch.inf, device=device), 0)
    match cfg.kind:
        case "enumerate":
            enumerate_all(cfg, cost_fn, num_choices, found)
        case "random":
            for _ in range(cfg.num_iterations):
                shape = (num_episodes, cfg.num_samples, cfg.horizon)
                drawn = torch.randint(num_choices, shape, generator=generator, device=device)
                found.improve(cost_fn, drawn)
        case "cem":
            categorical(cfg, cost_fn, num_choices, found, generator, refit_to_elites)
        case "icem":
            keep = cfg.keep_share
            categorical(cfg, cost_fn, num_choices, found, generator, refit_to_elites, keep)
        case "mppi":
            categorical(cfg, cost_fn, num_choices, found, generator, refit_to_all)
        case _:
            assert_never(cfg.kind)
    return found


def all_sequences(num_choices: int, horizon: int) -> Tensor:
    """Every sequence of choices, (C^H, H), in the order of counting.

    Raises ValueError for more than MAX_SEQUENCES of them.
    """
    if num_choices**horizon > MAX_SEQUENCES:
        raise ValueError(
            f"{num_choices} choices over {horizon} steps are {num_choices**horizon:,} sequences; "
            f"enumeration takes at most {MAX_SEQUENCES:,}: use a shorter horizon, or cem"
        )
    count = torch.arange(num_choices**horizon)
    place = num_choices ** torch.arange(horizon - 1, -1, -1)
    return count[:, None] // place % num_choices


def enumerate_all(cfg: DiscreteConfig, cost_fn: CostFn, num_choices: int, found: Plan) -> None:
    """The exact optimum: the cost of every sequence is asked (the first of equals is kept)."""
    for part in all_sequences(num_choices, cfg.horizon).to(found.cost.device).split(CHUNK):
        found.improve(cost_fn, part.expand(len(found.cost), -1, -1))


Refit = Callable[[DiscreteConfig, Tensor, Tensor], Tensor]


def categorical(
    cfg: DiscreteConfig,
    cost_fn: CostFn,
    num_choices: int,
    found: Plan,
    generator: torch.Generator,
    refit: Refit,
    keep_share: float = 0.0,
) -> None:
    """Draw from a distribution per step, refit it, and again; ``keep_share`` hands elites on.

    An elite that is kept is neither asked for nor counted again; copies of it with one step
    changed take its place among the samples.
    """
    episodes = len(found.cost)
    shape = (episodes, cfg.horizon, num_choices)
    share = torch.full(shape, 1 / num_choices, device=found.cost.device)
    kept, kept_cost = found.actions.unsqueeze(1)[:, :0], found.cost.unsqueeze(1)[:, :0]
    for _ in range(cfg.num_iterations):
        num_changed = kept.shape[1]
        flat = share.flatten(0, 1)  # (E H, C)
        drawn = torch.multinomial(
            flat, max(1, cfg.num_samples - num_changed), replacement=True, generator=generator
        )
        candidates = drawn.unflatten(0, (episodes, cfg.horizon)).transpose(1, 2)  # (E, S, H)
        if num_changed:
            candidates = torch.cat([change_one_step(kept, num_choices, generator), candidates], 1)
        cost = found.improve(cost_fn, candidates)
        pool, pool_cost = torch.cat([kept, candidates], 1), torch.cat([kept_cost, cost], 1)
        target = refit(cfg, one_hot(pool, num_choices).float(), pool_cost)  # (E, H, C)
        share = cfg.momentum * share + (1 - cfg.momentum) * target
        share = (1 - num_choices * cfg.smoothing) * share + cfg.smoothing
        if keep_share:
            best = pool_cost.argsort(dim=1, stable=True)[:, : round(keep_share * cfg.num_elites)]
            kept = pool.gather(1, best.unsqueeze(-1).expand(-1, -1, cfg.horizon))
            kept_cost = pool_cost.gather(1, best)


def refit_to_elites(cfg: DiscreteConfig, chosen: Tensor, cost: Tensor) -> Tensor:
    """Share of each choice among the elites: chosen (E, S, H, C), cost (E, S) -> (E, H, C)."""
    best = cost.argsort(dim=1, stable=True)[:, : cfg.num_elites]
    weight = softmin(torch.where(cost.gather(1, best).isfinite(), 0.0, torch.inf), 1.0)
    elites = chosen.gather(1, best[:, :, None, None].expand(-1, -1, *chosen.shape[2:]))
    return (weight[:, :, None, None] * elites).sum(1)  # equal weights, but for infinite costs


def refit_to_all(cfg: DiscreteConfig, chosen: Tensor, cost: Tensor) -> Tensor:
    """Share of each choice among all candidates, weighted by ``softmin`` of their cost."""
    return (softmin(cost, cfg.temperature)[:, :, None, None] * chosen).sum(1)


def change_one_step(sequences: Tensor, num_choices: int, generator: torch.Generator) -> Tensor:
    """Sequences (E, S, H) with another choice at one step each, drawn uniformly."""
    shape = (*sequences.shape[:2], 1)
    draw = {"size": shape, "generator": generator, "device": generator.device}
    where = torch.randint(0, sequences.shape[2], **draw)
    by = torch.randint(1, num_choices, **draw)
    changed = (sequences.gather(2, where) + by) % num_choices
    return sequences.scatter(2, where, changed)
