"""States -> frames. A disc touches some 300 of 4,096 pixels, so only its window is computed."""

import math

import torch
from torch import Tensor

from common.simulator import INNER_WALL_THICKNESS, Scene
from common.world import World

INNER_WALL_BRIGHTNESS = 0.5
CHUNK = 512  # frames painted at a time, so that their windows stay in a core's cache


def coverage(center: Tensor, radius: Tensor, corner: Tensor, side: int, antialias: bool) -> Tensor:
    """Share of each pixel that a disc covers, (B, side, side), in a window with its corner given.

    center (B, 2) px, radius (B,) px, corner (B, 2) the window's upper left pixel. Anti-aliased by
    the signed distance of the pixel's centre to the rim, exact where it runs along an axis; without
    antialias a pixel counts when its index lies within the radius, as in the posts.
    """
    pixel = torch.arange(side, device=center.device, dtype=center.dtype)
    if antialias:
        pixel = pixel + 0.5
    offset = pixel + (corner - center).unsqueeze(-1)  # (B, 2, side)
    offset.square_()
    squared = offset[:, 0].unsqueeze(-2) + offset[:, 1].unsqueeze(-1)  # (B, side y, side x)
    if not antialias:
        return (squared <= radius.square()[:, None, None]).to(center.dtype)
    return squared.sqrt_().neg_().add_((radius + 0.5)[:, None, None]).clamp_(0, 1)


def disc(states: Tensor, radius: Tensor, world: World) -> Tensor:
    """Coverage of whole frames by one ball each, (B, H, W), for states (B, 4) and radius (B,)."""
    corner = torch.zeros_like(states[:, :2])
    return coverage(states[:, :2], radius, corner, world.size, world.antialias)


def render(world: World, states: Tensor, scene: Scene, background: Tensor | None = None) -> Tensor:
    """Frames (B, T, C, H, W) in uint8, of states (B, T, N, 4), later balls in front.

    background (B, T or 1, H, W) uint8 lies behind walls and balls; None is black.
    """
    batch, length, num_balls = states.shape[:3]
    size, channels = world.size, world.channels
    shape = (batch, length, channels, size, size)
    frames = torch.zeros(shape, dtype=torch.uint8, device=states.device)
    if background is not None:
        frames += background.unsqueeze(2)
    if world.door_width:
        _paint_inner_wall(world, frames, scene)
    flat = frames.view(batch * length, channels, size, size)
    empty = background is None and not world.door_width
    scene = scene.repeat(length)  # radius (B T, N), color (B T, N, C)
    for n in range(num_balls):
        radius, color = scene.radius[:, n], scene.color[:, n]
        _paint_balls(world, flat, states[:, :, n].flatten(0, 1), radius, color, empty and n == 0)
    return frames


def _paint_balls(
    world: World, frames: Tensor, states: Tensor, radius: Tensor, color: Tensor, on_black: bool
) -> None:
    """Paints one ball into each frame (B, C, H, W), in place."""
    size = world.size
    side = min(size, 2 * math.ceil(world.radius[1]) + 3)
    # every window of a frame is a view into it: (B, C, y, x, side, side)
    windows = frames.unfold(2, side, 1).unfold(3, side, 1)
    for begin in range(0, len(frames), CHUNK):
        part = slice(begin, begin + CHUNK)
        center, level = states[part, :2], 255 * color[part, :, None, None]
        corner = (center - side / 2).round_().clamp_(0, size - side)
        share = coverage(center, radius[part], corner, side, world.antialias).unsqueeze(1)
        x, y = corner.long().unbind(-1)
        b = torch.arange(begin, begin + len(x), device=frames.device)
        if on_black:
            painted = share * level
        else:
            below = windows[b, :, y, x].float()
            painted = below + share * (level - below)
        windows[b, :, y, x] = painted.add_(0.5).to(torch.uint8)


def _paint_inner_wall(world: World, frames: Tensor, scene: Scene) -> None:
    left = round((world.size - INNER_WALL_THICKNESS) / 2)
    right = left + round(INNER_WALL_THICKNESS)
    row = torch.arange(world.size, device=frames.device) + 0.5
    solid = (row - scene.door.unsqueeze(-1)).abs() > world.door_width / 2  # (B, H)
    strip = frames[..., left:right]
    strip[:] = torch.where(
        solid[:, None, None, :, None], round(255 * INNER_WALL_BRIGHTNESS), strip.int()
    ).to(torch.uint8)
