"""Every score has its known answers, and its naive reference."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from common.distractors import Distractor, nuisance_basis
from common.metrics import (
    collapse_ratio,
    distance_to_ball,
    effective_rank,
    fvu,
    grey_mass,
    latent_smear,
    rankme,
    smear_index,
    smear_terms,
    weight_error,
)
from common.probes import linear_probe
from common.rendering import disc
from common.world import World

MakeWorld = Callable[..., World]
NO_BASIS = torch.zeros(0, 64, 64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def ball(make_world: MakeWorld) -> Callable[..., Tensor]:
    """ball(x, ...) are frames (len(x), 64, 64) of a disc at x on the middle line."""
    world = make_world(antialias=True)

    def draw(*x: float, y: float = 32.0) -> Tensor:
        places = torch.tensor([[float(at), y, 0.0, 0.0] for at in x])
        return disc(places, torch.full((len(x),), 8.0), world)

    return draw


Ball = Callable[..., Tensor]


def terms_of(
    ball: Ball, hypotheses: Tensor, at: tuple[float, ...], p: list[float], basis: Tensor = NO_BASIS
) -> dict[str, Tensor]:
    """Smear terms of hypotheses (K, H, W) where the ball may be at any of the places at."""
    shifted = ball(*(x + 1 for x in at))
    return smear_terms(hypotheses[None], ball(*at)[None], torch.tensor([p]), shifted[None], basis)


def index(terms: dict[str, Tensor]) -> float:
    return smear_index(terms["numerator"], terms["denominator"])


# Distance to a ball, whatever is behind it


def random_frames(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return 1.6 * torch.rand(shape, generator=seeded(seed)) - 0.3


def test_without_a_distractor_the_distance_is_the_squared_error(ball: Ball) -> None:
    frames, futures = random_frames((2, 3, 64, 64)), torch.stack([ball(10, 30), ball(20, 50)])
    d = distance_to_ball(frames, futures, NO_BASIS)
    assert d.shape == (2, 3, 2)
    for b in range(2):
        for k in range(3):
            for f in range(2):
                direct = (frames[b, k] - futures[b, f]).square().mean()
                torch.testing.assert_close(d[b, k, f], direct)


@pytest.mark.parametrize("kind", ["squares", "dots", "background"])
def test_what_a_distractor_adds_is_projected_out(ball: Ball, kind: str) -> None:
    behind = Distractor(kind=kind, cell_size=4)  # type: ignore[arg-type]
    layer = torch.rand(1, 64, 64, generator=seeded())
    basis = nuisance_basis(behind, layer, 64)
    images = basis if basis.dim() == 3 else basis[0]
    future = ball(20.0)  # over a part of the left squares
    for level in torch.rand(5, len(images), generator=seeded(1)):
        frame = future + (1 - future) * torch.einsum("s,shw->hw", level, images)
        d = distance_to_ball(frame[None], future[None], basis)
        assert d.abs().item() < 1e-5
    # a level outside of 0 .. 1 is none that the distractor may have
    frame = future + (1 - future) * 1.5 * images.sum(0)
    d = distance_to_ball(frame[None], future[None], basis)
    left = 0.25 * ((1 - future) * images.sum(0)).square().mean()
    assert left > 1e-3
    assert d.item() == pytest.approx(left.item(), rel=1e-3)


def left_over(frame: Tensor, future: Tensor, images: Tensor) -> float:
    """min over levels in 0 .. 1, by search: three rounds of 21 levels each, image by image."""
    level = [0.5] * len(images)
    width = 0.5
    error = math.inf
    for _ in range(7):
        for s in range(len(images)):
            tries = []
            for step in range(-10, 11):
                trial = list(level)
                trial[s] = min(max(level[s] + width * step / 10, 0.0), 1.0)
                shown = future + (1 - future) * sum(
                    value * image for value, image in zip(trial, images, strict=True)
                )
                tries.append(((frame - shown).square().mean().item(), trial[s]))
            error, level[s] = min(tries)
        width /= 5
    return error


@pytest.mark.parametrize("kind", ["squares", "dots", "background"])
def test_the_projection_is_the_minimum_over_levels(ball: Ball, kind: str) -> None:
    behind = Distractor(kind=kind, num_squares=2, square_size=16, cell_size=4)  # type: ignore[arg-type]
    basis = nuisance_basis(behind, torch.rand(2, 64, 64, generator=seeded()), 64)
    frames, futures = random_frames((2, 1, 64, 64), 1), torch.stack([ball(18, 40), ball(25, 8)])
    frames[1] += 1.1  # a level at its bound
    d = distance_to_ball(frames, futures, basis)
    for b in range(2):
        images = basis if basis.dim() == 3 else basis[b]
        searched = left_over(frames[b, 0], futures[b, b], images)
        assert d[b, 0, b].item() == pytest.approx(searched, rel=1e-4)
    plain = distance_to_ball(frames, futures, NO_BASIS)
    assert (d <= plain + 1e-7).all()


# Smear, coverage, precision


@pytest.mark.parametrize("p", [[0.5, 0.5], [0.8, 0.2], [0.6, 0.4, 0.0]])
def test_the_blur_scores_one_and_a_real_future_zero(ball: Ball, p: list[float]) -> None:
    at = (26.0, 38.0, 10.0)[: len(p)]
    blur = (torch.tensor(p)[:, None, None] * ball(*at)).sum(0, keepdim=True)
    blurred = terms_of(ball, blur, at, p)
    assert index(blurred) == pytest.approx(1, abs=1e-5)
    if max(p) < 0.7:  # one that is nearly a real future hits it
        assert blurred["coverage"].item() == blurred["precision"].item() == 0
    exact = terms_of(ball, ball(38.0), at, p)
    assert index(exact) == 0
    assert exact["precision"].item() == 1
    assert exact["coverage"].item() == 0.5
    assert exact["nearest"].tolist() == [[1]]
    assert terms_of(ball, ball(10.0), (26.0, 38.0), [0.5, 0.5])["precision"].item() == 0


@pytest.mark.parametrize("kind", ["squares", "dots", "background"])
def test_the_blur_scores_one_with_a_distractor_too(ball: Ball, kind: str) -> None:
    """Both sides of the ratio are the same distance; so is the hit's threshold."""
    behind = Distractor(kind=kind, square_size=24, cell_size=4)  # type: ignore[arg-type]
    layer = torch.rand(1, 64, 64, generator=seeded())
    basis = nuisance_basis(behind, layer, 64)
    blur = (ball(14.0) + ball(26.0)) / 2
    terms = terms_of(ball, blur, (14.0, 26.0), [0.5, 0.5], basis)
    assert index(terms) == pytest.approx(1, abs=1e-5)
    images = basis if basis.dim() == 3 else basis[0]
    seen = (1 - ball(26.0)) * (0.5 * images.sum(0))
    real = terms_of(ball, ball(26.0) + seen, (14.0, 26.0), [0.5, 0.5], basis)
    assert index(real) == pytest.approx(0, abs=1e-4)
    assert real["precision"].item() == 1
    moved = terms_of(ball, ball(27.001), (14.0, 26.0), [0.5, 0.5], basis)
    assert moved["precision"].item() == 0
    near = terms_of(ball, ball(26.9), (14.0, 26.0), [0.5, 0.5], basis)
    assert near["precision"].item() == 1


