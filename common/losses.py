"""Losses on embeddings that keep an encoder from collapsing; SIGReg alone has its own module.

Each takes two embeddings (B, D), of two views or of what was predicted and what came (``lejepa``
takes V views), and returns unweighted terms, the same on every rank: batch statistics run over the
joined batch of all processes (see ``common.distributed``). Inputs of any float type; statistics are
float32, inside autocast too (float64 stays float64). DINO's loss is in ``common.dino``. All raise
ValueError for other shapes than (B, D), two of them equal, numbers that are not finite, ranks with
unequal batches and, where there is a variance, fewer than two samples over all ranks.

``torch.vmap`` and ``torch.func.grad`` take them all, in one process. ``torch.compile`` takes them
in two graphs, cut where numbers that are not finite are refused, so not with ``fullgraph=True``.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from common.distributed import (
    all_reduce_sum,
    check_alike,
    check_finite,
    full_precision,
    world_size,
)
from common.sigreg import sigreg


def vicreg(z_a: Tensor, z_b: Tensor) -> dict[str, Tensor]:
    """The three VICReg terms of two embeddings (B, D) of the same samples, unweighted scalars.

    - ``invariance``: mean of (z_a - z_b)^2 over batch and dimensions;
    - ``variance``: mean of the two branches' ``variance_hinge``;
    - ``covariance``: sum (not mean) of the two branches' ``covariance_penalty``.

    VICReg, arXiv 2105.04906, eq. 1-6, normalised as in the authors' code, whose loss is
    25 invariance + 25 variance + 1 covariance. Differs: the paper's variance term is the sum of
    the branches, its invariance a sum over dimensions; the code, and this function, take means.
    A constant batch gives 0, 0.99, 0.
    """
    spread = vicreg_spread((z_a, z_b))
    return {"invariance": squared_error(z_a, z_b), **spread}


def vicreg_spread(z: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
    """VICReg's ``variance`` and ``covariance`` of V embeddings (V, B, D), each its own batch.

    For two of them those of ``vicreg``; for more their means, the covariance times 2. With a
    predictor, z is what the encoder says, and the invariance is that of the prediction.
    """
    variance = torch.stack([variance_hinge(z_v) for z_v in z]).mean()
    covariance = 2 * torch.stack([covariance_penalty(z_v) for z_v in z]).mean()
    return {"variance": variance, "covariance": covariance}


def squared_error(z_pred: Tensor, z_target: Tensor) -> Tensor:
    """Mean of (z_pred - z_target)^2 over batch and dimensions: most JEPAs' prediction loss."""
    a, b = _pair(z_pred, z_target)
    return all_reduce_sum(F.mse_loss(a, b), len(a)) / world_size()


def negative_cosine(z_pred: Tensor, z_target: Tensor) -> Tensor:
    """Mean over the batch of -cos(z_pred, z_target) of two embeddings (B, D), in [-1, 1].

    SimSiam, arXiv 2011.10566, eq. 1; BYOL's loss (2006.07733, eq. 2) is 2 + 2 times it. The caller
    stops the gradient of the target and symmetrises (eq. 2 to 4).
    """
    a, b = _pair(z_pred, z_target)
    return -all_reduce_sum(F.cosine_similarity(a, b).mean(), len(a)) / world_size()


def barlow_twins(z_a: Tensor, z_b: Tensor) -> dict[str, Tensor]:
    """The two Barlow Twins terms of two embeddings (B, D) of the same samples, unweighted scalars.

    - ``invariance``: sum over i of (1 - C_ii)^2;
    - ``redundancy``: sum over i != j of C_ij^2;

    with C the ``cross_correlation``. Barlow Twins, arXiv 2103.03230, eq. 1, where the loss is
    invariance + 0.0051 redundancy: sums, not means, over D. z_b = -z_a gives 4 D, a constant batch
    D and 0.
    """
    correlation = cross_correlation(z_a, z_b)
    diagonal = correlation.diagonal()
    invariance = (1 - diagonal).square().sum()
    redundancy = correlation.square().sum() - diagonal.square().sum()
    return {"invariance": invariance, "redundancy": redundancy}


