"""Every planner against optima that are known: are plans bad because of the model or the search?

The dynamics are true, so what is missed is the planner's fault alone (``bench_problems`` says what
the problems are). Discrete: 400 problems whose best sequence is known, since all are scored; each
planner may ask for a tenth of that. Continuous: regret, the cost beyond the best that is known,
which a search of a hundred times the calls, started twice, or any planner found. Settings are
chosen on other problems, among equally many for each planner that has any.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from common.intervals import mean_interval, share_interval
from common.schedules import stream
from part5_action_planning.config import DiscreteConfig
from part5_action_planning.planning.discrete import plan_discrete
from part5_action_planning.planning.search_state import CostFn, Plan
from part5_action_planning.studies import write_study
from part5_action_planning.studies.bench_problems import (
    CALLS,
    COSTS,
    STEPS,
    BenchStream,
    continuous_problems,
    discrete_cost,
)
from part5_action_planning.studies.bench_search import (
    CONTINUOUS_PROBLEMS,
    DISCRETE,
    HORIZONS,
    best_setting,
    choose_continuous,
    continuous_protocol,
    discrete_settings,
    long_search,
    over_problems,
    regrets,
    search,
)

DISCRETE_PROBLEMS, DISCRETE_CHOICE = 400, 100
TIE = 1e-6


def optimum(cost_fn: CostFn, count: int) -> Tensor:
    """The least cost (E,) of all sequences."""
    everything = replace(DISCRETE, kind="enumerate")
    return plan_discrete(everything, cost_fn, 2, count, stream(0, BenchStream.OPTIMUM)).cost


def bench_discrete() -> tuple[dict[str, Any], dict[str, Any]]:
    """Variants "<cost>/<planner>", and the settings by planner."""
    costs, best = {}, {}
    for split, count in (("validation", DISCRETE_CHOICE), ("test", DISCRETE_PROBLEMS)):
        for cost in COSTS:
            costs[split, cost] = discrete_cost(cost, count, split)
            best[split, cost] = optimum(costs[split, cost], count)

    def excess(cfg: DiscreteConfig, split: str, cost: str) -> tuple[Tensor, Plan]:
        known, chance = best[split, cost], stream(0, BenchStream.DISCRETE_SEARCH)
        found = plan_discrete(cfg, costs[split, cost], 2, len(known), chance)
        return found.cost - known, found

    def missed(cfg: DiscreteConfig) -> float:
        beyond = [excess(cfg, "validation", cost)[0] for cost in COSTS[1:]]  # the first is trivial
        return (torch.cat(beyond) > TIE).double().mean().item()

    variants, chosen = {}, {}
    for kind in ("random", "cem", "icem", "mppi"):
        chosen[f"discrete/{kind}"] = cfg = best_setting(discrete_settings(kind), missed)
        for cost in COSTS:
            beyond, found = excess(cfg, "test", cost)
            hits = (beyond <= TIE).double().mean().item()
            metrics = {
                "found": share_interval([hits], len(beyond)),
                "regret": over_problems(beyond),
                "calls": mean_interval([found.calls]),
            }
            params = {"cost": cost, "planner": kind}
            variants[f"{cost}/{kind}"] = {"params": params, "metrics": metrics}
            print(f"{cost}/{kind}: optimum found {hits:.4f}", flush=True)
    return variants, chosen


def bench() -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything at equal calls."""
    variants, chosen = bench_discrete()
    for horizon in HORIZONS:
        settings = choose_continuous(horizon)
        problems = continuous_problems(horizon, CONTINUOUS_PROBLEMS, "test")
        found = {kind: search(cfg, problems) for kind, cfg in settings.items()}
        variants |= regrets(found, long_search(problems, horizon), horizon)
        chosen |= {f"horizon{horizon}/{kind}": cfg for kind, cfg in settings.items()}
    return variants, chosen


def measure() -> dict[str, Any]:
    variants, chosen = bench()
    return {
        "variants": variants,
        "bounds": {"enumeration": {"calls": mean_interval([2**STEPS])}},
        "protocol": {
            "discrete_problems": DISCRETE_PROBLEMS,
            "discrete_calls": CALLS,
            "tie": TIE,
            **continuous_protocol(chosen),
        },
        "seeds": [0],
    }


def main() -> None:
    write_study("planner_bench", measure, __doc__)
