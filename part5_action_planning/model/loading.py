"""Trained models: of a finished run, or published ones."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from common.harness.checkpoints import load_checkpoint, load_weights, weights_of
from common.harness.config import load_config, parse_config
from common.harness.errors import UserError
from part5_action_planning.config import PART, Config
from part5_action_planning.model.world_models import Model, make_model

PUBLISHED = PART / "results" / "weights" / "lewm"
FIXED = ("model", "method", "world")  # what the weights were made for


def load_model(folder: Path) -> tuple[Config, Model]:
    """Config and trained model of a run, or of published weights; raises UserError.

    A folder holds config.yaml and either a run's checkpoint.pt or a published model.pt.
    """
    made_by = f"python part5_action_planning/train.py --run_dir {folder}"
    if not (folder / "config.yaml").exists():
        raise UserError(f"{folder} holds no config.yaml; make a run with: {made_by}")
    cfg = load_config(Config, [folder / "config.yaml"])
    if cfg.method == "oracle":
        raise UserError(f"{folder} is a run of {cfg.method}, which has no weights to load")
    model, published = make_model(cfg), folder / "model.pt"
    if published.exists():
        load_weights(model, load_checkpoint(published, made_by), published)
    else:
        saved = load_checkpoint(folder / "checkpoint.pt", made_by)
        load_weights(model, weights_of(saved, "model"), folder / "checkpoint.pt")
    model.eval()
    return cfg, model


def load_with_options(folder: Path, options: Sequence[str]) -> tuple[Config, Model]:
    """As ``load_model``, with options --key=value that leave the network as it is.

    (A value of its own would be taken for the folder.)
    """
    for given in options:
        if not (given.startswith("--") and "=" in given):
            raise UserError(f"{given}: write it as --key=value, such as --planner.kind=mppi")
        if given.split("=")[0] in ("--run_dir", "--name", "--overwrite"):
            raise UserError(f"{given}: nothing is trained here; give the run's folder alone")
    trained, model = load_model(folder)
    cfg, _ = parse_config(Config, baseline=folder / "config.yaml", description="", argv=options)
    for name in FIXED:
        if getattr(cfg, name) != getattr(trained, name):
            raise UserError(
                f"--{name}: the weights in {folder} were made for another; change other options, "
                "or train anew with: python part5_action_planning/train.py"
            )
    return cfg, model


def model_of_command(
    description: str | None, own: Mapping[str, Any] | None = None
) -> tuple[argparse.Namespace, Config, Model]:
    """Of a command RUN_DIR --key=value ...: what it says, and ``load_with_options`` of it.

    own: {option: what ``add_argument`` is given} of those that the script alone knows.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", nargs="?", type=Path, default=PUBLISHED, help="a finished run")
    for name, about in (own or {}).items():
        parser.add_argument(name, **about)
    args, options = parser.parse_known_args()
    cfg, model = load_with_options(args.run_dir, options)
    torch.set_num_threads(cfg.threads)
    return args, cfg, model
