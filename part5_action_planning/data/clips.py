"""The episodes that a model learns from, and the batches of clips drawn from them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.episodes import pick_frames, to_float
from common.feature_cache import cached_features
from common.simulator import sample_scene, sample_start
from part5_action_planning.config import Config
from part5_action_planning.data.recordings import Recording, random_actions, record
from part5_action_planning.model.world_models import TokenModel

CHUNK = 256  # frames encoded at a time


@dataclass(frozen=True)
class Clip:
    """A batch: seen (B, T, C, H, W) frames in [0, 1], or (B, T, N, D) tokens of a frozen encoder.

    actions (B, T - 1, A): actions[:, t] leads from frame t to frame t + 1.
    """

    seen: Tensor
    actions: Tensor


def make_recording(cfg: Config, num_episodes: int, generator: torch.Generator) -> Recording:
    """Episodes of the policy that knows no goal."""
    scene = sample_scene(cfg.world, num_episodes, generator)
    start = sample_start(cfg.world, scene, generator)
    actions = random_actions(
        cfg.task, cfg.world, num_episodes, cfg.world.episode_length - 1, cfg.data.smoothness,
        generator,
    )  # fmt: skip
    return record(cfg.task, cfg.world, cfg.distractor, start, scene, actions, generator)


def draw_clips(
    recording: Recording,
    tokens: np.ndarray | None,
    batch_size: int,
    length: int,
    generator: torch.Generator,
) -> Clip:
    """Clips of neighbouring frames, drawn uniformly with replacement.

    tokens (E, T, N, D) replace the frames where a frozen encoder has read them before.
    """
    num_episodes, num_frames = recording.states.shape[:2]
    episode = torch.randint(num_episodes, (batch_size, 1), generator=generator)
    begin = torch.randint(num_frames - length + 1, (batch_size, 1), generator=generator)
    time = begin + torch.arange(length)  # (B, T)
    episodes = episode.expand_as(time)
    if tokens is None:
        seen = pick_frames(recording.frames, episodes, time)
    else:
        seen = torch.from_numpy(tokens[episodes.numpy(), time.numpy()])  # read from the disk
    return Clip(seen, recording.actions[episodes[:, 1:], time[:, :-1]])


def read_tokens(model: TokenModel, recording: Recording, folder: Path) -> np.ndarray:
    """A frozen encoder's tokens of every recorded frame, (E, T, N, D) in float16.

    Computed once and kept in the folder; mapped, not read into memory.
    """
    tokens = cached_features(model.frozen, recording.frames, folder, "recording")
    return tokens.reshape(*recording.states.shape[:2], *tokens.shape[1:])


@torch.no_grad()
def observe_all(model, recording: Recording) -> Tensor:
    """What a model makes of every recorded frame, (E, T, D)."""
    frames, states = recording.frames.flatten(0, 1), recording.states.flatten(0, 1)
    parts = [
        model.observe(to_float(part), state)
        for part, state in zip(frames.split(CHUNK), states.split(CHUNK), strict=True)
    ]
    return torch.cat(parts).unflatten(0, recording.states.shape[:2])