def test_copies_and_blanks_are_worse_than_the_blur(ball: Ball) -> None:
    at, p = (26.0, 38.0), [0.5, 0.5]
    assert index(terms_of(ball, ball(32.0), at, p)) == pytest.approx(2.1, abs=0.15)
    assert index(terms_of(ball, torch.zeros(1, 64, 64), at, p)) == pytest.approx(2.3, abs=0.25)


def test_smear_is_the_mean_over_hypotheses_of_the_nearest_future(ball: Ball) -> None:
    at, p = (26.0, 38.0), [0.5, 0.5]
    blur = (ball(26.0) + ball(38.0)) / 2
    for hypotheses, expected in (
        (torch.cat([ball(26.0), ball(38.0)]), 0.0),
        (torch.cat([ball(26.0), ball(26.0)]), 0.0),
        (torch.cat([ball(26.0), blur]), 0.5),
        (torch.cat([ball(38.0), blur, blur, blur]), 0.75),
    ):
        assert index(terms_of(ball, hypotheses, at, p)) == pytest.approx(expected, abs=1e-5)


def test_smear_index_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    assert smear_index(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 2.0])) == 1.0
    assert smear_index(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 3.0])) == 0.25


def test_coverage_and_precision_by_hand(ball: Ball) -> None:
    at, p = (10.0, 26.0, 42.0), [0.2, 0.4, 0.4]
    cases = [
        ((10.0, 26.0, 42.0), 1.0, 1.0),
        ((10.0, 10.2, 9.7), 1 / 3, 1.0),
        ((10.0, 42.0, 34.0), 2 / 3, 2 / 3),
        ((10.0, 42.0, 26.0, 34.0), 1.0, 3 / 4),
        ((18.0, 34.0), 0.0, 0.0),
    ]
    for places, coverage, precision in cases:
        terms = terms_of(ball, ball(*places), at, p)
        assert terms["coverage"].item() == pytest.approx(coverage), places
        assert terms["precision"].item() == pytest.approx(precision), places
    # a future of probability 0 is neither there to be covered nor hit
    terms = terms_of(ball, ball(10.0, 26.0), at, [0.0, 0.5, 0.5])
    assert terms["coverage"].item() == terms["precision"].item() == 0.5
    assert terms["nearest"].tolist() == [[1, 1]]


