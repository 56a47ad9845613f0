"""Side experiments: their rows are those of the committed results, with the same params."""

import importlib

import pytest

from common.harness.results import read_results
from part5_action_planning.config import PART
from part5_action_planning.studies import planner_ablation, sizes, variant
from part5_action_planning.study import STUDIES


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_run_by_its_name(name):
    module, _, function = STUDIES[name].function.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    ("name", "searches"),
    [
        ("planner_ablation", planner_ablation.ablations()),
        ("equal_seconds", planner_ablation.ladder()),
    ],
)
def test_searches_are_those_of_the_results_file(name, searches):
    variants = read_results(PART / "results" / f"{name}.json")["variants"]
    assert {row: each.params for row, each in searches.items()} == {
        row: found["params"] for row, found in variants.items()
    }


def test_sizes_are_those_of_the_results_file():
    variants = read_results(PART / "results" / "sizes.json")["variants"]
    made = sizes.measure()["variants"]
    assert made.keys() == variants.keys()
    for row, found in variants.items():
        assert made[row]["params"] == found["params"]
        assert made[row]["metrics"] == found["metrics"]


def test_a_share_has_an_interval_of_its_trials_and_a_number_of_its_seeds():
    made = variant({"task": "reach"}, [{"last": 1.0, "mean_std": 0.1}] * 3, trials=40)["metrics"]
    assert 0.9 < made["last"]["low"] < made["last"]["high"] == 1.0
    assert made["mean_std"]["low"] == pytest.approx(0.1)
