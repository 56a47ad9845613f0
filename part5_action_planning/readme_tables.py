"""Results files -> the tables of this part's READMEs."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from common.intervals import bootstrap_seed_episode
from common.results import Table, format_interval, read_results
from part5_action_planning.control import reached
from part5_action_planning.experiment import PART

NAMES = {
    "lewm": "LeWorldModel style (SIGReg)",
    "vicreg_idm": "PLDM style (VICReg, inverse dynamics)",
    "pixel": "pixel world model",
    "dino_wm": "DINO-WM style (frozen DINO tokens)",
    "vjepa2_ac": "V-JEPA 2-AC style (frozen V-JEPA tokens)",
    "cloning": "*no world model:* goal-conditioned cloning",
    "greedy": "*no world model:* greedy in the embedding",
    "oracle": "*ceiling: true dynamics, same planner*",
    "untrained": "*floor: an untrained model, same planner*",
    "random": "*floor: random thrust*",
    "do_nothing": "*floor: do nothing*",
    "pixels": "*floor: raw pixels, and nothing moves*",
    "coasting": "*floor: true dynamics, action unknown*",
}
SUCCESS = ("last", "held", "ever")


def read(experiment: str) -> dict[str, Any]:
    return read_results(PART / "results" / f"{experiment}.json")


def is_there(experiment: str) -> bool:
    """Whether an experiment has been run and kept."""
    return (PART / "results" / f"{experiment}.json").exists()


@cache
def success_intervals(experiment: str, arm: str) -> dict[str, dict[str, Any]]:
    """Success of an arm from its single episodes: bootstrap over seeds and episodes, crossed."""
    protocol = read(experiment)["protocol"]
    setting = protocol if "success_radius_px" in protocol else protocol[arm]
    with np.load(PART / "results" / f"{experiment}.npz") as file:
        paths = [file[name] for name in sorted(file) if name.startswith(f"{arm}/")]
    distance = torch.tensor(np.stack(paths)).float()  # (S, E, T + 1)
    met = reached(distance.flatten(0, 1), setting["success_radius_px"], setting["held_steps"])
    draw = torch.Generator().manual_seed(0)
    return {
        name: bootstrap_seed_episode(met[name].view(distance.shape[:2]), draw) for name in SUCCESS
    }


def percent(interval: Mapping[str, Any]) -> str:
    """Returns "96.1 [94.0, 97.9]"."""
    return format_interval(
        {
            key: None if interval[key] is None else 100 * interval[key]
            for key in ("mean", "low", "high")
        },
        1,
    )


def share(interval: Mapping[str, Any]) -> str:
    return f"{100 * interval['mean']:.1f}%"


def cell(metrics: Mapping[str, Any], name: str, digits: int) -> str:
    return format_interval(metrics[name], digits) if name in metrics else ""


MEASURES = {
    "rank_correlation": ("rank correlation", 2),
    "error_px_5": ("5 steps ahead, px", 1),
    "position_r2": ("position R²", 3),
    "ms_per_step": ("ms / step", 1),
}


FLOORS = {"coasting": ("error_px_5",), "pixels": ("error_px_5", "position_r2")}


def success_table(experiment: str, arms: Sequence[str], floors: bool = True) -> Table:
    """Arms with success and measures, then agents without a world model, ceiling and floors.

    floors: with what rollouts and probes score without learning, on the same task.
    """
    content = read(experiment)
    header = [
        f"{len(content['seeds'])} seeds", "last step, %", "held, %", "ever, %",
        *(label for label, _ in MEASURES.values()),
    ]  # fmt: skip
    rows = []
    for arm in arms:
        if arm == "greedy":
            found = content["arms"]["lewm"]
            shares = [percent(found[f"greedy_{name}"]) for name in SUCCESS]
            rows.append([NAMES[arm], *shares, *[""] * len(MEASURES)])
            continue
        found, intervals = content["arms"][arm], success_intervals(experiment, arm)
        rows.append([
            NAMES[arm], *(percent(intervals[name]) for name in SUCCESS),
            *(cell(found, name, digits) for name, (_, digits) in MEASURES.items()),
        ])  # fmt: skip
    for bound in ("random", "do_nothing"):
        found = content["bounds"][bound]
        rows.append(
            [NAMES[bound], *(_share(found[name]) for name in SUCCESS), *[""] * len(MEASURES)]
        )
    for floor, told in FLOORS.items() if floors else ():
        found = {name: read("floors")["arms"][f"{experiment}/{floor}"][name] for name in told}
        cells = [cell(found, name, digits) for name, (_, digits) in MEASURES.items()]
        rows.append([NAMES[floor], *[""] * len(SUCCESS), *cells])
    return header, rows


def _share(interval: Mapping[str, Any]) -> str:
    """A bound that is the same for every seed has no interval to show."""
    return f"{100 * interval['mean']:.1f}"


def reach_table() -> Table:
    """World models whose plans are cheap, on ``reach``."""
    return success_table(
        "reach", ("lewm", "vicreg_idm", "greedy", "cloning", "oracle", "untrained")
    )


def slow_table() -> Table:
    """World models whose plans are dear, and the default at their budget."""
    arms = ("lewm", "pixel", "dino_wm", "vjepa2_ac", "greedy", "oracle", "untrained")
    return success_table("slow", arms, floors=False)  # those of reach


TASKS = {"two_rooms": "two rooms", "bank_shot": "bank shot", "left_right": "left, right"}


def tasks_table() -> Table:
    """The default, agents without a world model, ceiling and floors on the other tasks."""
    rows, header = [], [""]
    for task, label in TASKS.items():
        if not is_there(task):
            continue
        header, found = success_table(task, ("lewm", "greedy", "cloning", "oracle", "untrained"))
        rows += [[f"{label}: {name}", *cells] for name, *cells in found]
    return header, rows


def data_table() -> Table:
    """What a task's data and episodes hold, whatever acts: crossings, and starts already solved."""
    rows = []
    for task, label in {"reach": "reach", **TASKS}.items():
        found = read(task)["arms"]["lewm"]
        crossing = share(found["crossing_share"]) if "crossing_share" in found else ""
        rows.append([label, crossing, share(found["at_start"])])
    return ["task", "recordings that cross the door", "episodes solved at the start"], rows


