"""The options that choose an encoder, the same for every script that takes one."""

import argparse
from dataclasses import replace
from pathlib import Path

from common.frozen import DEFAULT, NAMES, FrozenEncoder, load_frozen
from part4_dinov3_encoder.config import Config


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Adds --encoder, --weights and --random_weights, as ``load_frozen`` takes them."""
    parser.add_argument("--encoder", default=DEFAULT, help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--weights", type=Path, help="a file or folder to read them from")
    parser.add_argument("--random_weights", action="store_true", help="untrained, and marked so")


def is_default(arguments: argparse.Namespace) -> bool:
    """Whether these options ask for no other encoder than the published default."""
    other = arguments.weights is not None or arguments.random_weights
    return arguments.encoder == DEFAULT and not other


def load_chosen(
    arguments: argparse.Namespace, cfg: Config, resolution: int | None = None
) -> FrozenEncoder:
    """The encoder that the options choose, for frames of the ball world resized to resolution px.

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
