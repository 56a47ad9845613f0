"""Part 3's local theory of collapse, and what its studies read off results files."""

import pytest
import torch

from part3_collapse_regularizers.studies import (
    collapse_line,
    loss_quality_correlation,
    stability,
    weight_tolerance,
)


@pytest.mark.parametrize("setting", ["next_frame", "views"])
@pytest.mark.parametrize("r2", [0.0, 0.9])
def test_collapse_is_unstable_just_above_the_threshold(setting, r2):
    critical = stability.threshold(setting, r2)
    assert stability.growth(setting, r2, 0.8 * critical, seed=1) < 0
    assert stability.growth(setting, r2, 1.25 * critical, seed=1) > 0


def test_thresholds_of_the_theory():
    assert stability.threshold("next_frame", 0.0) == pytest.approx(0.647, abs=1e-3)
    assert stability.threshold("views", 0.0) == pytest.approx(2 * 0.647, abs=2e-3)
    assert stability.threshold("next_frame", 1.0) == 0
    assert stability.crossing((1.0, 2.0, 4.0), [-1.0, -1.0, 3.0]) == pytest.approx(2.5)


def test_a_predictor_that_knows_the_order_scores_one():
    quality = torch.arange(20.0)
    found = loss_quality_correlation.correlation(-quality.exp(), quality)
    assert [found[key] for key in ("mean", "low", "high")] == [pytest.approx(1)] * 3
    found = loss_quality_correlation.correlation(torch.sin(7 * quality**2), quality)
    assert found["low"] < found["mean"] < found["high"]
    assert found["low"] < 0 < found["high"]


def test_runs_near_the_origin_count_once_without_and_once_with_those_that_are_read():
    found = {
        "collapse_ratio": torch.tensor([0.001, 0.9, 0.9, 0.9]),
        "sigreg_per_sample": torch.tensor([0.3, 0.402, 0.402, 0.1]),
        "position": torch.tensor([0.0, 0.1, 0.7, 0.4]),
    }
    chosen = loss_quality_correlation.chosen_runs(found)
    assert {rule: runs.tolist() for rule, runs in chosen.items()} == {
        "all": [True] * 4,
        "not a point": [False, True, True, True],
        "not collapsed": [False, False, False, True],
        "not collapsed or still read": [False, False, True, True],
    }


def test_a_tolerance_is_the_longest_stretch_of_factors_near_the_best():
    r2 = {0.1: 0.5, 1.0: 0.9, 10.0: 0.88, 100.0: 0.86, 1000.0: 0.2}
    runs = {factor: {"r2": {"values": [value]}} for factor, value in r2.items()}
    assert weight_tolerance.tolerance(runs, [0.9], "r2") == ([2.0], [False])
    assert weight_tolerance.tolerance(runs, [0.5], "r2") == ([3.0], [True])


def test_a_line_is_right_of_a_run_that_collapsed_below_it_or_spread_above(monkeypatch):
    def variant(weight: float, spread: list[float]) -> dict:
        params = {"loss_weights.sigreg_lambda": weight}
        return {"params": params, "metrics": {"mean_std": {"values": spread}}}

    content = {"variants": {"low": variant(0.1, [0.0, 0.9]), "high": variant(1.0, [0.8, 0.002])}}
    monkeypatch.setattr(collapse_line, "read_results", lambda path: content)
    for line, wanted in ((0.5, [True, False, True, False]), (0.01, [False, True, True, False])):
        assert [run.is_right for run in collapse_line.trained("next_frame", line)] == wanted
