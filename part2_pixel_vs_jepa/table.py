"""The headline table: the four arms of the 2 x 2 between their floors and ceilings."""

import json
from typing import Any

from part2_pixel_vs_jepa.experiment import ARMS, PART, Config

REFERENCE = PART / "results" / "main.json"
COLUMNS = {
    "smear": "smear",
    "smear_readout": "of readout",
    "latent_smear": "latent smear",
    "coverage": "coverage",
    "precision": "precision",
    "mse_over_bayes": "MSE / Bayes",
    "fvu": "FVU",
    "effective_rank": "rank",
    "parameters": "parameters",
}
BOUNDS = {
    "oracle": "every real future",
    "bayes": "Bayes-optimal frame",
    "copy": "copy of the last frame",
    "mean": "mean of all frames",
    "blank": "black frame",
}


def headline_table(summary: dict[str, Any], cfg: Config) -> str:
    """The table a run ends with; arms it did not train come from the reference results."""
    rows = [["", *COLUMNS.values()]]
    reference = _reference()
    starred = False
    for arm in ARMS:
        label = {"vicreg": arm, "sigreg": f"{arm} (SIGReg)"}[cfg.regularizer]
        if arm in summary["arms"]:
            hypotheses = cfg.num_hypotheses if arm.endswith("_z") else 1
            scores = summary["arms"][arm]
            rows.append([f"{label}, K = {hypotheses}", *_cells(scores)])
        elif arm in reference:
            starred = True
            scores = {name: value["mean"] for name, value in reference[arm].items()}
            rows.append([f"{arm} *", *_cells(scores)])
    for name, label in BOUNDS.items():
        if name in summary["bounds"]:
            rows.append([f"({label})", *_cells(summary["bounds"][name])])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(_pad(cell, widths[i], i) for i, cell in enumerate(row)) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    lines.insert(-len(BOUNDS), "-" * len(lines[0]))
    pairs = summary["bounds"]["pairs"]
    lines.append(
        "\nsmear: 0 a real future, 1 the exact blur of them all; on held-out pairs whose futures"
        f"\nare at least 1 px apart ({pairs['ambiguous']:.0f} of {pairs['count']:.0f}). "
        "MSE / Bayes: 1 is the irreducible error. FVU: 0 is perfect."
    )
    if starred:
        lines.append(
            "* not trained in this run: mean over seeds on the posts' world, results/main.json"
        )
    return "\n".join(lines)


def _reference() -> dict[str, Any]:
    if not REFERENCE.exists():
        return {}
    return json.loads(REFERENCE.read_text())["arms"]


def _cells(scores: dict[str, float]) -> list[str]:
    cells = []
    for name in COLUMNS:
        value = scores.get(name)
        if value is None:
            cells.append("")
        elif name == "parameters":
            cells.append(f"{value:,.0f}")
        else:
            cells.append(f"{value:.3f}")
    return cells


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