def test_a_hit_lies_nearer_than_one_pixel(ball: Ball) -> None:
    for offset, hit in ((0.0, 1), (0.9, 1), (-0.9, 1), (1.1, 0), (-1.1, 0)):
        terms = terms_of(ball, ball(26 + offset), (26.0, 50.0), [0.5, 0.5])
        assert terms["precision"].item() == hit, offset
    sideways = terms_of(ball, ball(26.0, y=33.1), (26.0, 50.0), [0.5, 0.5])
    assert sideways["precision"].item() == 0


def test_smear_terms_of_a_batch_are_those_of_its_pairs(ball: Ball) -> None:
    basis = torch.rand(2, 1, 64, 64, generator=seeded())
    frames = random_frames((2, 3, 64, 64))
    futures = torch.stack([ball(10, 30), ball(20, 50)])
    shifted = torch.stack([ball(11, 31), ball(21, 51)])
    p = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    together = smear_terms(frames, futures, p, shifted, basis)
    for b in range(2):
        i = slice(b, b + 1)
        alone = smear_terms(frames[i], futures[i], p[i], shifted[i], basis[i])
        for name, value in together.items():
            torch.testing.assert_close(value[i], alone[name])


def test_grey_mass(ball: Ball) -> None:
    frames = torch.tensor([0.0, 0.1, 0.2, 0.5, 0.8, 0.9, 1.0, 1.2])
    assert grey_mass(frames) == pytest.approx(3 / 8)
    assert grey_mass(ball(26.0)) < 0.3 * grey_mass((ball(26.0) + ball(38.0)) / 2)


def test_weight_error_by_hand() -> None:
    p = torch.tensor([[0.7, 0.3]])
    for weights, nearest, expected in (
        ([0.7, 0.3], [0, 1], 0.0),
        ([0.3, 0.7], [1, 0], 0.0),
        ([0.5, 0.5], [0, 1], 0.2),
        ([0.2, 0.8], [0, 0], 0.3),  # all weight on the first future
        ([0.2, 0.8], [1, 1], 0.7),
    ):
        log_odds = torch.tensor([weights]).log() + 3.0  # log-odds up to a constant
        error = weight_error(log_odds, torch.tensor([nearest]), p)
        assert error == pytest.approx(expected, abs=1e-6)


