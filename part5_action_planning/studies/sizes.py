"""How large the world models are that the tables set side by side, and what a step shows them.

parameters: what a method's own loss updates, so neither a decoder for looking only nor a frozen
encoder; frames: of the clips of one training step; steps.
"""

from typing import Any

from torch import nn

from common.harness.config import load_config
from common.harness.runs import RUNS
from common.sweep import read_sweep
from part5_action_planning.config import BASELINE, Config
from part5_action_planning.model.jepa import LatentModel
from part5_action_planning.model.world_models import make_model
from part5_action_planning.studies import SWEEPS, variant, write_study

EXPERIMENTS = ("reach", "expensive")


def own_parameters(model: nn.Module, cfg: Config) -> dict[str, nn.Parameter]:
    """{name: parameter} of all that the method of a config updates."""
    apart = ["predictor.network.log_odds."]  # of the one hypothesis that there is
    if isinstance(model, LatentModel):
        apart += ["decoder."] if cfg.method == "pldm" else ["decoder.", "inverse."]
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and not name.startswith(tuple(apart))
    }


def sizes(cfg: Config) -> dict[str, float]:
    """Trained parameters, frames of a training step, and steps, of one config."""
    own = own_parameters(make_model(cfg), cfg)
    return {
        "parameters": float(sum(parameter.numel() for parameter in own.values())),
        "frames": float(cfg.batch_size * cfg.data.clip_length),
        "steps": float(cfg.steps),
    }


def measure() -> dict[str, Any]:
    variants = {}
    for experiment in EXPERIMENTS:
        _, jobs = read_sweep(SWEEPS / f"{experiment}.yaml", RUNS)
        for job in jobs:
            cfg = load_config(Config, [BASELINE], job.config)
            if cfg.method != "oracle":
                params = {"experiment": experiment, "variant": job.variant}
                variants[f"{experiment}/{job.variant}"] = variant(params, [sizes(cfg)])
    return {"variants": variants, "protocol": {"sweeps": list(EXPERIMENTS)}, "seeds": [0]}


def main() -> None:
    write_study("sizes", measure, __doc__)