def cross_correlation(z_a: Tensor, z_b: Tensor) -> Tensor:
    """C (D, D): correlation over the batch of each coordinate of z_a with each of z_b, both (B, D).

    Barlow Twins, eq. 2. Standardised with the biased variance plus 1e-5, as the authors' batch
    normalisation does: a coordinate that does not vary correlates with nothing, not with itself.
    """
    _pair(z_a, z_b)
    standardised = []
    for z in (z_a, z_b):
        centred, num_samples = _centre(z)
        variance = all_reduce_sum(centred.square().sum(0)) / num_samples  # (D,)
        standardised.append(centred / torch.sqrt(variance + 1e-5))
    a, b = standardised
    with torch.autocast(z_a.device.type, enabled=False):
        return all_reduce_sum(a.T @ b) / (len(a) * world_size())


def variance_hinge(z: Tensor) -> Tensor:
    """Mean over dimensions of max(0, 1 - std) for one embedding (B, D), a scalar in [0, 0.99].

    std = sqrt(var + 1e-4) with the unbiased variance over the batch: VICReg, eq. 1-2, gamma = 1.
    """
    centred, num_samples = _centre(z)
    variance = all_reduce_sum(centred.square().sum(0)) / (num_samples - 1)  # (D,)
    return F.relu(1 - torch.sqrt(variance + 1e-4)).mean()


def covariance_penalty(z: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances over D for one embedding (B, D), a scalar.

    Unbiased covariance over the batch: VICReg, eq. 3-4. It grows like D - 1 for identical
    columns: implementations that divide by D (D - 1) need other weights.
    """
    centred, num_samples = _centre(z)
    with torch.autocast(z.device.type, enabled=False):
        covariance = all_reduce_sum(centred.T @ centred) / (num_samples - 1)  # (D, D)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return off_diagonal.square().sum() / z.shape[1]


def _pair(z_a: Tensor, z_b: Tensor) -> tuple[Tensor, Tensor]:
    """Two embeddings of one shape (B, D), checked, in full precision."""
    check_alike(z_a, z_b, "(B, D)")
    return _embedding(z_a), _embedding(z_b)


def _embedding(z: Tensor) -> Tensor:
    """One embedding (B, D), checked, in full precision."""
    if z.ndim != 2 or z.numel() == 0:
        raise ValueError(f"got an embedding of shape {tuple(z.shape)}; wanted (B, D), neither 0")
    check_finite(z)
    return full_precision(z)


def _centre(z: Tensor) -> tuple[Tensor, int]:
    """``z`` (B, D) minus the mean over all ranks, and the number of samples over all ranks."""
    z = _embedding(z)
    num_samples = z.shape[0] * world_size()
    if num_samples < 2:
        raise ValueError(f"got a batch of {num_samples}; wanted at least 2 samples for a variance")
    return z - all_reduce_sum(z.sum(0), len(z)) / num_samples, num_samples


def lejepa(
    z_views: Tensor, slices: Tensor, *, num_global: int | None = None, num_knots: int = 17
) -> dict[str, Tensor]:
    """The two LeJEPA terms of V views z_views (V, B, D) of the same samples, unweighted scalars.

    - ``prediction``: mean over views, batch and dimensions of (z_v - centre)^2, the centre being
      the mean of the first num_global views (all by default), through which gradients flow;
    - ``sigreg``: mean over views of ``sigreg``, each view its own batch.

    LeJEPA, arXiv 2511.08544, sec. 5: the loss is (1 - share) prediction + share sigreg, one
    hyper-parameter. With two views the prediction is a quarter of their mean squared difference.
    Raises ValueError as ``sigreg``, for fewer than two views, and num_global outside 1 .. V.
    """
    if z_views.ndim != 3 or len(z_views) < 2:
        raise ValueError(f"got views {tuple(z_views.shape)}; wanted (V, B, D) with V at least 2")
    num_global = len(z_views) if num_global is None else num_global
    if not 1 <= num_global <= len(z_views):
        raise ValueError(f"got num_global={num_global}; wanted 1 to {len(z_views)}, the views")
    statistic = sigreg(z_views, slices, num_knots=num_knots)
    z_views = full_precision(z_views)
    gap = z_views - z_views[:num_global].mean(0)
    return {
        "prediction": all_reduce_sum(gap.square().mean(), gap.shape[1]) / world_size(),
        "sigreg": statistic,
    }
