"""Every planner against optima that are known, and against what released planners got wrong."""

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from part5_action_planning.config import PART, PlannerConfig
from part5_action_planning.planning.discrete import (
    DiscreteConfig,
    all_sequences,
    change_one_step,
    plan_discrete,
)
from part5_action_planning.planning.planners import colored_noise, plan, shift
from part5_action_planning.planning.search_state import Bounds, Plan, softmin, take_best

HORIZON, EPISODES = 4, 3
BOUNDS = Bounds(torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 4.0]))
CONTINUOUS = ["random", "cem", "icem", "mppi", "gradient"]
SEARCHING = ["cem", "icem", "mppi", "gradient"]
DISCRETE = ["cem", "icem", "mppi"]


def config(kind: str, **changes: Any) -> PlannerConfig:
    settings: dict[str, Any] = {
        "horizon": HORIZON, "num_samples": 64, "num_iterations": 20, "num_elites": 8,
        "init_std": 0.5, "min_std": 0.01, "momentum": 0.0, "noise_beta": 1.0, "keep_share": 0.5,
        "temperature": 0.2, "step_size": 0.2,
    }  # fmt: skip
    return PlannerConfig(kind=kind, **{**settings, **changes})  # type: ignore[arg-type]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def start() -> Tensor:
    return BOUNDS.middle.expand(EPISODES, HORIZON, 2)


def targets(scale: float = 0.8) -> Tensor:
    unit = 2 * torch.rand(EPISODES, HORIZON, 2, generator=seeded(5)) - 1
    return BOUNDS.middle + scale * BOUNDS.half * unit


def distance_to(best: Tensor):
    return lambda actions: (actions - best.unsqueeze(1)).square().sum(dim=(2, 3))


@pytest.mark.parametrize("kind", SEARCHING)
def test_finds_the_minimum_of_a_quadratic(kind):
    found = plan(config(kind, num_iterations=60), distance_to(targets()), BOUNDS, start(), seeded())
    torch.testing.assert_close(found.actions, targets(), atol=0.1, rtol=0)
    torch.testing.assert_close(found.cost, distance_to(targets())(found.actions.unsqueeze(1))[:, 0])


@pytest.mark.parametrize("kind", ["cem", "icem", "mppi"])
def test_candidates_narrow_around_the_best_as_far_as_the_least_spread(kind):
    spreads, cost_fn = [], distance_to(targets())

    def watched(actions: Tensor) -> Tensor:
        spreads.append((actions.std(1, correction=0) / BOUNDS.half).mean().item())
        return cost_fn(actions)

    plan(config(kind, num_iterations=40, keep_share=0.0), watched, BOUNDS, start(), seeded())
    rounds = spreads[:40]  # then the mean alone
    assert rounds[0] == pytest.approx(0.46, abs=0.05)  # 0.5, less what is clamped
    assert rounds[5] < 0.7 * rounds[0]
    assert 0.008 < rounds[-1] < 0.05  # min_std is 0.01


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_one_step_ahead_is_a_plan(kind):
    best = targets()[:, :1]
    found = plan(
        config(kind, horizon=1, num_iterations=60),
        distance_to(best),
        BOUNDS,
        start()[:, :1],
        seeded(),
    )
    assert found.actions.shape == (EPISODES, 1, 2)
    torch.testing.assert_close(found.actions, best, atol=0.2, rtol=0)


@pytest.mark.parametrize("kind", SEARCHING)
def test_beats_random_shooting_at_equal_calls(kind):
    cost_fn = distance_to(targets())
    shots = plan(config("random"), cost_fn, BOUNDS, start(), seeded())
    searched = plan(config(kind), cost_fn, BOUNDS, start(), seeded())
    assert abs(searched.calls - shots.calls) <= 64
    assert (searched.cost < 0.5 * shots.cost).all()


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_every_candidate_is_within_bounds_when_the_best_is_outside(kind):
    seen = []

    def cost_fn(actions: Tensor) -> Tensor:
        seen.append(actions.detach())
        return distance_to(targets(scale=3.0))(actions)

    found = plan(config(kind, init_std=3.0, num_iterations=60), cost_fn, BOUNDS, start(), seeded())
    for actions in [*seen, found.actions]:
        assert (actions >= BOUNDS.low).all()  # exactly: a simulator refuses what rounds past them
        assert (actions <= BOUNDS.high).all()
    if kind != "random":
        torch.testing.assert_close(
            found.actions, BOUNDS.clamp(targets(scale=3.0)), atol=0.5, rtol=0
        )


