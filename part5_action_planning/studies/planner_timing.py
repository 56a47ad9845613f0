"""How long a plan takes, and which planner is best when all may think equally long.

    python part5_action_planning/planner_timing.py           -> results/planner_timing.json

On an idle machine. Milliseconds per plan of one problem with true dynamics on one thread, at the
768 calls of ``planner_bench``; then every planner's iterations are set so that it takes as long as
CEM, and its regret is measured again. Medians of 21 plans.
"""

import statistics
import time
from dataclasses import replace
from typing import Any

import torch

from common.harness.errors import no_options, run_script
from common.harness.results import write_results
from common.intervals import mean_interval
from part5_action_planning.config import PART
from part5_action_planning.planning.planners import PlannerConfig
from part5_action_planning.studies.bench_problems import Problems, continuous_problems
from part5_action_planning.studies.bench_search import (
    CONTINUOUS_PROBLEMS,
    HORIZONS,
    ITERATIONS,
    LONGER,
    RESTARTS,
    SAMPLES,
    choose_continuous,
    long_search,
    regrets,
    search,
    used_settings,
)

TIMED_RUNS = 21


def seconds_per_plan(cfg: PlannerConfig, problems: Problems) -> float:
    """Median of TIMED_RUNS plans of one problem."""
    times = []
    for _ in range(TIMED_RUNS + 1):  # the first is not counted
        begin = time.perf_counter()
        search(cfg, problems)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def time_planners() -> tuple[dict[str, Any], dict[str, Any]]:
    """Milliseconds at equal calls, and regret at equal seconds."""
    arms, chosen = {}, {}
    for horizon in HORIZONS:
        settings, single = choose_continuous(horizon), continuous_problems(horizon, 1, "test")
        took = {kind: seconds_per_plan(cfg, single) for kind, cfg in settings.items()}
        timed = {
            kind: replace(cfg, iterations=max(1, round(cfg.iterations * took["cem"] / took[kind])))
            for kind, cfg in settings.items()
        }
        problems = continuous_problems(horizon, CONTINUOUS_PROBLEMS, "test")
        found = {kind: search(cfg, problems) for kind, cfg in timed.items()}
        rows = regrets(found, long_search(problems, horizon), horizon)
        for kind, cfg in timed.items():
            arms[f"horizon{horizon}/{kind}"] = rows[f"horizon{horizon}/{kind}"] | {
                "ms_equal_calls": mean_interval([1e3 * took[kind]]),
                "ms_equal_seconds": mean_interval([1e3 * seconds_per_plan(cfg, single)]),
            }
        chosen |= {f"horizon{horizon}/{kind}": cfg for kind, cfg in timed.items()}
    return arms, chosen


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)
    with torch.no_grad():
        arms, chosen = time_planners()
    write_results(
        PART / "results" / "planner_timing.json",
        "python part5_action_planning/planner_timing.py",
        protocol={
            "threads": torch.get_num_threads(),
            "timed_runs": TIMED_RUNS,
            "continuous_problems": CONTINUOUS_PROBLEMS,
            "continuous_calls": SAMPLES * ITERATIONS,
            "long_search": f"CEM, {LONGER} times the calls, best of {RESTARTS} searches",
            "settings": {row: used_settings(cfg) for row, cfg in chosen.items()},
        },
        seconds=time.monotonic() - begin,
        seeds=[0],
        arms=arms,
    )


if __name__ == "__main__":
    run_script(main)
