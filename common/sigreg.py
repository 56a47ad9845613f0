"""SIGReg: how far random one-dimensional slices of an embedding are from a standard Gaussian.

LeJEPA (Balestriero & LeCun, arXiv 2511.08544, Algorithm 1): project the embedding on random unit
directions, compare the empirical characteristic function of each projection with the Gaussian's
(Epps & Pulley, Biometrika 70, 1983), average over slices. Differs from the paper's listing, as the
authors' package does: 17 knots on [0, 3] with doubled weights instead of 17 on [-5, 5].

``sigreg_direct`` is that equation as one writes it; ``sigreg`` is the same number and gradient,
faster and in memory that does not grow with the number of knots. Training uses ``sigreg``.

    generator = torch.Generator().manual_seed(shared_seed(seed))   # the same slices on every rank
    slices = random_slices(z.shape[-1], 1024, generator, device=z.device)   # anew in each step
    loss = (z_pred - z).square().mean() + sigreg_lambda * sigreg(z, slices) / len(z)

``sigreg_lambda`` is this in every config: the weight of SIGReg per sample beside the *mean squared
error*, so that a change of batch size changes nothing. Others' weights, at N samples a batch:

    LeWorldModel (2603.19312)   MSE + w SIGReg                      sigreg_lambda = w N, 0.09 x 128
    LeJEPA (2511.08544)         (1 - s) prediction + s SIGReg       sigreg_lambda = 4 N s / (1 - s)
                                prediction: two views to their mean, a quarter of their MSE
    the local theory, part 3    MSE + r SIGReg / N                  sigreg_lambda = r

A collapsed embedding starts to spread above (1 - R^2) / CURVATURE, so above 0.647 whatever its R^2;
``critical_lambda`` finds the line of an encoder of yours before you train it.
"""

import math

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.function import once_differentiable

from common.distributed import (
    all_reduce_sum,
    check_finite,
    full_precision,
    shared_seed,
    world_size,
)

CURVATURE = 1.5459  # k: an embedding of spread e at 0 gains k e^2 per sample (17 knots on [0, 3])
CHUNK_ELEMENTS = 262_144  # complex64 temporaries of 2 MB, which stay in the cores' caches


def random_slices(
    dim: int, num_slices: int, generator: torch.Generator, *,
    device: torch.device | str | None = None,
) -> Tensor:  # fmt: skip
    """Slices (D, M): float32 columns uniform on the unit sphere of R^dim, moved to ``device``.

    Drawn on the generator's own device, so that a CPU generator gives the same slices everywhere.
    Raises ValueError for dim or num_slices below 1.
    """
    if dim < 1 or num_slices < 1:
        raise ValueError(f"got dim={dim}, num_slices={num_slices}; wanted both at least 1")
    slices = torch.randn(dim, num_slices, generator=generator, device=generator.device)
    slices[0] += slices.norm(dim=0) == 0  # a column of zeros has no direction: take the first axis
    return (slices / slices.norm(dim=0)).to(device)


def critical_lambda(z_a: Tensor, z_b: Tensor, *, has_predictor: bool = False) -> float:
    """The sigreg_lambda below which training collapses and above which it does not: known before.

    z_a, z_b (N, D): what the *untrained* encoder makes of two views of N samples. Of all directions
    the one in which they agree best spreads first: with rho the first canonical correlation, where
    sigreg_lambda > 2 (1 - rho) / CURVATURE. has_predictor: of a frame and the next, between which a
    predictor stands that is trained too: it explains nothing yet, and the line is 1 / CURVATURE
    whatever the encoder (tested on few runs; part 3's results say how far both hold).

    Raises ValueError for shapes that differ, fewer than 8 samples a dimension, from which a
    correlation would come by chance, and a network that gives all samples the same embedding.
    """
    if z_a.shape != z_b.shape or z_a.ndim != 2 or len(z_a) < 8 * z_a.shape[1]:
        got = f"{tuple(z_a.shape)} and {tuple(z_b.shape)}"
        raise ValueError(f"got {got}; wanted two of one shape (N, D), N at least 8 D")
    if has_predictor:
        return 1 / CURVATURE
    bases = []
    for z in (z_a.detach().double(), z_b.detach().double()):
        left, lengths, _ = torch.linalg.svd(z - z.mean(0), full_matrices=False)
        kept = lengths > 1e-10 * len(z) ** 0.5 * z.abs().max()
        if not kept.any():
            raise ValueError(
                "got the same embedding of all samples; wanted an encoder that differs"
            )
        bases.append(left[:, kept])  # orthonormal columns that span the centred embedding
    rho = torch.linalg.svdvals(bases[0].T @ bases[1])[0].item()
    return 2 * (1 - min(rho, 1.0)) / CURVATURE


