"""Intervals against tables and known answers."""

import math

import numpy as np
import pytest
import torch

from common.harness.aggregate import interval_of
from common.intervals import (
    bootstrap_nested,
    bootstrap_seed_episode,
    mean_interval,
    paired,
    share_interval,
    wilson,
)


@pytest.mark.parametrize(
    ("n", "quantile"), [(2, 12.706205), (3, 4.302653), (5, 2.776445), (31, 2.042272)]
)
def test_student_as_in_tables(n: int, quantile: float) -> None:
    values = [0.0] * (n - 1) + [1.0]
    interval = mean_interval(values)
    half = quantile * torch.tensor(values).double().std().item() / math.sqrt(n)
    assert interval["high"] - interval["mean"] == pytest.approx(half, rel=1e-6)


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


def seeds(*shares: float, trials: int = 50) -> list[np.ndarray]:
    """Outcomes, 0 or 1, of one array a seed."""
    return [(np.arange(trials) < round(share * trials)).astype(float) for share in shares]


def test_limits_cut_an_interval_but_never_its_mean() -> None:
    assert mean_interval([0.9, 1.0], (0, 1))["high"] == 1
    assert mean_interval([0.0, 0.1], (0, math.inf))["low"] == 0
    outside = mean_interval([1.2, 1.4], (0, 1))  # a limit that the values do not keep
    assert outside["low"] <= outside["mean"] <= outside["high"]


def test_paired_differences_of_a_known_answer() -> None:
    found = paired([1.0, 2.0, 4.0], [0.5, 1.5, 3.5])
    assert (found["mean"], found["low"], found["high"]) == (0.5, 0.5, 0.5)
    assert mean_interval([1.0, 2.0, 4.0])["low"] < 0  # unpaired, nothing would be shown
    with pytest.raises(ValueError, match="shorter"):
        paired([1.0, 2.0], [1.0])


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("with_outcomes", [True, False])
def test_a_share_stays_between_0_and_1(share: float, same: bool, with_outcomes: bool) -> None:
    outcomes = seeds(share, share, max(0.0, share - 0.02))
    values = [float(each.mean()) for each in outcomes]
    found = interval_of(
        values, trials=50, outcomes=outcomes if with_outcomes else None, same_episodes=same
    )
    assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1
    assert found["low"] < found["high"]
    assert found["values"] == values


def test_which_interval_a_metric_gets() -> None:
    ones = seeds(1.0, 1.0, 1.0)
    of_all = interval_of([1.0] * 3, 50, outcomes=ones)  # all alike: Wilson's, of all trials
    assert (of_all["low"], of_all["high"]) == wilson(150, 150)
    of_one = interval_of([1.0] * 3, 50, outcomes=ones, same_episodes=True)  # of one seed's
    assert (of_one["low"], of_one["high"]) == wilson(50, 50)
    assert share_interval([0.5, 0.7], 10)["low"] == wilson(12, 20)[0]
    assert interval_of([0.9, 1.0])["high"] > 1  # no share: Student's, without limits
    assert interval_of([0.9, 1.0], limits=(0, 1))["high"] == 1
    assert interval_of([0.5], trials=10)["low"] == wilson(5, 10)[0]  # one seed has one, too
    assert interval_of([0.5])["low"] is None


def test_a_bootstrap_knows_whether_the_seeds_meet_the_same_episodes() -> None:
    generator = torch.Generator().manual_seed(0)
    hard = torch.rand(40, generator=generator) < 0.5  # the episodes decide
    same = [hard.double().numpy()] * 10
    values = [float(each.mean()) for each in same]
    crossed = interval_of(values, 40, outcomes=same, same_episodes=True)
    nested = interval_of(values, 40, outcomes=same, same_episodes=False)
    binomial = 2 * 1.96 * math.sqrt(crossed["mean"] * (1 - crossed["mean"]) / 40)
    assert crossed["high"] - crossed["low"] == pytest.approx(binomial, rel=0.15)
    ratio = (nested["high"] - nested["low"]) / (binomial / math.sqrt(10))
    assert 0.9 < ratio < 1.6  # at most sqrt 2 too wide: trials are drawn anew, then seeds


def test_nested_bootstrap_takes_seeds_of_unequal_numbers_of_trials() -> None:
    outcomes = [torch.tensor([1.0, 0.0]), torch.ones(8)]
    found = bootstrap_nested(outcomes, torch.Generator().manual_seed(0))
    assert (found["mean"], found["values"], found["n"]) == (0.75, [0.5, 1.0], 2)
    assert found["low"] < 0.5
    assert found["high"] == 1
