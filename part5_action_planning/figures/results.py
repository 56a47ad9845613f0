"""The figures of part5_action_planning/results/*.json."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.figures.charts import PALETTE, QUIET, Bars, Curves, panels, write_png
from common.harness.errors import UserError
from common.harness.results import read_results
from part5_action_planning.report.bench import planner_bench_figure, planning_time_figure
from part5_action_planning.report.success import TASKS, success_intervals
from part5_action_planning.scoring.model_metrics import HORIZONS
from part5_action_planning.studies.critical import FINE, read_trained

NAMES = {
    "lewm": "LeWorldModel style",
    "vicreg_idm": "PLDM style",
    "pixel": "pixels",
    "dino_wm": "DINO-WM style",
    "vjepa2_ac": "V-JEPA 2-AC style",
    "cloning": "cloning, no model",
    "oracle": "true dynamics",
}
FLOORS = {"coasting": "thrust unknown", "pixels": "nothing moves"}
SHOWN = {"last": "last step", "held": "held"}
COLORS = {"last step": PALETTE["blue"], "held": PALETTE["orange"]}
SEEDS = "Whiskers: 95% interval over seeds; dots: single seeds."
BANDS = "Bands: 95% interval over seeds."


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results file is in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    makers: dict[str, Callable[[Path], Figure]] = {
        "reach": success_figure,
        "slow": rollout_figure,
        "critical": critical_figure,
        "surprise": surprise_figure,
        "planner_bench": planner_bench_figure,
        "planning_time": planning_time_figure,
        "equal_seconds": equal_seconds_figure,
    }
    written = []
    for name, make in makers.items():
        if (folder / f"{name}.json").exists():
            written.append(folder / "figures" / f"{name}.png")
            write_png(written[-1], make(folder))
    if not written:
        raise UserError(f"no results to draw in {folder}; expected reach.json or others of a sweep")
    return written


def success_figure(folder: Path) -> Figure:
    """Success of every agent on every task, at the last step and held."""
    contents = []
    for task, title in TASKS.items():
        path = folder / f"{task}.json"
        if not path.exists():
            continue
        content = read_results(path)
        rows = {}
        for arm, label in (NAMES | {"untrained": "untrained model"}).items():
            if arm in content["arms"]:
                found, ends = content["arms"][arm], success_intervals(task, arm)
                rows[label] = {
                    name: _percent(found[key] | ends[key]) for key, name in SHOWN.items()
                }
        greedy = {key: content["arms"]["lewm"][f"greedy_{key}"] for key in SHOWN}
        bounds = content["bounds"]
        for label, found in (
            ("greedy, no model", greedy),
            ("random thrust", bounds["random"]),
            ("do nothing", bounds["do_nothing"]),
        ):
            rows[label] = {name: _percent(found[key]) for key, name in SHOWN.items()}
        contents.append(Bars(rows, "episodes, %", title=title))
    note = (
        "Share of the episodes with the ball within 3 px of its goal at the last step, or in each "
        "of the last five (bank shot; left, right: the last). Whiskers: 95% intervals over seeds "
        "and episodes (greedy: over seeds); dots: single seeds."
    )
    return panels(contents, COLORS, note, columns=2)


def _percent(interval: Mapping[str, Any]) -> dict[str, Any]:
    """In percent, whiskers within 0 and 100."""
    scaled = {
        end: None if interval[end] is None else 100 * min(1.0, max(0.0, interval[end]))
        for end in ("mean", "low", "high")
    }
    return scaled | {"values": [100 * value for value in interval["values"]]}


def rollout_figure(folder: Path) -> Figure:
    """Error of the imagined place against the horizon, for every world model."""
    found: dict[str, Mapping[str, Any]] = {}
    for experiment in ("slow", "reach"):  # the same model is shown as the first file has it
        path = folder / f"{experiment}.json"
        if path.exists():
            for arm, metrics in read_results(path)["arms"].items():
                found.setdefault(arm, metrics)
    series, shares = {}, {}
    for arm, label in NAMES.items():
        metrics = found.get(arm, {})
        steps = [h for h in HORIZONS if f"error_px_{h}" in metrics]
        if steps:
            series[label] = _curve(metrics, "error_px_", steps)
            shares[label] = _curve(metrics, "fvu_", steps)
    floors = read_results(folder / "floors.json")["arms"]
    for floor, label in FLOORS.items():
        steps = [h for h in HORIZONS if f"error_px_{h}" in floors[f"reach/{floor}"]]
        series[label] = _curve(floors[f"reach/{floor}"], "error_px_", steps)
    spread = next(m["spread_px"]["mean"] for m in found.values() if "spread_px" in m)
    contents = [
        Curves(series, "steps imagined", "error of the place, px", {"mean place": spread}),
        Curves(
            shares, "steps imagined", "state unexplained (FVU)", {"mean state": 1.0}, log_y=True
        ),
    ]
    note = (
        "Read from the imagined state by a linear probe of real states. PLDM style: trained as in "
        "reach.json; the others, on less, as in slow.json. Thrust unknown: the true dynamics "
        f"without it. {BANDS}"
    )
    return panels(contents, note=note, columns=2)


def _curve(metrics: Mapping[str, Any], prefix: str, steps: list[int]) -> dict[str, list[float]]:
    cells = [metrics[f"{prefix}{h}"] for h in steps]
    return {"x": [float(h) for h in steps]} | {
        end: [cell[end] for cell in cells] for end in ("mean", "low", "high")
    }


def critical_figure(folder: Path) -> Figure:
    """Success, spread, rank and rollout error against SIGReg's weight, and the threshold."""
    cells, fine = read_trained(folder), read_trained(folder, FINE)
    theory = read_results(folder / "threshold.json")["arms"]
    metrics = {
        "last": ("success, last step", (0.0, 1.0)),
        "mean_std": ("mean std of z", (1e-4, 2.0)),
        "effective_rank": ("effective rank", (1.0, np.inf)),
        "error_px_5": ("5 steps ahead, px", (1.0, np.inf)),
    }
    contents, lines = [], [theory[f"{t}-d{size}"]["predicted"]["mean"] for t, size in cells]
    for metric, (label, limits) in metrics.items():
        series = {}
        for (task, size), coarse in cells.items():
            close = fine.get((task, size), {}) if metric == "mean_std" else {}
            found = coarse | close
            weights = sorted(found)
            series[f"{TASKS[task]}, D = {size}"] = {"x": weights} | {
                end: np.clip([found[w][metric][end] for w in weights], *limits).tolist()
                for end in ("mean", "low", "high")
            }
        log_y = metric in ("mean_std", "error_px_5")
        contents.append(Curves(series, "r, weight of SIGReg", label, log_x=True, log_y=log_y))
    note = (
        f"{BANDS} r: SIGReg per sample beside the squared error. Vertical lines, in the colour of "
        "their curve: where the local theory says that collapse of an untrained encoder stops "
        "being stable. Dotted: 1 / k, enough for any encoder, says the theory. Two rooms: with "
        "temporal straightening, of which it knows nothing."
    )
    fig = panels(contents, note=note, columns=2)
    ticks = sorted({weight for found in cells.values() for weight in found})
    for ax in fig.axes:
        for weight, color in zip(lines, PALETTE.values(), strict=False):
            ax.axvline(weight, color=color, linewidth=1, linestyle="--", zorder=1)
        ax.axvline(theory["reach-d10"]["one_over_k"]["mean"], color=QUIET, linestyle=":")
        ax.set_xticks(ticks, [f"{weight:g}" for weight in ticks])
        ax.tick_params(axis="x", labelrotation=60, labelsize=8)
    return fig


