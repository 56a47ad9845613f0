"""Tasks, rollouts, agents and the closed loop against answers that are known beforehand."""

import functools
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor

from common.harness.config import load_config
from common.simulator import Scene, step
from part5_action_planning.config import BASELINE, Config
from part5_action_planning.data import random_actions, record
from part5_action_planning.model.jepa import rollout
from part5_action_planning.model.world_models import Oracle
from part5_action_planning.planning import agents
from part5_action_planning.planning.agents import PlanningAgent, RandomAgent, RestingAgent
from part5_action_planning.planning.closed_loop import EvalEpisodes, reached, success
from part5_action_planning.planning.costs import goal_distance, make_cost, total_cost
from part5_action_planning.planning.memory import Memory
from part5_action_planning.planning.search_state import Plan
from part5_action_planning.tasks import bank_shots
from part5_action_planning.tasks.bank_shots import fly, random_shots, straight_shots
from part5_action_planning.tasks.goals import sample_problems
from part5_action_planning.tasks.rules import Problems, advance, largest_action

TASKS = ["reach", "two_rooms", "bank_shot", "left_right"]


def config(task: str, **overrides: Any) -> Config:
    files = [BASELINE, *([] if task == "reach" else [BASELINE.with_name(f"{task}.yaml")])]
    return load_config(Config, files, {"evaluation.split": "validation", **overrides})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@functools.cache
def twenty(task: str) -> Problems:
    cfg = config(task)
    return sample_problems(cfg.task, cfg.world, 20, seeded(7))


def problems(task: str, count: int = 20) -> Problems:
    found, first = twenty(task), torch.arange(count)
    return found[first]


def gap(problem: Problems) -> Tensor:
    return (problem.goal - problem.start)[:, 0, :2].norm(dim=-1)


# Where episodes start and where their goals are.


@pytest.mark.parametrize("task", TASKS)
def test_no_start_is_solved_and_a_goal_is_a_ball_at_rest(task):
    cfg, found = config(task), problems(task)
    assert (gap(found) >= cfg.task.min_distance).all()
    assert cfg.task.min_distance > cfg.task.success_radius
    assert (found.goal[..., 2:] == 0).all()
    assert (found.goal[:, 0, :2] >= found.scene.radius).all()
    assert (found.goal[:, 0, :2] <= cfg.world.size - found.scene.radius).all()
    if task != "left_right":
        assert (found.start[..., 2:] == 0).all()


@pytest.mark.parametrize("task", TASKS)
def test_the_seed_fixes_the_problems(task):
    cfg = config(task)
    one, same, other = (sample_problems(cfg.task, cfg.world, 2, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.start, same.start)
    assert torch.equal(one.goal, same.goal)
    assert not torch.equal(one.goal, other.goal)


def test_two_rooms_are_two():
    cfg = config("two_rooms")
    found, middle = sample_problems(cfg.task, cfg.world, 500, seeded()), cfg.world.size / 2
    left = found.start[:, 0, 0] < middle
    assert (left != (found.goal[:, 0, 0] < middle)).all()
    assert left.any()
    assert not left.all()


def test_bank_shots_start_on_the_left_and_end_on_the_right():
    found, middle = problems("bank_shot"), config("bank_shot").world.size / 2
    assert (found.start[:, 0, 0] < middle).all()
    assert (found.goal[:, 0, 0] > middle).all()


def test_left_right_goals_are_met_by_a_sequence_within_the_budget():
    cfg = config("left_right")
    found = sample_problems(cfg.task, cfg.world, 200, seeded())
    sequences = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * cfg.task.budget)  # (64, 6)
    rows = torch.arange(200).repeat_interleave(len(sequences))
    state, closest = found.start[rows], torch.full((len(rows),), torch.inf)
    for t in range(cfg.task.budget):
        heading = torch.stack([sequences[:, t], torch.zeros(len(sequences))], 1).repeat(200, 1)
        state = advance(cfg.task, cfg.world, state, found.scene[rows], heading, t)
        away = (state - found.goal[rows])[:, 0, :2].norm(dim=-1)
        closest = torch.minimum(closest, away)
    assert (closest.view(200, -1).amin(1) < 1e-3).all()
    most = cfg.task.budget * cfg.world.speeds[0]
    assert gap(found).max() == pytest.approx(most, abs=1e-3)  # some need the whole budget


