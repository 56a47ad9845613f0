"""VICReg against the authors' code, hand-computed values and finite differences."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from common.losses import covariance_penalty, lejepa, variance_hinge, vicreg, vicreg_spread
from common.sigreg import random_slices, sigreg, sigreg_direct


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def official_vicreg(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Invariance, variance, covariance as facebookresearch/vicreg computes them."""
    invariance = F.mse_loss(x, y)
    x = x - x.mean(dim=0)
    y = y - y.mean(dim=0)
    std_x = torch.sqrt(x.var(dim=0) + 0.0001)
    std_y = torch.sqrt(y.var(dim=0) + 0.0001)
    variance = torch.mean(F.relu(1 - std_x)) / 2 + torch.mean(F.relu(1 - std_y)) / 2
    n, d = x.shape
    off_diagonal = ~torch.eye(d, dtype=torch.bool)
    covariance = sum(((v.T @ v) / (n - 1))[off_diagonal].pow(2).sum() / d for v in (x, y))
    return invariance, variance, torch.as_tensor(covariance)


def values(z_a: Tensor, z_b: Tensor) -> tuple[float, float, float]:
    terms = vicreg(z_a, z_b)
    return terms["invariance"].item(), terms["variance"].item(), terms["covariance"].item()


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_equals_the_official_code(scale: float) -> None:
    x = (scale * normal(32, 12)).requires_grad_()
    y = (scale * (x.detach() + 0.3 * normal(32, 12, seed=1))).requires_grad_()
    expected = official_vicreg(x, y)
    terms = vicreg(x, y)
    assert list(terms) == ["invariance", "variance", "covariance"]
    torch.testing.assert_close(tuple(terms.values()), expected, rtol=1e-12, atol=1e-12)
    weights = torch.tensor([25.0, 25.0, 1.0], dtype=torch.float64)
    loss = torch.stack(list(terms.values())) @ weights
    reference = torch.stack(expected) @ weights
    torch.testing.assert_close(
        torch.autograd.grad(loss, (x, y)),
        torch.autograd.grad(reference, (x, y)),
        rtol=1e-10,
        atol=1e-12,
    )


def test_constant_batch() -> None:
    z = torch.full((16, 5), 0.5, requires_grad=True)
    terms = vicreg(z, z)
    assert values(z, z) == (0, pytest.approx(1 - math.sqrt(1e-4)), 0)
    total = 25 * terms["invariance"] + 25 * terms["variance"] + terms["covariance"]
    assert total.item() == pytest.approx(24.75)
    (gradient,) = torch.autograd.grad(total, z)
    assert torch.equal(gradient, torch.zeros_like(z))  # nothing pushes the samples apart


def test_orthogonal_design_of_unit_variance_is_perfect() -> None:
    sign = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    hadamard = torch.kron(torch.kron(sign, sign), sign)[:, 1:]  # (8, 7), columns orthogonal to 1
    z = hadamard * math.sqrt(7 / 8)
    assert values(z, z) == (0, 0, pytest.approx(0, abs=1e-12))


def test_identical_columns() -> None:
    column = torch.tensor([1.0, -1.0, 1.0, -1.0]) * math.sqrt(3 / 4)
    z = column[:, None].expand(4, 4)
    assert values(z, z) == (0, 0, pytest.approx(6))  # 2 (D - 1)


def test_symmetric_and_invariant() -> None:
    z_a, z_b = 0.5 * normal(16, 6), 0.5 * normal(16, 6, seed=1)
    expected = values(z_a, z_b)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(2))
    assert values(z_b, z_a) == pytest.approx(expected, rel=1e-12)
    assert values(z_a[order], z_b[order]) == pytest.approx(expected, rel=1e-12)
    assert values(z_a + 3, z_b - 2)[1:] == pytest.approx(expected[1:], rel=1e-12)


def test_branch_terms_add_up() -> None:
    z_a, z_b = 0.5 * normal(16, 6), 2 * normal(16, 6, seed=1)
    terms = vicreg(z_a, z_b)
    torch.testing.assert_close(
        terms["variance"], (variance_hinge(z_a) + variance_hinge(z_b)) / 2, rtol=0, atol=0
    )
    torch.testing.assert_close(
        terms["covariance"], covariance_penalty(z_a) + covariance_penalty(z_b), rtol=0, atol=0
    )


def test_gradient_against_finite_differences() -> None:
    z_a = (0.4 * normal(5, 3)).requires_grad_()
    z_b = (0.4 * normal(5, 3, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: tuple(vicreg(a, b).values()), (z_a, z_b))


def test_statistics_stay_float32_under_autocast() -> None:
    z_a, z_b = normal(32, 8, dtype=torch.float32), normal(32, 8, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = vicreg(z_a, z_b)
        from_half = vicreg(z_a.bfloat16(), z_b.bfloat16())
    outside = vicreg(z_a, z_b)
    rounded = vicreg(z_a.bfloat16().float(), z_b.bfloat16().float())
    for name, term in inside.items():
        assert term.dtype == from_half[name].dtype == torch.float32
        assert torch.equal(term, outside[name])
        assert torch.equal(from_half[name], rounded[name])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    fine, bad = normal(8, 4), normal(8, 4)
    bad[3, 2] = value
    slices = random_slices(4, 8, torch.Generator().manual_seed(0))
    message = r"got 1 of \d+ values that are not finite in an embedding of shape \("
    for loss in (
        lambda: vicreg(fine, bad),
        lambda: vicreg(bad, fine),
        lambda: sigreg(bad, slices),
        lambda: sigreg_direct(bad, slices),
        lambda: lejepa(torch.stack([fine, bad]), slices),
    ):
        with pytest.raises(ValueError, match=message):
            loss()


@pytest.mark.parametrize(
    ("shape_a", "shape_b", "message"),
    [
        ((8, 4), (8, 5), r"got shapes \(8, 4\) and \(8, 5\); wanted two of the same"),
        ((1, 4), (1, 4), "got a batch of 1; wanted at least 2"),
        ((2, 8, 4), (2, 8, 4), r"got an embedding of shape \(2, 8, 4\); wanted \(B, D\)"),
    ],
)
def test_errors(shape_a: tuple[int, ...], shape_b: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vicreg(torch.zeros(shape_a), torch.zeros(shape_b))


def test_spread_of_two_embeddings_is_that_of_vicreg_and_of_more_their_mean() -> None:
    z = torch.randn(3, 16, 4, generator=torch.Generator().manual_seed(0))
    both = vicreg(z[0], z[1])
    two = vicreg_spread(z[:2])
    assert all(torch.equal(two[term], both[term]) for term in ("variance", "covariance"))
    pairs = [vicreg(z[a], z[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    for term, value in vicreg_spread(z).items():
        torch.testing.assert_close(value, torch.stack([pair[term] for pair in pairs]).mean())
