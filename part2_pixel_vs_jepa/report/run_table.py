"""The headline table: the four arms of the 2 x 2 between their floors and ceilings."""

from typing import Any

from common.harness.results import read_results, text_table
from part2_pixel_vs_jepa.config import ARMS, PART, Config

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
        is_sigreg = cfg.regularizer == "sigreg" and arm.startswith("jepa")
        label = f"{arm} (SIGReg)" if is_sigreg else arm
        if arm in summary["arms"]:
            hypotheses = cfg.num_hypotheses if arm.endswith("_z") else 1
            scores = summary["arms"][arm]
            rows.append([f"{label}, K = {hypotheses}", *_cells(scores)])
        elif found := reference.get(f"{arm}_sigreg" if is_sigreg else arm):
            starred = True
            scores = {name: value["mean"] for name, value in found.items()}
            rows.append([f"{label} *", *_cells(scores)])
    floors = [
        [f"({label})", *_cells(summary["bounds"][name])]
        for name, label in BOUNDS.items()
        if name in summary["bounds"]
    ]
    lines = text_table([*rows, *floors])
    lines.insert(len(rows) + 1, lines[1])  # a ruler above the floors too
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
    return read_results(REFERENCE)["arms"]


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
