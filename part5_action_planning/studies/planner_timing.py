"""How long a plan takes, and which planner is best when all may think equally long.

On an idle machine. Milliseconds per plan of one problem with true dynamics on one thread, at the
768 calls of ``planner_bench``; then every planner's iterations are set so that it takes as long as
CEM, and its regret is measured again. Medians of 21 plans.
"""

import statistics
import time
from dataclasses import replace
from typing import Any

import torch

from common.intervals import mean_interval
from part5_action_planning.config import PlannerConfig
from part5_action_planning.studies import write_study
from part5_action_planning.studies.bench_problems import Thrusts, continuous_problems
from part5_action_planning.studies.bench_search import (
    CONTINUOUS_PROBLEMS,
    HORIZONS,
    choose_continuous,
    continuous_protocol,
    long_search,
    regrets,
    search,
)

TIMED_RUNS = 21


def seconds_per_plan(cfg: PlannerConfig, problems: Thrusts) -> float:
    """Median of TIMED_RUNS plans of one problem."""
    times = []
    for _ in range(TIMED_RUNS + 1):  # the first is not counted
        begin = time.perf_counter()
        search(cfg, problems)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def time_planners() -> tuple[dict[str, Any], dict[str, Any]]:
    """Milliseconds at equal calls, and regret at equal seconds."""
    variants, chosen = {}, {}
    for horizon in HORIZONS:
        settings, single = choose_continuous(horizon), continuous_problems(horizon, 1, "test")
        took = {kind: seconds_per_plan(cfg, single) for kind, cfg in settings.items()}
        timed = {
            kind: replace(
                cfg, num_iterations=max(1, round(cfg.num_iterations * took["cem"] / took[kind]))
            )
            for kind, cfg in settings.items()
        }
        problems = continuous_problems(horizon, CONTINUOUS_PROBLEMS, "test")
        found = {kind: search(cfg, problems) for kind, cfg in timed.items()}
        rows = regrets(found, long_search(problems, horizon), horizon)
        for kind, cfg in timed.items():
            row = variants[f"horizon{horizon}/{kind}"] = rows[f"horizon{horizon}/{kind}"]
            row["metrics"] |= {
                "ms_equal_calls": mean_interval([1e3 * took[kind]]),
                "ms_equal_seconds": mean_interval([1e3 * seconds_per_plan(cfg, single)]),
            }
        chosen |= {f"horizon{horizon}/{kind}": cfg for kind, cfg in timed.items()}
    return variants, chosen


def measure() -> dict[str, Any]:
    variants, chosen = time_planners()
    setting = {"threads": torch.get_num_threads(), "timed_runs": TIMED_RUNS}
    return {
        "variants": variants,
        "protocol": setting | continuous_protocol(chosen),
        "seeds": [0],
    }


def main() -> None:
    write_study("planner_timing", measure, __doc__)
