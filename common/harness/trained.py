"""The config and the trained networks of a run directory, or of a folder of published weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from common.harness.checkpoints import load_checkpoint, load_weights, weights_of
from common.harness.config import load_config
from common.harness.errors import UserError

C = TypeVar("C")


def run_config(folder: Path, config_class: type[C], baseline: Path, train: str) -> C:
    """The config of a run, whose number of threads it sets; raises UserError.

    train: the command that makes a run, for the messages here and below.
    """
    if not (folder / "config.yaml").exists():
        raise UserError(f"{folder} holds no run (no config.yaml); make one with: {train}")
    cfg = load_config(config_class, [baseline, folder / "config.yaml"])
    torch.set_num_threads(getattr(cfg, "threads", 1))
    return cfg


def load_trained(
    folder: Path, trained: Mapping[str, nn.Module], published: Mapping[str, nn.Module], train: str
) -> None:
    """Loads weights, and switches to evaluation; raises UserError where they do not fit.

    trained: networks by their dotted place in checkpoint.pt; published: by the NAME of NAME.pt,
    which a folder without a checkpoint holds.
    """
    path = folder / "checkpoint.pt"
    if not path.exists() and any(folder.glob("*.pt")):
        for name, module in published.items():
            file = folder / f"{name}.pt"
            load_weights(module, load_checkpoint(file, f"{train} and study.py publish"), file)
    else:
        saved = load_checkpoint(path, f"{train} --run_dir {folder}")
        for name, module in trained.items():
            load_weights(module, weights_of(saved, *name.split(".")), path)
    for module in trained.values():
        module.eval()
