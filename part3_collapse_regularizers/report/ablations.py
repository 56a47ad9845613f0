"""The tables of batch size, embedding dimensions and LeJEPA's parts, with their bounds."""

from common.harness.results import Table
from part3_collapse_regularizers.figures.results import METHODS
from part3_collapse_regularizers.report.tables import BOUNDS, COLUMNS, METRIC, cell, read

SHOWN = {METRIC: ("position R²", 2), "effective_rank": ("rank", 1)}


def by_number(experiment: str, mark: str) -> Table:
    """Arms "<method><mark><number>": a row a method and metric, a column a number; then bounds."""
    content = read(experiment)
    arms = content["arms"]
    numbers = sorted({int(arm.rpartition(mark)[2]) for arm in arms})
    rows = [
        [
            f"{METHODS[method]}, {label}",
            *(cell(arms[f"{method}{mark}{number}"], metric, digits) for number in numbers),
        ]
        for metric, (label, digits) in SHOWN.items()
        for method in ("barlow", "vicreg", "sigreg")
        if f"{method}{mark}{numbers[0]}" in arms
    ]
    for bound, name in BOUNDS.items():
        known = content["bounds"]  # an arm's own, where the arms' worlds or encoders differ
        found = [known.get(f"vicreg{mark}{n}/{bound}", known.get(bound)) for n in numbers]
        rows.append(
            [f"{name}, {SHOWN[METRIC][0]}", *(cell(metrics, METRIC, 2) for metrics in found)]
        )
    return [f"{len(content['seeds'])} seeds", *map(str, numbers)], rows


def batch_table() -> Table:
    """Batch size down to 16."""
    return by_number("batch", "-n")


def dimension_table() -> Table:
    """Two factors in more and more dimensions."""
    return by_number("dimension", "-d")


def lejepa_parts_table() -> Table:
    """LeJEPA with what it says it does not need, and without what the default has."""
    labels = {
        "plain": "as it is",
        "stopgrad": "with stop-gradient, matched odds",
        "teacher": "with an EMA teacher, matched odds",
        "predictor": "with a predictor",
        "constant_rate": "constant learning rate",
        "no_warmup": "no warm-up",
    }
    content = read("lejepa_parts")
    columns = ("collapse_ratio", "effective_rank", "position_1000", "content_1000", "nuisance_1000")
    named = [(label, content["arms"][arm]) for arm, label in labels.items()]
    named += [(label, content["bounds"][bound]) for bound, label in BOUNDS.items()]
    rows = [
        [label, *(cell(metrics, name, COLUMNS[name][1]) for name in columns)]
        for label, metrics in named
    ]
    return [f"LeJEPA, {len(content['seeds'])} seeds", *(COLUMNS[name][0] for name in columns)], rows
