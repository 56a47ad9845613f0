"""Every planner against optima that are known: are plans bad because of the model or the search?

planner_bench: the dynamics are true, so what is missed is the planner's fault alone
(``bench_problems`` says what the problems are). Discrete: 400 problems whose best sequence is
known, since the cost of all is asked; each planner may ask for a tenth of that. Continuous: regret,
the cost beyond the best that is known, which a search of a hundred times the calls, started twice,
or any planner found. Settings are chosen on other problems, among equally many for each planner
that has any.

planner_timing, on an idle machine: milliseconds per plan of one continuous problem on one thread,
medians of 21 plans; then every planner's iterations are set so that it takes as long as CEM, and
its regret is measured again.
"""

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from common.harness.config import options_of
from common.intervals import bootstrap_seed_episode, mean_interval, share_interval
from common.schedules import stream
from part5_action_planning.config import PlannerConfig
from part5_action_planning.planning.discrete import DiscreteConfig, plan_discrete
from part5_action_planning.planning.planners import plan
from part5_action_planning.planning.search_state import CostFn, Plan
from part5_action_planning.studies import milliseconds, write_study
from part5_action_planning.studies.bench_problems import (
    CALLS,
    COSTS,
    STEPS,
    BenchStream,
    Thrusts,
    continuous_problems,
    discrete_cost,
)

DISCRETE_PROBLEMS, DISCRETE_CHOICE = 400, 100  # of the test, and to choose settings on
CONTINUOUS_PROBLEMS, CONTINUOUS_CHOICE, HORIZONS = 40, 20, (5, 15)
TIMED_RUNS, TIE = 21, 1e-6
SAMPLES, ITERATIONS = 128, 6  # 768 calls, which the gradient planner divides otherwise
LONGER, RESTARTS = 100, 2  # of the long search
DISCRETE = DiscreteConfig(
    kind="random", horizon=STEPS, num_samples=CALLS, smoothing=0.1, keep_share=0.5, temperature=0.2
)
CONTINUOUS = PlannerConfig(
    kind="random", horizon=1, num_samples=SAMPLES, num_iterations=ITERATIONS, min_std=0.01,
    momentum=0.0,
)  # fmt: skip


def discrete_settings(kind: str) -> list[DiscreteConfig]:
    """What is tried on the validation problems, all within CALLS: 18 for each that searches."""
    if kind == "random":
        return [DISCRETE]
    found, shapes = [], ((163, 10), (109, 15))
    for (samples, iterations), smoothing in itertools.product(shapes, (0.05, 0.1, 0.15)):
        sizes = {"num_samples": samples, "num_iterations": iterations}
        made = replace(DISCRETE, kind=kind, smoothing=smoothing, **sizes)
        if kind == "mppi":
            found += [replace(made, temperature=value) for value in (0.1, 0.2, 0.4)]
        else:
            found += [replace(made, num_elites=round(samples * q)) for q in (0.05, 0.1, 0.2)]
    return found


def continuous_settings(kind: str, horizon: int) -> list[PlannerConfig]:
    """The same for continuous actions, all of 768 calls: 24 for each that searches."""
    base = replace(CONTINUOUS, kind=kind, horizon=horizon)
    if kind == "random":
        return [base]
    grid, shapes = {"min_std": (0.01, 0.1, 0.3), "num_elites": (4, 8, 16, 32)}, ((128, 6), (64, 12))
    if kind == "mppi":
        grid = {"min_std": (0.01, 0.1, 0.3), "temperature": (0.02, 0.05, 0.1, 0.3)}
    if kind == "gradient":  # starts x (steps + 1) calls
        grid = {"init_std": (0.3, 0.7, 1.4), "step_size": (0.1, 0.2, 0.4, 0.8)}
        shapes = ((32, 23), (64, 11))
    return [
        replace(
            base, num_samples=samples, num_iterations=rounds, **dict(zip(grid, values, strict=True))
        )
        for (samples, rounds), *values in itertools.product(shapes, *grid.values())
    ]


