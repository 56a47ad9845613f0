"""Part 4's methods as their reader uses them: scenes, samples, gradients, scores, commands."""

import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from common.dinov3 import SIZES
from common.frozen import METHODS, FrozenEncoder, load_frozen
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import UserError
from common.harness.results import read_results
from common.intervals import mean_interval
from common.sigreg import sigreg_share
from common.vit import ViT, patchify
from part4_dinov3_encoder import plot, probe
from part4_dinov3_encoder.config import BASELINE, Config, Stream, generator
from part4_dinov3_encoder.data import photos
from part4_dinov3_encoder.data.masks import draw_masks, through_time
from part4_dinov3_encoder.data.photos import HELD_OUT, TRAINED, load_photo, photo_clips
from part4_dinov3_encoder.data.scenes import ball_patches, make_scenes
from part4_dinov3_encoder.data.views import (
    Pool,
    draw_batch,
    draw_views,
    draw_windows,
    make_pool,
    shared_places,
)
from part4_dinov3_encoder.model import after_step, make_model, wanted_of
from part4_dinov3_encoder.report.tables import METHODS as METHOD_LABELS
from part4_dinov3_encoder.scoring.context import context_scores
from part4_dinov3_encoder.scoring.encoders import (
    conv_jepa,
    encoder_parser,
    frozen_copy,
    load_chosen,
    raw_pixels,
)
from part4_dinov3_encoder.scoring.features import (
    SAMPLED,
    Features,
    features,
    sampled,
    with_noise,
)
from part4_dinov3_encoder.scoring.foreground import border, foreground, iou, labelled_foreground
from part4_dinov3_encoder.scoring.positional import blank_directions, leakage, remove_directions
from part4_dinov3_encoder.scoring.scores import (
    TARGETS,
    collapse_scores,
    evaluate,
    limits,
    make_heldout,
    make_test,
    motion_scores,
    targets,
)
from part4_dinov3_encoder.train import compute_loss, main

CONFIGS = REPOSITORY / "configs" / "part4"
SMOKE = CONFIGS / "smoke.yaml"
GRAM = ["--method=dino", "--loss_weights.gram=1"]
TRAIN = [sys.executable, "part4_dinov3_encoder/train.py", "--config", str(SMOKE), "--threads=1"]


def config(*names: str, **overrides: object) -> Config:
    files = [BASELINE, *(CONFIGS / f"{name}.yaml" for name in names)]
    return load_config(Config, files, {key.replace("__", "."): v for key, v in overrides.items()})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Scenes.


def test_every_second_episode_has_one_ball_and_the_larger_comes_first():
    cfg = config("smoke")
    scenes = make_scenes(cfg.world, cfg.texture, 64, seeded())
    assert scenes.num_balls.bincount().tolist() == [0, 32, 32]
    two = scenes.num_balls == 2
    assert (scenes.radius[two, 0] > scenes.radius[two, 1]).all()
    assert scenes.states[~two, :, 1].isnan().all()
    assert scenes.states[two].isfinite().all()
    assert scenes.frames.shape == (64, cfg.world.episode_length, 1, 64, 64)


def test_cover_is_where_the_balls_are():
    cfg = config("smoke")
    scenes = make_scenes(cfg.world, cfg.texture, 32, seeded())
    area = scenes.cover.float().sum((2, 3)) / 255
    discs = (math.pi * scenes.radius.square()).sum(1, keepdim=True)
    torch.testing.assert_close(area, discs.expand_as(area), rtol=0.03, atol=3.0)
    x = torch.arange(64) + 0.5
    one = scenes.num_balls == 1
    mass = scenes.cover[one].float()
    middle = (mass.sum(2) * x).sum(-1) / mass.sum((2, 3))
    torch.testing.assert_close(middle, scenes.states[one][:, :, 0, 0], atol=0.1, rtol=0)


def test_no_threshold_of_grey_finds_a_ball():
    cfg = config("smoke")
    scenes = make_scenes(cfg.world, cfg.texture, 128, seeded())
    frames, truth = scenes.frames[:, 0, 0], scenes.cover[:, 0] > 127
    best = max(iou(frames > level, truth) for level in range(0, 255, 8))
    assert best < 0.4


