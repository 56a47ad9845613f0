"""The tables of this part, as data: the one that a run ends with, and those of its pages."""

from typing import Any

from common.harness.claims import Claims
from common.harness.tables import Column, Pivot, Table
from part5_action_planning.report.claims import CLAIMS

LABELS = {
    "lewm": "LeWorldModel style (SIGReg)",
    "pldm": "PLDM style (VICReg, inverse dynamics)",
    "pixel": "pixel world model",
    "dino_wm": "DINO tokens, one MLP",
    "vjepa2_ac": "V-JEPA tokens, one MLP",
    "cloning": "*no world model:* goal-conditioned cloning",
    "oracle": "*oracle:* true dynamics, same planner",
    "rendered": "*oracle:* true dynamics, squared error of frames",
    "untrained": "*baseline:* untrained model, same planner",
    "random": "*baseline:* random thrust",
    "do_nothing": "*baseline:* do nothing",
    "coasting": "*baseline:* true dynamics, thrust unknown",
    "pixels": "*baseline:* raw pixels, and nothing moves",
}
TASKS = {"reach": "reach", "two_rooms": "two rooms", "bank_shot": "bank shot",
         "left_right": "left, right"}  # fmt: skip


def percent(label: str, digits: int = 1, **more: Any) -> Column:
    return Column(label, digits, scale=100, **more)


def rows(names: str, prefix: str = "", suffix: str = "") -> dict[str, str]:
    """{place in the results files: label} of some of LABELS."""
    return {prefix + name: LABELS[name] + suffix for name in names.split()}


def same(names: str) -> dict[str, str]:
    """Rows that are labelled as they are named, separated by "; "."""
    return {name: name for name in names.split("; ")}


LAST = {"last": percent("last step, %")}
HELD = {"held": percent("held, %")}
SUCCESS = {**LAST, **HELD, "ever": percent("ever, %")}
QUALITY = {"rank_correlation": ("rank correlation", 2), "error_px_5": ("5 steps ahead, px", 1)}
POSITION, SPEED = {"position_r2": ("position R²", 3)}, {"ms_per_step": ("ms / step", 1)}
CALLS = {"calls_per_step": Column("rollouts / step", whole=True)}
LEWM = {f"{task}:lewm": label for task, label in TASKS.items()}
EXPENSIVE = rows("lewm pixel dino_wm vjepa2_ac")
RENDERED = rows("rendered", "baselines:expensive/")
FULL, LESS = ", in full", ", on a budget"

SPACES = {
    "lewm": "LeWorldModel style", "frames": "frames",
    **{f"blurred_{px}": f"frames, blurred by {px} px" for px in (4, 8, 16)},
    **{f"{name}_{grid}": f"{label} tokens, {grid} x {grid}" for name, label in {
        "vit_random": "untrained ViT's", "ijepa": "I-JEPA's", "vjepa": "V-JEPA's",
        "dino": "DINO's", "lejepa": "LeJEPA's"}.items() for grid in (4, 8)},
}  # fmt: skip

RUN_TABLE = Table(  # of one run, whose row is named as its folder
    "reach",
    {},
    {**SUCCESS, "last_distance_px": ("distance, px", 1), **QUALITY, **POSITION, **SPEED},
    {"random": "baseline: random thrust", "do_nothing": "baseline: do nothing"},
)


def task_tables(task: str, models: str = "lewm") -> dict[str, Table]:
    agents = rows(f"{models} cloning oracle untrained")
    learnt = rows(f"{models} untrained") | rows("coasting pixels", f"baselines:{task}/")
    return {
        f"{task}-success": Table(task, agents, SUCCESS | SPEED, rows("random do_nothing")),
        f"{task}-models": Table(task, learnt, QUALITY | POSITION),
    }


# fmt: off
AGENTS = {"lewm": percent("world model", metric="last")} | {
    name: percent(label, metric="last", variant=name) for name, label in
    {"cloning": "cloning", "random": "random thrust", "oracle": "true dynamics"}.items()
}
INSIDE = {"fvu_5": ("FVU, 5 steps ahead", 3), "straightness": ("straightness", 2),
          "velocity_r2": ("velocity R²", 2), "effective_rank": ("rank", 1)}