INSIDE = {
    "fvu_5": ("FVU, 5 steps ahead", 3),
    "straightness": ("straightness", 2),
    "velocity_r2": ("velocity R²", 2),
    "effective_rank": ("rank", 1),
    "calls_per_step": ("rollouts / step", 0),
}


def inside_table() -> Table:
    """What the world models of ``reach`` are like inside, at both budgets."""
    rows = []
    for experiment, budget in {"reach": "in full", "slow": "on a budget"}.items():
        for arm, found in read(experiment)["arms"].items():
            if "straightness" in found:
                cells = [cell(found, name, digits) for name, (_, digits) in INSIDE.items()]
                rows.append([f"{NAMES[arm]}, {budget}", *cells])
    floor = read("floors")["arms"]["reach/pixels"]
    rows.append(
        [NAMES["pixels"], *(cell(floor, name, digits) for name, (_, digits) in INSIDE.items())]
    )
    return ["", *(label for label, _ in INSIDE.values())], rows


EVENTS = {
    "teleport": "teleport, at least 10 px",
    "flip": "velocity reversed",
    "wall": "flies through a wall",
    "colour": "changes colour",
}


def surprise_table() -> Table:
    """AUROC, false alarms and delay of every impossible event, by history."""
    content = read("surprise")
    columns = {
        "auroc": ("AUROC", 3),
        "false_alarms": ("false alarms at 95%", 3),
        "delay": ("delay", 1),
        "calm_auroc": ("AUROC, no bounce in the twin", 3),
        "calm_share": ("share of such pairs", 2),
    }
    header = [f"{len(content['seeds'])} seeds", "event", *(label for label, _ in columns.values())]
    rows = []
    for arm, metrics in content["arms"].items():
        for event, label in EVENTS.items():
            if f"{event}_auroc" in metrics:
                cells = [cell(metrics, f"{event}_{name}", d) for name, (_, d) in columns.items()]
                rows.append([arm.replace("_", " "), label, *cells])
    return header, rows


def ablations_table() -> Table:
    """The default's knobs, one at a time."""
    content = read("ablations")
    measures = {**MEASURES, "straightness": ("straightness", 2), "mean_std": ("mean std", 2)}
    del measures["ms_per_step"], measures["position_r2"]
    header = [f"{len(content['seeds'])} seeds", "last step, %", "held, %"]
    header += [label for label, _ in measures.values()]
    rows = []
    for arm, found in content["arms"].items():
        intervals = success_intervals("ablations", arm)
        cells = [cell(found, name, digits) for name, (_, digits) in measures.items()]
        rows.append([arm, percent(intervals["last"]), percent(intervals["held"]), *cells])
    return header, rows


def search_table() -> Table:
    """Other planners, costs and horizons on the default's trained models."""
    content = read("search")
    header = [f"{len(content['seeds'])} seeds", "last step, %", "held, %", "rollouts / step"]
    rows = [
        [arm, percent(m["last"]), percent(m["held"]), f"{m['calls_per_step']['mean']:.0f}"]
        for arm, m in content["arms"].items()
    ]
    return header, rows


def equal_seconds_table() -> Table:
    """Success against thinking time, two styles of world model."""
    content = read("equal_seconds")
    header = [
        f"{len(content['seeds'])} seeds", "candidates x iterations", "ms / step", "last step, %",
        "held, %",
    ]  # fmt: skip
    rows = []
    for row, m in content["arms"].items():
        arm, _, budget = row.partition("/")
        cells = [budget.replace("x", " x "), format_interval(m["ms_per_step"], 2)]
        rows.append([NAMES[arm], *cells, percent(m["last"]), percent(m["held"])])
    return header, rows
