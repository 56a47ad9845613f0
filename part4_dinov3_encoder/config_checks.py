"""What a ``config.Config`` is refused for that no option's range says; each raises ValueError."""

from typing import Any

import torch

from common.world import World
from part4_dinov3_encoder.data.masks import draw_masks


def need(holds: bool, wanted: str) -> None:
    """Raises ValueError, which says what is wanted, where options contradict each other."""
    if not holds:
        raise ValueError(wanted)


def check_config(cfg: Any) -> None:
    """Of options in different groups."""
    check_sizes(cfg)
    check_world(cfg)
    w, tubelet, length = cfg.loss_weights, cfg.model.tubelet, cfg.data.clip_length
    starts, method = w.gram_start * cfg.steps, cfg.method
    gram = f"loss_weights.gram_start {w.gram_start:g} of {cfg.steps} steps leaves Gram anchoring"
    need(not w.gram or round(starts) >= 1, f"{gram} an untrained teacher: use at least one step")
    need(not w.gram or starts <= cfg.steps - 1, f"{gram} no step to run in: use less")
    single = f"method {method} reads single frames: use model.tubelet 1, or method vjepa"
    need(tubelet == 1 or method == "vjepa", single)
    even = f"data.clip_length {length} must be divisible by model.tubelet {tubelet}"
    need(method != "vjepa" or length % tubelet == 0, even)
    check_masks(cfg)
    labels = "photographs have no labels: with method supervised use data.photo_share 0"
    need(method != "supervised" or cfg.data.photo_share == 0, labels)


def check_masks(cfg: Any) -> None:
    """That masks leave something to be seen and something to be predicted."""
    mask, tubelet, length = cfg.mask, cfg.model.tubelet, cfg.data.clip_length
    for name in ("target_scale", "target_aspect", "context_scale"):
        low, high = getattr(mask, name)
        need(low <= high, f"mask.{name} must run from low to high, got [{low:g}, {high:g}]")
    for name in ("short_range", "long_range"):
        count = getattr(mask, name)[0]
        need(1 <= count <= 64, f"mask.{name} must hold 1 to 64 blocks, got {count}")
    first = mask.context_frames
    some = f"mask.context_frames must be below data.clip_length {length} and divisible by "
    need(
        not first or (first < length and first % tubelet == 0),
        f"{some}model.tubelet {tubelet}, got {first}",
    )
    dense = "loss_weights.visible weighs tokens seen by how far hidden ones are in their frame"
    need(not (first and cfg.loss_weights.visible), f"{dense}: use mask.context_frames 0")
    if cfg.method in ("ijepa", "vjepa", "pixels"):  # a trial, so that training never has to refuse
        draw_masks(cfg, 256, torch.Generator().manual_seed(0))


def check_sizes(cfg: Any) -> None:
    """That windows, views and widths fit."""
    patch, view, shift = cfg.model.patch_size, cfg.data.view, cfg.views.max_shift
    even, use = 2 * patch, max(1, view // (2 * patch)) * 2 * patch
    two = f"data.view must hold an even number of patches of {patch} px, got {view}: use {use}"
    need(view % even == 0, two)
    heads = cfg.model.num_heads
    for name in ("embedding_dim", "predictor_dim"):
        width = getattr(cfg.model, name)
        wanted = f"model.{name} must be divisible by 4 and by model.num_heads {heads}"
        need(width % 4 == 0 and width % heads == 0, f"{wanted}, got {width}")
    views = f"two views of {view} px up to {shift} patches apart do not fit in data.canvas"
    needed, canvas = view + shift * patch, cfg.data.canvas
    need(needed <= canvas, f"{views} {canvas}: use {needed} or more")
    apart = f"views.max_shift {shift} can leave the global views nothing in common"
    need(shift * patch < view, f"{apart}: it must be below {view // patch}")


def check_world(cfg: Any) -> None:
    """That this part draws such a world."""
    world, patch, drawn = cfg.world, cfg.model.patch_size, World(num_balls=2, axes=2)
    whole = f"world.size must be divisible by the patch of {patch} px, got {world.size}"
    need(world.size % patch == 0, whole)
    what = "this part draws two grey balls in the plane, no inner wall, no thrust, and clips of "
    for name in ("num_balls", "channels", "axes", "door_width", "max_thrust", "episode_length"):
        found, wanted = getattr(world, name), getattr(drawn, name)
        need(found == wanted, f"{what}data.clip_length: leave world.{name} {wanted}, got {found}")
