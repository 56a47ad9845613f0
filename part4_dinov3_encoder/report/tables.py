"""The README's tables, each from a file of results/."""

from collections.abc import Mapping
from typing import Any

from common.harness.results import Table, format_interval, read_results
from part4_dinov3_encoder.config import PART

RECIPES = {"ijepa": "I-JEPA", "vjepa": "V-JEPA", "dino": "DINO", "lejepa": "LeJEPA"}
REFERENCES = {
    "raw_pixels": "*no encoder: raw pixels*",
    "part2_jepa": "*part 2's JEPA, one ball on black*",
    "untrained": "*floor: the ViT untrained*",
}
PROBES = {
    "position_all_100": ("position, 100 labels", 2),
    "position_all_1000": ("position", 2),
    "position_mean_1000": ("position, mean", 2),
    "position_max_1000": ("position, max", 2),
    "phase_all_1000": ("phase in patch", 2),
    "radius_max_1000": ("radius, max", 2),
    "balls_max_1000": ("balls, max", 2),
    "velocity_all_1000": ("velocity, one frame", 2),
    "velocity2_all_1000": ("velocity, two", 2),
}
COLLAPSE = {
    "collapse_ratio": ("collapse ratio, frames", 3),
    "effective_rank": ("rank, frames", 1),
    "mean_std": ("mean std, frames", 3),
    "patch_collapse_ratio": ("collapse ratio, patches", 3),
    "patch_effective_rank": ("rank, patches", 1),
}
FOREGROUND = {
    "foreground": ("IoU, no labels", 2),
    "foreground_removed": ("places taken out", 2),
    "foreground_labelled": ("a linear probe, 100 labelled frames", 2),
}
PLACES = {
    "leakage": ("place's share of variance", 2),
    "leakage_removed": ("after", 2),
    "place_directions": ("directions", 0),
    "position_all_1000": ("position R²", 2),
    "position_all_removed": ("after", 2),
}
TEACHER = {
    "position_all_100": ("position, 100 labels", 2),
    "position_all_1000": ("position", 2),
    "foreground": ("IoU, no labels", 2),
    "patch_effective_rank": ("rank of patches", 1),
}
RATES = {
    "ijepa": "I-JEPA",
    "ijepa-forgets": "I-JEPA, a teacher that forgets",
    "vjepa": "V-JEPA",
    "vjepa-forgets": "V-JEPA, a teacher that forgets",
}
Arms = Mapping[str, Mapping[str, Any]]


def read(experiment: str) -> dict[str, Any]:
    """The results file of an experiment."""
    return read_results(PART / "results" / f"{experiment}.json")


def arms() -> dict[str, Mapping[str, Any]]:
    """References and recipes."""
    return read("references")["arms"] | read("recipes")["arms"]


def rows_of(columns: Mapping[str, tuple[str, int]], found: Arms) -> Table:
    """A row an encoder; empty where it has no such number."""
    header = [f"{len(read('recipes')['seeds'])} seeds", *(label for label, _ in columns.values())]
    rows = []
    for arm, label in (REFERENCES | RECIPES).items():
        metrics = found.get(arm, {})
        cells = [
            format_interval(metrics[name], digits) if name in metrics else ""
            for name, (_, digits) in columns.items()
        ]
        if any(cells):
            rows.append([label, *cells])
    return header, rows


def probes_table() -> Table:
    """What linear probes read."""
    return rows_of(PROBES, arms())


def foreground_table() -> Table:
    """Foreground without labels."""
    return rows_of(FOREGROUND, arms())


def places_table() -> Table:
    """How much of a token is its place, and what is left without."""
    return rows_of(PLACES, {arm: m for arm, m in arms().items() if "leakage" in m})


def collapse_table() -> Table:
    """Whether anything collapsed."""
    return rows_of(COLLAPSE, arms())


def teacher_table() -> Table:
    """What is left of a teacher's beginning, and what changes without; empty until it is run."""
    is_there = (PART / "results" / "teacher_rate.json").exists()
    content = read("teacher_rate") if is_there else {"arms": {}, "seeds": []}
    rows = [
        [
            RATES[arm],
            f"{metrics['initial_share']['mean']:.3f}",
            *(format_interval(metrics[name], digits) for name, (_, digits) in TEACHER.items()),
        ]
        for arm, metrics in content["arms"].items()
    ]
    header = [f"{len(content['seeds'])} seeds", "initial share"]
    return [*header, *(label for label, _ in TEACHER.values())], rows


def tracking_table() -> Table:
    """The ball followed through clips at several resolutions: recipes, then what is not trained."""
    content = read("tracking")
    labels = RECIPES | {
        "vit_random": "*floor: the ViT untrained*",
        "raw_pixels": "*no encoder: raw pixels*",
        "true_labels": "*ceiling: true labels, same readout*",
        "never_moving": "*a point that never moves*",
    }
    found = content["arms"] | content["bounds"]
    resolutions = content["protocol"]["resolutions"]
    rows = []
    for name, label in labels.items():
        cells = [found[f"{name}@{side}"] for side in resolutions]
        errors = [format_interval(cell["error_px"], 2) for cell in cells]
        rows.append([label, *errors, f"{cells[-1]['lost']['mean']:.2f}"])
    header = [f"{side // 8} x {side // 8} tokens, px" for side in resolutions]
    return [f"{len(content['seeds'])} seeds of clips", *header, "lost at the end, 24 x 24"], rows
