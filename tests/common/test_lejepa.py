"""LeJEPA's two terms: what each view enters, and the one number between them."""

import pytest
import torch
from torch import Tensor

from common.losses import lejepa, squared_error
from common.sigreg import random_slices, sigreg


def views(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SLICES = random_slices(5, 32, torch.Generator().manual_seed(3))


def test_two_views_give_a_quarter_of_their_squared_difference() -> None:
    z = views(2, 16, 5)
    expected = squared_error(z[0], z[1]) / 4
    torch.testing.assert_close(lejepa(z, SLICES)["prediction"], expected)


def test_every_view_is_pulled_to_the_mean_of_the_global_ones() -> None:
    z = views(6, 16, 5)
    centre = (z[0] + z[1]) / 2
    expected = torch.stack([squared_error(z_v, centre) for z_v in z]).mean()
    torch.testing.assert_close(lejepa(z, SLICES, num_global=2)["prediction"], expected)


def test_views_are_tested_for_normality_one_by_one() -> None:
    z = views(3, 16, 5)
    expected = torch.stack([sigreg(z_v, SLICES) for z_v in z]).mean()
    torch.testing.assert_close(lejepa(z, SLICES)["sigreg"], expected)
    shifted = torch.stack([z[0] - 3, z[1] + 3, z[2]])  # together they may look centred
    assert lejepa(shifted, SLICES)["sigreg"] > 5 * expected


def test_every_view_enters_both_terms_and_gradients_reach_the_centre() -> None:
    z = views(4, 16, 5).requires_grad_()
    for term in lejepa(z, SLICES, num_global=2).values():
        (gradient,) = torch.autograd.grad(term, z, retain_graph=True)
        assert (gradient.abs().amax(dim=(1, 2)) > 0).all()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((16, 5), {}, r"got views \(16, 5\); wanted \(V, B, D\) with V at least 2"),
        ((1, 16, 5), {}, r"got views \(1, 16, 5\); wanted \(V, B, D\) with V at least 2"),
        ((2, 16, 5), {"num_global": 0}, "got num_global=0; wanted 1 to 2, the views"),
        ((2, 16, 5), {"num_global": 3}, "got num_global=3; wanted 1 to 2, the views"),
        ((2, 16, 4), {}, r"got embeddings \(2, 16, 4\) and slices \(5, 32\)"),
        ((2, 16, 5), {"num_knots": 0}, "got num_knots=0; wanted an odd number of at least 3"),
    ],
)
def test_errors(shape: tuple[int, ...], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lejepa(views(*shape), SLICES, **options)
