"""A point followed by label propagation, on tokens whose answer is known."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from common.frozen import load_frozen
from common.harness.config import load_config
from common.harness.errors import run_script
from part4_dinov3_encoder import track as script
from part4_dinov3_encoder.config import BASELINE, PART, Config
from part4_dinov3_encoder.scoring import tracking
from part4_dinov3_encoder.scoring.encoders import raw_pixels
from part4_dinov3_encoder.scoring.propagation import centres, read_out, start_labels, track
from part4_dinov3_encoder.scoring.tracking import (
    controls,
    follow,
    make_clips,
    score,
    tracking_error,
    true_labels,
)
from part4_dinov3_encoder.track import marked

GRID, PATCH = (6, 8), 8.0


def moving_tokens(way: list[tuple[int, int]]) -> torch.Tensor:
    """Tokens (T, N, D) of one patch of its own kind that goes its way, among others that stay."""
    draw = torch.Generator().manual_seed(0)
    rows, columns = GRID
    ground = torch.randn(rows * columns, 16, generator=draw)
    own = 4 * torch.randn(16, generator=draw)
    frames = []
    for row, column in way:
        tokens = ground.clone()
        tokens[row * columns + column] = own
        frames.append(tokens)
    return torch.stack(frames)


def test_it_follows_a_patch_that_moves():
    way = [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 6)]
    place = centres(GRID, PATCH)
    truth = torch.stack([place[row * 8 + column] for row, column in way])
    found = track(moving_tokens(way), GRID, PATCH, truth[0])
    error = tracking_error(found, truth)["error_px"]
    still = tracking_error(truth[:1].expand_as(truth), truth)["error_px"]
    assert error < 5
    assert error < 0.3 * still


def test_a_still_picture_keeps_its_point():
    tokens = moving_tokens([(3, 4)] * 5)
    point = centres(GRID, PATCH)[3 * 8 + 4]
    found = track(tokens, GRID, PATCH, point)
    assert (found - point).norm(dim=-1).max() < 3


def test_places_are_px_with_x_first():
    place = centres((2, 3), 8.0)
    assert place[0].tolist() == [4, 4]
    assert place[2].tolist() == [20, 4]
    assert place[3].tolist() == [4, 12]


def test_the_readout_of_the_first_frame_is_near_the_point():
    point = torch.tensor([29.0, 22.0])
    labels = start_labels(point, GRID, PATCH)
    assert labels.max() == 1
    assert (read_out(labels, centres(GRID, PATCH)) - point).norm() < 2  # hard: up to 5.7


def test_errors_name_what_is_wrong():
    tokens = moving_tokens([(1, 1), (1, 2)])
    with pytest.raises(ValueError, match="wanted 48"):
        track(tokens[:, :40], GRID, PATCH, torch.tensor([4.0, 4.0]))
    with pytest.raises(ValueError, match="outside the frame"):
        track(tokens, GRID, PATCH, torch.tensor([64.0, 4.0]))


def test_lost_is_told_by_the_last_frame_and_the_error_leaves_out_the_first():
    truth = torch.zeros(3, 2)
    places = torch.tensor([[50.0, 0], [3, 4], [0, 9]])
    assert tracking_error(places, truth) == {"error_px": 7.0, "lost": 1.0}


def test_finer_grids_read_true_labels_better_and_follow_better():
    cfg = load_config(Config, [BASELINE], {"seed": 7})
    clips = make_clips(cfg, 4)
    bounds = [score(true_labels(side), clips)["error_px"] for side in (8, 16, 24)]
    assert bounds[0] < 2
    assert bounds == sorted(bounds, reverse=True)
    errors = []
    for resolution in (64, 128):
        encoder = raw_pixels(cfg, resolution)
        assert encoder.grid(64, 64) == (resolution // 8, resolution // 8)
        errors.append(score(lambda clip, truth, e=encoder: follow(e, clip, truth[0]), clips))
    assert errors[1]["error_px"] < errors[0]["error_px"]


def test_controls_are_on_the_encoders_grid(monkeypatch):
    cfg = load_config(Config, [BASELINE])
    seen = []

    def track(tokens, grid, patch, point):
        seen.append((tuple(tokens.shape[:2]), grid, patch))
        return point.expand(len(tokens), 2)

    monkeypatch.setattr(tracking, "track", track)
    clip = torch.zeros(3, 1, 64, 64, dtype=torch.uint8)
    for follower in controls(cfg, 14).values():  # DINOv3's at 224 px
        follower(clip, torch.full((3, 2), 20.0))
    assert seen == [((3, 196), (14, 14), 64 / 14)] * 2  # untrained, raw pixels
    point = torch.full((3, 2), 20.0)
    assert torch.equal(controls(cfg, 14)["true_labels"](clip, point), true_labels(14)(clip, point))


def test_a_cross_is_drawn_where_the_place_is():
    frame = torch.zeros(1, 64, 64, dtype=torch.uint8)
    picture = marked(frame, torch.tensor([10.0, 40.0]))
    assert picture.shape == (256, 256, 3)
    red, green, _ = picture[160, 40]
    assert red > 5 * green
    assert not picture[40, 160].any()


def test_the_clips_start_with_a_ball_that_moves():
    clips = make_clips(load_config(Config, [BASELINE]), 6)
    assert clips.frames.shape[1] == 16
    ways = clips.states[:, :, 0, :2]
    assert not ways.isnan().any()
    assert ((ways[:, 1:] - ways[:, :-1]).norm(dim=-1).mean(1) > 0.5).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clip", "24"], "--clip 24: expected 0 to 23"),
        (["--point", "3"], "expected x,y in px"),
        (["--point", "3,70"], "from 0 to below 64 px"),
        (["--encoder", "dinov4"], "dinov3"),
        (["--encoder", "dino", "--encoder", "lejepa"], "expected one encoder here"),
    ],
)
def test_wrong_arguments_end_in_one_clear_line(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr(sys, "argv", ["track.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_script(script.main)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.slow
def test_the_documented_command_prints_every_row(tmp_path, run):
    out = tmp_path / "track.gif"
    done = run(sys.executable, "part4_dinov3_encoder/track.py", "--out", out)
    rows = [line for line in done.stdout.splitlines() if " px, " in line]
    assert [row.split()[0] for row in rows[1:]] == [
        "vit_random", "raw_pixels", "true_labels", "never_moving",
    ]  # fmt: skip
    assert all("[" in row for row in rows if not row.startswith("true_labels"))  # exact: 0.00 px
    assert out.stat().st_size > 5_000


@pytest.mark.slow
def test_the_default_command_draws_the_published_picture(tmp_path, monkeypatch):
    """In colours that differ by no more than another machine's rounding, frame by frame."""
    monkeypatch.setattr(script, "compare", lambda followers: {})
    monkeypatch.setattr(script, "OUT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["track.py"])
    script.main()
    (drawn,) = tmp_path.iterdir()
    frames = []
    for path in (drawn, PART / "results" / "figures" / "track.gif"):
        with Image.open(path) as gif:
            frames.append([np.array(f.convert("L"), float) for f in ImageSequence.Iterator(gif)])
    assert np.abs(np.array(frames[0]) - np.array(frames[1])).mean() < 0.5


def test_the_default_grid_keeps_the_ball_of_the_drawn_clip():
    cfg = load_config(Config, [BASELINE])
    encoder = load_frozen(resolution=script.SIDE * cfg.model.patch_size)
    clips = make_clips(cfg, tracking.CLIPS)
    truth = clips.states[0, :, 0, :2]
    off = tracking_error(follow(encoder, clips.frames[0], truth[0]), truth)["error_px"]
    assert off < 4  # the ball has a radius of 7 px or more


def test_pictures_of_other_encoders_clips_and_points_have_other_names(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "OUT", tmp_path)
    monkeypatch.setattr(script, "draw_clip", lambda out, *_: out.touch())
    for asked in ("", "--clip 3", "--encoder dino", "--clip 3 --point 9,40", "--resolution 64"):
        point = [] if "point" in asked else ["--point", "8,8"]
        monkeypatch.setattr(sys, "argv", ["track.py", *asked.split(), *point])
        script.main()
    assert len(list(tmp_path.iterdir())) == 5


def test_any_point_can_be_followed(tmp_path, monkeypatch, capsys):
    out = tmp_path / "track.gif"
    arguments = ["--encoder", "vit_random", "--point", "20,40", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["track.py", *arguments])
    script.main()
    assert str(out) in capsys.readouterr().out
    assert out.stat().st_size > 5_000
