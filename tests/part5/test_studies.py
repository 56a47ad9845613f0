"""Side experiments: their rows are those of the committed results, with the same params."""

import importlib
from dataclasses import replace

import pytest
import torch

from common.episodes import to_float
from common.harness.config import load_config
from common.harness.results import read_results
from common.rendering import render
from common.schedules import stream
from part5_action_planning.config import BASELINE, PART, Config, SharedStream, shared_generator
from part5_action_planning.data import make_recording
from part5_action_planning.model.jepa import rollout
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.closed_loop import EvalEpisodes
from part5_action_planning.studies import planner_ablation, sizes, variant
from part5_action_planning.studies.spaces import STEP, Looked, blurred, embed_places, ranks
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


def test_looked_up_distances_are_those_of_what_is_seen():
    overrides = {"world.size": 32, "task.min_distance": 5}
    cfg = load_config(Config, [BASELINE, BASELINE.with_name("dino_wm.yaml")], overrides)
    recording = make_recording(cfg, 3, shared_generator(cfg, SharedStream.HELDOUT_DATA))
    episodes = EvalEpisodes(cfg, 3)
    scene = replace(recording.scene, color=torch.ones(3, 1, 1))
    oracle = Oracle(cfg.task, cfg.world, episodes.problems.scene)
    looked = Looked(cfg, episodes, embed_places(cfg, lambda frames: frames.flatten(1)))
    z, own = (m.encode(None, recording.states[:, 0])[:, None] for m in (oracle, looked))
    actions = recording.actions[:, None, :10]
    every = rollout(oracle, z, z.new_zeros(3, 0, 2), actions)
    there = rollout(looked, own, z.new_zeros(3, 0, 2), actions)
    torch.testing.assert_close(there[..., :6], every[:, :, 4::5])
    assert there[..., 6].flatten().tolist() == [0, 0, 1, 1, 2, 2]
    on_grid = there[:, 0, 1].clone()
    on_grid[:, :2] = (on_grid[:, :2] / STEP).round() * STEP
    goal = looked.encode(None, episodes.goal_states)
    goal[:, :2] = (goal[:, :2] / STEP).round() * STEP
    seen, wanted = (
        to_float(render(cfg.world, each[:, None, None, :4], scene)).flatten(1)
        for each in (on_grid, goal)
    )
    expected = (seen - wanted).square().sum(1)
    torch.testing.assert_close(looked.goal_features(on_grid)[:, 0].square(), expected)
    assert (looked.goal_features(goal) == 0).all()


def test_frames_tell_distance_nearby_alone_and_blurred_ones_further_off():
    cfg = load_config(Config, [BASELINE], {})
    found = {}
    for name, embed in (("sharp", lambda frames: frames.flatten(1)), ("blurred", blurred(16))):
        found[name], curve = ranks(embed_places(cfg, embed), stream(0, 1))
        assert max(curve["mean"]) == 1
    assert found["sharp"]["rank_0_10"] > 0.9
    assert abs(found["sharp"]["rank_20_40"]) < 0.1
    assert found["blurred"]["rank_20_40"] > 0.8
