"""Copies a finished run's figures and weights to where those who have not trained find them."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from common.harness.checkpoints import save_checkpoint
from common.harness.errors import UserError


def finished(run: Path, made_by: str) -> Path:
    """The run, if it is one that has finished; raises UserError with the command that makes it."""
    if not (run / "summary.json").exists():
        raise UserError(f"{run} is no finished run; make it with: {made_by}")
    return run


def publish_figures(run: Path, names: Sequence[str], folder: Path) -> None:
    """Copies figures of a run; raises UserError where one is missing, before any is copied."""
    for name in names:
        if not (run / "figures" / name).exists():
            raise UserError(f"{run} has no figures/{name}: train it with figures: true")
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(run / "figures" / name, folder / name)


def publish_weights(
    run: Path, states: Mapping[str, Mapping[str, Tensor]], folder: Path, *, half: bool = True
) -> None:
    """Writes each of {file name: state} and the run's config.yaml into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(run / "config.yaml", folder / "config.yaml")
    for name, state in states.items():
        made = {key: value.half() if half else value for key, value in state.items()}
        save_checkpoint(folder / name, made)
