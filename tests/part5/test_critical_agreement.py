"""Runs counted on either side of the critical weight, and the weights compared."""

import pytest

from part5_action_planning.studies.critical_agreement import agreement, best_weight


def test_a_run_counts_where_it_is_on_the_side_that_the_line_says():
    runs = [  # weight, mean std, its own encoder's line
        (0.1, 0.001, 0.5),  # collapsed below both lines
        (0.6, 0.001, 0.5),  # collapsed above its own line, below the constant
        (0.6, 0.700, 0.5),  # kept: right by its own line alone
        (1.0, 0.001, 0.5),  # collapsed above both
    ]
    found = agreement(runs, constant=0.647)
    assert found["runs"]["mean"] == 4
    assert found["right_encoder"]["mean"] == found["right_constant"]["mean"] == 0.5
    assert found["mcnemar_p"]["mean"] == pytest.approx(1.0)
    assert found["collapsed_above"]["mean"] == 1.0
    assert 0 <= found["right_encoder"]["low"] < 0.5 < found["right_encoder"]["high"] <= 1


def test_lines_that_agree_everywhere_have_no_test_of_their_difference():
    found = agreement([(0.1, 0.001, 0.5)], constant=0.647)
    assert "mcnemar_p" not in found
    assert "collapsed_above" not in found


def test_the_smallest_weight_is_the_first_at_which_no_seed_collapsed():
    def metrics(spreads, successes):
        mean = sum(successes) / len(successes)
        return {"mean_std": {"values": spreads}, "last": {"mean": mean, "values": successes}}

    found = best_weight(
        {
            0.1: metrics([0.001, 0.5], [0.0, 0.9]),
            0.8: metrics([0.5, 0.6], [0.2, 0.3]),
            4.0: metrics([0.8, 0.8], [0.6, 0.8]),
        }
    )
    assert found["smallest_weight"]["mean"] == 0.8
    assert found["best_weight"]["mean"] == 4.0
    assert found["last_gain"]["mean"] == pytest.approx(0.45)
