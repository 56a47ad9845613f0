"""Pairs hold the right frames in the right order, and no held-out frame was trained on."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch

from common.distractors import Distractor
from common.episodes import draw_batch, gather_pairs, make_clips, to_float
from common.schedules import stream
from common.world import World

MakeWorld = Callable[..., World]
NONE = Distractor()
SQUARES = Distractor(kind="squares")
BACKGROUND = Distractor(kind="background", cell_size=4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("history_length", [1, 2, 4])
def test_the_past_runs_from_oldest_to_newest(make_world: MakeWorld, history_length: int) -> None:
    clips = make_clips(make_world(), SQUARES, 6, seeded())
    episode, time = torch.tensor([0, 3, 5, 5]), torch.tensor([22, 10, history_length - 1, 7])
    batch = gather_pairs(clips, episode, time, history_length, 6.0)
    assert batch.x_past.shape == (4, history_length, 1, 64, 64)
    for i, (e, t) in enumerate(zip(episode.tolist(), time.tolist(), strict=True)):
        past = clips.frames[e, t - history_length + 1 : t + 1]
        assert torch.equal(batch.x_past[i], to_float(past))
        assert torch.equal(batch.x_next[i], to_float(clips.frames[e, t + 1]))
        assert torch.equal(batch.clean_next[i], to_float(clips.clean[e, t + 1]))
        assert batch.a_t[i].tolist() == (clips.states[e, t, 0, 2:] / 6).tolist()
    assert not torch.equal(batch.x_next, batch.clean_next)
    assert torch.equal(batch.episode, episode)
    assert torch.equal(batch.time, time)


def test_frames_are_bytes_in_store_and_floats_in_a_batch(make_world: MakeWorld) -> None:
    clips = make_clips(make_world(), BACKGROUND, 4, seeded())
    assert clips.frames.dtype == clips.clean.dtype == torch.uint8
    batch = draw_batch(clips, 8, 1, 6.0, seeded())
    for frames in (batch.x_past, batch.x_next, batch.clean_next):
        assert frames.dtype == torch.float32
        assert frames.min() == 0
        assert frames.max() == 1
    stored = torch.arange(256, dtype=torch.uint8)
    values = to_float(stored)
    assert (values[0].item(), values[-1].item()) == (0.0, 1.0)
    assert torch.equal((255 * values).round().to(torch.uint8), stored)
    assert torch.equal(stored, torch.arange(256, dtype=torch.uint8))  # not changed in place


def test_clean_frames_hold_the_ball_alone(make_world: MakeWorld) -> None:
    plain = make_clips(make_world(), NONE, 4, seeded())
    assert torch.equal(plain.frames, plain.clean)
    assert plain.layers is None
    for behind in (SQUARES, BACKGROUND):
        clips = make_clips(make_world(), behind, 4, seeded())
        assert torch.equal(clips.clean, plain.clean)  # the same balls, whatever is behind
        assert torch.equal(clips.states, plain.states)
        assert clips.layers is not None
        shown = clips.layers.unsqueeze(2).expand_as(clips.frames)
        expected = torch.where(clips.clean == 255, clips.clean, shown)
        assert torch.equal(clips.frames, expected)


@pytest.mark.parametrize("history_length", [1, 3])
def test_batches_draw_every_transition_alike(make_world: MakeWorld, history_length: int) -> None:
    clips = make_clips(make_world(episode_length=6), NONE, 3, seeded())
    times, episodes = torch.zeros(6), torch.zeros(3)
    draws = seeded(1)
    for _ in range(50):
        batch = draw_batch(clips, 60, history_length, 6.0, draws)
        assert batch.x_past.shape[1] == history_length
        times += batch.time.bincount(minlength=6)
        episodes += batch.episode.bincount(minlength=3)
    possible = 6 - history_length  # the last frame has no next one
    assert (times > 0).tolist() == [history_length - 1 <= t < 5 for t in range(6)]
    assert (times[times > 0] - 3000 / possible).abs().max() < 5 * (3000 / possible) ** 0.5
    assert (episodes - 1000).abs().max() < 5 * 1000**0.5


def test_same_seed_same_clips_and_batches(make_world: MakeWorld) -> None:
    first, again, other = (make_clips(make_world(), SQUARES, 5, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first.frames, again.frames)
    assert not torch.equal(first.frames, other.frames)
    a, b = (draw_batch(clips, 9, 2, 6.0, seeded(3)) for clips in (first, again))
    assert torch.equal(a.x_past, b.x_past)
    assert torch.equal(a.time, b.time)


def test_streams_of_one_run_and_of_two_differ(make_world: MakeWorld) -> None:
    draws = [stream(seed, purpose) for seed in (0, 1) for purpose in (1, 2, 3)]
    clips = [make_clips(make_world(), NONE, 40, draw) for draw in draws]
    starts = [set(c.states[:, 0, 0, 0].tolist()) for c in clips]
    for a, b in combinations(starts, 2):
        assert len(a) == len(b) == 40
        assert len(a & b) <= 1  # two of many floats may coincide
    again = make_clips(make_world(), NONE, 40, stream(0, 1))
    assert torch.equal(again.frames, clips[0].frames)
