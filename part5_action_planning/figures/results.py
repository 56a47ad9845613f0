"""The figures of part5_action_planning/results/*.json."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from common.figures.charts import PALETTE, QUIET, Bars, Curves, panels, write_png
from common.harness.errors import UserError
from common.harness.results import read_results

# fmt: off
TASKS = {"reach": "reach", "two_rooms": "two rooms", "bank_shot": "bank shot",
         "left_right": "left, right"}
AGENTS = {"oracle": "true dynamics", "lewm": "LeWorldModel style", "cloning": "cloning, no model",
          "greedy": "greedy, no model", "untrained": "untrained model", "random": "random thrust",
          "do_nothing": "do nothing"}
MODELS = {"lewm": "LeWorldModel style", "pixel": "pixels", "dino_wm": "DINO-WM style",
          "vjepa2_ac": "V-JEPA 2-AC style"}
BASELINES = {"coasting": "true dynamics, thrust unknown", "pixels": "nothing moves"}
PLANNERS = {"random": "random shooting", "cem": "CEM", "icem": "iCEM", "mppi": "MPPI",
            "gradient": "gradient (Adam)"}
COSTS = {"last": "cost at the end", "sum": "summed cost", "track": "moving target"}
RATIOS = {"operations": "gflop_per_step", "time, this CPU": "ms_per_candidate_step"}
CRITICAL = {"last": "at the goal, last step, %", "mean_std": "mean std of z",
            "effective_rank": "effective rank", "error_px_5": "5 steps ahead, px"}
EVENTS = {"teleport": "teleport", "flip": "velocity reversed", "wall": "through a wall",
          "colour": "colour changed"}
HISTORY = {"two_frames": "history of two frames", "one_frame": "history of one frame"}
COLORS = dict.fromkeys([*AGENTS.values(), *RATIOS, "authors' GPU"], QUIET) | {
    "LeWorldModel style": PALETTE["blue"], "true dynamics": PALETTE["green"],
    "random shooting": PALETTE["black"], "CEM": PALETTE["blue"], "iCEM": PALETTE["sky"],
    "MPPI": PALETTE["green"], "gradient (Adam)": PALETTE["vermillion"],
    "LeWorldModel": PALETTE["blue"], "DINO-WM": PALETTE["orange"]}
HORIZONS = (1, 2, 5, 10, 15)
BANDS = "Bands: 95% intervals."
# fmt: on
Cell = Mapping[str, Any]


def draw_results(folder: Path) -> list[Path]:
    """Draws every figure whose results file is in the folder, into figures/; returns the files.

    Raises UserError when there is none.
    """
    makers: dict[str, Callable[[Path], Figure]] = {
        "reach": success_figure,
        "expensive": rollout_figure,
        "precision": precision_figure,
        "equal_seconds": equal_seconds_figure,
        "planner_bench": planner_bench_figure,
        "planning_time": planning_time_figure,
        "critical": critical_figure,
        "surprise": surprise_figure,
    }
    there = [name for name in makers if (folder / f"{name}.json").exists()]
    if not there:
        raise UserError(f"no results to draw in {folder}; expected reach.json or others of a sweep")
    for name in there:
        write_png(folder / "figures" / f"{name}.png", makers[name](folder))
    return [folder / "figures" / f"{name}.png" for name in there]


def variants(folder: Path, name: str) -> Mapping[str, Any]:
    return read_results(folder / f"{name}.json")["variants"]


def percent(cell: Cell) -> dict[str, Any]:
    scaled = {k: None if cell[k] is None else 100 * cell[k] for k in ("mean", "low", "high")}
    return scaled | {"values": [100 * value for value in cell["values"]]}


def curve(cells: Mapping[float, Cell]) -> dict[str, list[float]]:
    """A curve of intervals, by x."""
    ordered = sorted(cells)
    ends = {end: [cells[x][end] for x in ordered] for end in ("mean", "low", "high")}
    return {"x": [float(x) for x in ordered], **ends}


def curves(points: Iterable[tuple[str, float, Cell]]) -> dict[str, dict[str, list[float]]]:
    """{name: curve} of points (name, x, interval)."""
    series: dict[str, dict[float, Cell]] = {}
    for name, x, cell in points:
        series.setdefault(name, {})[x] = cell
    return {name: curve(cells) for name, cells in series.items()}


def success_figure(folder: Path) -> Figure:
    """Success of every agent on every task at the last step."""
    contents = []
    for task, title in TASKS.items():
        content = read_results(folder / f"{task}.json")
        found = {name: each["metrics"]["last"] for name, each in content["variants"].items()}
        found |= {name: metrics["last"] for name, metrics in content["bounds"].items()}
        found["greedy"] = content["variants"]["lewm"]["metrics"]["greedy_last"]
        rows = {label: {label: percent(found[name])} for name, label in AGENTS.items()}
        contents.append(Bars(rows, "episodes at the goal, %", title=title))
    note = "Within 3 px at the last step. Whiskers: 95% intervals; dots: single seeds."
    fig = panels(contents, COLORS, note, columns=2)
    for ax in fig.axes:
        ax.set_xlim(0, 100)
    return fig


def rollout_figure(folder: Path) -> Figure:
    """Error of the predicted place against the horizon, of models with the same data."""
    found, known = variants(folder, "expensive"), variants(folder, "baselines")
    models = {label: found[name]["metrics"] for name, label in MODELS.items()}
    bounds = {label: known[f"reach/{name}"]["metrics"] for name, label in BASELINES.items()}
    places, states = (
        curves(
            (label, h, metrics[f"{kind}_{h}"]) for label, metrics in shown.items() for h in HORIZONS
        )
        for kind, shown in (("error_px", models | bounds), ("fvu", models))
    )
    mean_place = models["pixels"]["spread_px"]["mean"]
    contents = [
        Curves(places, "steps ahead", "error of the place, px", {"": mean_place}),
        Curves(states, "steps ahead", "state unexplained (FVU)", {"": 1.0}, log_y=True),
    ]
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


def success_against(series: Mapping[str, Any], x_label: str, note: str) -> Figure:
    fig = panels([Curves(series, x_label, "at the goal, %", log_x=True)], note=note)
    fig.axes[0].set_ylim(0, 103)
    return fig


def precision_figure(folder: Path) -> Figure:
    """Success of true dynamics that are a little off at every step."""
    series = curves(
        (TASKS[v["params"]["task"]], v["params"]["error_px"], percent(v["metrics"]["last"]))
        for v in variants(folder, "precision").values()
    )
    return success_against(series, "error added to the true dynamics, px a step", BANDS)


def equal_seconds_figure(folder: Path) -> Figure:
    """Success against thinking time, of world models that were given more and less of it."""
    found = [(v["params"], v["metrics"]) for v in variants(folder, "equal_seconds").values()]
    series = curves(
        (MODELS[params["method"]], m["ms_per_step"]["mean"], percent(m["last"]))
        for params, m in found
    )
    note = f"From left to right more candidates and rounds of CEM. One thread. {BANDS}"
    fig = success_against(series, "thinking, ms a step and episode", note)
    fig.axes[0].set_xticks([0.1, 1, 10], labels=["0.1", "1", "10"])
    return fig


def planner_bench_figure(folder: Path) -> Figure:
    """Optima found, and what plans cost beyond the best known."""
    found: dict[str, dict[str, Cell]] = {}
    regret: dict[str, dict[str, Cell]] = {}
    for variant in variants(folder, "planner_bench").values():
        params, metrics = variant["params"], variant["metrics"]
        planner = PLANNERS.get(params["planner"])
        if planner and "cost" in params:
            found.setdefault(COSTS[params["cost"]], {})[planner] = percent(metrics["found"])
        elif planner:
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
    published = {"mean": protocol["published_ratio"], "low": None, "high": None}
    rows = {label: {label: ratio[metric]} for label, metric in RATIOS.items()}
    rows["authors' GPU"] = {"authors' GPU": {**published, "values": [published["mean"]]}}
    note = (
        "One step ahead at the published sizes, history of three frames, random weights. "
        f"{protocol['threads']} CPU threads. Bands: fastest and slowest run."
    )
    contents = [
        Curves(series, "candidates", "ms a step", log_x=True, log_y=True),
        Bars(rows, "DINO-WM / LeWorldModel"),
    ]
    return panels(contents, COLORS, note, columns=2)


def critical_figure(folder: Path) -> Figure:
    """Success, spread, rank and rollout error against SIGReg's weight, and the threshold."""
    sweeps = {"critical": "reach", "critical_fine": "reach", "critical_two_rooms": "two_rooms"}
    points: dict[str, list[tuple[str, float, Cell]]] = {metric: [] for metric in CRITICAL}
    for name, task in sweeps.items():
        for variant in variants(folder, name).values():
            params = variant["params"]
            case = f"{TASKS[task]}, D = {params.get('model.embedding_dim', 16)}"  # two_rooms.yaml's
            for metric in ("mean_std",) if name == "critical_fine" else CRITICAL:
                cell = variant["metrics"][metric]
                cell = percent(cell) if metric == "last" else cell
                points[metric].append((case, params["loss_weights.sigreg_lambda"], cell))
    contents = [
        Curves(curves(points[metric]), "sigreg_lambda (r)", label, log_x=True,
               log_y=metric in ("mean_std", "error_px_5"))
        for metric, label in CRITICAL.items()
    ]  # fmt: skip
    note = (
        f"{BANDS} Dashed, in the colour of their curve: where theory says, from the untrained "
        "encoder, that collapse ends. Dotted: 1 / k, enough for any encoder, says the theory. Two "
        "rooms: with temporal straightening, of which it knows nothing."
    )
    fig = panels(contents, note=note, columns=2)
    lines = {
        f"{TASKS[v['params']['task']]}, D = {v['params']['model.embedding_dim']}": v["metrics"]
        for v in variants(folder, "threshold").values()
    }
    drawn = curves(points["last"])
    for ax in fig.axes:
        for case, color in zip(drawn, PALETTE.values(), strict=False):
            predicted = lines[case]["predicted"]["mean"]
            ax.axvline(predicted, color=color, linewidth=1, linestyle="--", zorder=1)
        ax.axvline(lines["reach, D = 10"]["one_over_k"]["mean"], color=QUIET, linestyle=":")
        ticks = next(iter(drawn.values()))["x"]
        ax.set_xticks(ticks, [f"{weight:g}" for weight in ticks])
    fig.axes[0].set_ylim(0, 100)
    fig.axes[1].set_ylim(1e-4, 2)
    fig.axes[1].set_yticks([1e-4, 1e-3, 0.01, 0.1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
    fig.axes[3].set_ylim(1, 400)
    return fig


def surprise_figure(folder: Path) -> Figure:
    """AUROC of every impossible event, with a history of one frame and of two."""
    found = variants(folder, "surprise")
    rows = {
        label: {name: found[n]["metrics"][f"{event}_auroc"] for n, name in HISTORY.items()}
        for event, label in EVENTS.items()
    }
    note = "One-step error of impossible clips against possible twins. Whiskers: 95% intervals."
    fig = panels([Bars(rows, "AUROC", {"chance": 0.5})], note=note)
    fig.axes[0].set_xlim(0, 1)
    return fig
