"""The planners of the bench: their settings, how those are chosen, and what a plan is worth."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from common.intervals import bootstrap_seed_episode, mean_interval
from common.schedules import stream
from part5_action_planning.config import DiscreteConfig, PlannerConfig
from part5_action_planning.planning.planners import plan
from part5_action_planning.planning.search_state import Plan
from part5_action_planning.studies.bench_problems import (
    CALLS,
    STEPS,
    BenchStream,
    Thrusts,
    continuous_problems,
)

HORIZONS = (5, 15)
CONTINUOUS_PROBLEMS, CONTINUOUS_CHOICE = 40, 20
SAMPLES, ITERATIONS = 128, 6  # 768 calls, which the gradient planner divides otherwise
LONGER, RESTARTS = 100, 2

DISCRETE = DiscreteConfig(
    kind="random", horizon=STEPS, num_samples=CALLS, num_iterations=1, num_elites=1, smoothing=0.1,
    momentum=0.0, keep_share=0.5, temperature=0.2,
)  # fmt: skip
CONTINUOUS = PlannerConfig(
    kind="random", horizon=1, num_samples=SAMPLES, num_iterations=ITERATIONS, num_elites=16,
    init_std=0.7, min_std=0.01, momentum=0.0, noise_beta=1.0, keep_share=0.3, temperature=0.3,
    step_size=0.1,
)  # fmt: skip


def discrete_settings(kind: str) -> list[DiscreteConfig]:
    """What is tried on the validation problems, all within CALLS: 18 for each that searches."""
    if kind == "random":
        return [DISCRETE]
    found = []
    shapes = ((163, 10), (109, 15))
    for (samples, iterations), smoothing in itertools.product(shapes, (0.05, 0.1, 0.15)):
        made = replace(
            DISCRETE, kind=kind, num_samples=samples, num_iterations=iterations, smoothing=smoothing
        )
        if kind == "mppi":
            found += [replace(made, temperature=value) for value in (0.1, 0.2, 0.4)]
        else:
            found += [replace(made, num_elites=round(samples * q)) for q in (0.05, 0.1, 0.2)]
    return found


def continuous_settings(kind: str, horizon: int) -> list[PlannerConfig]:
    """The same for continuous actions, all of 768 calls: 8 for each that searches."""
    base = replace(CONTINUOUS, kind=kind, horizon=horizon)
    match kind:
        case "random":
            return [base]
        case "gradient":  # starts x (steps + 1) calls
            shapes = ((32, 23), (64, 11))
            return [
                replace(
                    base, num_samples=starts, num_elites=1, num_iterations=steps, step_size=size
                )
                for (starts, steps), size in itertools.product(shapes, (0.1, 0.2, 0.4, 0.8))
            ]
        case "mppi":
            option, values = "temperature", (0.05, 0.1, 0.2, 0.4)
        case _:
            option, values = "num_elites", (4, 8, 16, 32)
    shapes = ((128, 6), (64, 12))
    return [
        replace(base, num_samples=samples, num_iterations=iterations, **{option: value})
        for (samples, iterations), value in itertools.product(shapes, values)
    ]


def best_setting(settings: Sequence[Any], loss: Callable[[Any], float]) -> Any:
    """The setting of the lowest loss; the only one is not tried."""
    return settings[0] if len(settings) == 1 else min(settings, key=loss)


def choose_continuous(horizon: int) -> dict[str, PlannerConfig]:
    """The settings of each planner whose plans cost least on the validation problems."""
    problems = continuous_problems(horizon, CONTINUOUS_CHOICE, "validation")

    def loss(cfg: PlannerConfig) -> float:
        return search(cfg, problems).cost.log().mean().item()

    return {
        kind: best_setting(continuous_settings(kind, horizon), loss)
        for kind in ("random", "cem", "icem", "mppi", "gradient")
    }


def search(cfg: PlannerConfig, problems: Thrusts) -> Plan:
    return plan(
        cfg, problems.cost_fn, problems.bounds, problems.start, stream(0, BenchStream.SEARCH)
    )


def long_search(problems: Thrusts, horizon: int) -> Tensor:
    """The least cost (E,) that CEM finds in RESTARTS searches of LONGER times the calls."""
    patient = replace(
        CONTINUOUS, kind="cem", horizon=horizon, num_samples=8 * SAMPLES, num_elites=64,
        num_iterations=LONGER * ITERATIONS // 8, momentum=0.2, min_std=1e-4,
    )  # fmt: skip
    found = [
        plan(
            patient,
            problems.cost_fn,
            problems.bounds,
            problems.start,
            stream(0, BenchStream.LONG_SEARCH + i),
        ).cost
        for i in range(RESTARTS)
    ]
    return torch.stack(found).amin(0)


def regrets(found: dict[str, Plan], known: Tensor, horizon: int) -> dict[str, Any]:
    """Variants "horizon<h>/<planner>": regret as a share of the best cost that anything found."""
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


def over_problems(values: Tensor) -> dict[str, Any]:
    """Mean of one value per problem (E,), with its bootstrap interval."""
    return bootstrap_seed_episode(values.unsqueeze(0), stream(0, BenchStream.BOOTSTRAP))


def used_settings(cfg: DiscreteConfig | PlannerConfig) -> dict[str, Any]:
    """The settings without those that only other planners read."""
    unread = {
        "random": {"num_elites", "smoothing", "init_std", "min_std", "momentum"},
        "gradient": {"num_elites", "min_std", "momentum"},
        "mppi": {"num_elites"},
    }
    own = {
        "keep_share": "icem",
        "noise_beta": "icem",
        "temperature": "mppi",
        "step_size": "gradient",
    }
    return {
        key: value
        for key, value in asdict(cfg).items()
        if key not in unread.get(cfg.kind, ()) and own.get(key, cfg.kind) == cfg.kind
    }


def continuous_protocol(chosen: Mapping[str, DiscreteConfig | PlannerConfig]) -> dict[str, Any]:
    """What the numbers of continuous problems depend on, and the settings of every planner."""
    return {
        "continuous_problems": CONTINUOUS_PROBLEMS,
        "continuous_calls": SAMPLES * ITERATIONS,
        "long_search": f"CEM, {LONGER} times the calls, best of {RESTARTS} searches",
        "settings": {row: used_settings(cfg) for row, cfg in chosen.items()},
    }
