"""What the pictures of an episode and of a search are drawn from, against the true dynamics."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.harness.config import load_config
from part5_action_planning.config import BASELINE, Config, Stream, generator
from part5_action_planning.figures.episode import (
    LINGER,
    film,
    film_length,
    key_times,
    paths_figure,
    really,
)
from part5_action_planning.figures.search import GRID, search_at, searches_of
from part5_action_planning.model.world_models import Oracle, make_model
from part5_action_planning.planning.agents import PlanningAgent, RandomAgent
from part5_action_planning.planning.closed_loop import EvalEpisodes, Trajectories


def config(task: str = "reach", **overrides: object) -> Config:
    files = [BASELINE, *([] if task == "reach" else [BASELINE.with_name(f"{task}.yaml")])]
    small = {"num_samples": 16, "num_iterations": 3, "num_elites": 4, "horizon": 3}
    changes = {f"planner.{name}": value for name, value in small.items()}
    return load_config(Config, files, changes | overrides)


def watch(cfg: Config) -> tuple[Oracle, Trajectories, EvalEpisodes]:
    """One episode of an agent that knows the true dynamics."""
    episodes = EvalEpisodes(cfg, 1)
    oracle = Oracle(cfg.task, cfg.world, episodes.problems.scene)
    goal = episodes.goal_frames, episodes.goal_states
    return (
        oracle,
        episodes.play(PlanningAgent(cfg, oracle, *goal, generator(cfg, Stream.PLANNER))),
        episodes,
    )


@pytest.mark.parametrize("task", ["reach", "two_rooms", "bank_shot"])
def test_where_actions_really_lead_is_what_the_episode_showed(task):
    cfg = config(task)
    episodes = EvalEpisodes(cfg, 1)
    played = episodes.play(RandomAgent(cfg, 1, generator(cfg, Stream.PLANNER)))
    for time in (0, 5):
        ahead = really(episodes, played.states[:, time], played.actions[0, time : time + 4], time)
        assert torch.equal((255 * ahead).round().byte(), played.frames[0, time + 1 : time + 5])


@pytest.mark.parametrize("task", ["reach", "bank_shot"])
def test_the_landscape_of_a_model_that_knows_the_truth_is_the_true_one(task):
    cfg = config(task)
    oracle, played, episodes = watch(cfg)
    searches = searches_of(oracle, played, episodes)
    assert [search.time for search in searches] == (
        [0] if task == "bank_shot" else key_times(played, cfg.task)
    )
    for search in searches:
        assert search.true.shape == (GRID, GRID)
        np.testing.assert_allclose(search.predicted, search.true, rtol=1e-5)


def test_the_cheapest_first_thrust_at_rest_points_at_the_goal():
    cfg = config()
    oracle, played, episodes = watch(cfg)
    search = search_at(oracle, played, episodes, 0)
    row, column = np.unravel_index(search.true.argmin(), search.true.shape)
    toward = (episodes.goal_states - played.states[:, 0])[0, 0, :2].numpy()
    thrust = np.array([column, row]) - GRID // 2  # columns are x, rows are y
    assert (thrust * toward).sum() > 0.9 * np.linalg.norm(thrust) * np.linalg.norm(toward)


def test_candidates_narrow_and_grow_cheaper():
    cfg = config()
    oracle, played, episodes = watch(cfg)
    rounds = search_at(oracle, played, episodes, 0).rounds
    spreads = [actions.std(0).mean().item() for actions, _ in rounds[: cfg.planner.num_iterations]]
    assert spreads[-1] < 0.7 * spreads[0]
    assert rounds[cfg.planner.num_iterations - 1][1].median() < rounds[0][1].median()


def test_a_moment_holds_what_was_predicted_beside_what_is_real():
    cfg = config(**{"task.budget": 8, "planner.horizon": 4, "world.episode_length": 20})
    episodes = EvalEpisodes(cfg, 2)
    played, moments = film(make_model(cfg), episodes)
    assert len(moments) == 8
    assert [moment.steps for moment in moments[3:]] == [
        [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3], [1, 2], [1]
    ]  # fmt: skip
    for time, moment in enumerate(moments):
        assert len(moment.predicted) == len(moment.real) == len(moment.steps)
        now = played.frames[0, time].float().mean(0).numpy() / 255
        np.testing.assert_allclose(moment.now, now, atol=1e-6)
        following = played.frames[0, time + 1].float().mean(0).numpy() / 255
        np.testing.assert_allclose(moment.real[0], following, atol=1e-6)  # the first is executed


def test_a_film_ends_a_little_after_the_ball_is_there_to_stay():
    cfg = config()
    _, played, _ = watch(cfg)
    passing = torch.tensor([[9.0, 1.0, 9.0, 1.0, *[1.0] * 20]])  # flies through, then stays
    assert film_length(replace(played, distance=passing), cfg.task) == 3 + LINGER
    away = torch.full((1, 24), 9.0)
    assert film_length(replace(played, distance=away), cfg.task) == 23


@pytest.mark.parametrize(("shown", "columns"), [(1, 1), (3, 3), (8, 4)])
def test_paths_leave_no_panel_empty(shown, columns):
    cfg = config()
    episodes = EvalEpisodes(cfg, shown)
    fig = paths_figure(
        episodes.play(RandomAgent(cfg, shown, generator(cfg, Stream.ASIDE))), episodes
    )
    grid = fig.axes[0].get_subplotspec().get_gridspec()  # pyright: ignore
    assert (len(fig.axes), grid.ncols) == (shown, columns)


def test_choices_that_are_all_tried_have_no_search_to_draw():
    cfg = config("left_right")
    oracle, played, episodes = watch(cfg)
    assert searches_of(oracle, played, episodes) == []
