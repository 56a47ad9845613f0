"""Trained world models under other searches: nothing is trained anew.

planner_ablation: one change at a time from the default planner, cost and horizon, on the default
model of the sweep reach. equal_seconds: success against thinking time, LeWorldModel style beside
one MLP on DINO tokens (of the sweep expensive), after the posts' "48x faster": what can either do
with the seconds of the other? Both on EPISODES episodes of the test split.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from common.harness.config import load_config
from common.harness.errors import UserError
from common.harness.runs import RUNS
from common.sweep import read_sweep
from part5_action_planning.config import Config
from part5_action_planning.evaluate import protocol
from part5_action_planning.model.loading import load_run
from part5_action_planning.planning.agents import make_agent
from part5_action_planning.planning.closed_loop import EvalEpisodes, success
from part5_action_planning.studies import SWEEPS, variant, write_study

EPISODES, SEEDS = 40, 3
SEARCHES: dict[str, dict[str, Any]] = {
    "default": {},
    "iCEM": {"planner.kind": "icem"},
    "MPPI": {  # min_std as planner_bench chooses it, temperature between its 0.02 and 0.1
        "planner.kind": "mppi", "planner.temperature": 0.05, "planner.min_std": 0.3,
    },
    "gradient, 16 starts x 24 steps": {
        "planner.kind": "gradient", "planner.num_samples": 16, "planner.num_elites": 8,
        "planner.num_iterations": 24,
    },
    "random shooting": {"planner.kind": "random"},
    "horizon 1 (greedy in the model)": {"planner.horizon": 1},
    "horizon 3": {"planner.horizon": 3},
    "horizon 10": {"planner.horizon": 10},
    "cost at the last step": {"cost.when": "last"},
    "cost at the closest approach": {"cost.when": "closest"},
    "L1 instead of squared L2": {"cost.norm": "l1"},
    "plan executed for 5 steps": {"cost.replan_every": 5},
}  # fmt: skip
LADDER = {  # num_samples x num_iterations
    "lewm": ((8, 1), (16, 3), (64, 3), (128, 6), (512, 12)),
    "dino_wm": ((8, 1), (16, 1), (16, 3), (64, 3)),
}


@dataclass(frozen=True)
class Search:
    """A model of a sweep, the options that its config is changed by, and the params of its row."""

    model: str
    changes: Mapping[str, Any]
    params: Mapping[str, Any]


def ablations() -> dict[str, Search]:
    return {row: Search("lewm", changes, changes) for row, changes in SEARCHES.items()}


def ladder() -> dict[str, Search]:
    found = {}
    for model, budgets in LADDER.items():
        for samples, iterations in budgets:
            size = {"planner.num_samples": samples, "planner.num_iterations": iterations}
            changes = {**size, "planner.num_elites": max(2, samples // 8)}
            found[f"{model}/{samples}x{iterations}"] = Search(
                model, changes, {"method": model, **size}
            )
    return found


def score(folder: Path, changes: Mapping[str, Any]) -> dict[str, float]:
    """Success and thinking time of a trained model under a changed search."""
    _, model = load_run(folder)
    overrides = {**changes, "evaluation.num_test_episodes": EPISODES}
    cfg = load_config(Config, [folder / "config.yaml"], overrides)
    episodes = EvalEpisodes(cfg, EPISODES)
    agent = make_agent(model, episodes)
    played = episodes.play(agent)
    return success(played, cfg.task) | {
        "ms_per_step": 1000 * played.seconds / (cfg.task.budget * EPISODES),
        "calls_per_step": getattr(agent, "calls", 0) / cfg.task.budget,
    }


def trained(sweep: str) -> dict[str, dict[int, Path]]:
    """{variant: {seed: folder of its run}} of the first seeds of a sweep."""
    _, jobs = read_sweep(SWEEPS / f"{sweep}.yaml", RUNS)
    folders: dict[str, dict[int, Path]] = {}
    for job in jobs:
        runs = folders.setdefault(job.variant, {})
        if len(runs) < SEEDS:
            runs[job.seed] = job.folder
    return folders


def measure(sweep: str, searches: Mapping[str, Search]) -> dict[str, Any]:
    """What ``write_results`` is given; raises UserError where a model is not trained."""
    folders = trained(sweep)
    wanted = {folder for each in searches.values() for folder in folders[each.model].values()}
    if missing := sorted(folder for folder in wanted if not (folder / "summary.json").exists()):
        raise UserError(
            f"{missing[0]} is no finished run; train it with: python -m common.sweep "
            f"configs/part5/sweeps/{sweep}.yaml"
        )
    variants = {}
    for row, each in tqdm(searches.items()):
        runs = [score(folder, each.changes) for folder in folders[each.model].values()]
        variants[row] = variant(each.params, runs, EPISODES)
    seeds = list(folders["lewm"])
    cfg = load_config(Config, [folders["lewm"][seeds[0]] / "config.yaml"])
    return {
        "variants": variants,
        "protocol": protocol(cfg) | {"episodes": EPISODES, "threads": 1},
        "seeds": seeds,
    }


def planner_ablation() -> None:
    write_study("planner_ablation", lambda: measure("reach", ablations()), __doc__)


def equal_seconds() -> None:
    write_study("equal_seconds", lambda: measure("expensive", ladder()), __doc__)
