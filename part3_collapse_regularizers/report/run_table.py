"""The table a run ends with."""

import json
from typing import Any

from common.harness.results import text_table
from part3_collapse_regularizers.config import PART

REFERENCE = PART / "results" / "main.json"
REFERENCE_ARMS = ("none", "barlow", "vicreg", "sigreg", "supervised")
COLUMNS = {
    "collapse_ratio": ("collapse ratio", ".4f"),
    "effective_rank": ("rank", ".1f"),
    "mean_std": ("mean std", ".3g"),
    "position_1000": ("position R²", ".3f"),
    "content_1000": ("content R²", ".3f"),
    "content_100": ("from 100", ".3f"),
    "nuisance_1000": ("nuisance R²", ".3f"),
}
BOUNDS = {"random_encoder": "untrained encoder", "raw_pixels": "raw pixels"}


def run_table(summary: dict[str, Any], name: str) -> str:
    """This run, its bounds, and the reference arms from results/ (marked *)."""
    (scores,) = summary["arms"].values()
    rows = [["", *(label for label, _ in COLUMNS.values())], [name, *_cells(scores)]]
    rows += [[f"({label})", *_cells(summary["bounds"][bound])] for bound, label in BOUNDS.items()]
    reference = json.loads(REFERENCE.read_text())["arms"] if REFERENCE.exists() else {}
    for arm in REFERENCE_ARMS:
        if found := reference.get(f"{arm}-views"):
            rows.append([f"{arm} *", *_cells({key: cell["mean"] for key, cell in found.items()})])
    lines = text_table(rows)
    lines.append(
        "\ncollapse ratio: 0 a point, 1 spread about 0. rank: effective, of the embedding. R²:"
        "\nnoisy linear probes on held-out frames, from 1,000 labels (or 100); nuisance is what"
        "\ndiffers between the two frames of a sample."
    )
    if reference:
        lines.append("* not trained in this run: two views, mean over seeds, results/main.json")
    return "\n".join(lines)


def _cells(scores: dict[str, float]) -> list[str]:
    return [
        format(scores[key], form) if key in scores else "" for key, (_, form) in COLUMNS.items()
    ]
