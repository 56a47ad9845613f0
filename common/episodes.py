"""Clips of the ball with everything that is true of them, and the batches drawn from them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from common.distractors import Distractor, sample_layers
from common.harness.machine import check_memory
from common.rendering import render
from common.simulator import Scene, simulate
from common.world import World


@dataclass(frozen=True)
class Clips:
    """E episodes of T frames, in uint8, with the truth beside them.

    frames (E, T, C, H, W) what a model sees; clean (E, T, C, H, W) the same without distractors
    (the same tensor where there are none); states (E, T, N, 4); layers (E, T or 1, H, W) or None;
    layer_states (E, T, S) the distractors' own state.
    """

    frames: Tensor
    clean: Tensor
    states: Tensor
    scene: Scene
    layers: Tensor | None
    layer_states: Tensor


@dataclass(frozen=True)
class Batch:
    """B transitions: x_past (B, n, C, H, W) -> x_next (B, C, H, W), frames in [0, 1].

    clean_next (B, C, H, W) is x_next without distractors; a_t (B, 2) is the ball's heading times
    its share of the top speed, before the step; episode (B,) and time (B,) say where x_next's
    predecessor stands in the clips.
    """

    x_past: Tensor
    x_next: Tensor
    clean_next: Tensor
    a_t: Tensor
    episode: Tensor
    time: Tensor


def make_clips(
    world: World, distractor: Distractor, num_episodes: int, generator: torch.Generator,
    actions: Tensor | None = None,
) -> Clips:  # fmt: skip
    """Simulates and renders num_episodes episodes; actions (E, T - 1, 2) is the thrust, if any."""
    copies = 1 if distractor.kind == "none" else 3  # beside the frames: clean ones, and layers
    check_memory(
        f"{num_episodes} episodes",
        (copies, num_episodes, world.episode_length, world.channels, world.size, world.size), 1,
        "their number, world.episode_length or world.size",
    )  # fmt: skip
    states, scene = simulate(world, num_episodes, generator, actions)
    layers, layer_states = sample_layers(
        distractor, world.size, num_episodes, world.episode_length, generator
    )
    clean = render(world, states, scene)
    frames = clean if layers is None else render(world, states, scene, layers)
    return Clips(frames, clean, states, scene, layers, layer_states)


def to_float(frames: Tensor) -> Tensor:
    """uint8 frames as float32 in [0, 1]."""
    return frames.float().div_(255)


def gather_pairs(
    clips: Clips, episode: Tensor, time: Tensor, history_length: int, top_speed: float
) -> Batch:
    """The transitions time -> time + 1 of the given episodes, after history_length frames."""
    back = torch.arange(history_length - 1, -1, -1, device=time.device)
    past = time[:, None] - back  # (B, n), oldest first
    x_past = pick_frames(clips.frames, episode[:, None].expand_as(past), past)
    x_next = pick_frames(clips.frames, episode, time + 1)
    clean = x_next if clips.layers is None else pick_frames(clips.clean, episode, time + 1)
    a_t = clips.states[episode, time, 0, 2:] / max(top_speed, 1e-6)
    return Batch(x_past, x_next, clean, a_t, episode, time)


def pick_frames(frames: Tensor, episode: Tensor, time: Tensor) -> Tensor:
    """Frames (..., C, H, W) in [0, 1] of the given episodes and times, out of (E, T, C, H, W).

    Whole rows of a flat view are copied: indexing two axes at once goes byte by byte.
    """
    rows = (episode * frames.shape[1] + time).flatten()
    picked = frames.flatten(0, 1).flatten(1).index_select(0, rows)
    return to_float(picked.view(*episode.shape, *frames.shape[2:]))


def draw_batch(
    clips: Clips, batch_size: int, history_length: int, top_speed: float, generator: torch.Generator
) -> Batch:
    """Transitions drawn uniformly, with replacement."""
    num_episodes, length = clips.frames.shape[:2]
    draw = {"size": (batch_size,), "generator": generator, "device": generator.device}
    episode = torch.randint(0, num_episodes, **draw)
    time = torch.randint(history_length - 1, length - 1, **draw)
    return gather_pairs(clips, episode, time, history_length, top_speed)
