"""The figures of part3_collapse_regularizers/results/*.json."""

from pathlib import Path


def draw_results(folder: Path) -> list[Path]:
    return []
