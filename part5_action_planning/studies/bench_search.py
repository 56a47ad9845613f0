"""The planners of the bench: their settings, how those are chosen, and what a plan is worth."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from common.harness.results import format_interval
from common.intervals import bootstrap_seed_episode, mean_interval
from common.schedules import stream
from part5_action_planning.planning.discrete import DiscreteConfig
from part5_action_planning.planning.planners import PlannerConfig, plan
from part5_action_planning.planning.search_state import Plan
from part5_action_planning.studies.bench_problems import CALLS, STEPS, Problems, continuous_problems

HORIZONS = (5, 15)
CONTINUOUS_PROBLEMS, CONTINUOUS_CHOICE = 40, 20
SAMPLES, ITERATIONS = 128, 6  # 768 calls, which the gradient planner divides otherwise
LONGER, RESTARTS = 100, 2

DISCRETE = DiscreteConfig(
    kind="random", horizon=STEPS, samples=CALLS, iterations=1, elites=1, smoothing=0.1,
    momentum=0.0, keep=0.5, temperature=0.2,
)  # fmt: skip
CONTINUOUS = PlannerConfig(
    kind="random", horizon=1, samples=SAMPLES, iterations=ITERATIONS, elites=16, init_std=0.7,
    min_std=0.01, momentum=0.0, noise_beta=1.0, keep=0.3, temperature=0.3, step_size=0.1,
)  # fmt: skip


def discrete_settings(kind: str) -> list[DiscreteConfig]:
    """What is tried on the validation problems, all within CALLS: 18 for each that searches."""
    if kind == "random":
        return [DISCRETE]
    found = []
    shapes = ((163, 10), (109, 15))
    for (samples, iterations), smoothing in itertools.product(shapes, (0.05, 0.1, 0.15)):
        made = replace(
            DISCRETE, kind=kind, samples=samples, iterations=iterations, smoothing=smoothing
        )
        if kind == "mppi":
            found += [replace(made, temperature=value) for value in (0.1, 0.2, 0.4)]
        else:
            found += [replace(made, elites=round(samples * q)) for q in (0.05, 0.1, 0.2)]
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
                replace(base, samples=starts, elites=1, iterations=steps, step_size=size)
                for (starts, steps), size in itertools.product(shapes, (0.1, 0.2, 0.4, 0.8))
            ]
        case "mppi":
            knob, values = "temperature", (0.05, 0.1, 0.2, 0.4)
        case _:
            knob, values = "elites", (4, 8, 16, 32)
    shapes = ((128, 6), (64, 12))
    return [
        replace(base, samples=samples, iterations=iterations, **{knob: value})
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


def search(cfg: PlannerConfig, problems: Problems) -> Plan:
    return plan(cfg, problems.score, problems.bounds, problems.start, stream(0, 2))


def long_search(problems: Problems, horizon: int) -> Tensor:
    """The least cost (E,) that CEM finds in RESTARTS searches of LONGER times the calls."""
    patient = replace(
        CONTINUOUS, kind="cem", horizon=horizon, samples=8 * SAMPLES, elites=64,
        iterations=LONGER * ITERATIONS // 8, momentum=0.2, min_std=1e-4,
    )  # fmt: skip
    found = [
        plan(patient, problems.score, problems.bounds, problems.start, stream(0, 20 + i)).cost
        for i in range(RESTARTS)
    ]
    return torch.stack(found).amin(0)


def regrets(found: dict[str, Plan], known: Tensor, horizon: int) -> dict[str, Any]:
    """Arms "horizon<h>/<planner>": regret as a share of the best cost that anything found."""
    best = torch.stack([known, *(one.cost for one in found.values())]).amin(0)
    arms: dict[str, Any] = {}
    for kind, one in found.items():
        regret = one.cost / best - 1
        arms[f"horizon{horizon}/{kind}"] = {
            "regret": over_problems(regret),
            "within_1_percent": over_problems((regret <= 0.01).double()),
            "calls": mean_interval([one.calls]),
        }
        print(f"horizon{horizon}/{kind}: regret", end=" ")
        print(format_interval(arms[f"horizon{horizon}/{kind}"]["regret"], 4), flush=True)
    arms[f"horizon{horizon}/long search"] = {
        "regret": over_problems(known / best - 1),
        "within_1_percent": over_problems((known / best <= 1.01).double()),
        "calls": mean_interval([RESTARTS * LONGER * SAMPLES * ITERATIONS]),
    }
    return arms


def over_problems(values: Tensor) -> dict[str, Any]:
    """Mean of one value per problem (E,), with its bootstrap interval."""
    return bootstrap_seed_episode(values.unsqueeze(0), stream(0, 9))


def used_settings(cfg: DiscreteConfig | PlannerConfig) -> dict[str, Any]:
    """The settings without those that only other planners read."""
    unread = {
        "random": {"elites", "smoothing", "init_std", "min_std", "momentum"},
        "gradient": {"elites", "min_std", "momentum"},
        "mppi": {"elites"},
    }
    own = {"keep": "icem", "noise_beta": "icem", "temperature": "mppi", "step_size": "gradient"}
    return {
        key: value
        for key, value in asdict(cfg).items()
        if key not in unread.get(cfg.kind, ()) and own.get(key, cfg.kind) == cfg.kind
    }