def nearest_flight(cfg: Config, found: Problems, touching: bool, seed: int = 1) -> Tensor:
    """Least last distance to each goal over thousands of flights that do, or do not, touch.

    A search by the simulator alone, which knows nothing of how the goals were chosen: the best of
    four rounds of 300 shots from each start, each round drawn closer to the best so far.
    """
    generator, count, episodes = seeded(seed), 300, len(found.start)
    rows = torch.arange(episodes).repeat_interleave(count)
    steps, most = cfg.task.thrust_steps, cfg.world.max_thrust
    mean = torch.zeros(episodes, 1, steps, 2)
    best = torch.full((episodes,), torch.inf)
    for spread in (1.0, 0.4, 0.1, 0.03):
        if spread == 1.0:
            drawn = 2 * torch.rand(episodes, count, steps, 2, generator=generator) - 1
        else:
            noise = torch.randn(episodes, count, steps, 2, generator=generator)
            drawn = (mean + spread * noise).clamp(-1, 1)
        shots = torch.zeros(len(rows), cfg.task.budget, 2)
        shots[:, :steps] = most * drawn.flatten(0, 1)
        ends, touched = fly(cfg.task, cfg.world, found.start[rows], found.scene[rows], shots)
        away = (ends - found.goal[rows])[:, 0, :2].norm(dim=-1)
        away = torch.where(touched == touching, away, torch.inf).view(episodes, count)
        nearest, which = away.min(1)
        mean[nearest < best] = drawn[torch.arange(episodes), which].unsqueeze(1)[nearest < best]
        best = torch.minimum(best, nearest)
    return best


@pytest.mark.slow
def test_no_bank_shot_is_reached_without_a_bounce_and_all_are_with_one():
    cfg, found = config("bank_shot"), problems("bank_shot")
    assert (nearest_flight(cfg, found, touching=False) > cfg.task.success_radius).all()
    with_bounce = [nearest_flight(cfg, found, touching=True, seed=seed) for seed in (1, 2)]
    assert (torch.minimum(*with_bounce) <= cfg.task.success_radius).all()


def test_both_searches_find_straight_shots_where_there_are_some():
    cfg, found = config("bank_shot"), problems("bank_shot", 8)
    rows = torch.arange(8).repeat_interleave(60)
    shots = random_shots(cfg.task, cfg.world, len(rows), seeded(3))
    ends, touched = fly(cfg.task, cfg.world, found.start[rows], found.scene[rows], shots)
    far = (ends - found.start[rows])[:, 0, :2].norm(dim=-1) > cfg.task.min_distance
    good = (far & ~touched).view(8, 60)
    has = good.any(1)
    assert has.sum() > 4
    goal = ends.view(8, 60, 1, 4)[torch.arange(8), good.int().argmax(1)]
    goal[..., 2:] = 0
    open_goals = Problems(found.start[has], goal[has], found.scene[has])
    nearest = nearest_flight(cfg, open_goals, touching=False)
    assert (nearest <= cfg.task.success_radius).all()
    counted = straight_shots(
        cfg.task, cfg.world, open_goals.start, open_goals.goal, open_goals.scene, 1024, seeded()
    )
    assert (counted > 0).all()


