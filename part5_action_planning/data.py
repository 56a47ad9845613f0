"""What a model learns from: recorded episodes of random thrust, and clips drawn from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import torch
from torch import Tensor

from common.distractors import Distractor, sample_layers
from common.episodes import pick_frames, to_float
from common.harness.machine import check_memory
from common.rendering import render
from common.simulator import Scene, sample_scene, sample_start
from common.world import World
from part5_action_planning.config import Config, Task
from part5_action_planning.model.jepa import group
from part5_action_planning.model.world_models import TokenModel
from part5_action_planning.tasks.rules import advance_all

CHUNK = 256  # frames encoded at a time
WORDS_OF = 8192  # frames whose patches the words are made of


@dataclass(frozen=True)
class Recording:
    """E episodes: frames (E, T, C, H, W) uint8, states (E, T, 1, 4), actions (E, T - 1, 2)."""

    frames: Tensor
    states: Tensor
    actions: Tensor
    scene: Scene

    @staticmethod
    def cat(parts: Sequence["Recording"]) -> "Recording":
        """The episodes of several recordings, one after another."""
        frames, states, actions = (
            torch.cat([getattr(part, name) for part in parts])
            for name in ("frames", "states", "actions")
        )
        return Recording(frames, states, actions, Scene.cat([part.scene for part in parts]))


@dataclass(frozen=True)
class Batch:
    """Clips: seen (B, T, C, H, W) frames in [0, 1], or (B, T, N, D) tokens of a frozen encoder.

    actions (B, T - 1, A): actions[:, t] leads from frame t to frame t + 1; where these are k steps
    apart, A numbers are k actions. slices (D, M): SIGReg's, for the method that has it.
    """

    seen: Tensor
    actions: Tensor
    slices: Tensor | None = None


def make_recording(cfg: Config, num_episodes: int, generator: torch.Generator) -> Recording:
    """Episodes of the policy that knows no goal."""
    world, copies = cfg.world, 1 if cfg.distractor.kind == "none" else 2  # frames, and layers
    check_memory(
        f"{num_episodes} episodes",
        (copies, num_episodes, world.episode_length, world.channels, world.size, world.size), 1,
        "data.num_train_episodes, world.episode_length or world.size",
    )  # fmt: skip
    scene = sample_scene(cfg.world, num_episodes, generator)
    start = sample_start(cfg.world, scene, generator)
    length = cfg.world.episode_length - 1
    actions = random_actions(cfg, num_episodes, length, generator)
    return record(cfg.task, cfg.world, cfg.distractor, start, scene, actions, generator)


def random_actions(
    cfg: Config, num_episodes: int, length: int, generator: torch.Generator
) -> Tensor:
    """The policy that collects data, (E, length, 2): it knows no goal.

    reach and two_rooms: an autoregressive walk a <- smoothness a + sqrt(1 - smoothness^2) noise,
    of standard deviation max_thrust, clamped to the bounds. bank_shot: uniform in the steps that
    have thrust, then 0. left_right: a fair coin each step.
    """
    shape, most = (num_episodes, length, 2), cfg.world.max_thrust
    draw = {"generator": generator, "device": generator.device}
    match cfg.task.kind:
        case "left_right":
            heading = 2.0 * torch.randint(2, shape, **draw) - 1
            return heading * torch.tensor([1.0, 0.0], device=heading.device)
        case "bank_shot":
            actions = most * (2 * torch.rand(shape, **draw) - 1)
            actions[:, cfg.task.thrust_steps :] = 0
            return actions
        case "reach" | "two_rooms":
            smooth, noise = cfg.data.smoothness, most * torch.randn(shape, **draw)
            walk = noise.clone()
            for t in range(1, length):
                walk[:, t] = smooth * walk[:, t - 1] + (1 - smooth**2) ** 0.5 * noise[:, t]
            return walk.clamp(-most, most)
        case _:
            assert_never(cfg.task.kind)


def record(
    task: Task, world: World, distractor: Distractor, start: Tensor, scene: Scene, actions: Tensor,
    generator: torch.Generator,
) -> Recording:  # fmt: skip
    """What happens when actions (E, T - 1, 2) are executed from start (E, 1, 4), and its frames."""
    states = advance_all(task, world, start, scene, actions)  # (E, T, 1, 4)
    num_episodes, length = states.shape[:2]
    layers, _ = sample_layers(distractor, world.size, num_episodes, length, generator)
    return Recording(render(world, states, scene, layers), states, actions, scene)


def crossing_share(world: World, states: Tensor) -> float:
    """Share of episodes (E, T, 1, 4) in which the ball changes rooms."""
    left = states[:, :, 0, 0] < world.size / 2
    return (left.any(1) & (~left).any(1)).float().mean().item()


def draw_batch(
    recording: Recording, tokens: np.ndarray | None, batch_size: int, length: int,
    generator: torch.Generator, frame_skip: int = 1, share: slice = slice(None),
) -> Batch:  # fmt: skip
    """A share of a batch of clips of frames frame_skip steps apart, drawn with replacement.

    tokens (E, T, N, D) replace the frames where a frozen encoder has read them before.
    """
    num_episodes, num_frames = recording.states.shape[:2]
    draw = {"size": (batch_size, 1), "generator": generator, "device": generator.device}
    episode = torch.randint(0, num_episodes, **draw)[share]
    pushes = (length - 1) * frame_skip
    begin = torch.randint(0, num_frames - pushes, **draw)[share]
    moments = begin + torch.arange(pushes + 1, device=begin.device)
    time = moments[:, ::frame_skip]  # (B, T)
    episodes = episode.expand_as(time)
    if tokens is None:
        seen = pick_frames(recording.frames, episodes, time)
    else:
        rows = (index.numpy(force=True) for index in (episodes, time))
        seen = torch.from_numpy(tokens[tuple(rows)]).to(time.device)  # read from the disk
    return Batch(seen, group(recording.actions[episode, moments[:, :-1]], frame_skip))


def read_tokens(model: TokenModel, recording: Recording, folder: Path) -> np.ndarray:
    """A frozen encoder's tokens of every recorded frame, (E, T, N, D) in float16.

    Computed once and kept in the folder; mapped, not read into memory.
    """
    from common.feature_cache import cached_features  # needed by no other model

    tokens = cached_features(model.frozen, recording.frames, folder, "recording")
    return tokens.reshape(*recording.states.shape[:2], *tokens.shape[1:])


def fit_codebook(codebook: Any, recording: Recording, generator: torch.Generator) -> None:
    """Makes a ``Codebook`` of recorded frames; raises ValueError for too few different patches."""
    frames = recording.frames.flatten(0, 1)
    drawn = torch.randperm(len(frames), generator=generator, device=frames.device)[:WORDS_OF]
    codebook.fit(to_float(frames[drawn]), generator)


@torch.no_grad()
def encode_all(model, recording: Recording) -> Tensor:
    """What a model makes of every recorded frame, (E, T, D)."""
    frames, states = recording.frames.flatten(0, 1), recording.states.flatten(0, 1)
    parts = [
        model.encode(to_float(part), state)
        for part, state in zip(frames.split(CHUNK), states.split(CHUNK), strict=True)
    ]
    return torch.cat(parts).unflatten(0, recording.states.shape[:2])