def surprise_figure(folder: Path) -> Figure:
    """AUROC of every impossible event, with a history of one frame and of two."""
    content = read_results(folder / "surprise.json")
    events = {"teleport": "teleport", "flip": "velocity", "wall": "wall", "colour": "colour"}
    rows = {
        label: {
            arm.replace("_", " "): metrics[f"{event}_auroc"]
            for arm, metrics in content["arms"].items()
        }
        for event, label in events.items()
    }
    note = f"One-step prediction error of an impossible clip against its twin. {SEEDS}"
    return panels([Bars(rows, "AUROC", {"chance": 0.5})], note=note)


def equal_seconds_figure(folder: Path) -> Figure:
    """Success against thinking time, of world models that were given more and less of it."""
    content = read_results(folder / "equal_seconds.json")
    series: dict[str, dict[str, list[float]]] = {}
    for row, metrics in content["arms"].items():
        curve = series.setdefault(
            NAMES[row.partition("/")[0]], {"x": [], "mean": [], "low": [], "high": []}
        )
        curve["x"].append(metrics["ms_per_step"]["mean"])
        for end in ("mean", "low", "high"):
            curve[end].append(min(1.0, max(0.0, metrics["last"][end])))
    note = (
        f"Success at the last step of {content['protocol']['episodes']} episodes; one thread, all "
        f"episodes at once. {BANDS}"
    )
    contents = [Curves(series, "thinking, ms a step and episode", "success", log_x=True)]
    fig = panels(contents, note=note)
    fig.axes[0].set_xticks([0.1, 1, 10], labels=["0.1", "1", "10"])
    return fig
