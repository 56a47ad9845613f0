"""SIGReg against closed forms, its own direct form in float64, and its theory of collapse."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import common.sigreg as sigreg_module
from common.metrics import effective_rank, fvu
from common.sigreg import (
    CURVATURE,
    critical_lambda,
    epps_pulley,
    epps_pulley_direct,
    random_slices,
    sigreg,
    sigreg_direct,
)

Loss = Callable[..., Tensor]
both_statistics = pytest.mark.parametrize("statistic", [epps_pulley, epps_pulley_direct])
both_losses = pytest.mark.parametrize("loss", [sigreg, sigreg_direct])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def closed_form(x: Tensor) -> float:
    """Epps-Pulley over N of the samples x (N,), with the integral over all t done exactly."""
    pairs = torch.exp(-((x[:, None] - x) ** 2) / 2).mean()
    single = torch.exp(-(x**2) / 4).mean()
    return math.sqrt(2 * math.pi) * (pairs - math.sqrt(2) * single + 1 / math.sqrt(3)).item()


def value_and_gradient(loss: Loss, z: Tensor, slices: Tensor) -> tuple[Tensor, Tensor]:
    z = z.detach().clone().requires_grad_()
    value = loss(z, slices)
    return value.detach(), torch.autograd.grad(value, z)[0]


# The statistic of one slice.


@both_statistics
@pytest.mark.parametrize(
    ("samples", "expected"),
    [([0.0], 0.402048), ([-1.0, 1.0], 0.102830), ([0.5], 0.6167), ([2.0, 2.0], 2.6429)],
)
def test_known_values(statistic: Loss, samples: list[float], expected: float) -> None:
    h = torch.tensor(samples)[:, None]
    assert statistic(h).item() / len(samples) == pytest.approx(expected, rel=1e-4)


@both_statistics
@pytest.mark.parametrize("samples", [[0.0], [-1.0, 1.0], [0.3, -1.2, 2.5, 0.0, 0.7]])
def test_wide_range_reaches_the_closed_form(statistic: Loss, samples: list[float]) -> None:
    h = torch.tensor(samples, dtype=torch.float64)
    value = statistic(h[:, None], num_knots=401, t_max=12.0).item() / len(samples)
    assert value == pytest.approx(closed_form(h), abs=1e-9)


def test_closed_form_known_values() -> None:
    assert closed_form(torch.zeros(1)) == pytest.approx(0.408923, abs=1e-6)
    assert closed_form(torch.tensor([-1.0, 1.0])) == pytest.approx(0.109357, abs=1e-6)


@pytest.mark.parametrize("num_samples", [1, 16, 4096])
def test_gaussian_samples_score_the_same_at_every_batch_size(num_samples: int) -> None:
    scores = epps_pulley(normal(num_samples, 2048))
    standard_error = scores.std().item() / math.sqrt(2048)
    assert scores.mean().item() == pytest.approx(1.0525, abs=4 * standard_error)


@both_statistics
@pytest.mark.parametrize(("std", "expected"), [(0.5, 0.151), (0.9, 0.0051), (2.0, 0.236)])
def test_population_values_of_other_widths(statistic: Loss, std: float, expected: float) -> None:
    uniform = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    h = std * torch.special.ndtri(uniform)[:, None]  # quantiles: a sample without sampling error
    assert statistic(h).item() / 2000 == pytest.approx(expected, rel=0.02)


@both_statistics
def test_gaussian_scores_lowest(statistic: Loss) -> None:
    n = 500
    uniform = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    gaussian = torch.special.ndtri(uniform)
    others = {
        "uniform": (uniform - 0.5) * math.sqrt(12),
        "shifted": gaussian + 0.5,
        "scaled": gaussian * 1.5,
        "exponential": -torch.log1p(-uniform) - 1,
    }
    reference = statistic(gaussian[:, None]).item()
    assert 0 <= reference < 0.1
    for name, h in others.items():
        assert statistic(h[:, None]).item() > 10 * reference, name


@both_statistics
def test_shape_and_permutations(statistic: Loss) -> None:
    h = normal(2, 3, 20, 7, dtype=torch.float64)
    values = statistic(h)
    assert values.shape == (2, 3, 7)
    assert (values >= 0).all()
    torch.testing.assert_close(values, statistic(h.flip(-2)))  # samples have no order
    torch.testing.assert_close(values.flip(-1), statistic(h.flip(-1)))  # slices are separate
    torch.testing.assert_close(values[1, 2], statistic(h[1, 2]))  # leading indices are too
    assert torch.isfinite(statistic(h[..., :1, :])).all()


@both_statistics
def test_nan_stays_in_its_slice(statistic: Loss) -> None:
    h = normal(20, 5)
    h[3, 2] = math.nan
    values = statistic(h)
    assert values.isnan().tolist() == [False, False, True, False, False]


@both_statistics
def test_gradient_against_finite_differences(statistic: Loss) -> None:
    h = (1.5 * normal(2, 5, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: statistic(h, num_knots=5), (h,))
    assert torch.autograd.gradcheck(lambda h: statistic(h, t_max=5.0), (h,))


# Collapse.


@both_losses
@pytest.mark.parametrize("offset", [0.0, 0.8])
def test_at_collapse_all_samples_get_the_same_gradient(loss: Loss, offset: float) -> None:
    z = torch.full((12, 6), offset, dtype=torch.float64)
    slices = random_slices(6, 32, seeded(0)).double()
    _, gradient = value_and_gradient(loss, z, slices)
    torch.testing.assert_close(gradient, gradient[:1].expand(12, 6), rtol=1e-10, atol=1e-12)
    assert (gradient.norm() > 0.1) if offset else (gradient.norm() == 0)


@both_statistics
def test_curvature_at_collapse(statistic: Loss) -> None:
    spread = 1e-2
    h = spread * torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    gain = (statistic(h) - statistic(0 * h)).item() / 2
    assert gain == pytest.approx(-1.546 * spread**2, rel=1e-3)


# Slices.


def test_slices_are_unit_fresh_and_reproducible() -> None:
    generator = seeded(0)
    first, second = random_slices(24, 50, generator), random_slices(24, 50, generator)
    assert first.shape == (24, 50)
    torch.testing.assert_close(first.norm(dim=0), torch.ones(50))
    assert not torch.equal(first, second)
    assert torch.equal(first, random_slices(24, 50, seeded(0)))
    assert random_slices(1, 1000, generator).abs().unique().tolist() == [1.0]


def test_slices_of_zero_norm_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.zeros(shape))
    assert random_slices(3, 2, seeded(0)).tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_resampled_slices_see_what_fixed_ones_miss() -> None:
    """Samples spread only orthogonally to one fixed slice: that slice calls them collapsed."""
    z = normal(200, 4)
    z[:, 0] = 0
    first_axis = torch.eye(4)[:, :1]
    assert sigreg(z, first_axis).item() == pytest.approx(0.402048 * 200, rel=1e-4)
    generator = seeded(1)
    fresh = [sigreg(z, random_slices(4, 1, generator)).item() for _ in range(20)]
    assert max(fresh) - min(fresh) > 1


# The loss.


@both_losses
def test_invariances(loss: Loss) -> None:
    z = 1.3 * normal(40, 6, dtype=torch.float64) + 0.2
    slices = random_slices(6, 64, seeded(0)).double()
    rotation = torch.linalg.qr(normal(6, 6, seed=3, dtype=torch.float64)).Q
    value = loss(z, slices)
    assert torch.equal(value, loss(z, slices))
    assert torch.equal(value, loss(-z, slices))
    torch.testing.assert_close(value, loss(z.flip(0), slices))
    torch.testing.assert_close(value, loss(z @ rotation, rotation.T @ slices))


def test_rotation_leaves_the_average_over_slices() -> None:
    z = normal(64, 4) * torch.tensor([0.2, 0.5, 1.0, 2.0])
    rotation = torch.linalg.qr(normal(4, 4, seed=3)).Q
    slices = random_slices(4, 4096, seeded(0))
    values = epps_pulley(z @ slices)
    tolerance = 4 * math.sqrt(2) * values.std().item() / math.sqrt(4096)
    assert sigreg(z @ rotation, slices).item() == pytest.approx(values.mean().item(), abs=tolerance)


@both_losses
def test_leading_dimensions_are_averaged(loss: Loss) -> None:
    z = normal(2, 3, 20, 5)
    slices = random_slices(5, 16, seeded(0))
    views = [loss(view, slices) for view in z.flatten(0, 1)]
    torch.testing.assert_close(loss(z, slices), torch.stack(views).mean())


def test_time_and_batch_must_not_be_swapped() -> None:
    """Each clip stands still at its own place: normal over the batch, collapsed over time."""
    clips = normal(64, 1, 5).expand(64, 4, 5)  # (B, T, D)
    slices = random_slices(5, 256, seeded(0))
    assert sigreg(clips.transpose(0, 1), slices).item() < 2
    assert sigreg(clips, slices).item() > 2


@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
@pytest.mark.parametrize("loss", [sigreg, sigreg_direct])
def test_float32_is_close_to_float64(loss: Loss, scale: float) -> None:
    z = scale * normal(128, 64, seed=5)
    slices = random_slices(64, 128, seeded(6))
    exact, exact_gradient = value_and_gradient(sigreg_direct, z.double(), slices.double())
    value, gradient = value_and_gradient(loss, z, slices)
    assert abs(value.double() - exact) < 1e-5 * exact
    assert (gradient.double() - exact_gradient).norm() < 1e-5 * exact_gradient.norm()


@pytest.mark.parametrize("num_knots", [3, 9, 33])
def test_fast_form_equals_direct_form(num_knots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    z = 1.5 * normal(3, 30, 8, dtype=torch.float64)
    slices = random_slices(8, 50, seeded(0)).double()
    monkeypatch.setattr(sigreg_module, "CHUNK_ELEMENTS", 90 * 20)  # 20 + 20 + 10 slices

    def at(loss: Loss) -> Loss:
        return lambda z, slices: loss(z, slices, num_knots=num_knots, t_max=4.0)

    torch.testing.assert_close(
        value_and_gradient(at(sigreg), z, slices),
        value_and_gradient(at(sigreg_direct), z, slices),
        rtol=1e-10,
        atol=1e-14,
    )


def test_saved_memory_does_not_grow_with_knots() -> None:
    z = normal(256, 32).requires_grad_()
    slices = random_slices(32, 128, seeded(0))

    def saved_elements(loss: Loss, num_knots: int) -> int:
        sizes = []

        def pack(x: Tensor) -> Tensor:
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            loss(z, slices, num_knots=num_knots)
        return sum(sizes)

    fast = [saved_elements(sigreg, num_knots) for num_knots in (9, 17, 33)]
    assert fast[0] == fast[1] == fast[2] <= 256 * 128 + z.numel() + slices.numel()
    assert saved_elements(sigreg_direct, 33) > 33 * 256 * 128


def test_no_gradient_no_memory() -> None:
    z = normal(16, 4).requires_grad_()
    with torch.no_grad():
        assert not sigreg(z, random_slices(4, 8, seeded(0))).requires_grad


def test_no_gradient_flows_to_the_slices() -> None:
    z, slices = normal(16, 4).requires_grad_(), random_slices(4, 8, seeded(0)).requires_grad_()
    sigreg(z, slices).backward()
    assert z.grad is not None
    assert slices.grad is None


@both_losses
def test_statistic_stays_float32_under_autocast(loss: Loss) -> None:
    encoder = torch.nn.Linear(10, 6)
    x, slices = normal(32, 10), random_slices(6, 64, seeded(0))
    with torch.autocast("cpu", torch.bfloat16):
        z = encoder(x)
        value = loss(z, slices)
    assert (z.dtype, value.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(value, loss(z.float(), slices))
    value.backward()
    assert encoder.weight.grad is not None
    assert encoder.weight.grad.isfinite().all()
    assert encoder.weight.grad.norm() > 0


def test_gradient_descent_repairs_the_x_distribution() -> None:
    """Gaussian marginals, identity covariance, yet an X: oblique slices see it (LeJEPA, Fig. 6)."""
    generator = seeded(0)
    x = torch.randn(256, generator=generator)
    sign = torch.randint(0, 2, (256,), generator=generator) * 2 - 1
    z = torch.stack([x, sign * x], dim=1).requires_grad_()
    judges = random_slices(2, 256, seeded(99))
    before = sigreg(z, judges).item()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        sigreg(z, random_slices(2, 16, generator)).backward()
        optimizer.step()
    assert before > 5
    assert sigreg(z, judges).item() < 1.0525  # closer than an independent sample
    diagonal = (z[:, 0] + z[:, 1]).detach()
    assert (diagonal.abs() < 0.1).float().mean() < 0.2  # half of all samples lay there


def test_independent_noise_passes_for_embedding_but_zeros_do_not() -> None:
    """A low loss does not prove useful rank: noise in the spare dimensions satisfies it.

    Effective rank shows the zeros and is fooled by the noise as well; what gives the noise away is
    that a second view of the same samples does not share it.
    """
    signal = normal(256, 3)
    slices = random_slices(32, 256, seeded(0))
    noise = torch.cat([signal, normal(256, 29, seed=1)], dim=1)
    zeros = torch.cat([signal, torch.zeros(256, 29)], dim=1)
    assert sigreg(noise, slices) < 1.5
    assert sigreg(zeros, slices) > 20 * sigreg(noise, slices)
    assert effective_rank(noise) > 30
    assert effective_rank(zeros) == pytest.approx(3, abs=0.05)
    second_view = torch.cat([signal, normal(256, 29, seed=2)], dim=1)
    assert fvu(second_view, noise) > 1.5  # of 32 dimensions 29 are not shared
    assert fvu(torch.cat([signal, torch.zeros(256, 29)], dim=1), zeros) == 0


# Errors.


@both_losses
@pytest.mark.parametrize(
    ("z_shape", "slices_shape", "message"),
    [
        ((8, 4), (5, 16), r"got embeddings \(8, 4\) and slices \(5, 16\); wanted .* the same D"),
        ((4,), (4, 16), r"got embeddings \(4,\)"),
        ((8, 4), (4,), r"and slices \(4,\)"),
        ((0, 4), (4, 16), r"got projections of shape \(0, 16\)"),
        ((0, 8, 4), (4, 16), r"got projections of shape \(0, 8, 16\)"),
        ((8, 4), (4, 0), r"got projections of shape \(8, 0\)"),
    ],
)
def test_shape_errors(
    loss: Loss, z_shape: tuple[int, ...], slices_shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(z_shape), torch.ones(slices_shape))


@both_losses
def test_knot_errors(loss: Loss) -> None:
    z, slices = torch.zeros(8, 4), torch.ones(4, 2)
    for num_knots in (-1, 0, 1, 2, 16):
        with pytest.raises(ValueError, match=f"got num_knots={num_knots}; wanted an odd number"):
            loss(z, slices, num_knots=num_knots)
    for t_max in (0.0, -3.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"got t_max={t_max}; wanted a finite number above 0"):
            loss(z, slices, t_max=t_max)


@pytest.mark.parametrize(("dim", "num_slices"), [(0, 4), (4, 0), (4, -1)])
def test_slice_errors(dim: int, num_slices: int) -> None:
    with pytest.raises(ValueError, match=f"got dim={dim}, num_slices={num_slices}; wanted both"):
        random_slices(dim, num_slices, seeded(0))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 1.0])
def test_the_critical_lambda_of_views_of_a_known_correlation(rho):
    """One direction of eight agrees by rho, mixed with others that agree less: it alone counts."""
    draw = torch.Generator().manual_seed(0)
    shared, noise = torch.randn(2, 200_000, 8, generator=draw, dtype=torch.double)
    agree = torch.tensor([rho, *[rho / 2] * 7], dtype=torch.double)
    other = agree * shared + (1 - agree**2).sqrt() * noise
    mix, mix_other = torch.randn(2, 8, 8, generator=draw, dtype=torch.double)
    found = critical_lambda(shared @ mix + 3, 0.1 * other @ mix_other)
    assert found == pytest.approx(2 * (1 - rho) / CURVATURE, abs=0.015)
    assert critical_lambda(shared, other, has_predictor=True) == pytest.approx(0.647, abs=1e-3)


def test_a_critical_lambda_ignores_directions_that_nothing_uses():
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(4096, 3, generator=draw)
    twice = torch.cat([z, z, torch.zeros(4096, 2)], dim=1)
    assert critical_lambda(twice, twice) == pytest.approx(0, abs=1e-6)
    assert critical_lambda(twice, twice[torch.randperm(4096, generator=draw)]) > 1.1


@pytest.mark.parametrize(
    ("z_a", "z_b", "words"),
    [
        (torch.randn(64, 8), torch.randn(63, 8), "one shape"),
        (torch.randn(63, 8), torch.randn(63, 8), "at least 8 D"),
        (torch.ones(64, 8), torch.ones(64, 8), "same embedding"),
    ],
)
def test_what_has_no_critical_lambda(z_a, z_b, words):
    with pytest.raises(ValueError, match=words):
        critical_lambda(z_a, z_b)
