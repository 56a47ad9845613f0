"""What the methods are trained on: clips of balls and of photographs, and windows of them.

Windows are cut, never resized: a training frame is larger than a view of it.
"""

from dataclasses import dataclass, replace
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from common.episodes import to_float
from common.harness.machine import check_memory
from common.sigreg import random_slices
from common.simulator import uniform
from part4_dinov3_encoder.config import Config
from part4_dinov3_encoder.data.batches import Batch, Labelled, Views, Windows
from part4_dinov3_encoder.data.masks import draw_masks
from part4_dinov3_encoder.data.photos import photo_clips
from part4_dinov3_encoder.data.scenes import Scenes, make_scenes


@dataclass(frozen=True)
class Pool:
    """Clips in uint8: balls (E, T, 1, S, S), photos (E, T, 3, S, S) or None.

    truth: the scenes that the balls are of, for the supervised method alone.
    """

    balls: Tensor
    photos: Tensor | None = None
    truth: Scenes | None = None


def make_pool(cfg: Config, generator: torch.Generator) -> Pool:
    """The training clips of a config: balls in a box of the canvas' size, drifting photographs."""
    canvas, length, photo_share = cfg.data.canvas, cfg.data.clip_length, cfg.data.photo_share
    copies = 3 * cfg.data.num_ball_clips + 3 * (photo_share > 0) * cfg.data.num_photo_clips
    check_memory(  # squares, cover and frames of balls; colours of photographs
        "the training clips", (copies, max(2, length), canvas, canvas), 1,
        "data.num_ball_clips, data.num_photo_clips, data.clip_length or data.canvas",
    )  # fmt: skip
    world = replace(cfg.world, size=cfg.data.canvas, episode_length=max(2, cfg.data.clip_length))
    scenes = make_scenes(world, cfg.texture, cfg.data.num_ball_clips, generator)
    size = (cfg.data.num_photo_clips, cfg.data.clip_length, cfg.data.canvas)
    photos = photo_clips(*size, generator) if cfg.data.photo_share > 0 else None
    truth = scenes if cfg.method == "supervised" else None
    return Pool(scenes.frames[:, : cfg.data.clip_length], photos, truth)


def draw_clips(cfg: Config, pool: Pool, length: int, generator: torch.Generator) -> Tensor:
    """Clips (B, length, 3, S, S) in uint8, drawn uniformly; the photographs come last."""
    num_photos = round(cfg.data.photo_share * cfg.batch_size) if pool.photos is not None else 0
    parts = []
    for clips, count in ((pool.balls, cfg.batch_size - num_photos), (pool.photos, num_photos)):
        if clips is None or not count:
            continue
        draw = {"size": (count, 1), "generator": generator, "device": generator.device}
        episode = torch.randint(0, len(clips), **draw)
        begin = torch.randint(0, clips.shape[1] - length + 1, **draw)
        drawn = clips[episode, begin + torch.arange(length, device=generator.device)]
        parts.append(drawn.expand(-1, -1, 3, -1, -1))
    return torch.cat(parts)


def draw_batch(cfg: Config, pool: Pool, step: int, generator: torch.Generator) -> Batch:
    """All that the loss of a step reads and chance decides, drawn in this order."""
    w = cfg.loss_weights
    match cfg.method:
        case "ijepa" | "vjepa" | "pixels":
            windows = draw_windows(cfg, pool, generator)
            if not w.context_sigreg:
                return windows
            slices = random_slices(cfg.model.embedding_dim, w.num_slices, generator)
            return replace(windows, slices=slices)
        case "dino":
            begun = w.gram > 0 and step >= w.gram_start * cfg.steps
            return replace(draw_views(cfg, pool, generator), is_anchored=begun)
        case "lejepa":
            views = draw_views(cfg, pool, generator)
            slices = random_slices(cfg.model.projection_dim, w.num_slices, generator)
            return replace(views, slices=slices)
        case "supervised":
            return draw_labelled(cfg, pool, generator)
        case _:
            assert_never(cfg.method)


def draw_windows(cfg: Config, pool: Pool, generator: torch.Generator) -> Windows:
    """One window of a clip each, and the blocks that are hidden in it; vjepa alone sees clips."""
    length = cfg.data.clip_length if cfg.method == "vjepa" else 1
    clips = draw_clips(cfg, pool, length, generator)
    corner = draw_corner(cfg, len(clips), generator)
    grid, masks = draw_masks(cfg, len(clips), generator)
    return Windows(to_float(cut(clips, corner, cfg.data.view)), masks, grid)


