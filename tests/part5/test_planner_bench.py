"""The bench itself: its problems against known optima, equal calls, regret of made-up plans."""

import pytest
import torch

from part5_action_planning.planning.discrete import plan_discrete
from part5_action_planning.planning.search_state import Plan
from part5_action_planning.studies.bench_problems import (
    CALLS,
    COSTS,
    STEPS,
    continuous_problems,
    discrete_cost,
)
from part5_action_planning.studies.planner_bench import (
    best_setting,
    continuous_settings,
    discrete_settings,
    optimum,
    regrets,
    search,
    used_settings,
)

E = 4
SEARCHING = ("cem", "icem", "mppi")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("cost", COSTS)
def test_costs_are_squares_of_whole_steps(cost):
    found = discrete_cost(cost, E, "test")(torch.randint(2, (E, 50, STEPS), generator=seeded()))
    assert found.shape == (E, 50)
    assert torch.equal(found, found.round())
    assert (found >= 0).all()
    assert found.max() < STEPS * 9**2


def test_the_best_sum_goes_straight_to_the_goal_and_steps_to_and_fro():
    """With the goal d steps away: (d - 1)^2 + ... + 1 + 0, then 1, 0, 1, 0, ..."""
    best = optimum(discrete_cost("sum", 16, "test"), 16)
    known = {float(sum(k * k for k in range(d)) + (STEPS - d) // 2) for d in range(2, 10, 2)}
    assert set(best.tolist()) <= known
    assert len(set(best.tolist())) > 2
    assert (optimum(discrete_cost("last", 16, "test"), 16) == 0).all()


def test_a_moving_target_is_harder_to_meet_than_a_goal():
    everything = torch.randint(2, (16, CALLS, STEPS), generator=seeded())
    missed = {}
    for cost in COSTS:
        cost_fn = discrete_cost(cost, 16, "test")
        missed[cost] = (cost_fn(everything).amin(1) > optimum(cost_fn, 16)).float().mean().item()
    assert missed["last"] == 0
    assert missed["last"] <= missed["sum"] < missed["track"]
    assert 0.3 < missed["track"] < 0.95  # neither trivial nor a lottery


def test_splits_have_other_problems():
    sequences = torch.randint(2, (E, 50, STEPS), generator=seeded())
    one, other = (discrete_cost("track", E, split)(sequences) for split in ("test", "validation"))
    assert not torch.equal(one, other)
    again = discrete_cost("track", E, "test")(sequences)
    assert torch.equal(one, again)


def test_all_settings_ask_for_equal_calls():
    for kind in ("random", *SEARCHING):
        settings = discrete_settings(kind)
        assert len(settings) == (1 if kind == "random" else 18)
        assert len(set(map(str, settings))) == len(settings)
        for cfg in settings:
            calls = cfg.num_samples * cfg.num_iterations
            assert 0.99 * CALLS < calls <= CALLS
    found = plan_discrete(
        discrete_settings("cem")[0], lambda chosen: chosen.sum(-1).float(), 2, E, seeded()
    )
    assert found.calls <= CALLS
    problems = continuous_problems(1, 1, "validation")
    for kind in ("random", *SEARCHING, "gradient"):
        settings = continuous_settings(kind, 1)
        assert len(settings) == (1 if kind == "random" else 24)
        for cfg in settings[-1:]:
            with torch.no_grad():
                assert 768 <= search(cfg, problems).calls <= 769


def test_a_search_on_true_dynamics_comes_near_the_goal():
    problems = continuous_problems(5, E, "test")
    with torch.no_grad():
        still = problems.cost_fn(problems.start.unsqueeze(1))[:, 0]
        for kind in (*SEARCHING, "gradient"):
            assert (search(continuous_settings(kind, 5)[-1], problems).cost < 0.9 * still).all()


def test_regret_is_relative_to_the_best_that_anything_found():
    def plan(*cost: float) -> Plan:
        return Plan(torch.zeros(2, 1, 2), torch.tensor(cost), 7)

    found = regrets({"cem": plan(1.0, 4.0), "random": plan(2.0, 3.0)}, torch.tensor([2.0, 2.0]), 5)
    assert found["horizon5/cem"]["metrics"]["regret"]["mean"] == pytest.approx((0 + 1) / 2)
    assert found["horizon5/random"]["metrics"]["regret"]["mean"] == pytest.approx((1 + 0.5) / 2)
    assert found["horizon5/long search"]["metrics"]["regret"]["mean"] == pytest.approx((1 + 0) / 2)
    assert found["horizon5/cem"]["metrics"]["within_1_percent"]["mean"] == 0.5
    assert found["horizon5/cem"]["metrics"]["calls"]["mean"] == 7


def test_the_best_setting_is_the_cheapest_and_what_is_kept_of_it_is_what_is_read():
    assert best_setting([3.0, -1.0, 2.0], abs) == -1.0
    assert best_setting(["only"], lambda setting: pytest.fail("was tried")) == "only"
    assert "num_elites" not in used_settings(continuous_settings("mppi", 5)[0])
    assert used_settings(continuous_settings("gradient", 5)[0]).keys() == {
        "kind", "horizon", "num_samples", "num_iterations", "init_std", "step_size",
    }  # fmt: skip
    assert used_settings(discrete_settings("icem")[0])["keep_share"] == 0.5
