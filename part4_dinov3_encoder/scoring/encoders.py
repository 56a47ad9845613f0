"""The encoders that are scored: those that options choose by name, and raw pixels."""

import argparse
import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from common.frozen import DEFAULT, NAMES, FrozenEncoder, freeze_vit, load_conv_jepa, load_frozen
from common.harness.errors import UserError
from common.harness.machine import add_device, pick_device
from common.vit import ViT, patchify
from part4_dinov3_encoder.config import Config


def encoder_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with --device, and --encoder, --weights, --random_weights for ``asked_for``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def add(option: str, key: str, value: Callable[[str], Any], about: str) -> None:
        parser.add_argument(
            option, action="append", dest="asked", default=[], help=about,
            metavar=key.upper(), type=lambda text: (key, value(text)),
        )  # fmt: skip

    add("--encoder", "name", str, f"one of {', '.join(NAMES)}; default: {DEFAULT}")
    add("--weights", "weights", Path, "a file or folder to read them from")
    parser.add_argument(
        "--random_weights", action="append_const", dest="asked", const=("pretrained", False),
        help="untrained, and marked so",
    )  # fmt: skip
    add_device(parser)
    return parser


def asked_for(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """What ``load_frozen`` is to be given, for each --encoder with the options beside it."""
    found: list[dict[str, Any]] = [{}]
    for key, value in arguments.asked:
        if key == "name" and "name" in found[-1]:
            found.append({})
        found[-1][key] = value
    return found


def load_chosen(
    arguments: argparse.Namespace, cfg: Config, resolution: int | None = None
) -> FrozenEncoder:
    """The encoder that the options choose, for frames of the textured world resized to resolution,
    on the device that they choose.

    By default an encoder that has a resolution of its own (DINOv3) gets the one at which it has as
    many tokens as this repository's ViT: how well balls are found and followed depends on the
    grid first of all. Raises UserError.
    """
    asked = asked_for(arguments)
    if len(asked) > 1:
        raise UserError(f"--encoder was given {len(asked)} times: expected one encoder here")
    device = pick_device(arguments.device)
    encoder = load_frozen(**asked[0], resolution=resolution).to(device)
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


class ConvBackbone(nn.Module):
    """A convolutional encoder of grey frames of 64 px, which has one vector for a frame."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x[:, :1])
        return z, z.unsqueeze(1)


def conv_jepa() -> FrozenEncoder:
    """Part 2's encoder, which has seen one ball on black."""
    encoder = load_conv_jepa()
    dim = encoder.head.out_features
    return FrozenEncoder(ConvBackbone(encoder), "part 2's JEPA", True, 64, dim)


def frozen_copy(vit: ViT) -> FrozenEncoder:
    """A ViT in training behind the interface: a copy, of which nothing is trained."""
    return freeze_vit(copy.deepcopy(vit), "this run's ViT", True)
