"""A model of a config, untrained or as a finished run or a published file left it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from common.frozen import load_frozen
from common.harness.checkpoints import load_checkpoint, load_weights
from common.harness.config import load_config, parse_config
from common.harness.errors import UserError
from part5_action_planning.config import FREE, PART, Config
from part5_action_planning.model.world_models import LatentModel, PixelModel, Policy, TokenModel

Model = LatentModel | PixelModel | TokenModel | Policy
PUBLISHED = PART / "results" / "weights" / "lewm"


def make_model(cfg: Config) -> Model:
    """The untrained model of a config; its weights come from the seed."""
    torch.manual_seed(cfg.seed)
    match cfg.objective:
        case "pixel":
            return PixelModel(cfg)
        case "cloning":
            return Policy(cfg)
        case "dino_wm" | "vjepa2_ac":
            return _token_model(cfg)
        case _:
            return LatentModel(cfg)


def _token_model(cfg: Config) -> TokenModel:
    """A predictor of a frozen encoder's patch tokens, averaged down to token_grid x token_grid."""
    frozen = load_frozen(cfg.model.frozen_encoder, cfg.model.frozen_weights or None)
    return TokenModel(cfg, frozen.averaged(cfg.model.token_grid))


def load_with_knobs(folder: Path, knobs: Sequence[str], description: str) -> tuple[Config, Model]:
    """As ``load_model``, with knobs of the command line that leave the network as it is.

    A knob is --key=value: a value of its own would be taken for the folder.
    """
    for knob in knobs:
        if not (knob in ("-h", "--help") or (knob.startswith("--") and "=" in knob)):
            raise UserError(f"{knob}: write a knob as --key=value, such as --planner.kind=mppi")
        if knob.split("=")[0] in ("--run_dir", "--name", "--overwrite"):
            raise UserError(f"{knob}: nothing is trained here; give the run's folder alone")
    trained, model = load_model(folder)
    cfg, _ = parse_config(
        Config, baseline=folder / "config.yaml", description=description, argv=knobs
    )
    fixed = ("model", "objective", "world")
    for name in fixed:
        if getattr(cfg, name) != getattr(trained, name):
            raise UserError(
                f"--{name}: the weights in {folder} were made for another; turn other knobs, or "
                "train anew with: python part5_action_planning/train.py"
            )
    return cfg, model


def load_model(folder: Path) -> tuple[Config, Model]:
    """Config and trained model of a run, or of published weights; raises UserError.

    A folder holds config.yaml and either a run's checkpoint.pt or a published model.pt.
    """
    made_by = f"python part5_action_planning/train.py --run_dir {folder}"
    if not (folder / "config.yaml").exists():
        raise UserError(f"{folder} holds no config.yaml; make a run with: {made_by}")
    cfg = load_config(Config, [folder / "config.yaml"])
    if cfg.objective in FREE:
        raise UserError(f"{folder} is a run of {cfg.objective}, which has no weights to load")
    model, published = make_model(cfg), folder / "model.pt"
    if published.exists():
        load_weights(model, load_checkpoint(published, made_by), published)
    else:
        saved = load_checkpoint(folder / "checkpoint.pt", made_by)
        weights = saved.get("state", {}).get("model")
        load_weights(model, weights, folder / "checkpoint.pt")
    model.eval()
    return cfg, model