def test_ball_patches_are_covered_by_half():
    cover = torch.zeros(1, 16, 16, dtype=torch.uint8)
    cover[0, :8, :4] = 255  # exactly half of the first patch
    cover[0, 8:, 8:] = 120  # less than half of the last
    assert ball_patches(cover, 2, 2).tolist() == [[True, False, False, False]]
    assert ball_patches(cover, 4, 4)[0].nonzero().flatten().tolist() == [0, 4]


def test_targets_are_what_they_say():
    cfg = config("smoke")
    scenes = make_scenes(replace(cfg.world, episode_length=2), cfg.texture, 16, seeded())
    found = targets(scenes, 8)
    assert found.shape == (16, 8)
    torch.testing.assert_close(found[:, TARGETS["position"]], scenes.states[:, 0, 0, :2])
    torch.testing.assert_close(found[:, TARGETS["velocity"]], scenes.states[:, 0, 0, 2:])
    phase = torch.atan2(found[:, 2], found[:, 3]) / math.tau % 1
    torch.testing.assert_close(phase, found[:, 0] / 8 % 1, atol=1e-3, rtol=0)
    assert found.isfinite().all()


# Photographs.


def test_photographs_trained_on_are_not_those_shown():
    assert not set(TRAINED) & set(HELD_OUT)
    for name in (*TRAINED, *HELD_OUT):
        photo = load_photo(name)
        assert photo.dtype == torch.uint8
        assert photo.shape[0] == 3


def test_a_clip_drifts_over_one_photograph():
    clips = photo_clips(8, 3, 96, seeded())
    assert clips.shape == (8, 3, 3, 96, 96)
    for clip in clips:
        found = []
        for dy in range(-3, 4):
            for dx in range(-3, 4):
                a = clip[0, :, 3 + dy : 93 + dy, 3 + dx : 93 + dx]
                found.append(torch.equal(a, clip[1, :, 3:93, 3:93]))
        assert any(found)


def test_a_clip_that_fits_no_photograph_is_refused():
    with pytest.raises(ValueError, match="clips of 64 frames of 512 px"):
        photo_clips(1, 64, 512, seeded())


