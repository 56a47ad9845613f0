"""The options that choose an encoder, the same for every script that takes one."""

import argparse
from pathlib import Path

from common.frozen import DEFAULT, NAMES


def add_encoder_options(parser: argparse.ArgumentParser) -> None:
    """Adds --encoder, --weights and --random_weights, as ``load_frozen`` takes them."""
    parser.add_argument("--encoder", default=DEFAULT, help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--weights", type=Path, help="a file or folder to read them from")
    parser.add_argument("--random_weights", action="store_true", help="untrained, and marked so")