def sigreg_share(sigreg_lambda: float, num_samples: int, prediction_scale: float = 1.0) -> float:
    """LeJEPA's one number s, in (1 - s) prediction + s SIGReg, of a ``sigreg_lambda``.

    prediction_scale: prediction / mean squared error, 1/4 for LeJEPA's prediction of two views.
    """
    weight = sigreg_lambda * prediction_scale / num_samples
    return weight / (1 + weight)


class SIGReg(nn.Module):
    """``sigreg`` that draws num_slices of its own in each call: z (..., N, D) -> a scalar.

    The state of their generator, the same on every rank, is in ``state_dict``: a resumed run draws
    what it would have drawn.
    """

    def __init__(
        self, num_slices: int = 1024, *, seed: int = 0, num_knots: int = 17, t_max: float = 3.0
    ) -> None:
        super().__init__()
        self.num_slices, self.num_knots, self.t_max = num_slices, num_knots, t_max
        self.generator = torch.Generator().manual_seed(shared_seed(seed))

    def forward(self, z: Tensor) -> Tensor:
        slices = random_slices(z.shape[-1], self.num_slices, self.generator, device=z.device)
        return sigreg(z, slices, num_knots=self.num_knots, t_max=self.t_max)

    def get_extra_state(self) -> Tensor:
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self.generator.set_state(state.cpu())


def sigreg_direct(z: Tensor, slices: Tensor, *, num_knots: int = 17, t_max: float = 3.0) -> Tensor:
    """As ``sigreg``, by ``epps_pulley_direct``: the reference, in memory N x M x num_knots."""
    return epps_pulley_direct(_project(z, slices), num_knots=num_knots, t_max=t_max).mean()


def sigreg(z: Tensor, slices: Tensor, *, num_knots: int = 17, t_max: float = 3.0) -> Tensor:
    """Mean over slices and leading dimensions of ``epps_pulley(z @ slices)``, a scalar.

    z (..., N, D): each leading index (view, time step) is its own batch of N samples. Clips
    (B, T, D) must be transposed first, or normality over time is what is tested.
    slices (D, M): unit columns, see ``random_slices``; no gradient flows to them.

    Normalised as in LeJEPA, times N: N independent N(0, 1) samples score 1.0525 on average, for
    every N, and never 0; all zeros score 0.402048 N. Samples are those of all ranks, whose batches
    must be equal and whose slices must be the same. float32 inside autocast.

    Raises ValueError for shapes that do not fit, an empty batch, no slices, an even number of
    knots or fewer than 3, t_max not above 0, embeddings that are not finite, and ranks with unequal
    batches.
    """
    return epps_pulley(_project(z, slices), num_knots=num_knots, t_max=t_max).mean()


def epps_pulley_direct(h: Tensor, *, num_knots: int = 17, t_max: float = 3.0) -> Tensor:
    """Epps-Pulley statistic of each slice: h (..., N, M) -> (..., M).

        N int exp(-t^2 / 2) |f(t) - phi(t)|^2 dt,   f(t) = mean_n exp(i t h_n),   phi the Gaussian's

    by the trapezoid rule on [-t_max, t_max]; the integrand is even, so the knots lie in [0, t_max]
    and the weights are doubled. The weight exp(-t^2 / 2) is not normalised.
    """
    h, t, target, weight = _prepare(h, num_knots, t_max)
    num_samples = h.shape[-2] * world_size()
    angle = t.unsqueeze(-1) * h.unsqueeze(-3)  # (..., knots, N, M)
    real = all_reduce_sum(angle.cos().sum(-2)) / num_samples  # (..., knots, M)
    imag = all_reduce_sum(angle.sin().sum(-2)) / num_samples
    distance = (real - target).square() + imag.square()  # |f(t) - phi(t)|^2
    return num_samples * (weight * distance).sum(-2)


