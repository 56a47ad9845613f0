"""The table a run ends with."""

import json
from typing import Any

from common.harness.results import text_table
from part5_action_planning.config import PART

REFERENCE = PART / "results"
COLUMNS = {
    "last": ("last step", ".1%"),
    "held": ("held", ".1%"),
    "ever": ("ever", ".1%"),
    "last_distance_px": ("distance, px", ".1f"),
    "rank_correlation": ("rank corr.", ".2f"),
    "position_r2": ("position R²", ".3f"),
    "error_px_5": ("5 steps, px", ".1f"),
    "ms_per_step": ("ms / step", ".1f"),
}
BOUNDS = {"random": "random thrust", "do_nothing": "do nothing"}


def run_table(summary: dict[str, Any], name: str, task: str) -> str:
    """This run, its bounds, and the reference arms of the same task from results/ (marked *)."""
    (scores,) = summary["arms"].values()
    rows = [["", *(label for label, _ in COLUMNS.values())], [name, *_cells(scores)]]
    rows += [[f"({label})", *_cells(summary["bounds"][bound])] for bound, label in BOUNDS.items()]
    path = REFERENCE / f"{task}.json"
    reference = json.loads(path.read_text())["arms"] if path.exists() else {}
    for arm, found in reference.items():
        rows.append([f"{arm} *", *_cells({key: cell["mean"] for key, cell in found.items()})])
    lines = text_table(rows)
    lines.append(
        "\nlast step, held, ever: share of the episodes in which the ball is within the success"
        "\nradius of its goal at the last step, in each of the last few, at any. rank corr.: of"
        "\nimagined and true costs of candidates. 5 steps: error of the place read from a rollout."
    )
    if reference:
        lines.append(f"* not trained in this run: mean over seeds, results/{task}.json")
    return "\n".join(lines)


def _cells(scores: dict[str, float]) -> list[str]:
    return [
        format(scores[key], form) if key in scores else "" for key, (_, form) in COLUMNS.items()
    ]
