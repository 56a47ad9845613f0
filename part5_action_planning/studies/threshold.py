"""The weight at which collapse should stop being stable, read off an untrained encoder.

Near collapse an embedding of spread e costs (1 - R^2) e^2 to predict and gains k e^2 from SIGReg
per sample (k = 1.546 for 17 knots on [0, 3]), so collapse is unstable where some direction has

    r k > 1 - R^2,

r being loss_weights.sigreg_lambda and R^2 how well that direction of the embedding, h steps ahead,
can be predicted from history and actions, averaged over the rollout's h. Here the direction is the
best one of the untrained encoder and the predictor the best linear one, both found on half of the
recorded episodes and scored on the other half. The sweeps critical, critical_fine,
critical_two_rooms and critical_no_straightening train on both sides of this line.
"""

from typing import Any

import torch
from torch import Tensor

from common.sigreg import CURVATURE
from part5_action_planning.config import Config, Stream, generator, task_config
from part5_action_planning.data import Recording, encode_all, make_recording
from part5_action_planning.model.world_models import make_model
from part5_action_planning.studies import variant, write_study

SIZES = {"reach": (4, 10, 32), "two_rooms": (10, 16)}  # D
SEEDS = (0, 1, 2)
EPISODES = 512


def unexplained(z: Tensor, recording: Recording, cfg: Config) -> tuple[Tensor, Tensor]:
    """Residual covariance of the best linear prediction of z, mean over the rollout, and z's own.

    z (E, T, D) -> (2, D, D) twice: on the first half of the episodes, on which the prediction is
    fitted, and on the second. It sees the history of z and all actions up to the frame predicted.
    (The history may determine itself, so least squares must not assume full rank.)
    """
    n, half = cfg.model.history_length, len(z) // 2
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
    recording = make_recording(cfg, EPISODES, generator(cfg, Stream.TRAIN_DATA))
    z = encode_all(make_model(cfg), recording).double()
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


def measure() -> dict[str, Any]:
    variants = {}
    for task, sizes in SIZES.items():
        for size in sizes:
            overrides = {"model.embedding_dim": size}
            runs = [threshold(task_config(task, {**overrides, "seed": seed})) for seed in SEEDS]
            name = f"{task}-d{size}"
            variants[name] = variant({"task": task, **overrides}, runs)
            shown = {k: round(v["mean"], 3) for k, v in variants[name]["metrics"].items()}
            print(name, shown, flush=True)
    return {
        "variants": variants,
        "protocol": {"episodes": EPISODES, "curvature": CURVATURE},
        "seeds": SEEDS,
    }


def main() -> None:
    write_study("threshold", measure, __doc__)
