"""Trained models: of a finished run, or published ones."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from common.harness.config import parse_config
from common.harness.errors import UserError, typed_path
from common.harness.machine import pick_device
from common.harness.trained import load_trained, run_config
from part5_action_planning.config import BASELINE, PART, Config
from part5_action_planning.model.words import WordModel
from part5_action_planning.model.world_models import Model, make_model

PUBLISHED = PART / "results" / "weights" / "lewm"
FIXED = ("model", "words", "sequence", "method", "world")  # what the weights were made for
TRAINING = (  # what nothing reads after training
    "steps", "batch_size", "learning_rate", "warmup", "weight_decay", "log_every", "save_every",
    "rollout", "loss_weights",
)  # fmt: skip


def load_run(run_dir: Path) -> tuple[Config, Model]:
    """The config and the model of a run, or of published weights; raises UserError.

    Sets the run's number of threads.
    """
    train = "python part5_action_planning/train.py"
    cfg = run_config(run_dir, Config, BASELINE, train)
    if cfg.method == "oracle":
        raise UserError(f"{run_dir} is a run of {cfg.method}, which has no weights to load")
    model = make_model(cfg)
    load_trained(run_dir, {"model": model}, {"model": model}, train)
    return cfg, model


def load_with_options(folder: Path, options: Sequence[str]) -> tuple[Config, Model]:
    """As ``load_run``, with options --key=value that leave the network as it is.

    (A value of its own would be taken for the folder.)
    """
    for given in options:
        if not (given.startswith("--") and "=" in given):
            raise UserError(f"{given}: write it as --key=value, such as --planner.kind=mppi")
        if given.split("=")[0] in ("--run_dir", "--name", "--overwrite"):
            raise UserError(f"{given}: nothing is trained here; give the run's folder alone")
        if re.split(r"[.=]", given[2:])[0] in TRAINING:
            raise UserError(f"{given}: nothing reads it here, only in training: leave it")
    trained, model = load_run(folder)
    cfg, _ = parse_config(Config, baseline=folder / "config.yaml", description="", argv=options)
    as_before = {"say": trained.words.say, "goal": trained.words.goal}  # which no weight knows
    fixed = replace(cfg, words=replace(cfg.words, **as_before))
    if isinstance(model, WordModel):
        model.use(cfg.words)
    for name in FIXED:
        if getattr(fixed, name) != getattr(trained, name):
            raise UserError(
                f"--{name}: the weights in {folder} were made for another; change other options, "
                "or train anew with: python part5_action_planning/train.py"
            )
    return cfg, model


def model_of_command(
    description: str | None, own: Mapping[str, Any] | None = None
) -> tuple[argparse.Namespace, Config, Model]:
    """Of a command RUN_DIR --key=value ...: what it says, and ``load_with_options`` of it, on its
    device.

    own: {option: what ``add_argument`` is given} of those that the script alone knows; the others
    are left as ``options``.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "run_dir", nargs="?", type=typed_path, default=PUBLISHED, help="a finished run"
    )
    for name, about in (own or {}).items():
        parser.add_argument(name, **about)
    args, args.options = parser.parse_known_args()
    cfg, model = load_with_options(args.run_dir, args.options)
    torch.set_num_threads(cfg.threads)
    return args, cfg, model.to(pick_device(cfg.device))
