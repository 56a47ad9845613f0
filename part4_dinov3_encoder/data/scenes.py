"""The textured world: one or two striped balls of any size on a texture, among flickering squares.

Grey levels of balls, texture and squares overlap, so that no threshold finds a ball.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from common.distractors import Distractor, sample_layers
from common.rendering import disc
from common.simulator import sample_scene, sample_start, step, uniform
from common.world import World
from part4_dinov3_encoder.config import Texture

CHUNK = 512  # frames painted at a time


@dataclass(frozen=True)
class Scenes:
    """E episodes of T frames and what is true of them.

    frames (E, T, 1, H, W) uint8; cover (E, T, H, W) uint8, 255 times the share of each pixel that
    a ball covers; states (E, T, 2, 4) of the larger ball, then the smaller one (nan where there is
    only one); radius (E, 2) px, the second 0 where there is one ball.
    """

    frames: Tensor
    cover: Tensor
    states: Tensor
    radius: Tensor

    @property
    def num_balls(self) -> Tensor:
        """(E,), 1 or 2."""
        return 1 + (self.radius[:, 1] > 0).long()


def make_scenes(
    world: World, texture: Texture, num_episodes: int, generator: torch.Generator
) -> Scenes:
    """Episodes of a world of two balls; every second episode has only the larger one."""
    alone, device = num_episodes // 2, generator.device
    states = torch.full((num_episodes, world.episode_length, 2, 4), math.nan, device=device)
    radius = torch.zeros(num_episodes, 2, device=device)
    color = torch.zeros(num_episodes, 2, device=device)
    for num_balls, part in ((1, slice(0, alone)), (2, slice(alone, num_episodes))):
        one = replace(world, num_balls=num_balls)
        drawn = sample_scene(one, len(radius[part]), generator)
        share = torch.tensor([1.0, texture.second_ball], device=device)[:num_balls]
        scene = replace(drawn, radius=drawn.radius * share)
        state = sample_start(one, scene, generator)
        for t in range(world.episode_length):
            states[part, t, :num_balls] = state
            state = step(one, state, scene)
        radius[part, :num_balls] = scene.radius
        color[part, :num_balls] = scene.color[..., 0]
    mixed = torch.randperm(num_episodes, generator=generator, device=device)
    states, radius, color = states[mixed], radius[mixed], color[mixed]
    frames, cover = _paint(world, texture, states, radius, color, generator)
    return Scenes(frames, cover, states, radius)


def ball_patches(cover: Tensor, rows: int, columns: int) -> Tensor:
    """Which patches of a grid are ball: those covered by half or more; (E, H, W) -> (E, N)."""
    return F.adaptive_avg_pool2d(cover.float(), (rows, columns)).flatten(1) >= 0.5 * 255


def _paint(
    world: World, texture: Texture, states: Tensor, radius: Tensor, color: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Frames and cover of states (E, T, 2, 4), squares behind the balls."""
    (num_episodes, length), device = states.shape[:2], states.device
    cells = {"cell_size": texture.cell_size, "contrast": texture.contrast}
    square = {"num_squares": texture.num_squares, "square_size": texture.square_size}
    background, squares = (
        sample_layers(layer, world.size, num_episodes, length, generator)[0]
        for layer in (Distractor(kind="background", **cells), Distractor(kind="squares", **square))
    )  # (E, 1, H, W), (E, T, H, W)
    assert background is not None
    assert squares is not None
    wavelength = uniform((num_episodes, 2), texture.stripe, generator)
    angle = uniform((num_episodes, 2), (0.0, math.pi), generator)
    wave = math.tau / wavelength[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    shape = (num_episodes * length, world.size, world.size)
    frames = torch.empty(shape, dtype=torch.uint8, device=device)
    cover = torch.zeros_like(frames)
    flat = states.flatten(0, 1)  # (E T, 2, 4)
    pixel = torch.arange(world.size, device=device) + 0.5
    for begin in range(0, len(frames), CHUNK):
        index = torch.arange(begin, min(begin + CHUNK, len(frames)), device=device)
        episode, time = index // length, index % length
        picture = background[episode, 0].float()
        picture[squares[episode, time] > 0] = 255.0
        seen = torch.zeros_like(picture)
        for n in (1, 0):  # the larger ball in front
            there = radius[episode, n] > 0
            state = flat[index, n].nan_to_num(0.0)  # (b, 4); one that is not there is not painted
            share = disc(state, radius[episode, n], world) * there[:, None, None]
            k = wave[episode, n]  # (b, 2), radians per px
            offset = pixel - state[:, :2, None]  # (b, 2, side)
            phase = (k[:, 1:] * offset[:, 1])[:, :, None] + (k[:, :1] * offset[:, 0])[:, None]
            level = 255 * color[episode, n, None, None]
            level = level * (1 - texture.stripe_contrast * (0.5 + 0.5 * phase.sin()))
            picture = picture + share * (level - picture)
            seen = torch.maximum(seen, share)
        frames[index] = picture.add_(0.5).to(torch.uint8)
        cover[index] = seen.mul_(255).add_(0.5).to(torch.uint8)
    shape = (num_episodes, length)
    return frames.unflatten(0, shape).unsqueeze(2), cover.unflatten(0, shape)
