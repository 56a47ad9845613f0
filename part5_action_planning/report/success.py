"""Results files -> the tables of success, of tasks and of ablations."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from common.harness.results import Table
from common.intervals import bootstrap_seed_episode, wilson
from part5_action_planning.config import PART
from part5_action_planning.planning.closed_loop import reached
from part5_action_planning.report.tables import NAMES, cell, is_there, percent, plain, read, share

SUCCESS = ("last", "held", "ever")


def arm_protocol(experiment: str, arm: str) -> dict[str, Any]:
    protocol = read(experiment)["protocol"]
    return protocol if "success_radius_px" in protocol else protocol[arm]


@cache
def success_intervals(experiment: str, arm: str) -> dict[str, dict[str, Any]]:
    """Success of an arm from its single episodes: bootstrap over seeds and episodes, crossed."""
    setting = arm_protocol(experiment, arm)
    with np.load(PART / "results" / f"{experiment}.npz") as file:
        paths = [file[name] for name in sorted(file) if name.startswith(f"{arm}/")]
    distance = torch.tensor(np.stack(paths)).float()  # (S, E, T + 1)
    met = reached(distance.flatten(0, 1), setting["success_radius_px"], setting["held_steps"])
    draw = torch.Generator().manual_seed(0)
    return {
        name: bootstrap_seed_episode(met[name].view(distance.shape[:2]), draw) for name in SUCCESS
    }


def wilson_percent(share: float, episodes: int) -> str:
    """Returns "94.0 to 97.9": of so many episodes, as if they had nothing in common."""
    low, high = wilson(round(share * episodes), episodes)
    return f"{100 * low:.1f} to {100 * high:.1f}"


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
        f"{len(content['seeds'])} seeds", "last step, %", "Wilson", "held, %", "ever, %",
        *(label for label, _ in MEASURES.values()),
    ]  # fmt: skip
    episodes = arm_protocol(experiment, arms[0])["episodes"]
    rows = []
    for arm in arms:
        if arm == "greedy":
            measured = {}
            found = {name: content["arms"]["lewm"][f"greedy_{name}"] for name in SUCCESS}
        else:
            measured, found = content["arms"][arm], success_intervals(experiment, arm)
        last, *later = (percent(found[name]) for name in SUCCESS)
        wide = wilson_percent(found["last"]["mean"], episodes * len(content["seeds"]))
        cells = [cell(measured, name, digits) for name, (_, digits) in MEASURES.items()]
        rows.append([NAMES[arm], last, wide, *later, *cells])
    blank = [""] * len(MEASURES)
    if f"{experiment}/rendered" in read("floors")["arms"]:
        found = read("floors")["arms"][f"{experiment}/rendered"]  # over seeds alone
        last, *later = (percent(found[name]) for name in SUCCESS)
        wide = wilson_percent(found["last"]["mean"], episodes * len(content["seeds"]))
        rows.append([NAMES["rendered"], last, wide, *later, *blank])
    for bound in ("random", "do_nothing"):  # the same whatever the seed
        found = content["bounds"][bound]
        last, *later = (f"{100 * found[name]['mean']:.1f}" for name in SUCCESS)
        wide = wilson_percent(found["last"]["mean"], episodes)
        rows.append([NAMES[bound], last, wide, *later, *blank])
    for floor, told in FLOORS.items() if floors else ():
        scores = read("floors")["arms"][f"{experiment}/{floor}"]
        known = {name: scores[name] for name in told}
        cells = [plain(known, name, digits) for name, (_, digits) in MEASURES.items()]
        rows.append([NAMES[floor], "", "", "", "", *cells])
    return header, rows


def reach_table() -> Table:
    """World models whose plans are cheap, on ``reach``."""
    return success_table(
        "reach", ("lewm", "vicreg_idm", "greedy", "cloning", "oracle", "untrained")
    )


def slow_table() -> Table:
    """World models whose plans are dear, and the default at their budget."""
    arms = ("lewm", "pixel", "dino_wm", "vjepa2_ac", "greedy", "oracle")
    return success_table("slow", arms, floors=False)  # they are those of reach


TASKS = {
    "reach": "reach",
    "two_rooms": "two rooms",
    "bank_shot": "bank shot",
    "left_right": "left, right",
}


def tasks_table() -> Table:
    """The default, agents without a world model, ceiling and floors on the other tasks."""
    rows, header = [], [""]
    for task, label in TASKS.items():
        if task == "reach" or not is_there(task):  # reach has a table of its own
            continue
        (seeds, *header), found = success_table(
            task, ("lewm", "greedy", "cloning", "oracle", "untrained")
        )
        rows += [[f"{label}, {seeds}: {name}", *cells] for name, *cells in found]
    return ["", *header], rows


def data_table() -> Table:
    """What a task's data and episodes hold, whatever acts: crossings, and starts already solved."""
    rows = []
    for task, label in TASKS.items():
        found = read(task)["arms"]["lewm"]
        crossing = share(found["crossing_share"]) if "crossing_share" in found else ""
        rows.append([label, crossing, share(found["at_start"])])
    return ["task", "recordings that cross the door", "episodes solved at the start"], rows


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
