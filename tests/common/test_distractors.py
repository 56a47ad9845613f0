"""Layers behind the ball, and the moments that the Bayes frame takes from them."""

import math
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from common.distractors import (
    Distractor,
    moments,
    next_moments,
    nuisance_basis,
    sample_layers,
    square_masks,
)

Kind = Literal["none", "dots", "squares", "background"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distractor(kind: Kind, **changes: Any) -> Distractor:
    return Distractor(kind=kind, **{"cell_size": 4, **changes})


def layers_of(behind: Distractor, batch: int = 50, length: int = 20) -> tuple[Tensor, Tensor]:
    layers, states = sample_layers(behind, 64, batch, length, seeded())
    assert layers is not None
    assert layers.dtype == torch.uint8
    return layers, states


def test_none() -> None:
    layers, states = sample_layers(distractor("none"), 64, 3, 5, seeded())
    assert layers is None
    assert states.shape == (3, 5, 0)
    mean, variance = moments(distractor("none"), 64)
    assert mean.abs().max() == variance.abs().max() == 0
    assert nuisance_basis(distractor("none"), None, 64).shape == (0, 64, 64)


def test_dots_are_white_few_and_afresh() -> None:
    layers, states = layers_of(distractor("dots"))
    assert layers.shape == (50, 20, 64, 64)
    assert set(layers.unique().tolist()) == {0, 255}
    lit = (layers == 255).sum((-2, -1)).float()
    assert lit.max() <= 200
    expected = 4096 * (1 - (1 - 1 / 4096) ** 200)  # some fall on the same pixel
    assert lit.mean().item() == pytest.approx(expected, abs=4 * 2.2 / math.sqrt(1000))
    assert torch.equal(states.sum(-1), lit)
    assert torch.equal(states[..., 1], (layers[..., :32, 32:] == 255).sum((-2, -1)).float())
    assert not (layers[:, 1:] == layers[:, :-1]).all(-1).all(-1).any()


def test_dots_that_leave_nothing_to_see_are_refused() -> None:
    layers, _ = sample_layers(distractor("dots", num_dots=18_841), 64, 2, 2, seeded())
    assert layers is not None
    assert (layers == 0).any()
    with pytest.raises(ValueError, match="at most 18841"):
        sample_layers(distractor("dots", num_dots=18_842), 64, 2, 2, seeded())


def test_squares_flicker_as_fair_coins_in_their_places() -> None:
    behind = distractor("squares")
    masks = square_masks(behind, 64)
    corners = [(8, 12), (8, 44), (48, 12), (48, 44)]  # upper left, (row, column)
    for mask, (row, column) in zip(masks, corners, strict=True):
        assert mask.sum() == 64
        assert mask[row : row + 8, column : column + 8].all()
    layers, bits = layers_of(behind)
    assert bits.shape == (50, 20, 4)
    shown = torch.einsum("bts,shw->bthw", bits, masks)
    assert torch.equal(layers.float(), 255 * shown)
    assert (bits.mean((0, 1)) - 0.5).abs().max() < 4 * 0.5 / math.sqrt(1000)
    before, after = bits[:, :-1].flatten(0, 1), bits[:, 1:].flatten(0, 1)
    both = torch.cat([before, after], 1).T  # eight independent coins
    assert (torch.corrcoef(both) - torch.eye(8)).abs().max() < 5 / math.sqrt(950)


@pytest.mark.parametrize(("number", "size"), [(1, 8), (3, 1), (4, 20), (4, 40), (4, 500)])
def test_squares_of_any_size_are_disjoint(number: int, size: int) -> None:
    """A later square lies in front of those before, as it does in the layer."""
    behind = distractor("squares", num_squares=number, square_size=size)
    masks = square_masks(behind, 64)
    assert masks.shape == (number, 64, 64)
    assert masks.sum(0).max() == 1
    assert masks[-1].sum() == min(size, 64) ** 2
    layers, bits = layers_of(behind, 10, 5)
    assert torch.equal(layers.float(), 255 * torch.einsum("bts,shw->bthw", bits, masks))
    basis = nuisance_basis(behind, None, 64)
    assert torch.equal(basis, masks)


@pytest.mark.parametrize("cell", [1, 4, 5, 64, 100])
def test_background_is_a_still_texture_of_cells(cell: int) -> None:
    layers, states = layers_of(distractor("background", cell_size=cell), 30, 6)
    assert layers.shape == (30, 1, 64, 64)
    assert states.shape == (30, 6, 4)
    assert (states == states[:, :1]).all()
    assert layers.max() <= 128
    for row in range(0, 64, cell):
        for column in range(0, 64, cell):
            inside = layers[:, 0, row : row + cell, column : column + cell].flatten(1)
            assert (inside == inside[:, :1]).all()
    upper_right = layers[:, 0, :32, 32:].float().mean((-2, -1)) / 255
    torch.testing.assert_close(states[:, 0, 1], upper_right)
    if cell <= 5:
        assert len(layers[0].unique()) > 50


@pytest.mark.parametrize(
    "behind",
    [
        distractor("dots"),
        distractor("squares"),
        distractor("squares", square_size=40),
        distractor("background", contrast=0.8),
    ],
)
def test_moments_are_those_of_the_layers(behind: Distractor) -> None:
    layers, _ = layers_of(behind, 2000, 1)
    frames = layers[:, 0].float() / 255
    mean, variance = moments(behind, 64)
    assert (frames.mean(0) - mean).abs().max() < 5.5 * (variance / 2000).sqrt().max()
    assert (frames.mean(0) - mean).mean().abs() < 0.006
    assert (frames.var(0) - variance).abs().max() < 0.13 * variance.max() + 0.02 * (
        behind.kind == "dots"
    )
    assert (frames.var(0) - variance).mean().abs() < 0.002


def test_what_is_seen_of_a_background_stays() -> None:
    behind = distractor("background", cell_size=8, contrast=0.6)
    layer = torch.rand(2, 64, 64, generator=seeded())
    hidden = torch.zeros(2, 64, 64)
    hidden[0, 8:16, 16:24] = 1  # one whole cell
    hidden[0, 24:32, 24:31] = 1  # all but a column of another
    hidden[0, 40:48, 40:48] = 0.999  # not quite
    mean, variance = next_moments(behind, layer, hidden)
    unknown = torch.zeros(2, 64, 64, dtype=torch.bool)
    unknown[0, 8:16, 16:24] = True
    assert (mean[unknown] == 0.3).all()
    assert torch.allclose(variance[unknown], torch.tensor(0.36 / 12))
    assert torch.equal(mean[~unknown], layer[~unknown])
    assert (variance[~unknown] == 0).all()


def test_cells_cut_off_at_the_border_can_be_hidden_too() -> None:
    behind = distractor("background", cell_size=10)
    hidden = torch.zeros(1, 64, 64)
    hidden[0, 60:, 60:] = 1  # the 4 x 4 that is left of the last cell
    _, variance = next_moments(behind, torch.zeros(1, 64, 64), hidden)
    assert torch.equal(variance[0] > 0, hidden[0] == 1)


@pytest.mark.parametrize("kind", ["none", "dots", "squares"])
def test_what_is_drawn_afresh_is_not_foretold(kind: Kind) -> None:
    behind = distractor(kind)
    seen = next_moments(behind, None, torch.rand(3, 64, 64, generator=seeded()))
    for given, blind in zip(seen, moments(behind, 64), strict=True):
        assert torch.equal(given, blind.expand(3, 64, 64))


def test_nuisance_images() -> None:
    layer = torch.rand(5, 64, 64)
    assert torch.equal(nuisance_basis(distractor("dots"), None, 64), torch.ones(1, 64, 64))
    basis = nuisance_basis(distractor("background"), layer, 64)
    assert torch.equal(basis, layer.unsqueeze(1))


@pytest.mark.parametrize("kind", ["dots", "squares", "background"])
def test_a_generator_decides_everything(kind: Kind) -> None:
    behind = distractor(kind)
    first, again, other = (sample_layers(behind, 64, 3, 4, seeded(s)) for s in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        assert a is not None
        assert b is not None
        assert c is not None
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