@pytest.mark.parametrize("kind", CONTINUOUS)
@pytest.mark.parametrize("samples", [37, 101, 1000])
def test_rounding_leads_no_candidate_out_of_bounds(kind, samples):
    """All are at the upper bound, whose weighted mean rounds either way."""
    bounds = Bounds(torch.tensor([-0.7]), torch.tensor([1.0]))

    def cost_fn(actions: Tensor) -> Tensor:
        assert (actions >= bounds.low).all()
        assert (actions <= bounds.high).all()
        return -actions.sum(dim=(2, 3))

    first = bounds.high.expand(EPISODES, HORIZON, 1)
    settings = config(kind, init_std=1e-12, min_std=0.0, num_samples=samples, num_elites=samples)
    found = plan(settings, cost_fn, bounds, first, seeded())
    assert torch.equal(found.actions, first)


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_never_returns_a_plan_worse_than_its_start(kind):
    best = targets()
    found = plan(
        config(kind, num_samples=2, num_elites=1, num_iterations=1),
        distance_to(best),
        BOUNDS,
        best,
        seeded(),
    )
    torch.testing.assert_close(found.cost, torch.zeros(EPISODES))
    torch.testing.assert_close(found.actions, best)


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_the_seed_fixes_the_plan_and_calls_are_counted(kind):
    calls = 0

    def cost_fn(actions: Tensor) -> Tensor:
        nonlocal calls
        calls += actions.shape[1]
        return distance_to(targets())(actions)

    one = plan(config(kind), cost_fn, BOUNDS, start(), seeded(3))
    assert one.calls == calls
    again = plan(config(kind), cost_fn, BOUNDS, start(), seeded(3))
    assert torch.equal(one.actions, again.actions)
    if kind != "gradient":  # all of whose starts end in the same minimum
        other = plan(config(kind), cost_fn, BOUNDS, start(), seeded(4))
        assert not torch.equal(one.actions, other.actions)


@pytest.mark.parametrize("kind", ["cem", "icem", "mppi"])
def test_the_unit_of_the_cost_changes_nothing(kind):
    cost_fn = distance_to(targets())
    one = plan(config(kind), cost_fn, BOUNDS, start(), seeded())
    other = plan(config(kind), lambda a: 1024 * cost_fn(a), BOUNDS, start(), seeded())
    torch.testing.assert_close(one.actions, other.actions, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_costs_that_are_not_finite_are_rejected(kind):
    def cost_fn(actions: Tensor) -> Tensor:
        cost = distance_to(targets())(actions)
        wrong = actions[..., 0, 0] > 0.3  # a tempting region where the model breaks down
        return torch.where(wrong, torch.nan, cost)

    found = plan(config(kind), cost_fn, BOUNDS, start(), seeded())
    assert found.cost.isfinite().all()
    assert (found.actions[:, 0, 0] <= 0.3).all()


@pytest.mark.parametrize("kind", ["cem", "icem", "mppi"])
def test_an_iteration_without_a_finite_cost_does_not_end_the_search(kind):
    calls = 0

    def cost_fn(actions: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        cost = distance_to(targets())(actions)
        if calls == 2:
            return torch.full_like(cost, torch.nan)
        return torch.where(torch.arange(cost.shape[1]) % 4 == 0, cost, torch.nan)

    found = plan(
        config(kind, num_samples=64, num_iterations=40), cost_fn, BOUNDS, start(), seeded()
    )
    assert found.actions.isfinite().all()
    assert (found.cost < 0.7 * distance_to(targets())(start().unsqueeze(1))[:, 0]).all()


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_a_model_that_only_diverges_is_an_error(kind):
    def cost_fn(actions: Tensor) -> Tensor:
        cost = actions.square().sum(dim=(2, 3))
        return torch.where(torch.arange(EPISODES)[:, None] == 1, torch.nan, cost)

    with pytest.raises(ValueError, match="no candidate of episode 1 has a finite cost"):
        plan(config(kind), cost_fn, BOUNDS, start(), seeded())


def test_one_elite_keeps_the_least_spread():
    spreads = []

    def cost_fn(actions: Tensor) -> Tensor:
        spreads.append(actions.std(dim=1, correction=0).mean().item())
        return distance_to(targets())(actions)

    settings = config("cem", num_elites=1, min_std=0.2, num_iterations=10)
    found = plan(settings, cost_fn, BOUNDS, start(), seeded())
    assert found.cost.isfinite().all()
    assert min(spreads[:-1]) > 0.1  # but for the last look at the mean alone


def test_the_best_are_the_lowest():
    cost = torch.tensor([[3.0, 1.0, 2.0, 0.5]])
    candidates = cost.view(1, 4, 1, 1)
    best = torch.zeros(1, 1, 1)
    assert take_best(candidates, cost, 2, best).flatten().tolist() == [0.5, 1.0]
    broken = torch.tensor([[torch.inf, 1.0, torch.inf, torch.inf]])
    assert take_best(candidates, broken, 2, best).flatten().tolist() == [1.0, 0.0]


def test_mppi_weights_divide_by_the_temperature():
    cost = torch.tensor([[0.0, 1.0, 2.0, torch.inf]])
    deviation = torch.tensor([0.0, 1.0, 2.0]).std(correction=0).item()
    for temperature in (0.1, 1.0, 10.0):
        weight = softmin(cost, temperature)[0]
        assert weight.sum().item() == pytest.approx(1)
        assert weight[3] == 0
        expected = math.exp(-1 / (temperature * deviation))
        assert (weight[1] / weight[0]).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-20, 1e-36, 1e19, 1e34])
