"""What is measured: how far from a real future, how much of an embedding is used and lost.

Every distance to a real future is a pixel mean-squared error on ball-only frames, with the
distractors' share of a prediction projected out first (``distance_to_ball``).
"""

import math
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from common.distributed import exact

GREY = (0.15, 0.85)  # a pixel in between is neither ball nor background


def distance_to_ball(frames: Tensor, futures: Tensor, basis: Tensor) -> Tensor:
    """d(frame, future): squared error per pixel, (B, K, F), to the nearest distracted future.

    frames (B, K, H, W) predictions; futures (B, F, H, W) ball-only, brightness 1; basis (S, H, W)
    or (B, S, H, W) images b_s of disjoint support that a distractor may add behind the ball. With
    w = 1 - future,

        d = min over levels l_s in [0, 1] of mean (frame - future - w sum_s l_s b_s)^2,

    so that no model is charged for a square it cannot know or for the mean grey of random dots.
    """
    if basis.dim() == 3:
        basis = basis.unsqueeze(0)
    residual = frames.unsqueeze(2) - futures.unsqueeze(1)  # (B, K, F, H, W)
    distance = residual.square().mean(dim=(-2, -1))
    if basis.shape[1] == 0:
        return distance
    image = (1 - futures).unsqueeze(2) * basis.unsqueeze(1)  # (B, F, S, H, W)
    dot = torch.einsum("bkfhw,bfshw->bkfs", residual, image)
    norm = image.square().sum(dim=(-2, -1)).unsqueeze(1)  # (B, 1, F, S)
    level = (dot / norm.clamp(min=1e-9)).clamp(0, 1)
    explained = (2 * level * dot - level.square() * norm).sum(-1)
    return distance - explained / (frames.shape[-1] * frames.shape[-2])


def smear_terms(
    frames: Tensor, futures: Tensor, probabilities: Tensor, shifted: Tensor, basis: Tensor
) -> dict[str, Tensor]:
    """Per pair, what the smear index, coverage and precision are summed from.

    frames (B, K, H, W) hypotheses; futures, shifted (B, F, H, W) real futures, and the same moved
    by 1 px; probabilities (B, F), 0 where a future does not exist. Returns

        numerator (B,)    mean over hypotheses of d(hypothesis, nearest real future)
        denominator (B,)  d(mean of the futures by probability, nearest real future)
        coverage (B,)     share of real futures hit by a hypothesis
        precision (B,)    share of hypotheses that hit a real future
        nearest (B, K)    index of the future nearest to each hypothesis
        distance (B, K)   d(hypothesis, nearest real future)
        hits (B, K)       1 for a hypothesis that hits one

    A hit is a d below that of the same future shifted by 1 px.
    """
    real = probabilities > 0
    d = distance_to_ball(frames, futures, basis).where(real.unsqueeze(1), torch.inf)  # (B, K, F)
    blur = (probabilities[:, :, None, None] * futures).sum(1, keepdim=True)  # (B, 1, H, W)
    d_blur = distance_to_ball(blur, futures, basis)[:, 0].where(real, torch.inf)
    each = basis if basis.dim() == 3 else basis.repeat_interleave(futures.shape[1], dim=0)
    moved, still = (t.flatten(0, 1).unsqueeze(1) for t in (shifted, futures))  # (B F, 1, H, W)
    threshold = distance_to_ball(moved, still, each).view(real.shape)
    hit = d < threshold.unsqueeze(1)  # (B, K, F)
    distance, hits = d.amin(-1), hit.any(-1).float()  # (B, K)
    return {
        "numerator": distance.mean(-1),
        "denominator": d_blur.amin(-1),
        "coverage": (hit.any(1) & real).sum(-1) / real.sum(-1),
        "precision": hits.mean(-1),
        "nearest": d.argmin(-1),
        "distance": distance,
        "hits": hits,
    }


def smear_index(numerator: Tensor, denominator: Tensor) -> float:
    """1 is the exact blur of the real futures, 0 a real future; copies lie near 2."""
    return (numerator.sum() / denominator.sum()).item()


def grey_mass(frames: Tensor) -> float:
    """Share of pixels within (0.15, 0.85): a real anti-aliased rim has little, a blur much."""
    return ((frames > GREY[0]) & (frames < GREY[1])).float().mean().item()


def centre_of_mass(frames: Tensor, lit: float = 0.25) -> Tensor:
    """x, y of what is lit in frames (..., H, W), in pixel indices: (..., 2).

    The middle where nothing is; lit: a pixel below this does not count.
    """
    size = frames.shape[-1]
    mass = frames.clamp(0, 1) * (frames > lit)
    pixel = torch.arange(size, device=frames.device)
    total = mass.sum(dim=(-2, -1))
    x = (mass.sum(-2) * pixel).sum(-1) / total.clamp(min=1e-6)
    y = (mass.sum(-1) * pixel).sum(-1) / total.clamp(min=1e-6)
    middle = torch.full_like(x, size / 2)
    return torch.stack([torch.where(total > 0, x, middle), torch.where(total > 0, y, middle)], -1)


