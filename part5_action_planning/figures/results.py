"""The figures of part5_action_planning/results/*.json."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.figures.charts import Bars, Curves, panels
from common.figures.style import PALETTE, QUIET, write_png
from common.harness.errors import UserError
from common.harness.results import read_results
from part5_action_planning.figures.cells import (
    BANDS,
    Cell,
    Points,
    curves,
    metrics_of,
    percent,
    rows_of,
)
from part5_action_planning.figures.learning import critical_figure, spaces_figure, surprise_figure
from part5_action_planning.report.tables import PLANNERS, TASKS

# fmt: off
AGENTS = {"oracle": "true dynamics", "lewm": "LeWorldModel style", "cloning": "cloning, no model",
          "greedy": "greedy, no model", "untrained": "untrained model", "random": "random thrust",
          "do_nothing": "do nothing"}
MODELS = {"lewm": "LeWorldModel style", "pixel": "pixels", "dino_wm": "DINO tokens, one MLP",
          "vjepa2_ac": "V-JEPA tokens, one MLP"}
BASELINES = {"coasting": "true dynamics, thrust unknown", "pixels": "nothing moves"}
COSTS = {"last": "cost at the end", "sum": "summed cost", "track": "moving target"}
RATIOS = {"operations": "gflop_per_step", "time, this CPU": "ms_per_candidate_step"}
COLORS = dict.fromkeys([*AGENTS.values(), *RATIOS, "authors' GPU"], QUIET) | {
    "LeWorldModel style": PALETTE["blue"], "true dynamics": PALETTE["green"],
    "random shooting": PALETTE["black"], "CEM": PALETTE["blue"], "iCEM": PALETTE["sky"],
    "MPPI": PALETTE["green"], "gradient (Adam)": PALETTE["vermillion"],
    "LeWorldModel": PALETTE["blue"], "DINO-WM": PALETTE["orange"]}
HORIZONS = (1, 2, 5, 10, 15)
# fmt: on


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results file is in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    there = [name for name in FIGURES if (folder / f"{name}.json").exists()]
    if not there:
        raise UserError(f"no results to draw in {folder}; expected reach.json or others of a sweep")
    for name in there:
        write_png(folder / "figures" / f"{name}.png", FIGURES[name](folder))
    return [folder / "figures" / f"{name}.png" for name in there]


def success_figure(folder: Path) -> Figure:
    """Success of every agent on every task at the last step."""
    contents = []
    for task, title in TASKS.items():
        found = {name: metrics["last"] for name, metrics in metrics_of(folder, task).items()}
        found["greedy"] = metrics_of(folder, task)["lewm"]["greedy_last"]
        rows = {label: {label: percent(found[name])} for name, label in AGENTS.items()}
        contents.append(Bars(rows, "episodes at the goal, %", title=title))
    note = "Within 3 px at the last step. Whiskers: 95% intervals; dots: single seeds."
    fig = panels(contents, COLORS, note, columns=2)
    for ax in fig.axes:
        ax.set_xlim(0, 100)
    return fig


def rollout_figure(folder: Path) -> Figure:
    """Error of the predicted place against the horizon, of models with the same data."""
    found, known = metrics_of(folder, "expensive"), metrics_of(folder, "baselines")
    models = {label: found[name] for name, label in MODELS.items()}
    bounds = {label: known[f"reach/{name}"] for name, label in BASELINES.items()}

    def by_horizon(metric: str, shown: Mapping[str, Mapping[str, Cell]]) -> dict[str, Any]:
        return curves((row, h, shown[row][f"{metric}_{h}"]) for row in shown for h in HORIZONS)

    contents = [
        Curves(
            by_horizon("error_px", models | bounds), "steps ahead", "error of the place, px",
            {"": models["pixels"]["spread_px"]["mean"]},
        ),
        Curves(
            by_horizon("fvu", models), "steps ahead", "state unexplained (FVU)", {"": 1.0},
            log_y=True,
        ),
    ]  # fmt: skip
    note = (
        "Left: the place that a linear probe of real states reads from the predicted one. Right: "
        "share of the state's variance that the prediction leaves unexplained. Dashed: the mean "
        f"place, the mean state. All models had the same data. {BANDS}"
    )
    fig = panels(contents, note=note, columns=2)
    for ax in fig.axes:
        ax.set_xticks(HORIZONS)
    fig.axes[0].set_ylim(bottom=0)
    return fig


def success_against(points: Points, x_label: str, note: str) -> Figure:
    fig = panels([Curves(curves(points), x_label, "at the goal, %", log_x=True)], note=note)
    fig.axes[0].set_ylim(0, 103)
    return fig


def precision_figure(folder: Path) -> Figure:
    """Success of true dynamics that are a little off at every step."""
    rows = rows_of(folder, "precision")
    points = [(TASKS[p["task"]], p["error_px"], percent(m["last"])) for p, m in rows]
    return success_against(points, "error added to the true dynamics, px a step", BANDS)


def equal_seconds_figure(folder: Path) -> Figure:
    """Success against thinking time, of world models that were given more and less of it."""
    rows = rows_of(folder, "equal_seconds")
    points = [(MODELS[p["method"]], m["ms_per_step"]["mean"], percent(m["last"])) for p, m in rows]
    note = f"From left to right more candidates and rounds of CEM. One thread. {BANDS}"
    fig = success_against(points, "thinking, ms a step and episode", note)
    fig.axes[0].set_xticks([0.1, 1, 10], labels=["0.1", "1", "10"])
    return fig


def planner_bench_figure(folder: Path) -> Figure:
    """Optima found, and what plans cost beyond the best known."""
    found: dict[str, dict[str, Cell]] = {}
    regret: dict[str, dict[str, Cell]] = {}
    for params, metrics in rows_of(folder, "planner_bench"):
        planner = PLANNERS[params["planner"]]
        if "cost" in params:
            found.setdefault(COSTS[params["cost"]], {})[planner] = percent(metrics["found"])
        elif planner in COLORS:  # not the long search that regret is measured from
            row = regret.setdefault(f"{params['horizon']} steps", {})
            row[planner] = percent(metrics["regret"])
    note = (
        "True dynamics. Left: 14 steps left or right, a tenth of all sequences tried. Right: "
        "thrust, 768 tries, cost beyond the best known. Whiskers: 95% intervals over problems."
    )
    contents = [Bars(found, "optimum found, %"), Bars(regret, "regret, %")]
    fig = panels(contents, COLORS, note, columns=2)
    fig.axes[0].set_xlim(0, 100)
    return fig


def planning_time_figure(folder: Path) -> Figure:
    """Time of a step against candidates, and the ratios."""
    content = read_results(folder / "planning_time.json")
    names = {"lewm": "LeWorldModel", "dino_wm": "DINO-WM"}
    series = {names[model]: each["ms_per_step"] for model, each in content["curves"].items()}
    ratio, protocol = content["variants"]["ratio"]["metrics"], content["protocol"]
    times = protocol["published_ratio"]
    rows = {label: {label: ratio[metric]} for label, metric in RATIOS.items()}
    gpu = {"mean": times, "low": None, "high": None, "values": [times]}
    rows["authors' GPU"] = {"authors' GPU": gpu}
    for path in sorted(folder.glob("whole_plan_*.json")):  # of machines that had the device
        device = path.stem.rpartition("_")[2]
        for name, each in read_results(path)["variants"].items():
            rows[f"{device}, {name}"] = {f"{device}, {name}": each["metrics"]["ratio"]}
    note = (
        "One step ahead at the published sizes, history of three frames, random weights. "
        f"{protocol['threads']} CPU threads. Bands: fastest and slowest run."
    )
    contents = [
        Curves(series, "candidates", "ms a step", log_x=True, log_y=True),
        Bars(rows, "DINO-WM / LeWorldModel"),
    ]
    return panels(contents, COLORS, note, columns=2)


FIGURES: dict[str, Callable[[Path], Figure]] = {  # by the results file that they are drawn from
    "reach": success_figure, "expensive": rollout_figure, "precision": precision_figure,
    "equal_seconds": equal_seconds_figure, "planner_bench": planner_bench_figure,
    "planning_time": planning_time_figure, "critical": critical_figure,
    "surprise": surprise_figure, "spaces": spaces_figure,
}  # fmt: skip
