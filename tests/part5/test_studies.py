"""Side experiments: their rows are those of the committed results, with the same params."""

import importlib

import pytest
import torch

from common.harness.config import load_config
from common.harness.results import read_results
from part5_action_planning.config import BASELINE, PART, Config, SharedStream, shared_generator
from part5_action_planning.data import make_recording
from part5_action_planning.model.jepa import rollout
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.studies import planner_ablation, sizes, variant
from part5_action_planning.studies.baselines import Pixels
from part5_action_planning.studies.distances import STEP, Looked
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


def test_the_ceiling_steps_as_the_oracle_and_compares_embeddings_of_what_is_seen():
    cfg = load_config(Config, [BASELINE, BASELINE.with_name("dino_wm.yaml")], {"world.size": 32})
    recording = make_recording(cfg, 3, shared_generator(cfg, SharedStream.HELDOUT_DATA))
    oracle = Oracle(cfg.task, cfg.world, recording.scene)
    looked = Looked(cfg, recording.scene, Pixels(1))
    z = oracle.encode(None, recording.states[:, 0])[:, None]
    actions = recording.actions[:, None, :10]
    every = rollout(oracle, z, z.new_zeros(3, 0, 2), actions)
    torch.testing.assert_close(rollout(looked, z, z.new_zeros(3, 0, 2), actions), every[:, :, 4::5])
    on_grid = (every / STEP).round() * STEP
    seen = looked.goal_features(on_grid[:, 0, 4])  # (3, C H W)
    black = seen.unflatten(-1, (32, 32))
    places = torch.arange(32) + 0.5
    middle = torch.stack([(black.sum(dim) * places).sum(-1) for dim in (-2, -1)], -1)
    torch.testing.assert_close(
        middle / black.sum((-2, -1))[:, None], on_grid[:, 0, 4, :2], atol=0.05, rtol=0
    )
