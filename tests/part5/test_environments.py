"""The tasks as Gymnasium environments: Gymnasium's own checks, seeds, bounds, an oracle's plan."""

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from part5_action_planning.config import task_config
from part5_action_planning.gymnasium_env import environments
from part5_action_planning.gymnasium_env.environments import IDS, BallEnv, BallVectorEnv
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning.agents import PlanningAgent
from part5_action_planning.tasks import bank_shots

TASKS = list(IDS)


@pytest.fixture(autouse=True)
def _quick_search(monkeypatch):
    """Bank shots with less of a search for straight flights: here only the interface matters."""
    monkeypatch.setattr(bank_shots, "SEARCHED", 128)
    monkeypatch.setattr(bank_shots, "STARTS", 8)
    environments.register()


def equal(one: Any, other: Any) -> bool:
    """Of observations and infos, nested as they are."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other))


def play(env: gymnasium.Env, seed: int) -> list[tuple[Any, ...]]:
    """A whole episode of random actions."""
    env.action_space.seed(seed)
    steps: list[tuple[Any, ...]] = [env.reset(seed=seed)]
    while len(steps) == 1 or not steps[-1][3]:
        steps.append(env.step(env.action_space.sample()))
    return steps


@pytest.mark.parametrize("task", TASKS)
def test_gymnasium_finds_nothing_wrong(task):
    check_env(gymnasium.make(IDS[task], render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("task", TASKS)
def test_an_episode_is_fixed_by_its_seed_and_lasts_its_budget(task):
    env = BallEnv(task)
    one, same, other = (play(env, seed) for seed in (3, 3, 4))
    assert len(one) == 1 + env.episodes.cfg.task.budget
    assert [step[2] for step in one[1:]] == [False] * (len(one) - 1)
    assert [step[3] for step in one[1:]] == [False] * (len(one) - 2) + [True]
    assert all(equal(a[0], b[0]) and equal(a[-1], b[-1]) for a, b in zip(one, same, strict=True))
    assert [step[1] for step in one[1:]] == [step[1] for step in same[1:]]
    assert not equal(one[0][0], other[0][0])


@pytest.mark.parametrize("task", TASKS)
def test_rewards_and_infos_are_those_of_the_true_states(task):
    env = BallEnv(task)
    (observation, info), *steps = play(env, 0)
    size, radius = env.episodes.cfg.world.size, env.episodes.cfg.task.success_radius
    assert not info["success"]
    assert observation["frame"].shape == observation["goal"].shape == (64, 64, 1)
    for t, (seen, reward, _, _, told) in enumerate(steps, start=1):
        away = np.linalg.norm(told["state"][:2] - told["goal_state"][:2])
        assert told["distance"] == pytest.approx(away, rel=1e-5)
        assert told["success"] == (told["distance"] <= radius)
        earns = task != "bank_shot" or t == len(steps)
        assert reward == pytest.approx(-away / size if earns else 0.0, rel=1e-5)
        assert np.array_equal(seen["goal"], observation["goal"])
        x, y = told["state"][:2]
        assert seen["frame"][int(y), int(x)] > 127  # the ball is where the state says


@pytest.mark.parametrize("task", TASKS)
def test_a_vector_environment_is_gymnasiums_own_of_single_ones(task):
    """Step by step through an episode, the new one that follows it, and rewards of both."""
    native = gymnasium.make_vec(IDS[task], 2, vectorization_mode="vector_entry_point")
    singles = SyncVectorEnv([functools.partial(BallEnv, task)] * 2)
    assert native.metadata["autoreset_mode"] == singles.metadata["autoreset_mode"]
    assert native.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert native.observation_space == singles.observation_space
    assert native.action_space == singles.action_space
    for vector in (native, singles):
        vector.action_space.seed(0)
    got, wanted = native.reset(seed=5), singles.reset(seed=5)
    assert got[0] in native.observation_space
    assert equal(got[0], wanted[0])
    assert equal(got[1], wanted[1])
    for _ in range(tasks_budget(task) + 3):
        got = native.step(native.action_space.sample())
        wanted = singles.step(singles.action_space.sample())
        assert equal(got[0], wanted[0])
        np.testing.assert_allclose(got[1], wanted[1], rtol=1e-6)
        assert np.array_equal(got[2], wanted[2])
        assert np.array_equal(got[3], wanted[3])
        assert equal(got[4], wanted[4])
    for vector in (native, singles):
        vector.close()


def tasks_budget(task: str) -> int:
    return task_config(task).task.budget


def test_what_a_vector_environment_returns_is_never_written_to_again():
    env = BallVectorEnv(2)
    first, _ = env.reset(seed=0)
    kept = {name: frames.copy() for name, frames in first.items()}
    env.step(np.ones((2, 2), np.float32))
    env.reset()
    assert equal(first, kept)


def test_seeds_of_sub_environments():
    env = BallVectorEnv(3)
    together, _ = env.reset(seed=7)
    apart, _ = env.reset(seed=[7, 8, 9])
    assert equal(together, apart)
    again, _ = env.reset(seed=[7, None, 9])
    assert np.array_equal(again["goal"][0], together["goal"][0])
    assert not np.array_equal(again["goal"][1], together["goal"][1])
    assert env.np_random_seed == 7
    with pytest.raises(ValueError, match="got 2 seeds; wanted one for each of 3"):
        env.reset(seed=[1, 2])


@pytest.mark.parametrize(
    ("task", "action", "message"),
    [
        ("reach", [0.0, 1.5], r"got the action \[0.0, 1.5\]; wanted numbers from -1 to 1"),
        ("reach", [0.0, np.nan], "wanted numbers from -1 to 1"),
        ("reach", [0.0], r"got an action of shape \(1,\); wanted \(2,\)"),
        ("bank_shot", [-1.1, 0.0], "wanted numbers from -1 to 1"),
        ("left_right", 2, "got the action 2; wanted whole numbers from 0 to 1"),
        ("left_right", 0.5, "got an action of float64; wanted whole numbers from 0 to 1"),
        ("left_right", [0, 1], r"got an action of shape \(2,\); wanted \(\)"),
    ],
)
def test_an_action_out_of_bounds_or_of_another_shape_is_an_error(task, action, message):
    env = BallEnv(task)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)
    several = BallVectorEnv(2, task)
    several.reset(seed=0)
    with pytest.raises(ValueError, match=r"wanted (numbers|whole numbers|\(2)"):
        several.step([action, action])


def test_other_errors():
    env = BallEnv("left_right")
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    play(env, 0)
    with pytest.raises(ResetNeeded, match="the episode is over"):
        env.step(0)
    with pytest.raises(ValueError, match="got task 'tennis'; wanted one of reach, two_rooms"):
        BallEnv("tennis")
    with pytest.raises(ValueError, match=r"unknown key task\.budgets; did you mean task.budget"):
        BallEnv("reach", {"task.budgets": 3})
    with pytest.raises(ValueError, match="got num_envs 0; wanted 1 or more"):
        BallVectorEnv(0)


@pytest.mark.parametrize("make", [BallEnv, BallVectorEnv])
def test_what_cannot_be_rendered_is_an_error(make):
    for mode in ("human", "junk"):
        with pytest.raises(ValueError, match=f"got render_mode '{mode}'; wanted rgb_array or None"):
            make(render_mode=mode)
    with pytest.raises(ResetNeeded, match="call reset"):
        make(render_mode="rgb_array").render()


def test_overrides_change_the_world_and_colours_and_distractors_are_seen():
    env = gymnasium.make(
        "JepaBall/Reach-v0", render_mode="rgb_array",
        overrides={"world.channels": 3, "task.budget": 9, "distractor.kind": "squares"},
    )  # fmt: skip
    steps = play(env, 1)
    assert len(steps) == 10
    observation = steps[-1][0]
    assert observation["frame"].shape == (64, 64, 3)
    assert observation in env.observation_space
    assert np.array_equal(env.render(), observation["frame"])  # pyright: ignore
    grey = gymnasium.make("JepaBall/Reach-v0", render_mode="rgb_array")
    grey.reset(seed=0)
    assert grey.render().shape == (64, 64, 3)  # pyright: ignore


def test_a_vector_environment_renders_as_its_frames():
    env = BallVectorEnv(2, render_mode="rgb_array")
    seen, _ = env.reset(seed=0)
    frames = env.render()
    assert frames is not None
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 2
    assert np.array_equal(frames[1][..., 2], seen["frame"][1, ..., 0])
    assert BallVectorEnv(2).render() is None
    assert BallEnv().render() is None


def test_an_oracles_plan_succeeds_through_the_environment():
    shorter = {"task.budget": 36}
    env = BallVectorEnv(5, overrides=shorter)
    _, info = env.reset(seed=0)
    small = {"planner.num_samples": 48, "planner.num_iterations": 3, "planner.num_elites": 6}
    cfg = task_config("reach", shorter | small)
    oracle = Oracle(cfg.task, cfg.world, env.episodes.problems.scene)
    unseen = torch.zeros(5, 1, 64, 64)
    goal = torch.tensor(info["goal_state"]).unsqueeze(1)
    agent = PlanningAgent(cfg, oracle, unseen, goal, torch.Generator().manual_seed(0))
    for t in range(cfg.task.budget):
        states = torch.tensor(info["state"]).unsqueeze(1)
        action = agent.act(t, unseen, states) / cfg.world.max_thrust
        _, reward, _, truncated, info = env.step(action.numpy())
    assert truncated.all()
    assert info["success"].all()
    assert (np.asarray(reward) > -3 / 64).all()


def test_registering_twice_is_once():
    before = dict(gymnasium.registry)
    environments.register()
    assert dict(gymnasium.registry) == before
