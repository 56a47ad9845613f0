"""Other planners, costs and horizons on the default's trained models, nothing trained anew.

    python -m common.sweep configs/part5/sweeps/reach.yaml      trains them, where not done
    python part5_action_planning/rescore.py                     -> results/rescored.json

One change at a time from the default planner, on the same episodes, for every seed of the sweep.
"""

import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from common.config import REPOSITORY, UserError, load_config, run_script
from common.files import write_json
from common.intervals import mean_interval
from common.provenance import versions
from common.results import validate_results
from common.runs import RUNS
from common.sweep import read_sweep
from part5_action_planning.build import load_model
from part5_action_planning.control import Stage, success
from part5_action_planning.experiment import PART, Config, protocol
from part5_action_planning.scoring import make_agent

SWEEP = REPOSITORY / "configs" / "part5" / "sweeps" / "reach.yaml"
ARM = "lewm"
EPISODES = 100
SETTINGS: dict[str, dict[str, Any]] = {
    "default: CEM 128 x 6, horizon 5, summed": {},
    "iCEM": {"planner": {"kind": "icem"}},
    "MPPI": {"planner": {"kind": "mppi"}},
    "gradient, 16 starts x 48 steps": {
        "planner": {"kind": "gradient", "samples": 16, "elites": 8, "iterations": 48}
    },
    "random shooting": {"planner": {"kind": "random"}},
    "horizon 1 (greedy in the model)": {"planner": {"horizon": 1}},
    "horizon 2": {"planner": {"horizon": 2}},
    "horizon 10": {"planner": {"horizon": 10}},
    "cost at the last step": {"cost": {"when": "last"}},
    "cost at the closest approach": {"cost": {"when": "closest"}},
    "L1 instead of squared L2": {"cost": {"norm": "l1"}},
    "plan executed for 5 steps": {"cost": {"execute": 5}},
}


def rescore(folder: Path, changes: dict[str, Any]) -> dict[str, float]:
    """Success of a trained model under a changed planner."""
    _, model = load_model(folder)
    changes = changes | {"threads": torch.get_num_threads(), "evaluation": {"episodes": EPISODES}}
    cfg = load_config(Config, [folder / "config.yaml"], changes)
    stage = Stage(cfg, EPISODES)
    with torch.no_grad():
        agent = make_agent(model, stage, cfg)
    trial = stage.play(agent)
    calls = getattr(agent, "calls", 0) / cfg.task.budget
    return success(trial, cfg.task) | {"calls_per_step": calls}


def main() -> None:
    begin = time.monotonic()
    sweep, jobs = read_sweep(SWEEP, RUNS)
    folders = [job.folder for job in jobs if job.arm == ARM]
    if missing := [folder for folder in folders if not (folder / "summary.json").exists()]:
        raise UserError(
            f"{missing[0]} is no finished run; train it with: python -m common.sweep "
            f"{SWEEP.relative_to(REPOSITORY)}"
        )
    arms = {}
    for name, changes in tqdm(SETTINGS.items()):
        runs = [rescore(folder, changes) for folder in folders]
        arms[name] = {metric: mean_interval([run[metric] for run in runs]) for metric in runs[0]}
    cfg = load_config(Config, [folders[0] / "config.yaml"])
    content = {
        "experiment": "rescored",
        "command": "python part5_action_planning/rescore.py",
        "protocol": protocol(cfg) | {"episodes": EPISODES},
        "versions": versions(),
        "seconds": round(time.monotonic() - begin, 1),
        "seeds": list(sweep.seeds),
        "arms": arms,
        "bounds": {},
    }
    validate_results(content)
    write_json(PART / "results" / "rescored.json", content)


if __name__ == "__main__":
    run_script(main)
