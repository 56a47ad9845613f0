"""Barlow Twins, squared error and cosine against hand-computed values and the authors' formulas."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.losses import barlow_twins, cross_correlation, negative_cosine, squared_error


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def terms(z_a: Tensor, z_b: Tensor) -> tuple[float, float]:
    found = barlow_twins(z_a, z_b)
    assert list(found) == ["invariance", "redundancy"]
    return found["invariance"].item(), found["redundancy"].item()


def official(z_a: Tensor, z_b: Tensor) -> Tensor:
    """The loss as the authors' training script computes it, for one process."""
    norm = nn.BatchNorm1d(z_a.shape[1], affine=False).double()
    c = norm(z_a).T @ norm(z_b) / len(z_a)
    on_diagonal = (torch.diagonal(c) - 1).pow(2).sum()
    off_diagonal = c[~torch.eye(len(c), dtype=torch.bool)].pow(2).sum()
    return on_diagonal + 0.0051 * off_diagonal


def decorrelated(dim: int) -> Tensor:
    """(B, D) columns of mean 0, variance 1 and no correlation."""
    sign = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    design = torch.kron(torch.kron(sign, sign), sign)
    return design[:, 1 : 1 + dim]


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_equals_the_authors_formula(scale: float) -> None:
    x = (scale * normal(32, 12)).requires_grad_()
    y = (scale * (x.detach() + 0.3 * normal(32, 12, seed=1)) + 2).requires_grad_()
    found = barlow_twins(x, y)
    loss, reference = found["invariance"] + 0.0051 * found["redundancy"], official(x, y)
    torch.testing.assert_close(loss, reference, rtol=1e-10, atol=1e-12)
    gradient, expected = (torch.autograd.grad(value, (x, y)) for value in (loss, reference))
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-12)


def test_known_values() -> None:
    z = decorrelated(4)
    assert terms(z, z) == (pytest.approx(0, abs=1e-8), pytest.approx(0, abs=1e-8))
    assert terms(z, -z) == (pytest.approx(16, rel=1e-4), pytest.approx(0, abs=1e-8))  # 4 D
    rank_one = z[:, :1].expand(-1, 4)
    assert terms(rank_one, rank_one) == (pytest.approx(0, abs=1e-8), pytest.approx(12, rel=1e-4))
    constant = torch.full((8, 4), 0.5, dtype=torch.float64)
    assert terms(constant, constant) == (4, 0)  # D


def test_gradient_at_exact_collapse_is_zero() -> None:
    z = torch.full((8, 4), 0.5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(barlow_twins(z, z)["invariance"], z)
    assert torch.equal(gradient, torch.zeros_like(z))


def test_affine_maps_and_order_change_nothing() -> None:
    z_a, z_b = 5 * normal(64, 6), 5 * normal(64, 6, seed=1)
    expected = terms(z_a, z_b)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(2))
    assert terms(z_a, 2 * z_b + 4) == pytest.approx(expected, rel=1e-5)  # but for the 1e-5
    assert terms(z_a[order], z_b[order]) == pytest.approx(expected, rel=1e-12)
    assert terms(z_b, z_a) == pytest.approx(expected, rel=1e-12)


def test_cross_correlation_is_numpys() -> None:
    z_a, z_b = normal(200, 3), normal(200, 3, seed=1)
    expected = torch.corrcoef(torch.cat([z_a, z_b], dim=1).T)[:3, 3:]
    torch.testing.assert_close(cross_correlation(z_a, z_b), expected, rtol=1e-4, atol=1e-6)


def test_squared_error_is_a_mean() -> None:
    z = normal(8, 4)
    assert squared_error(z, z + 2).item() == pytest.approx(4)


@pytest.mark.parametrize(("angle", "expected"), [(0, -1), (math.pi / 2, 0), (math.pi, 1)])
def test_negative_cosine(angle: float, expected: float) -> None:
    z_a = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    assert negative_cosine(z_a, 5 * z_a @ turn).item() == pytest.approx(expected, abs=1e-6)


def test_byols_loss_is_affine_in_it() -> None:
    z_a, z_b = normal(16, 6), normal(16, 6, seed=1)
    byol = (F.normalize(z_a, dim=1) - F.normalize(z_b, dim=1)).square().sum(1).mean()
    assert 2 + 2 * negative_cosine(z_a, z_b).item() == pytest.approx(byol.item())


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: tuple(barlow_twins(a, b).values()),
        squared_error,
        negative_cosine,
    ],
)
def test_gradient_against_finite_differences(loss) -> None:
    z_a, z_b = normal(6, 3).requires_grad_(), normal(6, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(loss, (z_a, z_b))


def test_statistics_stay_float32_under_autocast() -> None:
    z_a, z_b = normal(32, 8).float(), normal(32, 8, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = cross_correlation(z_a, z_b)
    assert torch.equal(inside, cross_correlation(z_a, z_b))


@pytest.mark.parametrize("loss", [barlow_twins, squared_error, negative_cosine])
@pytest.mark.parametrize(
    ("z_a", "z_b", "message"),
    [
        (torch.zeros(8, 4), torch.zeros(8, 5), r"got shapes \(8, 4\) and \(8, 5\)"),
        (torch.zeros(2, 8, 4), torch.zeros(2, 8, 4), r"shapes \(2, 8, 4\) .*\(B, D\)"),
        (torch.zeros(0, 4), torch.zeros(0, 4), r"shapes \(0, 4\) .*\(B, D\), none of it 0"),
        (
            torch.tensor([[1.0, math.nan], [math.inf, 0.0]]),
            torch.zeros(2, 2),
            "got 2 of 4 values that are not finite in an embedding of shape",
        ),
    ],
)
def test_errors(loss, z_a: Tensor, z_b: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss(z_a, z_b)


def test_one_sample_has_no_correlation() -> None:
    with pytest.raises(ValueError, match="got a batch of 1; wanted at least 2"):
        barlow_twins(torch.zeros(1, 4), torch.zeros(1, 4))
