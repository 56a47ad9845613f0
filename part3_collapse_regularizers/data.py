"""Frames that belong together: two views of one state, or a state and those after it.

Every frame is drawn with a brightness and a background of its own. That is the augmentation: what
two frames of a sample share is the state of the balls (the content), what they do not share is how
it looks (the nuisance).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.distractors import sample_layers
from common.episodes import to_float
from common.rendering import render
from common.simulator import Scene, sample_scene, sample_start, step, uniform
from part3_collapse_regularizers.config import Config

CONTENT = ("x", "y", "radius", "second_x", "second_y", "second_radius")


@dataclass(frozen=True)
class Pool:
    """E episodes of N balls in motion, not drawn yet: states (E, T, N, 4) and radius (E, N)."""

    states: Tensor
    radius: Tensor


@dataclass(frozen=True)
class Sample:
    """B samples of V frames that belong together.

    x (V, B, 1, H, W) in [0, 1]; content (V, B, S): x, y and radius of the first ball, then of the
    second (px); nuisance (V, B, 5): brightness of the first ball, mean grey of the background's
    four quadrants.
    """

    x: Tensor
    content: Tensor
    nuisance: Tensor

    def part(self, index: slice) -> "Sample":
        """Some of the B samples."""
        return Sample(self.x[:, index], self.content[:, index], self.nuisance[:, index])


@dataclass(frozen=True)
class Batch(Sample):
    """A sample, and what its loss takes as given: nothing is drawn or moved inside the loss.

    target: what the other side says, without a gradient: its embeddings (V, B, D), DINO's logits
    (V, B, K); None where the other side learns too. slices (D, M) of SIGReg, None elsewhere.
    """

    target: Tensor | None
    slices: Tensor | None


def make_pool(cfg: Config, num_episodes: int, length: int, generator: torch.Generator) -> Pool:
    """Episodes of the config's world, of so many frames; the second ball is the smaller one."""
    drawn = sample_scene(cfg.world, num_episodes, generator)
    radius = drawn.radius.clone()
    radius[:, 1:] *= cfg.data.second_ball
    scene = Scene(radius, drawn.color, drawn.door)
    states = [sample_start(cfg.world, scene, generator)]
    for _ in range(length - 1):
        states.append(step(cfg.world, states[-1], scene, generator=generator))
    return Pool(torch.stack(states, dim=1), radius)


def draw_sample(
    cfg: Config, pool: Pool, batch_size: int, generator: torch.Generator, share: slice = slice(None)
) -> Sample:
    """Samples drawn uniformly, with replacement, each frame with looks of its own.

    All are drawn and a share of them painted, so that the shares of several ranks with equal
    generators make up the batch of one process.
    """
    num_episodes, length = pool.states.shape[:2]
    draw = {"size": (batch_size,), "generator": generator, "device": generator.device}
    episode = torch.randint(0, num_episodes, **draw)
    time = torch.randint(0, length - frames_ahead(cfg), **draw)
    return paint(cfg, pool, episode, time, generator, share, cfg.data.shift)


def first_frames(cfg: Config, pool: Pool, generator: torch.Generator) -> Sample:
    """One sample from the start of every episode: independent of each other."""
    episode = torch.arange(len(pool.states), device=pool.states.device)
    return paint(cfg, pool, episode, torch.zeros_like(episode), generator)


def frames_ahead(cfg: Config) -> int:
    """How far a sample reaches beyond its first frame: two views are of the same moment."""
    return 0 if cfg.setting == "views" else cfg.rollout


def paint(
    cfg: Config, pool: Pool, episode: Tensor, time: Tensor, generator: torch.Generator,
    share: slice = slice(None), max_shift: float = 0.0,
) -> Sample:  # fmt: skip
    """Frames from time (B,) on of an episode (B,), each with looks (and a shift) of its own."""
    batch_size = len(episode)
    frames = (cfg.num_moments, batch_size)  # (V, B)
    color = uniform((*frames, cfg.world.num_balls, 1), cfg.world.brightness, generator)
    number = cfg.num_moments * batch_size
    layer, layer_state = sample_layers(cfg.distractor, cfg.world.size, number, 1, generator)
    device = generator.device
    moments = torch.arange(cfg.num_moments, device=device).clamp(max=frames_ahead(cfg))
    states = pool.states[episode[share], time[share] + moments[:, None]]  # (V, B, N, 4)
    radius = pool.radius[episode[share]].expand(*states.shape[:3])  # (V, B, N)
    shift = uniform((*frames, 1, 2), (-max_shift, max_shift), generator)[:, share]
    states = torch.cat([states[..., :2] + shift, states[..., 2:]], dim=-1)
    color = color[:, share]
    if layer is not None:
        layer = layer.unflatten(0, frames)[:, share].flatten(0, 1)  # (V B, 1, H, W)
    looks = torch.cat([color[:, :, 0], layer_state.unflatten(0, frames)[:, share, 0]], dim=-1)
    no_door = torch.zeros(radius[..., 0].numel(), device=device)
    scene = Scene(radius.flatten(0, 1), color.flatten(0, 1), no_door)
    painted = render(cfg.world, states.flatten(0, 1).unsqueeze(1), scene, layer)[:, 0]
    content = torch.cat([states[..., :2], radius.unsqueeze(-1)], dim=-1).flatten(2)  # (V, B, 3 N)
    return Sample(to_float(painted).unflatten(0, states.shape[:2]), content, looks)
