"""The published sizes by hand, and the line through the times."""

import pytest
import torch

from part5_action_planning.studies import milliseconds
from part5_action_planning.studies.planning_time import (
    PublishedPredictor,
    count_flops,
    published,
    ratios,
)


def by_hand(tokens: int, width: int, *, conditioned: bool) -> int:
    """Operations of a candidate's step, two per multiplication and addition."""
    length, inner, mlp, blocks = 3 * tokens, 16 * 64, 2048, 6
    linear = 3 * width * inner + inner * width + 2 * width * mlp + conditioned * 6 * width**2
    attention = 2 * length * inner  # scores, and the weighted sum
    projector = conditioned * 2 * width * mlp
    return 2 * length * (blocks * (linear + attention) + projector)


@pytest.mark.parametrize(("name", "tokens", "width"), [("lewm", 1, 192), ("dino_wm", 196, 404)])
@torch.no_grad()
def test_a_step_costs_what_the_published_sizes_say(name, tokens, width):
    predictor, encoder, side = published()[name]
    assert predictor.size == (3 * tokens, width)
    counted = count_flops(lambda: predictor(torch.randn(1, *predictor.size)))
    assert counted == by_hand(tokens, width, conditioned=name == "lewm")
    parameters = sum(p.numel() for p in encoder.parameters()) / 1e6
    assert parameters == pytest.approx({"lewm": 5.5, "dino_wm": 21.5}[name], abs=0.1)
    assert encoder(torch.rand(1, 3, side, side)).shape[1] == {224: 256, 196: 196}[side]


def test_the_ratio_is_in_the_hundreds():
    ratio = by_hand(196, 404, conditioned=False) / by_hand(1, 192, conditioned=True)
    assert 400 < ratio < 600


@torch.no_grad()
def test_a_frame_sees_itself_and_the_past():
    predictor = PublishedPredictor(tokens=2, width=8, conditioned=False).eval()
    x = torch.randn(1, 6, 8)
    for changed in range(6):
        other = x.clone()
        other[:, changed] = torch.randn(8)
        differs = (predictor(other) - predictor(x)).abs().amax(-1)[0] > 1e-6
        assert differs.tolist() == [frame >= changed // 2 for frame in (0, 0, 1, 1, 2, 2)]


def test_times_and_ratios():
    calls = []
    times = milliseconds(lambda: calls.append(1), 3)
    assert len(times) == 3
    assert len(calls) == 4
    one = {"gflop_per_step": 1.0, "ms_per_candidate_step": 2.0, "plan_seconds": 4.0}
    assert ratios(one, dict.fromkeys(one, 8.0)) == {
        "gflop_per_step": 8, "ms_per_candidate_step": 4, "plan_seconds": 2,
    }  # fmt: skip