@pytest.mark.parametrize("temperature", [0.01, 0.3, 10.0])
def test_mppi_weights_do_not_depend_on_the_unit_of_the_cost(scale, temperature):
    cost = torch.rand(EPISODES, 64, generator=seeded())
    cost[0, 0] = torch.inf
    expected = softmin(cost, temperature)
    torch.testing.assert_close(softmin(scale * cost, temperature), expected, atol=1e-5, rtol=1e-3)
    assert torch.equal(softmin(2.0**60 * cost, temperature), expected)


@pytest.mark.parametrize("temperature", [1e-8, 1e-30, 1e-300])
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_the_lowest_temperatures_are_greedy_and_weigh_equal_costs_alike(temperature, scale):
    cost = scale * torch.tensor([[3.0, 1.0, 2.0, 1.0]])
    expected = torch.tensor([[0.0, 0.5, 0.0, 0.5]]) if scale else torch.full((1, 4), 0.25)
    torch.set_flush_denormal(True)  # as every script does
    try:
        torch.testing.assert_close(softmin(cost, temperature), expected)
        made = discrete("mppi", temperature=temperature)
        found = plan_discrete(made, lambda chosen: chosen.sum(2).float(), 2, EPISODES, seeded())
        assert found.cost.tolist() == [0.0] * EPISODES
    finally:
        torch.set_flush_denormal(False)


def test_the_gradient_planner_takes_adams_step_and_no_other():
    settings = config("gradient", num_samples=1, num_elites=1, num_iterations=1, step_size=0.05)
    found = plan(settings, distance_to(targets()), BOUNDS, start(), seeded())
    moved = (found.actions - start()) / BOUNDS.half
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 0.05), atol=1e-4, rtol=0)


def test_a_warm_start_shifts_what_was_executed_away():
    actions = torch.arange(EPISODES * HORIZON * 2.0).view(EPISODES, HORIZON, 2)
    shifted = shift(actions, 1, BOUNDS.middle)
    assert torch.equal(shifted[:, :-1], actions[:, 1:])
    assert torch.equal(shifted[:, -1], BOUNDS.middle.expand(EPISODES, 2))
    assert shift(actions, HORIZON, BOUNDS.middle).shape == actions.shape