def test_latent_smear_has_the_same_known_answers() -> None:
    z = torch.randn(50, 2, 16, generator=seeded())
    p = torch.rand(50, 1, generator=seeded(1)) * 0.8 + 0.1
    p = torch.cat([p, 1 - p], dim=1)
    mean = (p.unsqueeze(-1) * z).sum(1, keepdim=True)
    assert latent_smear(mean, z, p) == pytest.approx(1, abs=1e-4)
    assert latent_smear(z, z, p) == pytest.approx(0, abs=1e-6)
    assert latent_smear(torch.cat([z[:, :1], mean], 1), z, p) == pytest.approx(0.5, abs=1e-4)
    ghost = torch.cat([z, mean], 1)  # what has no probability is no future
    p_ghost = torch.cat([p, torch.zeros(50, 1)], 1)
    assert latent_smear(mean, ghost, p_ghost) == pytest.approx(1, abs=1e-4)
    line = torch.tensor([[[0.0], [4.0]]])
    even = torch.tensor([[0.5, 0.5]])
    assert latent_smear(torch.tensor([[[1.0]]]), line, even) == pytest.approx(0.25)
    assert latent_smear(torch.tensor([[[-4.0]]]), line, even) == pytest.approx(4)


# How much of an embedding is used


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_effective_rank(scale: float) -> None:
    signal = torch.randn(4000, 32, generator=seeded(), dtype=torch.float64)
    signal -= signal.mean(0)
    white = signal @ torch.linalg.inv(torch.linalg.cholesky(signal.T @ signal / 4000)).T
    assert effective_rank(scale * white) == pytest.approx(32, rel=1e-6)
    for rank in (1, 2, 7):
        turned, _ = torch.linalg.qr(torch.randn(32, 32, generator=seeded(1)).double())
        assert effective_rank(scale * white[:, :rank] @ turned[:rank]) == pytest.approx(rank, 1e-3)
    share = torch.tensor([0.8, 0.2])
    entropy = math.exp(-(share * share.log()).sum())
    # of a known spectrum of singular values
    assert effective_rank(scale * white[:, :2] * share) == pytest.approx(entropy, rel=2e-3)


def test_a_collapsed_code_has_no_rank_to_show_off() -> None:
    noise = torch.randn(500, 32, generator=seeded())
    constant = torch.randn(1, 32, generator=seeded(1)).expand(500, 32)
    assert effective_rank(constant) == 1
    assert effective_rank(constant + 1e-4 * noise) == 1
    assert effective_rank(torch.zeros(500, 32)) == 1
    # what varies counts, the collapsed directions beside it do not
    one = torch.zeros(500, 32)
    one[:, 3] = noise[:, 3]
    assert effective_rank(one + 1e-4 * noise) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("dim", "floored", "published"), [(64, 26.8, 29.1), (1024, 28.7, 182.5)])
def test_rankme_has_no_floor(dim: int, floored: float, published: float) -> None:
    """Variances k^-2: what the floor of ``effective_rank`` takes off grows with the width."""
    one = torch.eye(dim, dtype=torch.float64)
    z = torch.cat([one, -one]) / torch.arange(1, dim + 1)
    assert effective_rank(z) == pytest.approx(floored, abs=0.05)
    assert rankme(z) == pytest.approx(published, abs=0.05)
    assert rankme(torch.zeros(10, dim)) < 1.01  # no NaN


def test_collapse_ratio() -> None:
    z = torch.randn(2000, 8, generator=seeded())
    z -= z.mean(0)
    assert collapse_ratio(z) == pytest.approx(1)
    assert collapse_ratio(7 * z) == pytest.approx(1)
    away = torch.zeros(8)
    away[0] = z.square().sum(1).mean().sqrt()  # as far away as it is wide
    assert collapse_ratio(z + away) == pytest.approx(math.sqrt(1 / 2), rel=1e-5)
    assert collapse_ratio(torch.ones(10, 4)) == 0
    assert collapse_ratio(torch.zeros(10, 4)) == 0
    assert collapse_ratio(1 + 1e-4 * z) < 0.003


