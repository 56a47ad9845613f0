"""Trained world models under other searches: nothing is trained anew.

    python -m common.sweep configs/part5/sweeps/reach.yaml      trains them, where not done
    python part5_action_planning/rescore.py search              -> results/search.json
    python -m common.sweep configs/part5/sweeps/slow.yaml
    python part5_action_planning/rescore.py seconds             -> results/equal_seconds.json

search: one change at a time from the default planner, cost and horizon, on the default model.
seconds: success against thinking time, LeWorldModel style beside DINO-WM style, which is what the
posts' "48x faster" is about: what can either do with the seconds of the other? Both on EPISODES
episodes of the test split.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from common.harness.config import REPOSITORY, load_config
from common.harness.errors import UserError, run_script
from common.harness.results import write_results
from common.harness.runs import RUNS
from common.intervals import mean_intervals
from common.sweep import read_sweep
from part5_action_planning.config import PART, Config, protocol
from part5_action_planning.model.build import load_model
from part5_action_planning.planning.closed_loop import Stage, success
from part5_action_planning.scoring.scores import make_agent

EPISODES, SEEDS = 40, 3
Changes = Mapping[str, Any]
SEARCH: dict[str, Changes] = {
    "default: CEM 128 x 6, horizon 5, summed": {},
    "iCEM": {"planner.kind": "icem"},
    "MPPI": {"planner.kind": "mppi"},
    "gradient, 16 starts x 24 steps": {
        "planner.kind": "gradient", "planner.samples": 16, "planner.elites": 8,
        "planner.iterations": 24,
    },
    "random shooting": {"planner.kind": "random"},
    "horizon 1 (greedy in the model)": {"planner.horizon": 1},
    "horizon 3": {"planner.horizon": 3},
    "horizon 10": {"planner.horizon": 10},
    "cost at the last step": {"cost.when": "last"},
    "cost at the closest approach": {"cost.when": "closest"},
    "L1 instead of squared L2": {"cost.norm": "l1"},
    "plan executed for 5 steps": {"cost.execute": 5},
}  # fmt: skip
LADDER = {  # samples x iterations
    "lewm": ((8, 1), (16, 3), (64, 3), (128, 6), (512, 12)),
    "dino_wm": ((8, 1), (16, 1), (16, 3), (64, 3)),
}


def search_settings() -> dict[str, tuple[str, Changes]]:
    """{row: (arm of the sweep, what is changed)}."""
    return {name: ("lewm", changes) for name, changes in SEARCH.items()}


def ladder_settings() -> dict[str, tuple[str, Changes]]:
    return {
        f"{arm}/{samples}x{iterations}": (
            arm,
            {
                "planner.samples": samples, "planner.iterations": iterations,
                "planner.elites": max(2, samples // 8),
            },
        )
        for arm, budgets in LADDER.items()
        for samples, iterations in budgets
    }  # fmt: skip


EXPERIMENTS = {
    "search": ("reach", "search", search_settings),
    "seconds": ("slow", "equal_seconds", ladder_settings),
}


def rescore(folder: Path, changes: Changes) -> dict[str, float]:
    """Success and thinking time of a trained model under a changed search."""
    _, model = load_model(folder)
    cfg = load_config(
        Config, [folder / "config.yaml"], {**changes, "evaluation.episodes": EPISODES}
    )
    stage = Stage(cfg, EPISODES)
    with torch.no_grad():
        agent = make_agent(model, stage, cfg)
    trial = stage.play(agent)
    steps = cfg.task.budget * EPISODES
    return success(trial, cfg.task) | {
        "ms_per_step": 1000 * trial.seconds / steps,
        "calls_per_step": getattr(agent, "calls", 0) / cfg.task.budget,
    }


def trained(sweep_file: Path) -> dict[str, dict[int, Path]]:
    """{arm: {seed: folder of its run}} of the first seeds of a sweep."""
    _, jobs = read_sweep(sweep_file, RUNS)
    folders: dict[str, dict[int, Path]] = {}
    for job in jobs:
        runs = folders.setdefault(job.arm, {})
        if len(runs) < SEEDS:
            runs[job.seed] = job.folder
    return folders


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", choices=EXPERIMENTS)
    args = parser.parse_args()
    begin = time.monotonic()
    torch.set_num_threads(1)
    sweep, name, make_settings = EXPERIMENTS[args.experiment]
    sweep_file = REPOSITORY / "configs" / "part5" / "sweeps" / f"{sweep}.yaml"
    folders, settings = trained(sweep_file), make_settings()
    wanted = {folder for arm, _ in settings.values() for folder in folders[arm].values()}
    if missing := sorted(folder for folder in wanted if not (folder / "summary.json").exists()):
        raise UserError(
            f"{missing[0]} is no finished run; train it with: python -m common.sweep "
            f"{sweep_file.relative_to(REPOSITORY)}"
        )
    arms = {}
    for row, (arm, changes) in tqdm(settings.items()):
        runs = [rescore(folder, changes) for folder in folders[arm].values()]
        arms[row] = mean_intervals(runs)
    seeds = list(folders["lewm"])
    cfg = load_config(Config, [folders["lewm"][seeds[0]] / "config.yaml"])
    write_results(
        PART / "results" / f"{name}.json",
        f"python part5_action_planning/rescore.py {args.experiment}",
        protocol=protocol(cfg) | {"episodes": EPISODES, "threads": 1},
        seconds=time.monotonic() - begin,
        seeds=seeds,
        arms=arms,
    )


if __name__ == "__main__":
    run_script(main)