@pytest.mark.parametrize(
    ("horizon", "beta", "lag", "in_the_mean"),
    [(15, 2.0, 0.769, 0.249), (15, 0.0, 0.0, 1 / 15), (5, 2.0, 0.347, 2 / 7), (1, 2.0, None, 1.0)],
)  # the correlation from step to step, the share of the mean over time, as iCEM's authors draw it
def test_colored_noise_has_unit_variance_and_its_color(horizon, beta, lag, in_the_mean):
    noise = colored_noise((4, 20_000, horizon, 2), beta, seeded(), torch.float32)
    assert noise.shape == (4, 20_000, horizon, 2)
    assert noise.std().item() == pytest.approx(1.0, abs=0.01)
    assert noise.mean(dim=2).var().item() == pytest.approx(in_the_mean, abs=0.01)
    if lag is not None:
        assert (noise[:, :, 1:] * noise[:, :, :-1]).mean().item() == pytest.approx(lag, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: config("cem", num_elites=65),
            "num_elites 65 is more than num_samples 64: use at most 64",
        ),
        (lambda: config("cma"), "kind: expected 'random', 'cem', 'icem', 'mppi' or 'gradient'"),
        (lambda: replace(config("cem"), kind="cma"), "got 'cma'"),
        (lambda: discrete("cma"), "kind: expected 'enumerate'"),
        (lambda: discrete("cem", num_elites=200), "num_elites 200 is more than num_samples 100"),
        (lambda: Bounds(torch.tensor([1.0]), torch.tensor([1.0])), "leave no action"),
        (
            lambda: plan(config("cem"), distance_to(targets()), BOUNDS, start()[:, 1:], seeded()),
            r"got a start of shape \(3, 3, 2\); wanted \(E, 4, 2\)",
        ),
        (
            lambda: plan(config("cem"), lambda a: a.sum(), BOUNDS, start(), seeded()),
            r"got costs of shape \(\) for candidates",
        ),
        (
            lambda: plan_discrete(discrete("cem", smoothing=0.3), torch.sum, 4, 1, seeded()),
            "got 4 choices and smoothing 0.3; wanted 2 choices or more, and smoothing below 1",
        ),
        (lambda: all_sequences(2, 21), "2,097,152 sequences; enumeration takes at most 1,048,576"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_example_of_the_page_finds_the_minimum_on_the_options_defaults():
    page = (PART / "results" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    best = torch.tensor([3.0, 4.0]) / (5 + 0.1)  # where 2 (5 a - target) + 0.2 a is 0
    torch.testing.assert_close(names["found"].actions.mean((0, 1)), best, atol=0.02, rtol=0)


# Discrete actions.


def discrete(kind: str, **changes: Any) -> DiscreteConfig:
    settings: dict[str, Any] = {
        "horizon": 8, "num_samples": 100, "num_iterations": 5, "num_elites": 10, "smoothing": 0.02,
        "momentum": 0.0, "keep_share": 0.5, "temperature": 0.3,
    }  # fmt: skip
    return DiscreteConfig(kind=kind, **{**settings, **changes})  # type: ignore[arg-type]


def test_all_sequences_are_all():
    assert all_sequences(3, 4).tolist() == [list(s) for s in itertools.product(range(3), repeat=4)]


def test_enumeration_finds_the_exact_optimum_and_keeps_the_first_of_equals():
    weight = torch.randn(EPISODES, 8, generator=seeded())

    def cost_fn(chosen: Tensor) -> Tensor:
        return (weight.unsqueeze(1) * (2 * chosen - 1)).sum(2).abs()

    found = plan_discrete(discrete("enumerate"), cost_fn, 2, EPISODES, seeded())
    assert found.calls == 256
    for e in range(EPISODES):
        signs = torch.tensor(list(itertools.product((-1, 1), repeat=8)))
        costs = (signs * weight[e]).sum(1).abs()
        assert found.cost[e] == pytest.approx(costs.min().item(), abs=1e-5)
    tied = plan_discrete(discrete("enumerate"), lambda c: 0.0 * c.sum(2), 2, EPISODES, seeded())
    assert (tied.actions == 0).all()


@pytest.mark.parametrize("kind", DISCRETE)
def test_categorical_planners_find_the_wanted_choices(kind):
    wanted = torch.randint(3, (EPISODES, 8), generator=seeded(2))

    def cost_fn(chosen: Tensor) -> Tensor:
        return (chosen != wanted.unsqueeze(1)).float().sum(2)

    found = plan_discrete(discrete(kind, num_iterations=12), cost_fn, 3, EPISODES, seeded())
    assert torch.equal(found.actions, wanted)
    assert found.calls <= 1200


@pytest.mark.parametrize("kind", DISCRETE)
def test_smoothing_lets_no_choice_die_out(kind):
    """All but the first choice cost more, until the last rounds, when it is the other way about."""
    rounds = []

    def cost_fn(chosen: Tensor) -> Tensor:
        rounds.append(chosen)
        wanted = 0 if len(rounds) < 10 else 2
        return (chosen != wanted).float().sum(2) - 100 * (len(rounds) >= 10)

    smooth = discrete(kind, num_iterations=25, smoothing=0.02)
    found = plan_discrete(smooth, cost_fn, 3, EPISODES, seeded())
    assert (found.actions == 2).all()


@pytest.mark.parametrize("kind", ["random", *DISCRETE])
def test_discrete_plans_are_fixed_by_the_seed(kind):
    weight = torch.randn(EPISODES, 8, generator=seeded())

    def cost_fn(chosen: Tensor) -> Tensor:
        return (weight.unsqueeze(1) * (2 * chosen - 1)).sum(2).abs()

    one, same = (plan_discrete(discrete(kind), cost_fn, 2, EPISODES, seeded(1)) for _ in range(2))
    assert torch.equal(one.actions, same.actions)
    assert one.calls == 500


def test_a_change_is_one_step_long():
    sequences = torch.randint(4, (2, 50, 8), generator=seeded())
    changed = change_one_step(sequences, 4, seeded(1))
    assert ((changed != sequences).sum(2) == 1).all()
    assert ((changed >= 0) & (changed < 4)).all()


def test_a_plan_keeps_its_best_over_calls():
    found = Plan(torch.zeros(1, 1, 1), torch.tensor([torch.inf]), 0)
    for value in (3.0, 1.0, 2.0):
        found.improve(lambda a: a[..., 0, 0], torch.full((1, 1, 1, 1), value))
    assert found.cost.item() == 1
    assert found.actions.item() == 1
    assert found.calls == 3