def best_setting(settings: Sequence[Any], loss: Callable[[Any], float]) -> Any:
    """The setting of the lowest loss; the only one is not tried."""
    return settings[0] if len(settings) == 1 else min(settings, key=loss)


def used_settings(cfg: DiscreteConfig | PlannerConfig) -> dict[str, Any]:
    """The settings that the config's planner reads."""
    used = {}
    for name, field in options_of(type(cfg)).items():
        when = (field.json_schema_extra or {}).get("when", "").split(" & ")[0]
        if not when.startswith("kind=") or cfg.kind in when.removeprefix("kind=").split("|"):
            used[name] = getattr(cfg, name)
    return used


def over_problems(values: Tensor) -> dict[str, Any]:
    """Mean of one value per problem (E,), with its bootstrap interval."""
    return bootstrap_seed_episode(values.unsqueeze(0), stream(0, BenchStream.BOOTSTRAP))


def optimum(cost_fn: CostFn, count: int) -> Tensor:
    """The least cost (E,) of all sequences."""
    everything, chance = replace(DISCRETE, kind="enumerate"), stream(0, BenchStream.OPTIMUM)
    return plan_discrete(everything, cost_fn, 2, count, chance).cost


def bench_discrete() -> tuple[dict[str, Any], dict[str, DiscreteConfig]]:
    """Variants "<cost>/<planner>", and the settings by planner."""
    costs, best, variants, chosen = {}, {}, {}, {}
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

    for kind in ("random", "cem", "icem", "mppi"):
        chosen[f"discrete/{kind}"] = cfg = best_setting(discrete_settings(kind), missed)
        for cost in COSTS:
            beyond, found = excess(cfg, "test", cost)
            hits, params = (beyond <= TIE).double().mean().item(), {"cost": cost, "planner": kind}
            metrics = {
                "found": share_interval([hits], len(beyond)),
                "regret": over_problems(beyond),
                "calls": mean_interval([found.calls]),
            }
            variants[f"{cost}/{kind}"] = {"params": params, "metrics": metrics}
            print(f"{cost}/{kind}: optimum found {hits:.4f}", flush=True)
    return variants, chosen


def search(cfg: PlannerConfig, problems: Thrusts, chance: int = BenchStream.SEARCH) -> Plan:
    return plan(cfg, problems.cost_fn, problems.bounds, problems.start, stream(0, chance))


def long_search(problems: Thrusts, horizon: int) -> Tensor:
    """The least cost (E,) that CEM finds in RESTARTS searches of LONGER times the calls."""
    patient = replace(
        CONTINUOUS, kind="cem", horizon=horizon, num_samples=8 * SAMPLES, num_elites=64,
        num_iterations=LONGER * ITERATIONS // 8, momentum=0.2, min_std=1e-4,
    )  # fmt: skip
    chances = range(BenchStream.LONG_SEARCH, BenchStream.LONG_SEARCH + RESTARTS)
    return torch.stack([search(patient, problems, chance).cost for chance in chances]).amin(0)


def choose_continuous(horizon: int) -> dict[str, PlannerConfig]:
    """The settings of each planner whose plans cost least on the validation problems."""
    problems = continuous_problems(horizon, CONTINUOUS_CHOICE, "validation")

    def loss(cfg: PlannerConfig) -> float:
        return search(cfg, problems).cost.log().mean().item()

    kinds = ("random", "cem", "icem", "mppi", "gradient")
    return {kind: best_setting(continuous_settings(kind, horizon), loss) for kind in kinds}


def bench_continuous(settings: dict[str, PlannerConfig], horizon: int) -> dict[str, Any]:
    """Variants "horizon<h>/<planner>" of so many settings, and of the long search."""
    problems = continuous_problems(horizon, CONTINUOUS_PROBLEMS, "test")
    found = {kind: search(cfg, problems) for kind, cfg in settings.items()}
    return regrets(found, long_search(problems, horizon), horizon)