def test_without_photographs(monkeypatch):
    monkeypatch.setattr(photos.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--data\.photo_share=0"):
        make_pool(config("smoke"), seeded())
    assert make_pool(config("smoke", data__photo_share=0.0), seeded()).photos is None
    assert load_photo("grace_hopper.jpg").shape[0] == 3


# Samples.


def test_pairs_show_the_same_patch_in_both_views():
    cfg = config("smoke", views__gain=0.0, views__offset=0.0, views__noise=0.0, views__num_pairs=64)
    views = draw_views(cfg, make_pool(cfg, generator(cfg, Stream.TRAIN_DATA)), seeded())
    assert views.large.shape == (2, 8, 3, 64, 64)
    assert views.small.shape == (cfg.views.num_local, 8, 3, 32, 32)
    patches = [patchify(view.unsqueeze(1), 8).flatten(1, 3) for view in views.large]
    for b in range(8):
        one, other = (patches[v][b, views.pairs[v, b]] for v in range(2))
        assert torch.equal(one, other)
    assert (views.pairs[0] != views.pairs[1]).any()


def test_pairs_reach_everything_that_both_views_see():
    shift = torch.tensor([[2, -1]])
    pairs = shared_places(shift, 4, 2000, seeded())
    assert sorted(pairs[0, 0].unique().tolist()) == [8, 9, 10, 12, 13, 14]
    assert torch.equal(pairs[1, 0], pairs[0, 0] - 8 + 1)


def test_views_differ_in_looks():
    cfg = config("smoke", views__max_shift=0)
    views = draw_views(cfg, make_pool(cfg, generator(cfg, Stream.TRAIN_DATA)), seeded())
    assert 0 <= views.large.min() < views.large.max() <= 1
    assert (views.large[0] - views.large[1]).abs().mean() > 0.05
    still = [view.flatten(1) - view.flatten(1).mean(1, keepdim=True) for view in views.large]
    likeness = torch.nn.functional.cosine_similarity(*still, dim=1)
    assert likeness.median() > 0.8


def test_windows_are_clips_for_vjepa_alone():
    for name, length in (("ijepa", 1), ("vjepa", 4)):
        cfg = config(name, "smoke")
        windows = draw_windows(cfg, make_pool(cfg, generator(cfg, Stream.TRAIN_DATA)), seeded())
        assert windows.x.shape == (8, length, 3, 64, 64)
        assert windows.grid == (length // cfg.model.tubelet, 8, 8)


@pytest.mark.parametrize(("share", "num_photos"), [(0.5, 4), (0.25, 2), (0.0, 0), (1.0, 8)])
def test_a_share_of_a_batch_are_photographs_and_they_come_last(share, num_photos):
    cfg = config("ijepa", "smoke", data__photo_share=share)
    red = torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None]
    balls = torch.full((5, 4, 1, 96, 96), 128, dtype=torch.uint8)
    pool = Pool(balls, red.expand(5, 4, 3, 96, 96))
    x = draw_windows(cfg, pool, seeded()).x
    is_photo = (x == red / 255).flatten(1).all(1)
    assert is_photo.tolist() == [False] * (8 - num_photos) + [True] * num_photos


# The losses.


@pytest.mark.parametrize(
    "name", [*METHODS, "dino_gram", "vjepa21", "vjepa_causal", "pixels", "supervised"]
)
def test_every_method_learns_and_its_teacher_does_not(name):
    cfg = config(name, "smoke", steps=4, loss_weights__gram_start=0.25)
    model = make_model(cfg)
    pool = make_pool(cfg, generator(cfg, Stream.TRAIN_DATA))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    batch = draw_batch(cfg, pool, 1, seeded())
    loss, terms = compute_loss(model, batch, cfg)
    loss.backward()
    assert math.isfinite(loss.item())
    moved = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert all(".norm." in key for key in moved)  # the running means of batch normalisation alone
    assert ("gram" in terms) == (name == "dino_gram")
    for key, p in model.named_parameters():
        if "teacher" in key:
            assert p.grad is None, key
        else:
            assert p.grad is not None, key
            assert p.grad.abs().sum() > 0, key


def test_every_method_starts_from_the_same_encoder():
    first = [make_model(config(n, "smoke")).encoder.state_dict() for n in ("ijepa", "dino")]
    first.append(make_model(config("lejepa", "smoke")).encoder.state_dict())
    for other in first[1:]:
        assert all(torch.equal(value, other[name]) for name, value in first[0].items())


def test_the_baseline_weighs_sigreg_as_lejepa_does():
    cfg = config()
    share = sigreg_share(cfg.loss_weights.sigreg_lambda, cfg.batch_size, prediction_scale=0.25)
    assert share == pytest.approx(0.05, abs=1e-8)


def test_a_hidden_block_is_hidden_at_all_times():
    index = through_time(torch.tensor([[0, 5]]), range(3), 4)
    assert index.tolist() == [[0, 5, 16, 21, 32, 37]]


@pytest.mark.parametrize("name", ["vjepa", "vjepa_causal"])
def test_a_clip_is_seen_or_hidden_and_of_causal_masks_the_later_half_is_hidden(name):
    cfg = config(name)
    (length, rows, columns), masks = draw_masks(cfg, 5, seeded())
    assert len(masks) == 2
    for mask in masks:
        both = torch.cat([mask.seen, mask.wanted[0]], dim=1).sort().values
        if name == "vjepa_causal":  # every token is one or the other
            assert mask.seen.max() < length * rows * columns // 2
        for row in both:
            assert len(row.unique()) == len(row)
        times = [(mask.wanted[0] // (rows * columns) == t).sum(1) for t in range(length)]
        later = times[length // 2 :] if name == "vjepa_causal" else []
        for count in later:
            fewest = times[0] + (mask.seen // (rows * columns) == 0).sum(1)
            assert torch.equal(count, fewest)


def test_the_teacher_follows_unless_its_rate_is_one():
    for rate in (0.996, 1.0):
        cfg = config("ijepa", "smoke", loss_weights__ema_rate=rate)
        model = make_model(cfg)
        before = model.teacher.norm.weight.clone()
        with torch.no_grad():
            model.encoder.norm.weight += 1
        after_step(model, {}, 0, cfg)
        torch.testing.assert_close(model.teacher.norm.weight, before + 1 - rate)


def test_dino_hands_on_its_teacher_and_others_their_encoder():
    for name in (*METHODS, "pixels", "supervised"):
        model = make_model(config(name, "smoke"))
        assert model.kept is (model.teacher if name == "dino" else model.encoder)


def test_deep_targets_are_all_depths_and_each_is_normalised():
    model = make_model(config("vjepa21", "smoke"))
    target = model.targets(torch.rand(2, 4, 3, 64, 64))
    assert target.shape == (2, 2 * 64, 2 * 32)  # tubelets of two frames; depth x width
    parts = target.unflatten(-1, (2, 32))
    torch.testing.assert_close(parts.mean(-1), torch.zeros(2, 128, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        parts.var(-1, unbiased=False), torch.ones(2, 128, 2), atol=1e-3, rtol=0
    )


def test_labels_are_where_the_ball_is():
    cfg = config("supervised", "smoke", batch_size=64)
    pool = make_pool(cfg, generator(cfg, Stream.TRAIN_DATA))
    batch = draw_batch(cfg, pool, 0, seeded())
    is_inside = (batch.place.abs() < 0.9).all(1)
    assert is_inside.sum() > 10
    x, y = ((batch.place[is_inside] + 1) / 2 * 8).long().unbind(1)  # patch of the ball's middle
    assert (batch.cover[is_inside, 8 * y + x] > 0.5).all()


def test_context_explains_what_the_place_does_not(monkeypatch):
    cfg = config("ijepa", "smoke", batch_size=64)
    model = make_model(cfg)
    windows = draw_windows(cfg, make_pool(cfg, seeded()), seeded())
    target = model.targets(windows.x)
    known = {"mean": target.mean(0, keepdim=True).expand_as(target), "truth": target}
    for name, wanted in (("mean", 0.0), ("truth", 1.0)):
        monkeypatch.setattr(model, "predict", lambda _, m, t=known[name]: (0, 0, wanted_of(t, m)))
        assert context_scores(model, windows)["context_explains"] == pytest.approx(wanted, abs=1e-6)


def test_the_gram_teacher_is_an_earlier_teacher():
    cfg = config("dino_gram", "smoke", steps=4, loss_weights__gram_start=0.5)
    model = make_model(cfg)
    terms = {key: torch.ones(2, 4, 256) for key in ("teacher_logits", "teacher_dense_logits")}
    with torch.no_grad():
        model.encoder.norm.weight += 1
    after_step(model, terms, 0, cfg)
    torch.testing.assert_close(model.centre.mean, torch.full((256,), 0.1))
    assert not torch.equal(model.gram_teacher.norm.weight, model.teacher.norm.weight)
    after_step(model, terms, 1, cfg)
    frozen = model.gram_teacher.norm.weight.clone()
    assert torch.equal(frozen, model.teacher.norm.weight)
    after_step(model, terms, 2, cfg)
    assert torch.equal(frozen, model.gram_teacher.norm.weight)


# Scores.


def test_leakage_of_tokens_that_are_their_place_and_of_noise():
    place = torch.randn(1, 16, 8, generator=seeded()).expand(50, -1, -1)
    assert leakage(place) == pytest.approx(1)
    noise = torch.randn(400, 16, 8, generator=seeded(1))
    assert leakage(noise) == pytest.approx(1 / 400, rel=0.3)


def test_places_are_taken_out_and_the_rest_is_left():
    place = torch.zeros(16, 8)
    place[:, 0] = torch.linspace(-2, 2, 16)
    blank = place + 3.0
    directions = blank_directions(blank)
    assert directions.shape == (1, 8)
    content = torch.randn(50, 16, 8, generator=seeded())
    rest = remove_directions(content + place, directions)
    assert leakage(content + place) > 0.1
    assert leakage(rest) < 0.05
    torch.testing.assert_close(rest[..., 1:], content[..., 1:])
    assert len(blank_directions(torch.ones(16, 8))) == 0


def test_places_of_unlike_contents_give_a_place_blind_token_its_share():
    draw = torch.randn(400, 16, 1, generator=seeded())
    content = draw + torch.linspace(-1, 1, 16)[None, :, None]  # a world with more on one side
    assert leakage(content) == pytest.approx(0.38 / 1.38, rel=0.1)  # variances: places, contents


def test_two_frames_are_one_clip_to_an_encoder_of_tubelets_and_stand_side_by_side_to_others():
    cfg = config("vjepa", "smoke")
    scenes = make_test(cfg)
    encoder = frozen_copy(make_model(cfg).encoder)
    found = features(encoder, scenes)
    assert found.two_frames().shape == (64, 64 * 32)
    backwards = replace(scenes, frames=scenes.frames.flip(1))
    other = features(encoder, backwards)
    assert (found.two_frames() - other.two_frames()).abs().max() > 1e-3
    ijepa = config("ijepa", "smoke")
    both = features(frozen_copy(make_model(ijepa).encoder), scenes)
    assert both.clip is None
    assert torch.equal(both.two_frames(), torch.cat([*both.patches], dim=1).flatten(1))


def test_motion_is_read_from_the_clip_where_there_is_one():
    truth = torch.randn(200, 8, generator=seeded())
    blind = torch.zeros(2, 200, 4, 3)
    clip = torch.cat([truth[:, TARGETS["velocity"]], torch.zeros(200, 1)], dim=1).unsqueeze(1)
    for tokens, wanted in ((clip, 1.0), (None, 0.0)):
        found = Features(blind[..., 0], blind, tokens)
        scores = motion_scores(found, truth, found, truth, 100)
        assert scores.keys() == {"velocity2_all_100"}
        assert scores["velocity2_all_100"] == pytest.approx(wanted, abs=0.05)


def test_tokens_of_all_columns_and_rows_count_for_collapse():
    places = torch.arange(64.0).view(1, 64, 1).expand(100, -1, -1)
    chosen = sampled(places)
    assert chosen.shape == (100 * SAMPLED, 1)
    counts = chosen.flatten().long().bincount(minlength=64)
    assert counts.min() > 10
    assert torch.equal(chosen, sampled(places))
    assert sampled(places[:, :4]).shape == (400, 1)
    lively = torch.zeros(100, 64, 8)
    lively[:, 1::4] = torch.randn(100, 16, 8, generator=seeded())  # columns 1 and 5 alone
    scores = collapse_scores(Features(torch.randn(2, 100, 8), lively[None].expand(2, -1, -1, -1)))
    assert scores["patch_effective_rank"] > 7


def test_noise_is_a_share_of_a_token_however_many_there_are():
    found = Features(torch.ones(2, 50, 8), torch.ones(2, 50, 64, 8))
    noisy = with_noise(found, seeded())
    for clean, other in ((found.cls, noisy.cls), (found.patches, noisy.patches)):
        gap = (other - clean).std().item()
        assert gap == pytest.approx(0.01 * math.sqrt(8), rel=0.1)
    train, test = (with_noise(found, g).patches for g in [seeded()] for _ in range(2))
    assert not torch.equal(train, test)


def test_the_foreground_of_tokens_that_know_it():
    cfg = config("smoke", data__num_test_frames=256)
    truth = ball_patches(make_test(cfg).cover[:, 0], 8, 8)
    tokens = torch.randn(256, 64, 4, generator=seeded()) * 0.1
    tokens[..., 0] += truth.float() * 3
    tokens[..., 1] += (~truth).float() * 3
    rim = border(8, 8)
    assert rim.sum() == 28
    assert iou(foreground(tokens, (8, 8), num_clusters=2), truth) > 0.95
    found = labelled_foreground(tokens[:100], truth[:100], tokens[100:])
    assert iou(found, truth[100:]) > 0.98
    chance = torch.randn(256, 64, 4, generator=seeded(1))
    assert iou(foreground(chance, (8, 8)), truth) < 0.3


def test_a_cluster_of_fixed_places_is_no_ball():
    cfg = config("smoke", data__num_test_frames=256)
    truth = ball_patches(make_test(cfg).cover[:, 0], 8, 8)
    square = torch.zeros(256, 64, dtype=torch.bool)
    square[:, [9, 14]] = torch.rand(256, 2, generator=seeded()) < 0.5
    tokens = torch.zeros(256, 64, 4) + 0.001 * torch.randn(256, 64, 4, generator=seeded(1))
    tokens[..., 0] += (truth & ~square).float()
    tokens[..., 1] += square.float()
    tokens[..., 2] += (~truth & ~square).float()
    assert iou(foreground(tokens, (8, 8), num_clusters=3), truth & ~square) > 0.95


class Constant(torch.nn.Module):
    """An encoder that says the same of every patch."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.new_ones(len(x), 4), x.new_ones(len(x), 64, 4)


def test_scores_are_the_same_each_time_and_a_perfect_encoder_gets_them():
    cfg = config("smoke")
    held = make_heldout(cfg)
    model = make_model(cfg)
    encoder = frozen_copy(model.encoder)
    one, two = evaluate(encoder, held, cfg), evaluate(encoder, held, cfg)
    assert one == two
    assert all(math.isfinite(value) for value in one.values())
    assert all(p.requires_grad for p in model.encoder.parameters())
    blank = evaluate(FrozenEncoder(Constant(), "constant", False, 8, 4), held, cfg)
    assert blank["collapse_ratio"] == 0
    assert blank["position_all_100"] < 0.05


def test_raw_pixels_and_part_2s_encoder_are_rows():
    cfg = config("smoke")
    scenes = make_test(cfg)
    found = features(raw_pixels(cfg, channels=1), scenes)
    assert found.patches.shape == (2, 64, 64, 64)
    assert found.pooled("all").shape == (2, 64, 4096)
    found = features(conv_jepa(), scenes)
    assert found.patches.shape == (2, 64, 1, 32)


def test_a_v_jepa_reads_two_frames_as_one_clip():
    cfg = config("vjepa", "smoke")
    vit = make_model(cfg).encoder
    scenes = make_test(cfg)
    clips = scenes.frames[:, :2].expand(-1, -1, 3, -1, -1) / 255
    torch.testing.assert_close(features(frozen_copy(vit), scenes).clip, vit(clips).detach())


def chosen(*words: str, resolution: int | None = None) -> FrozenEncoder:
    """The encoder that a script's options choose."""
    return load_chosen(encoder_parser("").parse_args(words), config("smoke"), resolution)


def test_an_encoder_of_larger_patches_sees_balls_at_as_many_tokens(monkeypatch):
    pytest.importorskip("transformers")
    tiny = replace(SIZES["dinov3_vits16"], dim=32, depth=1, num_heads=2, mlp_dim=32)
    monkeypatch.setitem(SIZES, "dinov3_vits16", tiny)
    encoder = chosen("--encoder", "dinov3_vits16", "--random_weights")
    assert (encoder.resolution, encoder.grid(64, 64)) == (128, (8, 8))
    larger = chosen("--encoder", "dinov3_vits16", "--random_weights", resolution=256)
    assert larger.grid(64, 64) == (16, 16)
    assert chosen().resolution is None
    assert chosen(resolution=128).grid(64, 64) == (16, 16)


# Commands.


def test_every_config_of_the_part_loads():
    for path in sorted(CONFIGS.glob("*.yaml")):
        load_config(Config, [BASELINE, path])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--method=dinov3"], "method"),
        (["--steps=0"], "steps"),
        (["--loss_weights.num_slices=0"], "num_slices"),
        (["--loss_weights.sigreg_lambda=-1"], "sigreg_lambda"),
        (["--loss_weights.ema_rate=1.1"], "ema_rate"),
        (["--method=supervised"], "use data.photo_share 0"),
        (["--method=vjepa", "--mask.long_range=[0, 0.5]"], "1 to 64 blocks, got 0"),
        (["--model.tubelet=2"], "use model.tubelet 1, or method vjepa"),
        (["--method=vjepa", "--mask.context_frames=4"], "below data.clip_length 4"),
        (
            ["--method=vjepa", "--loss_weights.visible=1", "--mask.context_frames=2"],
            "use mask.context_frames 0",
        ),
        (["--data.view=60"], "use 48"),
        (["--data.canvas=64"], "use 88 or more"),
        (["--model.num_heads=5"], "divisible by"),
        (["--world.size=60"], "divisible by the patch"),
        (["--world.num_balls=1"], "world.num_balls 2"),
        (["--mask.target_scale=[0.9,0.9]", "--method=ijepa"], "use fewer or smaller blocks"),
        (["--learning_rte=1"], "did you mean --learning_rate"),
        (["--world.door_width=30"], "no inner wall"),
        (["--world.episode_length=9"], "leave world.episode_length"),
        (["--loss_weights.ema_rate=0.9"], "nothing reads it here"),
        (["--method=ijepa", "--views.gain=0.1"], "nothing reads it here"),
        (
            ["--method=ijepa", "--mask.target_aspect=[2.0,0.5]"],
            "must run from low to high, got [2, 0.5]",
        ),
        ([*GRAM, "--loss_weights.gram_start=0"], "at least one step"),
        ([*GRAM, "--loss_weights.gram_start=1"], "no step to run in"),
        ([*GRAM, "--loss_weights.gram_start=0.8"], "no step to run in"),
        (["--method=ijepa", "--mask.least_context=60"], "a lower mask.least_context"),
    ],
)
def test_contradictions_end_in_one_clear_line(tmp_path, refusal, overrides, words):
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", SMOKE, *overrides, where)


def test_masks_that_no_method_reads_are_not_checked():
    assert config("smoke", mask__least_context=4000).batch_size == 8  # lejepa has no masks
    cfg = config("vjepa", "smoke", data__clip_length=8, data__photo_share=0.0)
    assert draw_windows(cfg, make_pool(cfg, seeded()), seeded()).x.shape[1] == 8


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        (probe, ["--seeds=0"], "expected at least 1, got 0"),
        (probe, ["--out=row.txt"], "ends in .json"),
        (plot, ["--results", "--encoder=dino"], "give another its folder with --out"),
        (plot, ["--results", "--random_weights"], "give another its folder with --out"),
        (plot, ["--encoder=dino"], "--results --out is required"),
    ],
)
def test_committed_results_are_not_replaced_by_others(refusal, script, arguments, words):
    assert words in refusal(script.main, *arguments)


def test_a_row_keeps_its_command_and_what_it_was_scored_in(tmp_path, monkeypatch):
    out = tmp_path / "small.json"
    arguments = ["--config", str(SMOKE), "--seeds=2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["probe.py", *arguments])
    rows = {"a ViT": {"position_all_100": mean_interval([0.1, 0.2])}}
    monkeypatch.setattr(probe, "score_seeds", lambda encoders, cfgs: rows)
    probe.main()
    content = read_results(out)
    assert content["command"].endswith(shlex.join(arguments))
    assert content["seeds"] == [5, 6]
    assert content["protocol"]["num_test_frames"] == 64
    assert content["variants"]["a ViT"]["params"] == {"encoder": "lejepa", "is_pretrained": True}


def test_metrics_end_where_their_definition_ends():
    ends = limits(("patch_collapse_ratio", "effective_rank", "position_all_100", "foreground"))
    assert list(ends.values()) == [(0.0, 1.0), (1.0, None), (None, 1.0), (0.0, 1.0)]


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_train_then_probe_as_documented(tmp_path, run, name):
    folder = tmp_path / name
    done = run(*TRAIN, "--config", CONFIGS / f"{name}.yaml", "--steps=4", "--run_dir", folder)
    assert f"\n{METHOD_LABELS[name]} " in done.stdout
    assert load_frozen(name, folder).is_pretrained
    done = run(
        sys.executable, "part4_dinov3_encoder/probe.py", "--encoder", name, "--weights", folder,
        "--config", SMOKE,
    )  # fmt: skip
    assert f"\n{name} ViT" in done.stdout


@pytest.mark.slow
def test_killed_at_random_steps_it_resumes_to_the_same_bits(tmp_path, run, kill_at_random_steps):
    command = [*TRAIN, "--config", str(CONFIGS / "dino_gram.yaml"), "--steps=400"]
    command += ["--save_every=20", "--eval_every=400", "--batch_size=4"]
    run(*command, "--run_dir", tmp_path / "undisturbed")
    kill_at_random_steps(command, tmp_path / "killed")
    run(*command, "--run_dir", tmp_path / "killed")
    one, two = tmp_path / "undisturbed", tmp_path / "killed"
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    assert weights(one).keys() == weights(two).keys()
    assert all(torch.equal(value, weights(two)[name]) for name, value in weights(one).items())


@pytest.mark.slow
def test_probe_of_dinov3_with_random_weights(tmp_path, run):
    pytest.importorskip("transformers")
    done = run(
        sys.executable, "part4_dinov3_encoder/probe.py", "--encoder", "dinov3_vits16",
        "--random_weights", "--resolution", "64", "--config", SMOKE, "--out", tmp_path / "row.json",
    )  # fmt: skip
    assert "dinov3_vits16 with random weights" in done.stdout
    assert (tmp_path / "row.json").exists()


def test_a_vit_of_tubelets_reads_single_frames():
    cfg = config("vjepa", "smoke")
    torch.manual_seed(0)
    assert features(frozen_copy(ViT(**cfg.vit_sizes)), make_test(cfg)).patches.shape == (
        2,
        64,
        64,
        32,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["model"]