def test_a_flight_in_empty_space_has_not_bounced_and_one_into_a_wall_has():
    cfg, found = config("bank_shot"), problems("bank_shot", 1)
    start = torch.tensor([[[16.0, 32.0, 0.0, 0.0]]]).expand(2, 1, 4)
    shots = torch.zeros(2, cfg.task.budget, 2)
    shots[0, 0, 1], shots[1, 0, 0] = 0.5, -4.0
    ends, touched = fly(cfg.task, cfg.world, start, found.scene[torch.tensor([0, 0])], shots)
    assert touched.tolist() == [False, True]
    drag, steps = cfg.world.drag, cfg.task.budget
    travelled = 0.5 * (0.5 + sum(drag**k for k in range(1, steps)))
    torch.testing.assert_close(
        ends[0, 0, :2], torch.tensor([16.0, 32.0 + travelled]), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: config("reach", **{"task.held_steps": 61}), "task.held_steps 61 is more than"),
        (lambda: config("bank_shot", **{"task.thrust_steps": 21}), "task.thrust_steps 21 is more"),
        (lambda: config("reach", **{"world.num_balls": 2}), "steers one ball"),
        (lambda: config("reach", **{"world.max_thrust": 0.0}), "set world.max_thrust above 0"),
        (lambda: config("reach", **{"world.speeds": [2.0]}), r"set world.speeds to \[0.0\]"),
        (lambda: config("two_rooms", **{"world.door_width": 0.0}), "set world.door_width above 0"),
        (lambda: config("left_right", **{"world.speeds": [3.0, 6.0]}), "one of world.speeds"),
        (lambda: config("reach", **{"planner.horizon": 61}), "looks 61 steps ahead, but task.bud"),
        (
            lambda: config("bank_shot", **{"cost.action_repeat": 2}),
            "cost.action_repeat 2 holds a push beyond task.thrust_steps 3, where pushes do nothing",
        ),
        (
            lambda: config("reach", **{"cost.replan_every": 6}),
            "cost.replan_every 6 carries out more steps than",
        ),
        (
            lambda: draw_impossible("reach", min_distance=500.0),
            "found no start and goal 500 px apart in a box of 64 px: use a smaller task.min_dist",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            torch.zeros(2, 1, 32, 32),
            r"goal images of shape \(2, 1, 32, 32\); wanted \(E, 1, 64, 64",
        ),
        (torch.zeros(2, 3, 64, 64), "wanted .E, 1, 64, 64.: episodes, channels, height, width"),
        (torch.zeros(1, 64, 64), r"shape \(1, 64, 64\)"),
        (255 * torch.ones(2, 1, 64, 64), "values from 255 to 255; wanted floats from 0"),
        (-torch.ones(2, 1, 64, 64), "values from -1 to -1"),
        (torch.full((2, 1, 64, 64), torch.nan), "values from nan to nan"),
    ],
)
def test_a_goal_image_of_another_size_or_range_is_refused(frames, message):
    cfg, states, model = config("reach"), torch.zeros(2, 1, 4), MagicMock()
    for make in (
        lambda: PlanningAgent(cfg, model, frames, states, seeded()),
        lambda: agents.GreedyAgent(cfg, model, frames, states, seeded()),
        lambda: agents.CloningAgent(cfg, model, frames),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    assert not model.mock_calls


def draw_impossible(task: str, **changes: Any) -> Problems:
    cfg = config(task)
    return sample_problems(replace(cfg.task, **changes), cfg.world, 2, seeded())


def test_bank_shots_that_do_not_exist_are_an_error(monkeypatch):
    monkeypatch.setattr(bank_shots, "ROUNDS", 1)
    cfg = config("bank_shot")
    weak = replace(cfg.world, max_thrust=0.05)
    with pytest.raises(ValueError, match="found too few goals that a bounce reaches"):
        sample_problems(cfg.task, weak, 5, seeded())


# What an action does.


@pytest.mark.parametrize(
    ("task", "action", "message"),
    [
        ("reach", torch.tensor([[1.5, 0.0]]), r"must lie within \+-1 px/frame\^2, got 1.5"),
        ("reach", torch.tensor([[torch.nan, 0.0]]), "must lie within"),
        ("reach", torch.zeros(1, 3), r"must be of shape \(1, 2\), got \(1, 3\)"),
        ("two_rooms", torch.zeros(2, 2), r"must be of shape \(1, 2\), got \(2, 2\)"),
        ("bank_shot", torch.tensor([[0.0, -4.1]]), r"must lie within \+-4 px/frame\^2, got 4.1"),
        ("left_right", torch.tensor([[0.5, 0.0]]), r"left_right is \(-1, 0\) or \(1, 0\)"),
        ("left_right", torch.ones(1, 1), r"left_right is \(-1, 0\) or \(1, 0\)"),
    ],
)
def test_an_action_out_of_bounds_or_of_another_shape_is_an_error(task, action, message):
    cfg, one = config(task), problems(task, 1)
    with pytest.raises(ValueError, match=message):
        advance(cfg.task, cfg.world, one.start, one.scene, action, 0)


def test_a_bank_shot_coasts_after_its_pushes():
    cfg, one = config("bank_shot"), problems("bank_shot", 1)
    push, rest = torch.tensor([[1.0, -2.0]]), torch.zeros(1, 2)
    for time in (0, 2, 3, 10):
        pushed, left = (
            advance(cfg.task, cfg.world, one.start, one.scene, action, time)
            for action in (push, rest)
        )
        assert torch.equal(pushed, left) == (time >= 3)


def test_left_right_moves_one_step_and_turns_back_at_the_wall():
    cfg, one = config("left_right"), problems("left_right", 1)
    at = torch.tensor([[[12.0, 32.0, -6.0, 0.0]]])
    right, left = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
    assert advance(cfg.task, cfg.world, at, one.scene, right, 0)[0, 0, 0] == 18
    assert advance(cfg.task, cfg.world, at, one.scene, left, 0)[0, 0, 0] == 18  # 6 < its radius


@pytest.mark.parametrize("task", TASKS)
def test_a_recording_is_what_its_actions_do(task):
    cfg, found = config(task), problems(task, 4)
    actions = random_actions(cfg, 4, 6, seeded())
    kept = record(cfg.task, cfg.world, cfg.distractor, found.start, found.scene, actions, seeded())
    assert kept.frames.shape == (4, 7, 1, 64, 64)
    assert kept.frames.dtype == torch.uint8
    state = found.start
    for t in range(6):
        state = advance(cfg.task, cfg.world, state, found.scene, actions[:, t], t)
        assert torch.equal(kept.states[:, t + 1], state)
    assert (actions.abs() <= largest_action(cfg.task, cfg.world)).all()
    if task == "bank_shot":
        assert (actions[:, 3:] == 0).all()


# Rollouts.


class Sums:
    """A world model by hand: the next state is a weighted sum of what it sees, oldest first."""

    def __init__(self, z_weight: list[float], a_weight: list[float]) -> None:
        self.history_length, self.frame_skip = len(a_weight), 1
        self.z_weight, self.a_weight = torch.tensor(z_weight), torch.tensor(a_weight)
        self.seen: list[tuple[int, int]] = []

    def encode(self, frames: Tensor, states: Tensor) -> Tensor:
        return states[:, 0, :2]

    def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
        self.seen.append((z_past.shape[1], a_past.shape[1]))
        return (self.z_weight[:, None] * z_past).sum(1) + (self.a_weight[:, None] * a_past).sum(1)

    def goal_features(self, z: Tensor) -> Tensor:
        return z


E, S, H, N = 3, 5, 6, 3


def draws(history: int = N) -> tuple[Tensor, Tensor, Tensor]:
    z_past = torch.randn(E, history, 2, generator=seeded())
    a_past = torch.randn(E, history - 1, 2, generator=seeded(1))
    return z_past, a_past, torch.randn(E, S, H, 2, generator=seeded(2))


def test_a_cumulative_sum_is_predicted_exactly():
    z_past, a_past, actions = draws(history=1)
    z = rollout(Sums([1.0], [1.0]), z_past, a_past, actions)
    torch.testing.assert_close(z, z_past[:, None] + actions.cumsum(2))


def test_every_frame_is_paired_with_the_action_that_leaves_it():
    """Against a plain loop over one long list of states and one of actions."""
    z_past, a_past, actions = draws()
    model = Sums([0.1, 0.2, 0.5], [100.0, 10.0, 1.0])
    predicted = rollout(model, z_past, a_past, actions)
    assert predicted.shape == (E, S, H, 2)
    for e in range(E):
        for s in range(S):
            z, a = [*z_past[e]], [*a_past[e], *actions[e, s]]
            for h in range(H):
                t = h + N - 1  # of the last state seen
                expected = 0.1 * z[t - 2] + 0.2 * z[t - 1] + 0.5 * z[t]
                expected = expected + 100 * a[t - 2] + 10 * a[t - 1] + a[t]
                torch.testing.assert_close(predicted[e, s, h], expected, atol=1e-3, rtol=0)
                z.append(expected)
    one = rollout(model, z_past, a_past, actions[:, :, :1])
    torch.testing.assert_close(one, predicted[:, :, :1])


def test_later_predictions_feel_the_executed_actions_as_long_as_the_window_does():
    z_past, a_past, actions = draws()
    model = Sums([0.0] * N, [100.0, 10.0, 1.0])  # of actions alone
    change = rollout(model, z_past, a_past + 1, actions) - rollout(model, z_past, a_past, actions)
    felt = torch.tensor([110.0, 100.0, 0.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(change, felt[:, None].expand(E, S, H, 2), atol=1e-3, rtol=0)


def test_the_window_never_grows_beyond_the_history():
    model = Sums([1.0] * N, [1.0] * N)
    rollout(model, *draws())
    assert model.seen == [(N, N)] * H


def test_a_frame_skip_reads_every_kth_state_and_all_actions_between():
    """A model of two steps at once, of the last two such states, against the steps one by one."""

    class Skipping(Sums):
        history_length, frame_skip = 3, 2

        def __init__(self) -> None:
            pass

        def step(self, z_past: Tensor, a_past: Tensor) -> Tensor:
            assert z_past.shape[1:] == (2, 2)
            assert a_past.shape[1:] == (2, 4)
            return z_past[:, 1] + a_past[:, 1, :2] + a_past[:, 1, 2:]

    z_past, a_past, actions = draws(history=3)
    every = rollout(Sums([1.0], [1.0]), z_past[:, -1:], a_past[:, :0], actions)
    torch.testing.assert_close(rollout(Skipping(), z_past, a_past, actions), every[:, :, 1::2])
    with pytest.raises(ValueError, match="got 5 actions; the model wants a multiple of 2"):
        rollout(Skipping(), z_past, a_past, actions[:, :, :5])


@pytest.mark.parametrize(("observations", "executed"), [(2, 2), (3, 3), (3, 1), (4, 3)])
def test_another_history_is_an_error(observations, executed):
    model = Sums([1.0] * N, [1.0] * N)
    z_past, a_past = torch.zeros(E, observations, 2), torch.zeros(E, executed, 2)
    message = f"got a history of {observations} observations and {executed} actions; the model w"
    with pytest.raises(ValueError, match=message):
        rollout(model, z_past, a_past, torch.zeros(E, S, H, 2))


def test_distances_and_costs():
    z, goal = torch.tensor([[3.0, -4.0]]), torch.zeros(2)
    assert goal_distance(z, goal, "squared_l2").item() == 25
    assert goal_distance(z, goal, "l1").item() == 7
    along = torch.tensor([[[5.0, 1.0, 4.0], [2.0, 2.0, 2.0]]])
    assert total_cost(along, replace(config("reach").cost, when="last")).tolist() == [[4.0, 2.0]]
    assert total_cost(along, replace(config("reach").cost, when="sum")).tolist() == [[10.0, 6.0]]
    assert total_cost(along, replace(config("reach").cost, when="closest")).tolist() == [[1.0, 2.0]]


def test_a_block_is_held_and_a_coast_follows():
    cost = replace(config("reach").cost, when="sum", norm="l1", action_repeat=3)
    score = make_cost(
        Sums([1.0], [1.0]), torch.zeros(1, 1, 2), torch.zeros(1, 0, 2), torch.zeros(1, 2), cost, 2
    )
    blocks = torch.tensor([1.0, -2.0]).view(1, 1, 2, 1).expand(1, 1, 2, 2)
    path = [1, 2, 3, 1, -1, -3, -3, -3]  # of each of two components
    assert score(blocks).item() == 2 * sum(map(abs, path))


@pytest.mark.parametrize("task", TASKS)
def test_the_oracle_predicts_what_the_simulator_does(task):
    cfg, found = config(task), problems(task, 3)
    steps = 3 if task == "bank_shot" else 6
    actions = random_actions(cfg, 3 * S, steps, seeded())
    oracle = Oracle(cfg.task, cfg.world, found.scene)
    z = rollout(
        oracle, oracle.encode(None, found.start).unsqueeze(1), torch.zeros(3, 0, 2),
        actions.view(3, S, steps, 2),
    )  # fmt: skip
    rows = torch.arange(3).repeat_interleave(S)
    state, scene = found.start[rows], found.scene[rows]
    for t in range(steps):
        if task == "left_right":
            state = advance(cfg.task, cfg.world, state, scene, actions[:, t], t)
        else:
            state = step(cfg.world, state, scene, actions[:, t])
        assert torch.equal(z[:, :, t, :4].flatten(0, 1), state[:, 0])
    assert torch.equal(oracle.goal_features(z), z[..., :2])


# Agents.


def test_before_the_first_step_there_was_rest():
    memory = Memory(3)
    first = torch.randn(E, 4, generator=seeded())
    memory.see(first)
    z_past, a_past = memory.past()
    assert torch.equal(z_past, first.unsqueeze(1).expand(E, 3, 4))
    assert torch.equal(a_past, torch.zeros(E, 2, 2))


def test_memory_pairs_each_observation_with_the_action_after_it():
    memory = Memory(3)
    for t in range(5):
        memory.see(torch.full((1, 1), float(t)))
        memory.act(torch.full((1, 2), float(t)))  # the action that leaves observation t
    memory.see(torch.full((1, 1), 5.0))
    z_past, a_past = memory.past()
    assert z_past.flatten().tolist() == [3, 4, 5]
    assert a_past[0, :, 0].tolist() == [3, 4]


def test_a_memory_of_one_keeps_no_action():
    memory = Memory(1)
    for t in range(3):
        memory.see(torch.full((2, 1), float(t)))
        z_past, a_past = memory.past()
        assert z_past.flatten().tolist() == [t, t]
        assert a_past.shape == (2, 0, 2)
        memory.act(torch.zeros(2, 2))


class Counted(Sums):
    """Counts what it is asked to look at."""

    looks = 0

    def encode(self, frames: Tensor, states: Tensor) -> Tensor:
        self.looks += 1
        return super().encode(frames, states)


def planning(monkeypatch, task: str = "reach", steps: int | None = None, **overrides: Any):
    """Lets an agent act whose planner answers 1/100, 2/100, ...; returns what the planner got.

    (starts, horizons, actions (E, T, 2), model)
    """
    cfg = config(task, **overrides)
    starts, horizons = [], []

    def told(settings, score, bounds, start, generator):
        assert score(start.unsqueeze(1)).shape == (E, 1)
        starts.append(start.clone())
        horizons.append(settings.horizon)
        steps = torch.arange(start.shape[1] * 1.0) + 1 + 10 * len(starts)
        actions = (steps / 100)[:, None].expand(E, -1, 2)
        return Plan(actions, torch.zeros(E), 7)

    monkeypatch.setattr(agents, "plan", told)
    model, found = Counted([1.0], [1.0]), problems(task, E)
    agent = PlanningAgent(cfg, model, torch.zeros(E, 1, 64, 64), found.goal, seeded())
    taken = [
        agent.act(t, torch.zeros(E, 1, 64, 64), found.start)
        for t in range(steps or cfg.task.budget)
    ]
    assert agent.calls == 7 * len(starts)
    return starts, horizons, torch.stack(taken, 1), model


def test_the_warm_start_is_the_last_plan_without_what_was_executed(monkeypatch):
    starts, _, actions, model = planning(monkeypatch, steps=3)
    assert (starts[0] == 0).all()
    torch.testing.assert_close(
        starts[1][0, :, 0], torch.tensor([0.12, 0.13, 0.14, 0.15, 0.0])
    )  # what is left of 0.11 ... 0.15
    torch.testing.assert_close(starts[2][0, :, 0], torch.tensor([0.22, 0.23, 0.24, 0.25, 0.0]))
    torch.testing.assert_close(actions[0, :, 0], torch.tensor([0.11, 0.21, 0.31]))
    assert model.looks == 1 + 3  # the goal once, then each step's frame


def test_blocks_are_held_and_several_are_executed_before_planning_anew(monkeypatch):
    changes: dict[str, Any] = {"cost.action_repeat": 2, "cost.replan_every": 4}
    starts, _, actions, _ = planning(monkeypatch, steps=9, **changes)
    assert len(starts) == 3  # at steps 0, 4 and 8
    wanted = [0.11, 0.11, 0.12, 0.12, 0.21, 0.21, 0.22, 0.22, 0.31]
    torch.testing.assert_close(actions[0, :, 0], torch.tensor(wanted))
    torch.testing.assert_close(starts[1][0, :, 0], torch.tensor([0.13, 0.14, 0.15, 0.0, 0.0]))


def test_a_block_that_was_begun_is_where_the_next_search_starts(monkeypatch):
    changes: dict[str, Any] = {"cost.action_repeat": 2, "cost.replan_every": 1}
    starts, _, actions, _ = planning(monkeypatch, steps=3, **changes)
    torch.testing.assert_close(starts[1][0, :, 0], torch.tensor([0.11, 0.12, 0.13, 0.14, 0.15]))
    torch.testing.assert_close(actions[0, :, 0], torch.tensor([0.11, 0.21, 0.31]))


def test_the_horizon_ends_with_the_budget(monkeypatch):
    changes: dict[str, Any] = {
        "task.budget": 8,
        "cost.action_repeat": 2,
        "cost.replan_every": 2,
        "planner.horizon": 4,
    }
    _, horizons, actions, _ = planning(monkeypatch, **changes)
    assert horizons == [4, 3, 2, 1]  # at 8, 6, 4 and 2 steps from the end
    assert actions.shape == (E, 8, 2)
    changes |= {"task.budget": 7, "planner.horizon": 3}  # the last block is half executed
    _, horizons, _, _ = planning(monkeypatch, **changes)
    assert horizons == [3, 3, 2, 1]


def test_a_bank_shot_is_planned_only_while_it_can_be_pushed(monkeypatch):
    starts, horizons, actions, _ = planning(monkeypatch, "bank_shot")
    assert horizons == [3, 2, 1]
    assert (actions[:, 3:] == 0).all()
    assert starts[2].shape == (E, 1, 2)


def test_agents_without_a_model():
    cfg = config("reach")
    agent = RandomAgent(cfg, E, seeded())
    taken = torch.stack([agent.act(t, torch.zeros(E), torch.zeros(E)) for t in range(60)], 1)
    assert torch.equal(taken, agent.actions)
    assert taken.abs().max() <= 1
    resting = RestingAgent(cfg).act(0, torch.zeros(E, 1, 64, 64), torch.zeros(E))
    assert torch.equal(resting, torch.zeros(E, 2))
    headed = RestingAgent(config("left_right")).act(0, torch.zeros(E, 1, 64, 64), torch.zeros(E))
    assert torch.equal(headed, torch.tensor([[-1.0, 0.0]]).expand(E, 2))


def watch(task: str, episodes: int, **overrides: Any):
    cfg = config(task, **overrides)
    episodes = EvalEpisodes(cfg, episodes)
    oracle = Oracle(cfg.task, cfg.world, episodes.problems.scene)
    agent = PlanningAgent(cfg, oracle, episodes.goal_frames, episodes.goal_states, seeded())
    return cfg, episodes.play(agent), agent


def test_the_oracle_solves_twenty_of_twenty():
    small = {"planner.num_samples": 48, "planner.num_iterations": 3, "planner.num_elites": 6}
    cfg, played, agent = watch("reach", 20, **small)
    met = success(played, cfg.task)
    assert met["last"] == met["held"] == met["ever"] == 1
    assert met["at_start"] == 0
    assert agent.calls == 60 * (3 * 48 + 1)
    assert played.frames.shape == (20, 61, 1, 64, 64)
    assert (played.actions.abs() <= 1).all()


def test_the_oracle_meets_every_left_right_goal():
    cfg, played, agent = watch("left_right", 50)
    met = reached(played.distance, cfg.task)
    assert met["last"].all()
    assert agent.calls == sum(2**h for h in range(1, 7))


def test_the_random_agent_does_not():
    cfg = config("reach")
    episodes = EvalEpisodes(cfg, 50)
    played = episodes.play(RandomAgent(cfg, 50, seeded()))
    assert success(played, cfg.task)["last"] < 0.2
    apart = played.states[:, :, 0, :2] - episodes.goal_states[:, None, 0, :2]
    assert torch.equal(played.distance, apart.norm(dim=-1))


def test_measures_of_success():
    task = replace(config("reach").task, success_radius=3.0, held_steps=2, budget=3)
    distances = torch.tensor(
        [
            [9.0, 5.0, 3.0, 2.9],  # arrives and stays
            [9.0, 2.0, 3.1, 1.0],  # is there, but not in the last two
            [9.0, 1.0, 2.0, 4.0],  # passes
            [9.0, 8.0, 7.0, 6.0],  # never
            [2.0, 5.0, 5.0, 3.0],  # started there
        ]
    )
    met = {name: values.tolist() for name, values in reached(distances, task).items()}
    assert met == {
        "last": [1, 1, 0, 0, 1],
        "held": [1, 0, 0, 0, 0],
        "ever": [1, 1, 1, 0, 1],
        "at_start": [0, 0, 0, 0, 1],
    }


def test_a_scene_can_be_taken_apart_and_put_together():
    scene = problems("reach", 20).scene
    part = scene[torch.tensor([3, 3, 5])]
    assert isinstance(part, Scene)
    assert part.radius.shape == (3, 1)
    assert torch.equal(part.door, scene.door[torch.tensor([3, 3, 5])])
    whole = Scene.cat([scene[:7], scene[7:]])
    assert torch.equal(whole.color, scene.color)
    assert torch.equal(scene[:2].repeat(3).radius, scene.radius[[0, 0, 0, 1, 1, 1]])