def draw_labelled(cfg: Config, pool: Pool, generator: torch.Generator) -> Labelled:
    """One window of a frame each, and what is true of it."""
    truth, size = pool.truth, (cfg.batch_size,)
    assert truth is not None
    draw = {"size": size, "generator": generator, "device": generator.device}
    episode, time = (torch.randint(0, n, **draw) for n in pool.balls.shape[:2])
    corner, view = draw_corner(cfg, cfg.batch_size, generator), cfg.data.view
    frames = pool.balls[episode, time, None].expand(-1, -1, 3, -1, -1)
    cover = cut(truth.cover[episode, time, None], corner, view)
    side = view // cfg.model.patch_size
    share = F.adaptive_avg_pool2d(to_float(cover), (side, side)).flatten(1)
    place = truth.states[episode, time, 0, :2] - corner.flip(1)  # corners are y, x
    return Labelled(to_float(cut(frames, corner, view)), 2 * place / view - 1, share)


def draw_corner(cfg: Config, count: int, generator: torch.Generator) -> Tensor:
    """Upper left corners (B, 2), y and x, of windows anywhere in a canvas."""
    room = cfg.data.canvas - cfg.data.view + 1
    return torch.randint(room, (count, 2), generator=generator, device=generator.device)


def draw_views(cfg: Config, pool: Pool, generator: torch.Generator) -> Views:
    """Two large views that lie a whole number of patches apart, and small ones anywhere."""
    frames = draw_clips(cfg, pool, 1, generator)[:, 0]  # (B, 3, S, S)
    side, patch, most = cfg.data.view, cfg.model.patch_size, cfg.views.max_shift
    draw = {"size": (len(frames), 2), "generator": generator, "device": generator.device}
    shift = torch.randint(-most, most + 1, **draw)  # patches, of the second view from the first
    room = cfg.data.canvas - side - patch * shift.abs()  # left for the pair of them
    corner = (torch.rand(**draw) * (room + 1)).long()
    first = corner + patch * (-shift).clamp(min=0)
    large = torch.stack([cut(frames, first, side), cut(frames, first + patch * shift, side)])
    small = []
    for _ in range(cfg.views.num_local):
        spot = torch.randint(0, cfg.data.canvas - side // 2 + 1, **draw)
        small.append(cut(frames, spot, side // 2))
    small = torch.stack(small) if small else frames.new_empty(0, len(frames), 3, 0, 0)
    pairs = shared_places(shift, side // patch, cfg.views.num_pairs, generator)
    large, small = (change_looks(cfg, to_float(views), generator) for views in (large, small))
    return Views(large, small, pairs)


def shared_places(shift: Tensor, side: int, num_pairs: int, generator: torch.Generator) -> Tensor:
    """Tokens (2, B, K) of two views of side x side patches that show the same patch.

    shift (B, 2): patches that the second view lies below and to the right of the first. Places are
    uniform in what both see, with replacement.
    """
    both = side - shift.abs()  # (B, 2): rows and columns that both see
    shape = (len(shift), num_pairs, 2)
    draw = torch.rand(shape, generator=generator, device=generator.device)
    place = (draw * both[:, None]).long() + shift.clamp(min=0)[:, None]  # in the first view
    other = place - shift[:, None]
    return torch.stack([side * p[..., 0] + p[..., 1] for p in (place, other)])


def cut(frames: Tensor, corner: Tensor, side: int) -> Tensor:
    """Windows (B, ..., side, side) of frames (B, ..., S, S), upper left corners (B, 2): y, x."""
    flat = frames.flatten(1, -3).flatten(2)  # (B, N, S S)
    y, x = (corner.unsqueeze(-1) + torch.arange(side, device=corner.device)).unbind(1)
    index = (frames.shape[-1] * y[:, :, None] + x[:, None]).flatten(1)  # (B, side side)
    found = flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
    return found.view(*frames.shape[:-2], side, side)


def change_looks(cfg: Config, views: Tensor, generator: torch.Generator) -> Tensor:
    """Views (V, B, 3, H, W) with contrast, brightness and noise of their own, within [0, 1]."""
    shape = (*views.shape[:2], 1, 1, 1)
    gain = uniform(shape, (1 - cfg.views.gain, 1 + cfg.views.gain), generator)
    offset = uniform(shape, (-cfg.views.offset, cfg.views.offset), generator)
    noise = torch.randn(views.shape, generator=generator, device=generator.device)
    noise = noise * cfg.views.noise
    return ((views - 0.5) * gain + 0.5 + offset + noise).clamp_(0, 1)
