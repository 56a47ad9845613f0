"""Which command and which file each table and figure comes from, and how long the command took."""

from common.harness.results import Table
from part3_collapse_regularizers.report.tables import read

EXPERIMENTS = {
    "main": "every arm, both settings",
    "stability": "the local theory",
    "weights": "one weight off",
    "lejepa_parts": "LeJEPA, part by part",
    "loss_as_judge": "the loss as a judge",
    "batch": "batch size",
    "dimension": "embedding dimensions",
    "phase_batch": "phase diagram over batches",
    "phase_rollout": "phase diagram over rollouts",
}


def sources_table() -> Table:
    """A row a results file. Minutes: of all its runs together."""
    rows = []
    for name, label in EXPERIMENTS.items():
        content = read(name)
        minutes = f"{content['seconds'] / 60:.0f}"
        rows.append([label, f"`{content['command']}`", f"`{name}.json`", minutes])
    return ["table or figure", "command", "file", "minutes on one core"], rows
