"""Intervals against tables and known answers."""

import math

import pytest
import torch

from common.intervals import bootstrap_seed_episode, mean_interval, student_quantile, wilson


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.706205), (2, 4.302653), (4, 2.776445), (9, 2.262157), (30, 2.042272), (99, 1.984217)],
)
def test_student_quantile(degrees: int, quantile: float) -> None:
    assert student_quantile(degrees) == pytest.approx(quantile, abs=1e-6)


def test_mean_interval() -> None:
    interval = mean_interval([1, 2, 3, 4, 5])
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert interval["mean"] == 3
    assert interval["low"] == pytest.approx(3 - half, abs=1e-5)
    assert interval["high"] == pytest.approx(3 + half, abs=1e-5)
    assert (interval["n"], interval["values"]) == (5, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean_interval([2.5]) == {"mean": 2.5, "low": None, "high": None, "n": 1, "values": [2.5]}
    assert mean_interval([1, 1])["high"] == 1
    with pytest.raises(ValueError, match="got none"):
        mean_interval([])


def test_wilson() -> None:
    assert wilson(5, 5) == (pytest.approx(0.5655, abs=1e-4), 1.0)
    assert wilson(0, 5) == (0.0, pytest.approx(0.4345, abs=1e-4))
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    for successes, n in [(6, 5), (-1, 5), (0, 0)]:
        with pytest.raises(ValueError, match=f"got {successes} of {n}"):
            wilson(successes, n)


def test_bootstrap_counts_seeds_and_episodes() -> None:
    generator = torch.Generator().manual_seed(0)
    share = (torch.rand(5, 200, generator=generator) < 0.9).float()
    interval = bootstrap_seed_episode(share, generator)
    assert interval["mean"] == pytest.approx(share.mean().item())
    assert interval["values"] == pytest.approx(share.mean(dim=1).tolist())
    assert interval["n"] == 5
    assert interval["low"] < interval["mean"] < interval["high"]
    by_seed = torch.tensor([[0.0], [1.0]]).expand(2, 100)  # the seed decides everything
    interval = bootstrap_seed_episode(by_seed, generator)
    assert (interval["low"], interval["high"]) == (0.0, pytest.approx(1.0))
    by_episode = (torch.arange(100) % 2).expand(1, 100)  # a binomial of 100 halves
    interval = bootstrap_seed_episode(by_episode, generator)
    assert interval["low"] == pytest.approx(0.4, abs=0.021)
    assert interval["high"] == pytest.approx(0.6, abs=0.021)
    again = bootstrap_seed_episode(share, torch.Generator().manual_seed(1))
    assert again == bootstrap_seed_episode(share, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 2, 2)])
def test_bootstrap_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected outcomes"):
        bootstrap_seed_episode(torch.zeros(shape), torch.Generator())
