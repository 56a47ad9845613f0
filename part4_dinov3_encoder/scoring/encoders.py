"""The encoders that are scored: those that options choose by name, and raw pixels."""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from common.frozen import DEFAULT, NAMES, FrozenEncoder, OwnBackbone, load_frozen
from common.vit import patchify
from part4_dinov3_encoder.config import Config
from part4_dinov3_encoder.scoring.features import POOLINGS, Subject


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Adds --encoder, --weights and --random_weights, as ``load_frozen`` takes them."""
    parser.add_argument("--encoder", default=DEFAULT, help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--weights", type=Path, help="a file or folder to read them from")
    parser.add_argument("--random_weights", action="store_true", help="untrained, and marked so")


def load_chosen(
    arguments: argparse.Namespace, cfg: Config, resolution: int | None = None
) -> FrozenEncoder:
    """The encoder that the options choose, for frames of the textured world resized to resolution.

    By default an encoder that has a resolution of its own (DINOv3) gets the one at which it has as
    many tokens as this repository's ViT: how well balls are found and followed depends on the
    grid first of all. Raises UserError.
    """
    encoder = load_frozen(
        arguments.encoder,
        arguments.weights,
        resolution=resolution,
        pretrained=not arguments.random_weights,
    )
    if resolution is not None or encoder.resolution is None:
        return encoder
    side = cfg.world.size // cfg.model.patch_size
    return replace(encoder, resolution=side * encoder.patch_size)


class PixelBackbone(nn.Module):
    """Patches of the picture as they are, for a FrozenEncoder."""

    def __init__(self, patch_size: int, channels: int) -> None:
        super().__init__()
        self.patch_size, self.channels = patch_size, channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = patchify(x[:, None, : self.channels], self.patch_size).flatten(1, 3)
        return tokens.mean(1), tokens


def raw_pixels(cfg: Config, resolution: int | None = None, *, channels: int = 3) -> FrozenEncoder:
    """Raw patches behind the encoders' interface: the row without an encoder.

    channels: 1 holds each pixel of a grey picture once.
    """
    patch = cfg.model.patch_size
    backbone, dim = PixelBackbone(patch, channels), channels * patch**2
    return FrozenEncoder(backbone, "raw pixels", False, patch, dim, resolution=resolution)


def frozen_subject(encoder: FrozenEncoder, cfg: Config) -> Subject:
    """A frozen encoder as what is scored; with its CLS token where that is not the mean.

    One of tubelets of two frames (V-JEPA of this repository) reads clips as well.
    """
    size = cfg.world.size
    cls, patches = encoder.encode_all(torch.zeros(1, 1, size, size))
    has_cls = not torch.allclose(cls, patches.mean(1))
    poolings = (*POOLINGS, "cls") if has_cls else POOLINGS
    vit = encoder.backbone.vit if isinstance(encoder.backbone, OwnBackbone) else None

    @torch.no_grad()
    def encode_clip(clips: Tensor) -> Tensor:
        assert vit is not None
        return vit(torch.stack([encoder.preprocess(clips[:, t]) for t in range(2)], dim=1))

    reads_clips = vit is not None and vit.tubelet == 2
    grid = encoder.grid(size, size)
    return Subject(encoder.encode_all, grid, poolings, encode_clip if reads_clips else None)