def test_fvu() -> None:
    y = torch.randn(100, 5, generator=seeded()) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]) + 3
    assert fvu(y, y) == 0
    assert fvu(y.mean(0).expand_as(y), y) == pytest.approx(1, rel=1e-5)
    assert fvu(2 * y.mean(0) - y, y) == pytest.approx(4, rel=1e-5)
    assert fvu(100 * y + 1, 100 * y) == pytest.approx(5 / (1e4 * y.var(0, correction=0).sum()))


# Probes


def r2(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return 1 - ((prediction - truth) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)


@pytest.mark.parametrize("ridge", [1e-10, 1e-4, 0.3])
def test_the_probe_is_ridge_regression(ridge: float) -> None:
    rng = np.random.default_rng(0)
    z, z_test = rng.normal(2, 3, (2, 200, 6)) * np.array([1, 1, 10, 0.1, 1, 1])
    w = rng.normal(size=(6, 3))
    noise = rng.normal(size=(2, 200, 3))
    y, y_test = z @ w + 5 + 2 * noise[0], z_test @ w + 5 + 2 * noise[1]
    given = linear_probe(*(torch.from_numpy(a) for a in (z, y, z_test, y_test)), ridge=ridge)

    center, scale = z.mean(0), z.std(0, ddof=1)
    a, b = (z - center) / scale, (z_test - center) / scale
    # ridge as least squares with extra rows; the mean is not shrunk
    rows = np.concatenate([a, np.sqrt(ridge * 200) * np.eye(6)])
    solved = np.linalg.lstsq(rows, np.concatenate([y - y.mean(0), np.zeros((6, 3))]), rcond=None)
    expected = r2(b @ solved[0] + y.mean(0), y_test)
    assert given.numpy() == pytest.approx(expected, abs=1e-6)
    if ridge < 1e-9:
        ones = np.ones((200, 1))
        plain = np.linalg.lstsq(np.hstack([z, ones]), y, rcond=None)[0]
        assert given.numpy() == pytest.approx(r2(np.hstack([z_test, ones]) @ plain, y_test))


def test_r2_has_known_answers() -> None:
    z = torch.randn(4000, 4, generator=seeded())
    noise = torch.randn(4000, generator=seeded(1))
    y = torch.stack(
        [3 * z[:, 0] - z[:, 1] + 7, z[:, 0] + noise, noise, 1e6 + 1e3 * z[:, 2], z[:, 3].square()],
        dim=1,
    )
    scores = linear_probe(z[:2000], y[:2000], z[2000:], y[2000:])
    assert scores.tolist() == pytest.approx([1.0, 0.5, 0.0, 1.0, 0.0], abs=0.05)
    assert scores[0] > 0.9999
    assert scores[3] > 0.9999


def test_a_target_that_does_not_vary_has_no_r2() -> None:
    z = torch.randn(300, 4, generator=seeded())
    y = torch.stack([z[:, 0], torch.full((300,), 32.0), torch.zeros(300)], dim=1)
    scores = linear_probe(z[:200], y[:200], z[200:], y[200:])
    assert scores[0] > 0.999
    assert scores[1:].isnan().all()
    # it varied in training only, or by rounding alone
    y[:200, 1] += torch.randn(200, generator=seeded(1))
    y[:, 2] += 1e-9 * torch.randn(300, generator=seeded(2))
    assert linear_probe(z[:200], y[:200], z[200:], y[200:])[1:].isnan().all()


def test_a_collapsed_embedding_reads_nothing() -> None:
    y = torch.randn(300, 2, generator=seeded())
    z = torch.full((300, 8), 0.7)
    scores = linear_probe(z[:200], y[:200], z[200:], y[200:])
    assert (scores <= 0).all()
    assert (scores > -0.1).all()


def test_probe_of_other_widths_is_refused() -> None:
    z, y = torch.randn(10, 4), torch.randn(10, 2)
    with pytest.raises(ValueError, match="got 4 and 3 features, 2 and 2 targets"):
        linear_probe(z, y, z[:, :3], y)
    with pytest.raises(ValueError, match="got 4 and 4 features, 2 and 1 targets"):
        linear_probe(z, y, z, y[:, :1])
