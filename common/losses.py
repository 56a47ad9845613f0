"""Losses on embeddings that keep an encoder from collapsing; SIGReg has its own module.

Each returns unweighted terms, the same on every rank: batch statistics run over the joined batch
of all processes (see ``common.distributed``). Inputs of any float type; statistics are float32,
inside autocast too (float64 stays float64).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from common.distributed import all_reduce_sum, check_equal_batches, world_size


def vicreg(z_a: Tensor, z_b: Tensor) -> dict[str, Tensor]:
    """The three VICReg terms of two embeddings (B, D) of the same samples, unweighted scalars.

    - ``invariance``: mean of (z_a - z_b)^2 over batch and dimensions;
    - ``variance``: mean of the two branches' ``variance_hinge``;
    - ``covariance``: sum (not mean) of the two branches' ``covariance_penalty``.

    VICReg, arXiv 2105.04906, eq. 1-6, normalised as in the authors' code, whose loss is
    25 invariance + 25 variance + 1 covariance. Differs: the paper's variance term is the sum of
    the branches, its invariance a sum over dimensions; the code, and this function, take means.
    A constant batch gives 0, 0.99, 0.

    Raises ValueError for other shapes than two equal (B, D), for fewer than two samples over all
    ranks, and for ranks with unequal batches.
    """
    if z_a.shape != z_b.shape:
        raise ValueError(
            f"got embeddings of shapes {tuple(z_a.shape)} and {tuple(z_b.shape)}; "
            "wanted two of the same shape (B, D)"
        )
    a, b = _full_precision(z_a), _full_precision(z_b)
    variance = (variance_hinge(a) + variance_hinge(b)) / 2
    covariance = covariance_penalty(a) + covariance_penalty(b)
    invariance = all_reduce_sum(F.mse_loss(a, b)) / world_size()
    return {"invariance": invariance, "variance": variance, "covariance": covariance}


def variance_hinge(z: Tensor) -> Tensor:
    """Mean over dimensions of max(0, 1 - std) for one embedding (B, D), a scalar in [0, 0.99].

    std = sqrt(var + 1e-4) with the unbiased variance over the batch: VICReg, eq. 1-2, gamma = 1.
    Raises ValueError as ``vicreg``.
    """
    centred, num_samples = _centre(z)
    variance = all_reduce_sum(centred.square().sum(0)) / (num_samples - 1)  # (D,)
    return F.relu(1 - torch.sqrt(variance + 1e-4)).mean()


def covariance_penalty(z: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances over D for one embedding (B, D), a scalar.

    Unbiased covariance over the batch: VICReg, eq. 3-4. It grows like D - 1 for identical
    columns: implementations that divide by D (D - 1) need other weights.
    Raises ValueError as ``vicreg``.
    """
    centred, num_samples = _centre(z)
    with torch.autocast(z.device.type, enabled=False):
        covariance = all_reduce_sum(centred.T @ centred) / (num_samples - 1)  # (D, D)
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    return off_diagonal.square().sum() / z.shape[1]


def _centre(z: Tensor) -> tuple[Tensor, int]:
    """``z`` (B, D) minus the mean over all ranks, and the number of samples over all ranks."""
    if z.ndim != 2:
        raise ValueError(f"got an embedding of shape {tuple(z.shape)}; wanted (B, D)")
    check_equal_batches(z.shape[0], z.device)
    num_samples = z.shape[0] * world_size()
    if num_samples < 2:
        raise ValueError(f"got a batch of {num_samples}; wanted at least 2 samples for a variance")
    z = _full_precision(z)
    return z - all_reduce_sum(z.sum(0)) / num_samples, num_samples


def _full_precision(z: Tensor) -> Tensor:
    return z.to(torch.promote_types(z.dtype, torch.float32))