def weight_error(log_odds: Tensor, nearest: Tensor, probabilities: Tensor) -> float:
    """Calibration of weighted hypotheses: total variation, 0 to 1, to the true probabilities.

    log_odds, nearest (B, K): each hypothesis' weight goes to the real future it is nearest to;
    probabilities (B, F).
    """
    given = torch.zeros_like(probabilities).scatter_add_(1, nearest, log_odds.softmax(-1))
    return ((given - probabilities).abs().sum(-1) / 2).mean().item()


def latent_smear(z_pred: Tensor, z_futures: Tensor, probabilities: Tensor) -> float:
    """The smear index in embedding space, no readout needed.

    sum |z_pred - nearest enc(future)|^2 / sum |mean enc(futures) - nearest|^2, with the mean over
    hypotheses above; z_pred (B, K, D), z_futures (B, F, D), probabilities (B, F).
    """
    real = probabilities > 0
    d = torch.cdist(z_pred, z_futures).square().where(real.unsqueeze(1), torch.inf)
    mean = (probabilities.unsqueeze(-1) * z_futures).sum(1, keepdim=True)
    d_mean = torch.cdist(mean, z_futures).square()[:, 0].where(real, torch.inf)
    return (d.amin(-1).mean(-1).sum() / d_mean.amin(-1).sum()).item()


def effective_rank(z: Tensor) -> float:
    """RankMe of centred embeddings z (B, D), less a noise floor; not for comparing widths D.

    exp of the entropy of the shares of standard deviations along the principal axes, from whose
    variances that of a noise of 0.01 of the root mean square norm is taken off: a code collapsed to
    a point away from 0, whose spectrum is rounding error, has no rank to show. The floor bites as D
    grows: variances k^-2 give 26.8 at D = 64 and 28.7 at 1,024, where ``rankme`` gives 29.1 and
    182. D for an isotropic code of less than 10,000, 1 for a line and for such a point; blind,
    without a scale, to a code that has shrunk towards 0.
    """
    deviation = (_variances(z) - 0.01**2 * _power(z)).clamp(min=0).sqrt()
    share = deviation / deviation.sum().clamp(min=1e-300)
    return torch.exp(-(share * share.clamp(min=1e-30).log()).sum()).item()


def rankme(z: Tensor) -> float:
    """RankMe (arXiv 2210.02885, eq. 1-2) of embeddings z (B, D) as published: no centring or floor.

    exp of the entropy of the shares of their singular values, each plus 1e-7. Noise counts as much
    as signal, so a collapsed code may show a high rank, and one width compares with no other.
    """
    values = torch.linalg.svdvals(exact(z))
    share = values / values.sum().clamp(min=1e-300) + 1e-7
    return torch.exp(-(share * share.log()).sum()).item()


def collapse_ratio(z: Tensor) -> float:
    """sqrt(tr Cov(z) / E|z|^2): how much of an embedding varies, 0 (one point) to 1 (centred).

    It has no scale, so an embedding that has shrunk to 0 about a mean of 0 scores 1: look at a
    scale beside it.
    """
    z = exact(z)
    return ((z - z.mean(0)).square().sum() / z.square().sum().clamp(min=1e-300)).sqrt().item()


def spectrum(z: Tensor) -> Tensor:
    """Eigenvalues of the covariance of z (B, D), largest first, over the mean of |z|^2, (D,)."""
    return _variances(z).flip(0) / _power(z).clamp(min=1e-300)


def _variances(z: Tensor) -> Tensor:
    """Eigenvalues of the covariance of z (B, D), (D,), smallest first."""
    centred = exact(z) - exact(z).mean(0)
    return torch.linalg.eigvalsh(centred.T @ centred / len(z)).clamp(min=0)


def _power(z: Tensor) -> Tensor:
    """Mean of |z|^2."""
    return exact(z).square().sum(-1).mean()


def mean_correlation(z: Tensor) -> float:
    """Mean |correlation| of two different coordinates of z (B, D), 0 to 1; scale-blind."""
    centred = exact(z) - exact(z).mean(0)
    unit = centred / centred.norm(dim=0).clamp(min=1e-300)
    off_diagonal = (unit.T @ unit).fill_diagonal_(0)
    return (off_diagonal.abs().sum() / max(1, z.shape[1] * (z.shape[1] - 1))).item()


def fvu(prediction: Tensor, target: Tensor) -> float:
    """Fraction of variance unexplained, MSE / variance of the target over the batch; 1 - R^2."""
    error = (prediction - target).square().sum()
    return (error / (target - target.mean(0)).square().sum().clamp(min=1e-30)).item()


def spearman(x: Tensor, y: Tensor) -> float:
    """Spearman's rank correlation of two samples (n,), -1 to 1; ties get their mean rank.

    nan where one of them does not vary. Raises ValueError for samples of unequal or no length.
    """
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        got = f"samples of shapes {tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"got {got}; wanted two of one length (n,), n at least 2")
    if x.min() == x.max() or y.min() == y.max():
        return math.nan
    found: Any = stats.spearmanr(x.numpy(force=True), y.numpy(force=True))
    return float(found.statistic)
