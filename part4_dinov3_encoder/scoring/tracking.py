"""Clips of the textured world, what follows a ball through them, and how far off it is."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from common.frozen import UNTRAINED, FrozenEncoder, load_frozen
from common.harness.aggregate import metric_intervals
from common.harness.config import load_config
from common.intervals import Interval
from part4_dinov3_encoder.config import BASELINE, Config, Stream, generator
from part4_dinov3_encoder.data.scenes import Scenes, make_scenes
from part4_dinov3_encoder.scoring.encoders import raw_pixels
from part4_dinov3_encoder.scoring.propagation import centres, read_out, start_labels, track

FRAMES, CLIPS = 16, 24
SEEDS = (0, 1, 2, 3, 4)
LOST = 8.0  # px: the ball counts as lost when the last frame's error is larger
Follow = Callable[[Tensor, Tensor], Tensor]  # frames (T, 1, H, W) uint8, truth (T, 2) -> (T, 2)


def make_clips(cfg: Config, count: int) -> Scenes:
    """Clips that no encoder was trained on."""
    world = replace(cfg.world, episode_length=FRAMES)
    return make_scenes(world, cfg.texture, count, generator(cfg, Stream.TRACKED_CLIPS))


def follow(encoder: FrozenEncoder, clip: Tensor, point: Tensor) -> Tensor:
    """Places (T, 2) in px of a point (2,) of the first of clip's frames (T, 1, H, W) in uint8."""
    grid = encoder.grid(*clip.shape[2:])
    return track(encoder.encode(clip.float() / 255), grid, clip.shape[2] / grid[0], point)


def with_features(encoder: FrozenEncoder) -> Follow:
    return lambda clip, truth: follow(encoder, clip, truth[0])


def never_moving(clip: Tensor, truth: Tensor) -> Tensor:
    """The worst row: the point stays where it was."""
    return truth[:1].expand_as(truth)


def true_labels(tokens_a_side: int) -> Follow:
    """The upper bound: all labels are true; what is left is the grid's and the readout's."""

    def read(clip: Tensor, truth: Tensor) -> Tensor:
        grid, patch = (tokens_a_side, tokens_a_side), clip.shape[2] / tokens_a_side
        place = centres(grid, patch)
        return torch.stack([read_out(start_labels(point, grid, patch), place) for point in truth])

    return read


def tracking_error(places: Tensor, truth: Tensor) -> dict[str, float]:
    """Mean error (px) after the first frame, and whether the point is lost at the end; (T, 2)."""
    error = (places - truth).norm(dim=-1)
    return {"error_px": error[1:].mean().item(), "lost": float(error[-1] > LOST)}


def score(follower: Follow, clips: Scenes) -> dict[str, float]:
    """Mean scores over the clips' larger balls."""
    rows = []
    for frames, states in zip(clips.frames, clips.states, strict=True):
        truth = states[:, 0, :2]
        rows.append(tracking_error(follower(frames, truth), truth))
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def compare(followers: Mapping[str, Follow]) -> dict[str, dict[str, Interval]]:
    """{row: {metric: interval over seeds}} on the clips of every seed."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in followers}
    for seed in SEEDS:
        clips = make_clips(load_config(Config, [BASELINE], {"seed": seed}), CLIPS)
        for name, follower in followers.items():
            found[name].append(score(follower, clips))
    bounds = {"shares": {"lost": CLIPS}, "limits": {"error_px": (0, None)}}
    return {name: metric_intervals(name, runs, bounds) for name, runs in found.items()}


def controls(cfg: Config, side: int) -> dict[str, Follow]:
    """The rows beside an encoder of side x side tokens, from an untrained ViT to true labels.

    All on that grid, whatever the encoder's patch: the grid decides more than the features do.
    """
    resolution = side * cfg.model.patch_size
    untrained, pixels = load_frozen(UNTRAINED, resolution=resolution), raw_pixels(cfg, resolution)
    return {
        UNTRAINED: with_features(untrained),
        "raw_pixels": with_features(pixels),
        "true_labels": true_labels(side),
        "never_moving": never_moving,
    }
