"""Tables and figures of results/planner_bench.json, planner_timing.json and planning_time.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.figures.charts import PALETTE, Bars, Curves, panels
from common.harness.results import Table, format_interval, read_results
from part5_action_planning.config import PART
from part5_action_planning.studies.bench_problems import COSTS
from part5_action_planning.studies.bench_search import HORIZONS

PLANNERS = {
    "random": "random shooting",
    "cem": "CEM",
    "icem": "iCEM",
    "mppi": "MPPI",
    "gradient": "gradient (Adam)",
}
LONG = "long search"
COLORS = {
    "random shooting": PALETTE["black"],
    "CEM": PALETTE["blue"],
    "iCEM": PALETTE["sky"],
    "MPPI": PALETTE["green"],
    "gradient (Adam)": PALETTE["vermillion"],
    "LeWorldModel": PALETTE["blue"],
    "DINO-WM": PALETTE["orange"],
}
MODELS = {"lewm": "LeWorldModel", "dino_wm": "DINO-WM"}


def scaled(interval: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """An interval in another unit, such as percent."""
    ends = {key: interval[key] for key in ("mean", "low", "high")}
    changed = {key: None if end is None else factor * end for key, end in ends.items()}
    values = [None if value is None else factor * value for value in interval["values"]]
    return {**interval, **changed, "values": values}


def planner_bench_table() -> Table:
    """Share of optima found (%), and regret (%), a row a planner."""
    content = read_results(PART / "results" / "planner_bench.json")
    arms = content["arms"]
    header = ["planner"]
    header += [f"optimum, `{cost}` (%)" for cost in COSTS]
    header += [f"regret, {horizon} steps (%)" for horizon in HORIZONS]
    rows = []
    for kind, name in {**PLANNERS, LONG: f"*{LONG}, 200 times the calls*"}.items():
        cells = [_percent(arms.get(f"{cost}/{kind}", {}).get("found"), 1) for cost in COSTS]
        cells += [
            _percent(arms.get(f"horizon{horizon}/{kind}", {}).get("regret"), 2)
            for horizon in HORIZONS
        ]
        rows.append([name, *cells])
    return header, rows


def planner_timing_table() -> Table:
    """Milliseconds at equal calls, and regret when all may take as long as CEM."""
    arms = read_results(PART / "results" / "planner_timing.json")["arms"]
    header = ["planner"]
    for horizon in HORIZONS:
        header += [f"ms, {horizon} steps", "ms, equal seconds", f"regret then, {horizon} steps (%)"]
    rows = []
    for kind, name in PLANNERS.items():
        cells = []
        for horizon in HORIZONS:
            arm = arms[f"horizon{horizon}/{kind}"]
            cells += [f"{arm[name]['mean']:.0f}" for name in ("ms_equal_calls", "ms_equal_seconds")]
            cells.append(_percent(arm["regret"], 2))
        rows.append([name, *cells])
    return header, rows


def planning_time_table() -> Table:
    """Operations and time of a candidate's step, and of a whole plan."""
    content = read_results(PART / "results" / "planning_time.json")
    arms = content["arms"]
    header = [
        "model", "GFLOP a step", "ms a step", "R² of the line", "encoder, once (ms)",
        "whole plan (s), extrapolated",
    ]  # fmt: skip
    rows = []
    for arm, name in MODELS.items():
        m = {key: interval["mean"] for key, interval in arms[arm].items()}
        cells = [f"{m['gflop_per_step']:.3g}", f"{m['ms_per_candidate_step']:.3g}"]
        cells += [f"{m['r2']:.4f}", f"{m['ms_of_encoder']:.0f}", f"{m['plan_seconds']:,.0f}"]
        rows.append([name, *cells])
    times = {key: f"{interval['mean']:.0f}x" for key, interval in arms["ratio"].items()}
    rows.append(
        ["ratio", times["gflop_per_step"], times["ms_per_candidate_step"], "", "",
         times["plan_seconds"]]
    )  # fmt: skip
    published = f"{content['protocol']['published_ratio']:.0f}x"
    rows.append(["*ratio on the authors' GPU*", "", "", "", "", published])
    return header, rows


def planner_bench_figure(folder: Path) -> Figure:
    """Optima found, and what plans cost beyond the best known."""
    arms = read_results(folder / "planner_bench.json")["arms"]
    found: dict[str, dict[str, Any]] = {}
    for cost in COSTS:
        for kind in ("random", "cem", "icem", "mppi"):
            cell = scaled(arms[f"{cost}/{kind}"]["found"], 100)
            found.setdefault(cost, {})[PLANNERS[kind]] = cell
    regret: dict[str, dict[str, Any]] = {}
    for horizon in HORIZONS:
        for kind, name in PLANNERS.items():
            cell = scaled(arms[f"horizon{horizon}/{kind}"]["regret"], 100)
            regret.setdefault(f"{horizon} steps", {})[name] = cell
    note = (
        "True dynamics. Left: 14 steps left or right, a tenth of all sequences tried, 400 "
        "problems. Right: thrust, 768 tries, cost beyond the best known. Whiskers: 95% intervals "
        "over problems."
    )
    contents = [Bars(found, "optimum found (%)"), Bars(regret, "regret (%)")]
    return panels(contents, COLORS, note, columns=2)


def planning_time_figure(folder: Path) -> Figure:
    """Time of a step against candidates, and the ratios."""
    content = read_results(folder / "planning_time.json")
    curves = {MODELS[arm]: curve["ms_per_step"] for arm, curve in content["curves"].items()}
    ratio = content["arms"]["ratio"]
    published = {"mean": content["protocol"]["published_ratio"], "low": None, "high": None}
    bars = {
        "operations": ratio["gflop_per_step"],
        "time, this CPU": ratio["ms_per_candidate_step"],
        "authors' GPU": {**published, "values": [published["mean"]]},
    }
    note = (
        "One step of imagination at the published sizes, history of three frames, random weights. "
        f"{content['protocol']['threads']} CPU threads. Bands: fastest and slowest run."
    )
    contents = [
        Curves(curves, "candidates", "ms a step", log_x=True, log_y=True),
        Bars({name: {name: bar} for name, bar in bars.items()}, "DINO-WM / LeWorldModel"),
    ]
    return panels(contents, COLORS, note, columns=2)


def _percent(interval: Mapping[str, Any] | None, digits: int) -> str:
    return "" if interval is None else format_interval(scaled(interval, 100), digits)