SIZES = {"parameters": Column("trained parameters", whole=True),
         "frames": Column("frames / training step", whole=True),
         "steps": Column("training steps", whole=True)}
OFF = {f"e{error:g}": f"off by {error:g} px a step" for error in (0.02, 0.05, 0.1, 0.2, 0.5, 1)}
PLANNERS = {"random": "random shooting", "cem": "CEM", "icem": "iCEM", "mppi": "MPPI",
            "gradient": "gradient (Adam)", "long search": "*long search, 200 times the calls*"}
TIMING = {"ms_equal_calls": ("ms, equal calls", 0), "ms_equal_seconds": ("ms, equal seconds", 0),
          "regret": percent("regret at equal seconds, %", 2)}
SEARCHES = {"default": "default: CEM 128 x 6, horizon 5, summed cost"} | same(
    "iCEM; MPPI; gradient, 16 starts x 24 steps; random shooting; horizon 1 (greedy in the model); "
    "horizon 3; horizon 10; cost at the last step; cost at the closest approach; "
    "L1 instead of squared L2; plan executed for 5 steps")
BUDGETS = {"lewm": "8x1 16x3 64x3 128x6 512x12", "dino_wm": "8x1 16x1 16x3 64x3"}
CHANGES = same("default; rollout 1; rollout 4; history 1; history 3; straightening 0.3; AdaLN "
               "predictor; ViT encoder; AdaLN predictor, r = 4; ViT encoder, r = 4")
CRITICAL = {**LAST, **HELD, "effective_rank": ("rank", 1), "error_px_5": QUALITY["error_px_5"],
            "mean_std": Column("mean std", 5, interval=False)}
CASES = same("reach, D = 4; reach, D = 10; reach, D = 32") | {
    "two rooms, D = 16": "two rooms, D = 16, straightened"}
EVENTS = {"teleport": "teleport", "flip": "velocity reversed", "wall": "through a wall",
          "colour": "colour changed"}
SCORES = {"auroc": ("AUROC, {n} seeds", 3), "false_alarms": ("false alarms at 95%", 3),
          "delay": ("delay, frames", 1), "calm_auroc": ("AUROC, no bounce in the twin", 3),
          "calm_share": ("share of such pairs", 2), "ratio": ("median error / its twin's", 1)}

