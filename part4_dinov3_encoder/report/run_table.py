"""The table a run ends with, and a probe."""

import json
from collections.abc import Mapping

from common.harness.results import text_table
from part4_dinov3_encoder.config import PART

REFERENCES = (PART / "results" / "references.json", PART / "results" / "recipes.json")
COLUMNS = {
    "patch_effective_rank": ("rank", ".1f"),
    "position_all_1000": ("position", ".2f"),
    "phase_all_1000": ("phase", ".2f"),
    "radius_max_1000": ("radius", ".2f"),
    "balls_max_1000": ("balls", ".2f"),
    "velocity2_all_1000": ("velocity", ".2f"),
    "foreground": ("IoU", ".2f"),
    "foreground_labelled": ("from labels", ".2f"),
}


def run_table(scores: Mapping[str, float], name: str) -> str:
    """This encoder, and those of results/ (marked *)."""
    rows = [["", *(label for label, _ in COLUMNS.values())], [name, *_cells(scores)]]
    for path in REFERENCES:
        for arm, found in (json.loads(path.read_text())["arms"] if path.exists() else {}).items():
            rows.append([f"{arm} *", *_cells({key: cell["mean"] for key, cell in found.items()})])
    lines = text_table(rows)
    lines.append(
        "\nrank: effective, of patch tokens. position to velocity: R² of noisy linear probes from"
        "\n1,000 labelled frames (all tokens, or their maximum for radius and balls; velocity from"
        "\ntwo frames). IoU: patches named ball by clusters; then by a probe from 100 frames."
    )
    if any(path.exists() for path in REFERENCES):
        lines.append("* not made in this run: mean over seeds, from results/")
    return "\n".join(lines)


def _cells(scores: Mapping[str, float]) -> list[str]:
    return [
        format(scores[key], form) if key in scores else "" for key, (_, form) in COLUMNS.items()
    ]
