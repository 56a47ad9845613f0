"""Probes for few labels, ranks and spectra: known answers and brute force."""

import math

import pytest
import torch

from common.metrics import mean_correlation, spearman, spectrum
from common.probes import add_noise, kmeans, knn_probe, lloyd, nearest, ridge_probe


def test_ridge_probe_finds_a_linear_map_and_nothing_in_noise() -> None:
    z, test = torch.randn(2, 200, 6, generator=torch.Generator().manual_seed(0)).double()
    weight = torch.arange(6.0).double()[:, None]
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(1)).double()
    targets = torch.cat([z @ weight + 3, noise], dim=1)
    truth = torch.cat([test @ weight + 3, noise.flip(0)], dim=1)
    r2 = ridge_probe(z, targets, test, truth)
    assert r2[0] > 0.9999
    assert abs(r2[1]) < 0.1  # the ridge is chosen so large that nothing is claimed


def test_ridge_probe_chooses_by_the_true_leave_one_out_error() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(30, 50, generator=generator).double()  # fewer labels than features
    y = (z[:, :1] + 0.5 * torch.randn(30, 1, generator=generator)).double()
    scaled = (z - z.mean(0)) / z.std(0)

    def left_out(strength: float) -> float:
        errors = []
        for i in range(30):
            keep = torch.arange(30) != i
            a = torch.cat([scaled[keep], torch.ones(29, 1).double()], dim=1)
            penalty = strength * 30 * torch.eye(51).double()
            penalty[-1, -1] = 0  # the offset is not shrunk
            w = torch.linalg.solve(a.T @ a + penalty, a.T @ y[keep])
            errors.append((y[i] - scaled[i] @ w[:-1] - w[-1]).square().item())
        return sum(errors) / 30

    strengths = torch.logspace(-4, 4, 17, dtype=torch.double)
    best = strengths[min(range(17), key=lambda i: left_out(strengths[i].item()))]
    test = torch.randn(200, 50, generator=generator).double()
    gram = scaled.T @ scaled + best * 30 * torch.eye(50).double()
    w = torch.linalg.solve(gram, scaled.T @ (y - y.mean(0)))
    truth = test[:, :1]
    predicted = (test - z.mean(0)) / z.std(0) @ w + y.mean(0)
    expected = 1 - (predicted - truth).square().sum() / (truth - truth.mean()).square().sum()
    torch.testing.assert_close(ridge_probe(z, y, test, truth)[0], expected)


def test_noise_takes_from_a_collapsed_code_what_a_scale_blind_fit_reads() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(400, 1, generator=generator)
    z = 1 + 1e-4 * torch.cat([y, torch.randn(400, 3, generator=generator)], dim=1)
    assert ridge_probe(z[:200], y[:200], z[200:], y[200:])[0] > 0.99
    noisy = add_noise(z, generator)
    assert noisy.sub(z).std().item() == pytest.approx(0.01 * 2, rel=0.1)  # |z| is 2
    assert ridge_probe(noisy[:200], y[:200], noisy[200:], y[200:])[0] < 0.1
    spread = add_noise(z - z.mean(0), generator)
    assert ridge_probe(spread[:200], y[:200], spread[200:], y[200:])[0] > 0.95


def test_knn_probe_reads_what_is_not_linear() -> None:
    angle = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * math.tau
    z = torch.stack([angle.cos(), angle.sin()], dim=1)
    y = (3 * angle).sin()[:, None]
    assert ridge_probe(z[:1000], y[:1000], z[1000:], y[1000:])[0] < 0.1
    assert knn_probe(z[:1000], y[:1000], z[1000:], y[1000:])[0] > 0.99


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1.0, 2.0, 3.0], [10.0, 100.0, 1000.0], 1.0),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], -1.0),
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0], 0.6),
        ([1.0, 1.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0], 0.8944),  # ties share their mean rank
    ],
)
def test_spearman_known_values(x: list[float], y: list[float], expected: float) -> None:
    assert spearman(torch.tensor(x), torch.tensor(y)) == pytest.approx(expected, abs=1e-4)


def test_spearman_errors() -> None:
    assert math.isnan(spearman(torch.ones(3), torch.arange(3.0)))
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(4,\); wanted two of one length"):
        spearman(torch.ones(3), torch.ones(4))


def test_spectrum_and_mean_correlation() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5000, 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    torch.testing.assert_close(
        spectrum(z), torch.tensor([9.0, 4.0, 1.0]).double() / 14, atol=0.02, rtol=0
    )
    assert mean_correlation(z) < 0.03
    assert mean_correlation(z[:, :1].expand(-1, 3)) == pytest.approx(1)
    assert mean_correlation(torch.ones(10, 3)) == 0


def test_kmeans_finds_separate_groups_and_lloyd_stays_where_it_is_best() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = centres.repeat_interleave(20, 0) + 0.1 * torch.randn(60, 2, generator=generator)
    middles, near = kmeans(x, 3, generator)
    assert near.unflatten(0, (3, 20)).unique(dim=1).shape == (3, 1)  # a cluster a group
    assert torch.cdist(centres, middles).amin(1).max() < 0.1
    again, same = lloyd(x, middles)
    torch.testing.assert_close(again, middles)
    assert torch.equal(same, nearest(x, middles))
    weight = torch.arange(60.0)
    often = x.repeat_interleave(weight.long(), 0)
    torch.testing.assert_close(lloyd(x, centres, weight=weight)[0], lloyd(often, centres)[0])
    with pytest.raises(ValueError, match="wanted 1 to 60"):
        kmeans(x, 61, generator)