PAGES = {
    "README.md": {
        "agents": Table("reach", LEWM, AGENTS, corner="task"),
        "expensive": Table("expensive", EXPENSIVE, LAST | QUALITY | SPEED),
        "claims": Claims(CLAIMS),
    },
    "results/README.md": {
        "claims": Claims(CLAIMS, criteria=True),
        **task_tables("reach", "lewm pldm"), **task_tables("two_rooms"),
        **task_tables("bank_shot"), **task_tables("left_right"),
        "greedy": Table("reach", LEWM | {"reach:pldm": "reach, PLDM style", "expensive:lewm":
            f"reach{LESS}"}, {f"greedy_{key}": show for key, show in SUCCESS.items()},
            corner="task"),
        "data": Table("reach", LEWM, {
            "crossing_share": percent("recordings that cross the door, %", interval=False),
            "at_start": percent("episodes solved at the start, %", interval=False)}, corner="task"),
        "expensive-success": Table("expensive", EXPENSIVE | rows("oracle") | RENDERED,
            SUCCESS | SPEED, rows("random do_nothing")),
        "expensive-models": Table("expensive", EXPENSIVE, QUALITY | POSITION),
        "spaces": Table("spaces", SPACES, {f"rank_{low}_{high}": Column(f"{low} to {high} px",
            interval=False) for low, high in ((0, 10), (10, 20), (20, 40), (40, 70))} | LAST
            | HELD),
        "inside": Table("reach", rows("lewm pldm untrained", "reach:", FULL)
            | rows("lewm pixel dino_wm vjepa2_ac", "expensive:", LESS)
            | rows("pixels", "baselines:reach/"), INSIDE | CALLS),
        "sizes": Table("sizes", rows("lewm pldm cloning untrained", "reach/", FULL)
            | rows("lewm pixel dino_wm vjepa2_ac", "expensive/", LESS), SIZES, corner="model"),
        **{f"precision-{task}": Table("precision", {f"{task}-{e}": off for e, off in OFF.items()}
            | {f"{task}:lewm": "LeWorldModel style, as probed"},
            {"error_px_5": QUALITY["error_px_5"], **LAST}) for task in ("reach", "bank_shot")},
        "planner-optima": Pivot("planner_bench", "found", "planner", "cost",
            percent("optimum found, %"), PLANNERS),
        "planner-regret": Pivot("planner_bench", "regret", "planner", "horizon",
            percent("regret, %", 2), {**PLANNERS, 5: "5 steps", 15: "15 steps"}),
        **{f"timing-{steps}": Table("planner_timing", {f"horizon{steps}/{kind}": label
            for kind, label in PLANNERS.items() if kind != "long search"}, TIMING,
            corner=f"{steps} steps") for steps in (5, 15)},
        "planner-ablation": Table("planner_ablation", SEARCHES, LAST | HELD | CALLS),
        "planning-time": Table("planning_time",
            {"lewm": "LeWorldModel", "dino_wm": "DINO-WM", "ratio": "*ratio*"},
            {"gflop_per_step": ("GFLOP a step", 2), "ms_per_candidate_step": ("ms a step", 2),
             "r2": ("R² of the line", 4), "ms_of_encoder": ("encoder, once, ms", 0),
             "plan_seconds": Column("whole plan, s", whole=True)}, corner="published sizes"),
        "equal-seconds": Table("equal_seconds", {f"{m}/{budget}": f"{LABELS[m]}, {budget}"
            for m, budgets in BUDGETS.items() for budget in budgets.split()},
            {"ms_per_step": ("ms / step", 2), **LAST, **HELD}),
        "ablations": Table("ablations", CHANGES, {**LAST, **HELD,
            "gain": percent("last step, less the default's", metric="last", part="differences")}),
        "ablation-models": Table("ablations", CHANGES, {**QUALITY,
            "straightness": ("straightness", 2), "mean_std": ("mean std", 2)}),
        **{f"critical-{task}-{size}": Table(file, {f"d{size}-r{r:g}": f"r = {r:g}" for r in
            (0.1, 0.4, 0.8, 1.5, 4, 12)}, CRITICAL, corner=f"{TASKS[task]}, D = {size}")
            for file, task, size in (("critical", "reach", 4), ("critical", "reach", 10),
            ("critical", "reach", 32), ("critical_two_rooms", "two_rooms", 16))},
        "not-collapsed": Pivot("critical_agreement", "not_collapsed", "case",
            "loss_weights.sigreg_lambda", Column("seeds, of 3", 0, scale=3, interval=False), CASES),
        "threshold": Table("threshold",
            {f"reach-d{size}": f"reach, D = {size}" for size in (4, 10, 32)}
            | {f"two_rooms-d{size}": f"two rooms, D = {size}" for size in (10, 16)},
            {"best_fvu": ("FVU, best direction", 3), "mean_fvu": ("FVU, mean", 3),
             "predicted": ("critical r", 3)}),
        "agreement": Table("critical_agreement", CASES | same("two rooms, D = 16, without "
            "straightening") | {"all": "all but the straightened"},
            {"runs": Column("runs", whole=True), "right_encoder": percent("encoder right, %"),
             "right_constant": percent("1 / k right, %"), "mcnemar_p": ("McNemar p", 3),
             "collapsed_above": percent("collapsed above 1 / k, %")}, corner="case"),
        "best-weight": Table("critical_agreement", CASES,
            {"smallest_weight": ("smallest r", 1), "last_smallest": percent("last step, %"),
             "best_weight": ("best r", 1), "last_best": percent("last step, %"),
             "last_gain": percent("paired difference")}, corner="case"),
        **{f"surprise-{score}": Table("surprise", {"two_frames": "two frames",
            "one_frame": "one frame"}, {f"{e}_{score}": (label, digits) for e, label in
            EVENTS.items()}, corner=corner) for score, (corner, digits) in SCORES.items()},
    },
}
