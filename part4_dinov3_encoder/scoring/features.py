"""What a frozen encoder makes of scenes of two frames: tokens of each, and of the clip."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from torch import Tensor

from common.episodes import to_float
from common.frozen import FrozenEncoder, OwnBackbone
from common.probes import add_noise
from common.vit import pick_tokens
from part4_dinov3_encoder.data.scenes import Scenes

CHUNK = 256  # frames encoded at a time
Pooling = Literal["mean", "max", "all", "cls"]
SAMPLED = 16  # tokens of a frame that the collapse of patches is measured on


@dataclass(frozen=True)
class Features:
    """Tokens of two frames: cls (2, n, D), patches (2, n, N, D), each of one frame alone.

    clip (n, N, D): of both frames at once, from an encoder that has such tokens.
    """

    cls: Tensor
    patches: Tensor
    clip: Tensor | None = None

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """How patches become one vector; all: side by side; cls where that is not their mean."""
        if self.patches.shape[2] == 1:
            return ("all",)
        is_mean = torch.allclose(self.cls, self.patches.mean(2), rtol=1e-4, atol=1e-5)
        return ("mean", "max", "all") if is_mean else ("mean", "max", "all", "cls")

    def pooled(self, pooling: Pooling) -> Tensor:
        """One vector for each frame, (2, n, .)."""
        match pooling:
            case "mean":
                return self.patches.mean(2)
            case "max":
                return self.patches.amax(2)
            case "cls":
                return self.cls
            case "all":
                return self.patches.flatten(2)
            case _:
                assert_never(pooling)

    def two_frames(self) -> Tensor:
        """All that is known of both frames, (n, .): the clip's tokens, or each frame's in turn."""
        if self.clip is not None:
            return self.clip.flatten(1)
        return self.patches.transpose(0, 1).flatten(1)


def clip_reader(encoder: FrozenEncoder) -> Callable[[Tensor], Tensor] | None:
    """Clips of two frames (B, 2, C, H, W) -> tokens (B, N, D); None of tokens of one frame each."""
    vit = encoder.backbone.vit if isinstance(encoder.backbone, OwnBackbone) else None
    if vit is None or vit.tubelet != 2:
        return None

    def read(x: Tensor) -> Tensor:
        frames = [encoder.preprocess(x[:, t].to(encoder.device)) for t in range(2)]
        return vit(torch.stack(frames, dim=1)).to(x.device)

    return read


@torch.no_grad()
def features(encoder: FrozenEncoder, scenes: Scenes) -> Features:
    """Tokens of both frames of every scene, and of the two as a clip where it has such tokens."""
    both = []
    for t in range(2):
        parts = [encoder.encode_all(to_float(x)) for x in scenes.frames[:, t].split(CHUNK)]
        both.append([torch.cat(part) for part in zip(*parts, strict=True)])
    cls, patches = (torch.stack(pair) for pair in zip(*both, strict=True))
    read = clip_reader(encoder)
    if read is None:
        return Features(cls, patches)
    clips = [read(to_float(part)) for part in scenes.frames[:, :2].split(CHUNK)]
    return Features(cls, patches, torch.cat(clips))


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
