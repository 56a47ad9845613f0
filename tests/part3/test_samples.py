"""What a sample of part 3 is: two views of one state, or a state and those after it."""

import pytest
import torch

from common.harness.config import load_config
from common.harness.processes import Processes
from part3_collapse_regularizers.config import BASELINE, Config, Stream, generator
from part3_collapse_regularizers.data import draw_sample, first_frames, make_pool
from part3_collapse_regularizers.scoring.scores import make_heldout

CONFIGS = BASELINE.parent


def config(*names: str, **overrides: object) -> Config:
    files = [BASELINE, *(CONFIGS / f"{name}.yaml" for name in names)]
    return load_config(Config, files, {key.replace("__", "."): v for key, v in overrides.items()})


def test_two_views_share_the_state_and_nothing_else():
    cfg = config("smoke", data__shift=0.0)
    sample = draw_sample(
        cfg,
        make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES)),
        32,
        generator(cfg, Stream.TRAIN_SAMPLES),
    )
    assert sample.x.shape == (2, 32, 1, 64, 64)
    assert torch.equal(sample.content[0], sample.content[1])
    assert (sample.nuisance[0] != sample.nuisance[1]).all()
    assert (sample.x[0] != sample.x[1]).float().mean() > 0.5
    assert 0 <= sample.x.min() < sample.x.max() <= 1


def test_a_shift_moves_the_balls_by_no_more_than_asked_and_not_what_is_measured():
    cfg = config("smoke")
    assert cfg.data.shift == 3
    pool = make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES))
    shifted = draw_sample(cfg, pool, 64, generator(cfg, Stream.TRAIN_SAMPLES)).content
    gap = (shifted[0] - shifted[1])[:, :2].abs()
    assert 3 < gap.max() <= 6
    measured = first_frames(cfg, pool, generator(cfg, Stream.TRAIN_SAMPLES)).content
    torch.testing.assert_close(measured[0, :, :2], pool.states[:, 0, 0, :2])


def test_next_frames_follow_the_motion():
    cfg = config("next_frame", "smoke", rollout=2)
    pool = make_pool(cfg, 8, 4, generator(cfg, Stream.TRAIN_EPISODES))
    sample = first_frames(cfg, pool, generator(cfg, Stream.TRAIN_SAMPLES))
    assert sample.x.shape[:2] == (3, 8)
    for t in range(3):
        torch.testing.assert_close(sample.content[t, :, :2], pool.states[:, t, 0, :2])


def test_the_second_ball_is_the_small_one():
    cfg = config("smoke")
    pool = make_pool(cfg, 64, 1, generator(cfg, Stream.TRAIN_EPISODES))
    assert (pool.radius[:, 0] >= 7).all()
    assert (pool.radius[:, 1] <= 0.3 * 11).all()


@pytest.mark.parametrize("setting", ["smoke", "next_frame"])
def test_the_ranks_shares_make_up_the_batch_of_one_process(setting):
    cfg = config(setting, "smoke")
    pool = make_pool(cfg, 16, 4, generator(cfg, Stream.TRAIN_EPISODES))
    whole = draw_sample(cfg, pool, 12, generator(cfg, Stream.TRAIN_SAMPLES))
    shares = [
        draw_sample(cfg, pool, 12, generator(cfg, Stream.TRAIN_SAMPLES), part.share(12))
        for part in (Processes(rank, 3, torch.device("cpu")) for rank in range(3))
    ]
    for name in ("x", "content", "nuisance"):
        joined = torch.cat([getattr(share, name) for share in shares], dim=1)
        assert torch.equal(joined, getattr(whole, name)), name


def test_held_out_frames_are_the_same_for_every_loss_and_not_those_trained_on():
    one, other = (make_heldout(config(method, "smoke")) for method in ("none", "dino"))
    assert torch.equal(one.test.x, other.test.x)
    train = make_pool(config("smoke"), 64, 1, generator(config("smoke"), Stream.TRAIN_EPISODES))
    places = torch.cdist(one.test.content[0, :, :2], train.states[:, 0, 0, :2])
    assert places.min() > 0
