"""How large the world models are that the tables set side by side, and what a step shows them.

    python part5_action_planning/sizes.py         -> results/sizes.json

parameters: what an arm's own loss updates, so neither a decoder for looking only nor a frozen
encoder; frames: of the clips of one training step; steps.
"""

import time

from torch import nn

from common.harness.config import load_config
from common.harness.errors import no_options, run_script
from common.harness.results import write_results
from common.harness.runs import RUNS
from common.intervals import mean_intervals
from common.sweep import read_sweep
from part5_action_planning.config import BASELINE, FREE, PART, Config
from part5_action_planning.model.build import make_model
from part5_action_planning.model.world_models import LatentModel

SWEEPS = ("reach", "slow")


def own_parameters(model: nn.Module, cfg: Config) -> dict[str, nn.Parameter]:
    """{name: parameter} of all that the objective of a config updates."""
    apart = ["predictor.network.log_odds."]  # of the one hypothesis that there is
    if isinstance(model, LatentModel):
        apart += ["decoder."] if cfg.objective == "vicreg_idm" else ["decoder.", "inverse."]
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


def main() -> None:
    no_options(__doc__)
    begin, arms = time.monotonic(), {}
    for experiment in SWEEPS:
        _, jobs = read_sweep(BASELINE.parent / "sweeps" / f"{experiment}.yaml", RUNS)
        for job in jobs:
            cfg = load_config(Config, [BASELINE], job.config)
            if cfg.objective not in FREE:
                arms[f"{experiment}/{job.arm}"] = sizes(cfg)
    write_results(
        PART / "results" / "sizes.json",
        "python part5_action_planning/sizes.py",
        protocol={"sweeps": list(SWEEPS)},
        seconds=time.monotonic() - begin,
        seeds=[0],
        arms={arm: mean_intervals([found]) for arm, found in arms.items()},
    )


if __name__ == "__main__":
    run_script(main)
