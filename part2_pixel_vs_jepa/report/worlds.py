"""The tables of the worlds other than the posts', each from the file named like the world."""

from collections.abc import Mapping
from typing import Any

from common.harness.results import Table
from part2_pixel_vs_jepa.report.tables import ARM_LABELS, cells, read, seeds

WORLDS = ("dots", "squares", "background", "speeds", "stochastic_wall")


def worlds_table(metric: str) -> Table:
    """One metric of every arm on every other world."""
    table = [[world, *cells_of(read(world), metric)] for world in WORLDS]
    return [f"{metric}, {seeds(WORLDS[0])}", *ARM_LABELS.values()], table


def cells_of(results: Mapping[str, Any], metric: str) -> list[str]:
    """One cell an arm."""
    return [cells(results["arms"][arm], [metric])[0] for arm in ARM_LABELS]


def smear_worlds_table() -> Table:
    """Smear on every other world."""
    return worlds_table("smear")


def latent_worlds_table() -> Table:
    """Latent smear of the embedding arms on every other world."""
    header, table = worlds_table("latent_smear")
    kept = [0, *(i for i, label in enumerate(header) if label.startswith("JEPA"))]
    header[0] = f"latent smear, {seeds(WORLDS[0])}"
    return [header[i] for i in kept], [[row[i] for i in kept] for row in table]


def coverage_worlds_table() -> Table:
    """Coverage on every other world."""
    return worlds_table("coverage")


def precision_worlds_table() -> Table:
    """Precision on every other world."""
    return worlds_table("precision")


def bounds_worlds_table() -> Table:
    """What a smear is read against, and how near the pixel arms come to the Bayes floor."""
    header = [
        seeds(WORLDS[0]), "pairs with several futures, of", "smear of a copy", "of the mean frame",
        "of a black frame", *(f"MSE / Bayes, {ARM_LABELS[arm]}" for arm in ("pixels", "pixels_z")),
    ]  # fmt: skip
    table = []
    for world in WORLDS:
        results = read(world)
        bounds, arms = results["bounds"], results["arms"]
        pairs = [f"{bounds['pairs'][name]['mean']:.0f}" for name in ("ambiguous", "count")]
        smears = [cells(bounds[bound], ["smear"])[0] for bound in ("copy", "mean", "blank")]
        errors = [cells(arms[arm], ["mse_over_bayes"])[0] for arm in ("pixels", "pixels_z")]
        table.append([world, " of ".join(pairs), *smears, *errors])
    return header, table