def regrets(found: Mapping[str, Plan], known: Tensor, horizon: int) -> dict[str, Any]:
    """Regret of plans as a share of the best cost that anything found, known (E,) among them."""
    best = torch.stack([known, *(one.cost for one in found.values())]).amin(0)
    costs = {kind: (one.cost, one.calls) for kind, one in found.items()}
    costs["long search"] = (known, RESTARTS * LONGER * SAMPLES * ITERATIONS)
    variants: dict[str, Any] = {}
    for kind, (cost, calls) in costs.items():
        regret = cost / best - 1
        metrics = {
            "regret": over_problems(regret),
            "within_1_percent": over_problems((regret <= 0.01).double()),
            "calls": mean_interval([calls]),
        }
        params = {"horizon": horizon, "planner": kind}
        variants[f"horizon{horizon}/{kind}"] = {"params": params, "metrics": metrics}
        print(f"horizon{horizon}/{kind}: regret {metrics['regret']['mean']:.4f}", flush=True)
    return variants


def time_continuous(settings: dict[str, PlannerConfig], horizon: int) -> dict[str, Any]:
    """Milliseconds at equal calls, regret at equal seconds; the settings become those of these."""
    single = continuous_problems(horizon, 1, "test")

    def ms_per_plan(cfg: PlannerConfig) -> float:
        return statistics.median(milliseconds(lambda: search(cfg, single), TIMED_RUNS))

    took = {kind: ms_per_plan(cfg) for kind, cfg in settings.items()}
    for kind, cfg in settings.items():
        rounds = max(1, round(cfg.num_iterations * took["cem"] / took[kind]))
        settings[kind] = replace(cfg, num_iterations=rounds)
    variants = bench_continuous(settings, horizon)
    del variants[f"horizon{horizon}/long search"]
    for kind, cfg in settings.items():
        variants[f"horizon{horizon}/{kind}"]["metrics"] |= {
            "ms_equal_calls": mean_interval([took[kind]]),
            "ms_equal_seconds": mean_interval([ms_per_plan(cfg)]),
        }
    return variants


def both_horizons(
    measure: Callable[[dict[str, PlannerConfig], int], dict[str, Any]],
    variants: dict[str, Any], chosen: dict[str, Any], **protocol: Any,
) -> dict[str, Any]:  # fmt: skip
    """What ``write_results`` is given: some variants and their settings, and those of thrust."""
    for horizon in HORIZONS:
        settings = choose_continuous(horizon)
        variants |= measure(settings, horizon)
        chosen |= {f"horizon{horizon}/{kind}": cfg for kind, cfg in settings.items()}
    protocol |= {
        "continuous_problems": CONTINUOUS_PROBLEMS,
        "continuous_calls": SAMPLES * ITERATIONS,
        "long_search": f"CEM, {LONGER} times the calls, best of {RESTARTS} searches",
        "settings": {row: used_settings(cfg) for row, cfg in chosen.items()},
    }
    return {"variants": variants, "protocol": protocol, "seeds": [0]}


def planner_bench() -> None:
    discrete = {"discrete_problems": DISCRETE_PROBLEMS, "discrete_calls": CALLS, "tie": TIE}
    bounds = {"bounds": {"enumeration": {"calls": mean_interval([2**STEPS])}}}

    def measure() -> dict[str, Any]:
        return both_horizons(bench_continuous, *bench_discrete(), **discrete) | bounds

    write_study("planner_bench", measure, __doc__)


def planner_timing() -> None:
    def measure() -> dict[str, Any]:
        timed = {"threads": torch.get_num_threads(), "timed_runs": TIMED_RUNS}
        return both_horizons(time_continuous, {}, {}, **timed)

    write_study("planner_timing", measure, __doc__)
