"""The weight at which collapse should stop being stable, read off an untrained encoder.

    python part5_action_planning/critical.py          -> results/threshold.json, about a minute

Near collapse an embedding of spread e costs (1 - R^2) e^2 to predict and gains k e^2 from SIGReg
per sample (k = 1.546 for 17 knots on [0, 3]), so collapse is unstable where some direction has

    r k > 1 - R^2,

r being weights.sigreg_weight and R^2 how well that direction of the embedding, h steps ahead, can
be predicted from history and actions, averaged over the rollout's h. Here the direction is the best
one of the untrained encoder and the predictor the best linear one, both found on half of the
recorded episodes and scored on the other half. The sweeps configs/part5/sweeps/critical.yaml,
critical_fine.yaml, critical_two_rooms.yaml and critical_bent.yaml train on both sides of this line.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.harness.config import load_config
from common.harness.errors import no_options, run_script
from common.harness.results import read_results, write_results
from common.intervals import mean_intervals
from common.sigreg import CURVATURE
from part5_action_planning.config import BASELINE, PART, Config, generator
from part5_action_planning.data.clips import make_recording, observe_all
from part5_action_planning.data.recordings import Recording
from part5_action_planning.model.build import make_model

SIZES = {"reach": (4, 10, 32), "two_rooms": (10, 16)}  # D
ALIVE = 0.1  # mean std above which an embedding has not collapsed to the origin
TRAINED = {"reach": "critical", "two_rooms": "critical_two_rooms"}  # what is trained around it,
FINE = {"reach": "critical_fine"}  # and close to it,
BENT = {"two_rooms": "critical_bent"}  # and without temporal straightening
SEEDS = (0, 1, 2)
EPISODES = 512


def unexplained(z: Tensor, recording: Recording, cfg: Config) -> tuple[Tensor, Tensor]:
    """Residual covariance of the best linear prediction of z, mean over the rollout, and z's own.

    z (E, T, D) -> (2, D, D) twice: on the first half of the episodes, on which the prediction is
    fitted, and on the second. It sees the history of z and all actions up to the frame predicted.
    (The history may determine itself, so least squares must not assume full rank.)
    """
    n, half = cfg.model.history, len(z) // 2
    residuals = []
    for h in range(1, cfg.rollout + 1):
        moments = range(n - 1, z.shape[1] - h)
        seen = torch.cat([_seen(z, recording.actions, t, n, h) for t in moments])
        came = torch.cat([z[:, t + h] for t in moments])
        fit = torch.arange(len(z)).repeat(len(moments)) < half
        weights = torch.linalg.lstsq(seen[fit], came[fit], driver="gelsd").solution
        error = came - seen @ weights
        residuals.append(torch.stack([_covariance(error[fit]), _covariance(error[~fit])]))
    states = (part.flatten(0, 1) for part in (z[:half], z[half:]))
    own = torch.stack([_covariance(state - state.mean(0)) for state in states])
    return torch.stack(residuals).mean(0), own


def _covariance(centred: Tensor) -> Tensor:
    return centred.T @ centred / len(centred)


def _seen(z: Tensor, actions: Tensor, t: int, n: int, h: int) -> Tensor:
    """What a prediction of frame t + h knows, and a constant: (E, n D + (n - 1 + h) A + 1)."""
    past, pushed = z[:, t - n + 1 : t + 1], actions[:, t - n + 1 : t + h]
    return torch.cat([past.flatten(1), pushed.flatten(1), torch.ones(len(z), 1)], 1).double()


def threshold(cfg: Config) -> dict[str, float]:
    """The predicted critical weight of a config, and the share of variance that it comes from."""
    recording = make_recording(cfg, EPISODES, generator(cfg, 1))
    z = observe_all(make_model(cfg), recording).double()
    residual, total = unexplained(z, recording, cfg)
    total = total + 1e-12 * total[0].trace() * torch.eye(z.shape[-1])
    inverse = torch.linalg.inv(torch.linalg.cholesky(total[0]))
    _, vectors = torch.linalg.eigh(inverse @ residual[0] @ inverse.T)  # the best direction first
    directions = vectors.T @ inverse  # (D, D), a row each
    left, whole = (directions @ moment @ directions.T for moment in (residual[1], total[1]))
    shares = left.diagonal() / whole.diagonal()  # 1 - R^2
    return {
        "best_fvu": shares[0].item(),
        "mean_fvu": shares.mean().item(),
        "predicted": shares[0].item() / CURVATURE,
        "one_over_k": 1 / CURVATURE,
    }


def read_trained(
    folder: Path, experiments: Mapping[str, str] = TRAINED
) -> dict[tuple[str, int], dict[float, Mapping[str, Any]]]:
    """{(task, D): {r: metrics}} of the experiments whose results are there, arms "d10-r0.6"."""
    found: dict[tuple[str, int], dict[float, Mapping[str, Any]]] = {}
    for task, experiment in experiments.items():
        path = folder / f"{experiment}.json"
        if not path.exists():
            continue
        for arm, metrics in read_results(path)["arms"].items():
            size, _, weight = arm.partition("-r")
            found.setdefault((task, int(size.removeprefix("d"))), {})[float(weight)] = metrics
    return found


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)  # as a sweep's runs
    arms = {}
    for task, sizes in SIZES.items():
        files = [] if task == "reach" else [BASELINE.with_name(f"{task}.yaml")]
        for size in sizes:
            runs = [
                threshold(
                    load_config(
                        Config, [BASELINE, *files], {"seed": seed, "model": {"embedding_dim": size}}
                    )
                )
                for seed in SEEDS
            ]
            arms[f"{task}-d{size}"] = mean_intervals(runs)
            print(task, size, {k: round(v["mean"], 3) for k, v in arms[f"{task}-d{size}"].items()})
    write_results(
        PART / "results" / "threshold.json",
        "python part5_action_planning/critical.py",
        protocol={"episodes": EPISODES, "curvature": CURVATURE},
        seconds=time.monotonic() - begin,
        seeds=SEEDS,
        arms=arms,
    )


if __name__ == "__main__":
    run_script(main)