def epps_pulley(h: Tensor, *, num_knots: int = 17, t_max: float = 3.0) -> Tensor:
    """As ``epps_pulley_direct``, h (..., N, M) -> (..., M); differentiable once.

    The knots are equally spaced, so exp(i t h) at all of them are powers of exp(i dt h): one cosine
    and one sine per element, then complex products. (The Chebyshev recurrence for cos(k dt h) costs
    the same and loses digits where dt h is near a multiple of pi.) The gradient,

        d statistic / d h_n = -2 sum_t weight t Im[ conj(f(t) - phi(t)) exp(i t h_n) ],

    is a polynomial in exp(i dt h_n), evaluated by Horner's rule while the chunk is still in cache
    and kept until the backward pass: N x M numbers, however many the knots. ``torch.vmap`` and
    the transforms of ``torch.func`` get ``epps_pulley_direct``.
    """
    if is_functorch_wrapped_tensor(h):
        return epps_pulley_direct(h, num_knots=num_knots, t_max=t_max)
    h, t, target, weight = _prepare(h, num_knots, t_max)
    return _EppsPulley.apply(h, t, target, weight)


class _EppsPulley(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h: Tensor, t: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        num_samples = h.shape[-2] * world_size()
        statistic = torch.empty_like(h[..., 0, :])  # (..., M)
        slope = torch.empty_like(h) if ctx.needs_input_grad[0] else None  # d statistic / d h
        width = max(16, CHUNK_ELEMENTS // h[..., 0].numel())  # slices per chunk
        for start in range(0, h.shape[-1], width):
            chunk = slice(start, start + width)
            angle = h[..., chunk] * t[1]
            rotation = torch.complex(angle.cos(), angle.sin())  # exp(i dt h), (..., N, width)
            sums = torch.view_as_real(_sums_of_powers(rotation, len(t)))
            ecf = torch.view_as_complex(all_reduce_sum(sums)) / num_samples  # (..., knots, width)
            gap = ecf - target
            distance = torch.view_as_real(gap).square().sum(-1)
            statistic[..., chunk] = num_samples * (weight * distance).sum(-2)
            if slope is not None:
                coefficients = -2 * weight * t * gap.conj()
                slope[..., chunk] = _polynomial(coefficients, rotation).imag
        ctx.save_for_backward(slope)
        return statistic

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (slope,) = ctx.saved_tensors
        return all_reduce_sum(grad).unsqueeze(-2) * slope, None, None, None


def _sums_of_powers(rotation: Tensor, num_powers: int) -> Tensor:
    """sum_n rotation_n^k for k = 0 .. num_powers - 1: (..., N, M) -> (..., num_powers, M)."""
    power = torch.ones_like(rotation)
    sums = [power.sum(-2)]
    for _ in range(1, num_powers):
        power *= rotation
        sums.append(power.sum(-2))
    return torch.stack(sums, dim=-2)


def _polynomial(coefficients: Tensor, rotation: Tensor) -> Tensor:
    """sum_k coefficients_k rotation^k by Horner's rule: (..., K, M), (..., N, M) -> (..., N, M).

    The constant term is left out: it is 0 for the caller, since t = 0 has no slope.
    """
    value = torch.zeros_like(rotation)
    for k in range(coefficients.shape[-2] - 1, 0, -1):
        torch.addcmul(coefficients[..., k : k + 1, :], value, rotation, out=value)
    return value.mul_(rotation)


def _prepare(h: Tensor, num_knots: int, t_max: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``h`` in full precision; knots t, target CF and quadrature weights, each (knots, 1)."""
    if num_knots < 3 or num_knots % 2 == 0:
        raise ValueError(f"got num_knots={num_knots}; wanted an odd number of at least 3")
    if not (t_max > 0 and math.isfinite(t_max)):
        raise ValueError(f"got t_max={t_max}; wanted a finite number above 0")
    if h.ndim < 2 or h.numel() == 0:
        got = f"projections of shape {tuple(h.shape)}"
        raise ValueError(f"got {got}; wanted (..., N, M), none of them 0")
    h = full_precision(h)
    all_reduce_sum(h.new_zeros(()), h.shape[-2])  # else unequal batches meet in unequal chunks
    t = torch.linspace(0, t_max, num_knots, dtype=h.dtype, device=h.device).unsqueeze(-1)
    target = torch.exp(-t.square() / 2)
    weight = target * (2 * t_max / (num_knots - 1))
    weight[[0, -1]] /= 2
    return h, t, target, weight


def _project(z: Tensor, slices: Tensor) -> Tensor:
    """z (..., N, D) @ slices (D, M) -> (..., N, M), never below float32."""
    if z.ndim < 2 or slices.ndim != 2 or z.shape[-1] != slices.shape[0]:
        got = f"embeddings {tuple(z.shape)} and slices {tuple(slices.shape)}"
        raise ValueError(f"got {got}; wanted (..., N, D) and (D, M) with the same D")
    check_finite(z)
    z = full_precision(z)
    with torch.autocast(z.device.type, enabled=False):
        return z @ slices.detach().to(z.dtype)
