"""Who is scored, and what it makes of scenes of two frames: tokens of each, and of the clip."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from common.episodes import to_float
from common.probes import add_noise
from common.vit import ViT, pick_tokens
from part4_dinov3_encoder.config import Config
from part4_dinov3_encoder.data.scenes import Scenes

POOLINGS = ("mean", "max", "all")  # all: every patch token, side by side
CHUNK = 256  # frames encoded at a time
SAMPLED = 16  # tokens of a frame that the collapse of patches is measured on

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]  # frames -> cls (B, D), patches (B, N, D)
EncodeClip = Callable[[Tensor], Tensor]  # clips of two frames (B, 2, C, H, W) -> tokens (B, N, D)


@dataclass(frozen=True)
class Subject:
    """What is scored: a way to encode, its grid of patches, its poolings (cls where it has one).

    encode_clip: of an encoder whose tokens are of two frames each; None where they are of one.
    """

    encode: Encode
    grid: tuple[int, int]
    poolings: tuple[str, ...] = POOLINGS
    encode_clip: EncodeClip | None = None


@dataclass(frozen=True)
class Features:
    """Tokens of two frames: cls (2, n, D), patches (2, n, N, D), each of one frame alone.

    clip (n, N, D): of both frames at once, from an encoder that has such tokens.
    """

    cls: Tensor
    patches: Tensor
    clip: Tensor | None = None

    def pooled(self, pooling: str) -> Tensor:
        """One vector for each frame, (2, n, .)."""
        match pooling:
            case "mean":
                return self.patches.mean(2)
            case "max":
                return self.patches.amax(2)
            case "cls":
                return self.cls
            case _:
                return self.patches.flatten(2)

    def two_frames(self) -> Tensor:
        """All that is known of both frames, (n, .): the clip's tokens, or each frame's in turn."""
        if self.clip is not None:
            return self.clip.flatten(1)
        return self.patches.transpose(0, 1).flatten(1)


def subject_of(vit: ViT, cfg: Config) -> Subject:
    """A ViT of a config, trained or in training; nothing of it is changed."""

    def encode(frames: Tensor) -> tuple[Tensor, Tensor]:
        tokens = vit(frames.expand(-1, 3, -1, -1))
        return tokens.mean(1), tokens

    def encode_clip(clips: Tensor) -> Tensor:
        return vit(clips.expand(-1, -1, 3, -1, -1))

    side = cfg.world.size // vit.patch_size
    return Subject(encode, (side, side), encode_clip=encode_clip if vit.tubelet == 2 else None)


@torch.no_grad()
def features(encode: Encode, scenes: Scenes, encode_clip: EncodeClip | None = None) -> Features:
    """Tokens of both frames of every scene, and of the two as a clip where encode_clip is given."""
    both, clip = [], None
    for t in range(2):
        parts = [encode(to_float(part)) for part in scenes.frames[:, t].split(CHUNK)]
        both.append((torch.cat([cls for cls, _ in parts]), torch.cat([p for _, p in parts])))
    if encode_clip is not None:
        clip = torch.cat(
            [encode_clip(to_float(part)) for part in scenes.frames[:, :2].split(CHUNK)]
        )
    return Features(
        torch.stack([cls for cls, _ in both]), torch.stack([patches for _, patches in both]), clip
    )


def with_noise(found: Features, generator: torch.Generator) -> Features:
    """Features with noise of 1% of a token's length on each of its coordinates.

    On tokens and not on what is pooled from them: noise of a share of a long vector's length, on
    every coordinate, would drown vectors of many tokens and spare those of one.
    """

    def noisy(tokens: Tensor) -> Tensor:
        return add_noise(tokens.flatten(0, -2), generator).view_as(tokens)

    patches, cls = noisy(found.patches), noisy(found.cls)
    return Features(cls, patches, None if found.clip is None else noisy(found.clip))


def sampled(patches: Tensor, per_frame: int = SAMPLED) -> Tensor:
    """Tokens (n k, D) of patches (n, N, D): k of each frame, at places drawn for it.

    The draw has a seed of its own: the same places for every encoder and at every step. k is
    per_frame, or N where that is less.
    """
    draw = torch.rand(patches.shape[:2], generator=torch.Generator().manual_seed(0))
    return pick_tokens(patches, draw.argsort(1)[:, :per_frame]).flatten(0, 1)
