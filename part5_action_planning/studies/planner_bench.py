"""Every planner against optima that are known: are plans bad because of the model or the search?

    python part5_action_planning/planner_bench.py            -> results/planner_bench.json

The dynamics are true, so what is missed is the planner's fault alone (``bench_problems`` says what
the problems are). Discrete: 400 problems whose best sequence is known, since all are scored; each
planner may ask for a tenth of that. Continuous: regret, the cost beyond the best that is known,
which a search of a hundred times the calls, started twice, or any planner found. Settings are
chosen on other problems, among equally many for each planner that has any.
"""

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from common.harness.errors import no_options, run_script
from common.harness.results import write_results
from common.intervals import mean_interval, wilson
from common.schedules import stream
from part5_action_planning.config import PART
from part5_action_planning.planning.discrete import DiscreteConfig, plan_discrete
from part5_action_planning.planning.search_state import Plan, Score
from part5_action_planning.studies.bench_problems import (
    CALLS,
    COSTS,
    STEPS,
    continuous_problems,
    discrete_score,
)
from part5_action_planning.studies.bench_search import (
    CONTINUOUS_PROBLEMS,
    DISCRETE,
    HORIZONS,
    ITERATIONS,
    LONGER,
    RESTARTS,
    SAMPLES,
    best_setting,
    choose_continuous,
    discrete_settings,
    long_search,
    over_problems,
    regrets,
    search,
    used_settings,
)

DISCRETE_PROBLEMS, DISCRETE_CHOICE = 400, 100
TIE = 1e-6


def optimum(score: Score, count: int) -> Tensor:
    """The least cost (E,) of all sequences."""
    everything = replace(DISCRETE, kind="enumerate")
    return plan_discrete(everything, score, 2, count, stream(0, 0)).cost


def bench_discrete() -> tuple[dict[str, Any], dict[str, Any]]:
    """Arms "<cost>/<planner>", and the settings by planner."""
    scores, best = {}, {}
    for split, count in (("validation", DISCRETE_CHOICE), ("test", DISCRETE_PROBLEMS)):
        for cost in COSTS:
            scores[split, cost] = discrete_score(cost, count, split)
            best[split, cost] = optimum(scores[split, cost], count)

    def excess(cfg: DiscreteConfig, split: str, cost: str) -> tuple[Tensor, Plan]:
        known = best[split, cost]
        found = plan_discrete(cfg, scores[split, cost], 2, len(known), stream(0, 1))
        return found.cost - known, found

    def missed(cfg: DiscreteConfig) -> float:
        beyond = [excess(cfg, "validation", cost)[0] for cost in COSTS[1:]]  # the first is trivial
        return (torch.cat(beyond) > TIE).double().mean().item()

    arms, chosen = {}, {}
    for kind in ("random", "cem", "icem", "mppi"):
        chosen[f"discrete/{kind}"] = cfg = best_setting(discrete_settings(kind), missed)
        for cost in COSTS:
            beyond, found = excess(cfg, "test", cost)
            hits = int((beyond <= TIE).sum())
            low, high = wilson(hits, len(beyond))
            share = hits / len(beyond)
            arms[f"{cost}/{kind}"] = {
                "found": {"mean": share, "low": low, "high": high, "n": 1, "values": [share]},
                "regret": over_problems(beyond),
                "calls": mean_interval([found.calls]),
            }
            print(f"{cost}/{kind}: optimum found {share:.4f} [{low:.4f}, {high:.4f}]", flush=True)
    return arms, chosen


def bench() -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything at equal calls."""
    arms, chosen = bench_discrete()
    for horizon in HORIZONS:
        settings = choose_continuous(horizon)
        problems = continuous_problems(horizon, CONTINUOUS_PROBLEMS, "test")
        found = {kind: search(cfg, problems) for kind, cfg in settings.items()}
        arms |= regrets(found, long_search(problems, horizon), horizon)
        chosen |= {f"horizon{horizon}/{kind}": cfg for kind, cfg in settings.items()}
    return arms, chosen


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)
    with torch.no_grad():
        arms, chosen = bench()
    write_results(
        PART / "results" / "planner_bench.json",
        "python part5_action_planning/planner_bench.py",
        protocol={
            "discrete_problems": DISCRETE_PROBLEMS,
            "discrete_calls": CALLS,
            "tie": TIE,
            "continuous_problems": CONTINUOUS_PROBLEMS,
            "continuous_calls": SAMPLES * ITERATIONS,
            "long_search": f"CEM, {LONGER} times the calls, best of {RESTARTS} searches",
            "settings": {row: used_settings(cfg) for row, cfg in chosen.items()},
        },
        seconds=time.monotonic() - begin,
        seeds=[0],
        arms=arms,
        bounds={"enumeration": {"calls": mean_interval([2**STEPS])}},
    )


if __name__ == "__main__":
    run_script(main)
