"""Results files -> the tables of this part's READMEs."""

from collections.abc import Mapping
from typing import Any

from common.harness.results import Table, format_interval, read_results
from part5_action_planning.config import PART

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
    "rendered": "*ceiling on pixels: true dynamics, distance of frames*",
}


def read(experiment: str) -> dict[str, Any]:
    return read_results(PART / "results" / f"{experiment}.json")


def is_there(experiment: str) -> bool:
    """Whether an experiment has been run and kept."""
    return (PART / "results" / f"{experiment}.json").exists()


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


def plain(metrics: Mapping[str, Any], name: str, digits: int) -> str:
    """A number that no seed changes, without an interval."""
    return f"{metrics[name]['mean']:.{digits}f}" if name in metrics else ""


INSIDE = {
    "fvu_5": ("FVU, 5 steps ahead", 3),
    "straightness": ("straightness", 2),
    "velocity_r2": ("velocity R²", 2),
    "effective_rank": ("rank", 1),
    "calls_per_step": ("rollouts / step", 0),
}


SIZES = {"parameters": "trained parameters", "frames": "frames / training step"}


def inside_table() -> Table:
    """What the models of ``reach`` are like inside, and how large, at both budgets."""
    rows = []
    for experiment, budget in {"reach": "in full", "slow": "on a budget"}.items():
        for arm, found in read(experiment)["arms"].items():
            size = read("sizes")["arms"].get(f"{experiment}/{arm}")
            if size is not None:
                cells = [cell(found, name, digits) for name, (_, digits) in INSIDE.items()]
                large = [f"{size[name]['mean']:,.0f}" for name in SIZES]
                rows.append([f"{NAMES[arm]}, {budget}", *cells, *large])
    floor = read("floors")["arms"]["reach/pixels"]
    cells = [plain(floor, name, digits) for name, (_, digits) in INSIDE.items()]
    rows.append([NAMES["pixels"], *cells, "", ""])
    return ["", *(label for label, _ in INSIDE.values()), *SIZES.values()], rows


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


def search_table() -> Table:
    """Other planners, costs and horizons on the default's trained models."""
    content = read("search")
    header = [f"{len(content['seeds'])} seeds", "last step, %", "held, %", "rollouts / step"]
    rows = [
        [arm, percent(m["last"]), percent(m["held"]), f"{m['calls_per_step']['mean']:.0f}"]
        for arm, m in content["arms"].items()
    ]
    return header, rows


def precision_table() -> Table:
    """Success of plans in true dynamics that are a little off, and in the default's models."""
    arms = read("precision")["arms"]
    names = {"reach": "reach", "bank_shot": "bank shot"}
    errors = list(dict.fromkeys(arm.partition("-e")[2] for arm in arms))
    shown = {
        f"off by {error} px a step": {t: arms[f"{t}-e{error}"] for t in names} for error in errors
    }
    shown["LeWorldModel style, as probed"] = {task: read(task)["arms"]["lewm"] for task in names}
    header = [f"{len(read('precision')['seeds'])} seeds"]
    header += [
        f"{name}: {what}"
        for name in names.values()
        for what in ("5 steps ahead, px", "last step, %")
    ]
    rows = []
    for label, found in shown.items():
        cells = [[cell(m, "error_px_5", 1), percent(m["last"])] for m in found.values()]
        rows.append([label, *(text for pair in cells for text in pair)])
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
