"""Side experiments, each of which ``python part5_action_planning/study.py NAME`` runs."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from common.harness.aggregate import interval_of
from common.harness.config import REPOSITORY
from common.harness.errors import no_options
from common.harness.results import write_results
from part5_action_planning.config import PART
from part5_action_planning.evaluate import SHARES, limits_of

SWEEPS = REPOSITORY / "configs" / "part5" / "sweeps"


def variant(
    params: Mapping[str, Any], runs: Sequence[Mapping[str, float]], trials: int | None = None
) -> dict[str, Any]:
    """A variant of a results file, of runs that have the same metrics, a run a seed.

    trials: of each share of successes; all seeds meet the same episodes.
    """
    metrics = {
        name: interval_of(
            [run[name] for run in runs],
            trials if name in SHARES else None,
            limits_of(name),
            same_episodes=True,
        )
        for name in runs[0]
    }
    return {"params": dict(params), "metrics": metrics}


def milliseconds(call: Callable[[], Any], runs: int) -> list[float]:
    """Of so many runs, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begin))
    return times[1:]


def write_study(
    name: str, measure: Callable[[], dict[str, Any]], description: str | None, *, threads: int = 1
) -> None:
    """Writes results/<name>.json of what ``measure`` returns, which ``write_results`` is given.

    On one thread, as a sweep's runs are, and without gradients.
    """
    no_options(description)
    begin = time.monotonic()
    torch.set_num_threads(threads)
    with torch.no_grad():
        content = measure()
    path = PART / "results" / f"{name}.json"
    command = f"python part5_action_planning/study.py {name}"
    write_results(path, command, seconds=time.monotonic() - begin, **content)
