"""Makes a page in which one moves the pointer over a photograph and sees which patches are alike.

    python part4_dinov3_encoder/hover.py                                      a photo that ships
    python part4_dinov3_encoder/hover.py photo.jpg
    python part4_dinov3_encoder/hover.py photo.jpg --encoder dinov3_vits16 --size 448
    python part4_dinov3_encoder/hover.py photo.jpg --encoder dinov3_vits16 --random_weights

The post's "hover demo" is three still pictures. This is one HTML file that works from a double
click, offline: the photograph, the cosine similarity of the patch under the pointer (finger, arrow
keys) to every other on a fixed scale, the encoder's principal directions as colours, a foreground
without labels, and what plain colour would have said. It names the encoder that was asked for,
always. Default output: runs/part4/hover/<photo>.html. The README's picture of it is a browser's:

    chromium --headless --hide-scrollbars --window-size=1280,1000 \\
        --force-device-scale-factor=0.75 \\
        --screenshot=part4_dinov3_encoder/results/figures/hover.png runs/part4/hover/chelsea.html
"""

import argparse
import os
import time
import webbrowser
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from common.frozen import FrozenEncoder, load_frozen
from common.harness.errors import UserError, run_script
from common.harness.files import write_atomic
from common.harness.runs import RUNS
from part4_dinov3_encoder.demo.images import read_photo, sample_photo, to_tensor
from part4_dinov3_encoder.demo.page import View, render
from part4_dinov3_encoder.scoring.encoders import add_encoder_options

NUM_PATCHES = 28  # along the longer side, by default
MOST_PATCHES = 2500  # in all: similarities of every pair are in the page
LARGEST = 4096  # px
OUT = RUNS / "part4" / "hover"


def look(path: Path, encoder: FrozenEncoder, size: int | None) -> View:
    """The photograph at path as the encoder sees it, size px on the longer side.

    Raises UserError when the photograph or the size cannot be used.
    """
    patch = encoder.patch_size
    size = size or NUM_PATCHES * patch
    photo = read_photo(path, max(size, 1200))
    grid = grid_of(photo.width, photo.height, size, patch)
    pixels = (grid[0] * patch, grid[1] * patch)
    frames = F.interpolate(to_tensor(photo), pixels, mode="bicubic", antialias=True).clamp(0, 1)
    tokens = replace(encoder, resolution=None).encode(frames)[0]
    name, is_pretrained = encoder.name, encoder.is_pretrained
    return View(photo, printable(path.name), name, is_pretrained, patch, grid, frames, tokens)


def printable(name: str | Path) -> str:
    """A file's name with what is no UTF-8 in it replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def _patches(width: int, height: int, size: int, patch: int) -> tuple[int, int]:
    scale = size / max(width, height) / patch
    return round(height * scale), round(width * scale)


def grid_of(width: int, height: int, size: int, patch: int) -> tuple[int, int]:
    """Rows and columns of patches, each side to its nearest patch; raises UserError."""
    rows, columns = _patches(width, height, size, patch)
    if min(rows, columns) < 2:
        raise UserError(
            f"--size {size} gives this photo of {width} x {height} px {columns} x {rows} patches "
            f"of {patch} px; expected at least 2 on either side: use a larger --size"
        )
    if rows * columns > MOST_PATCHES:
        raise UserError(
            f"--size {size} gives {columns} x {rows} = {rows * columns} patches; expected at most "
            f"{MOST_PATCHES}, since the page holds every pair: "
            f"{_smaller(width, height, size, patch)}"
        )
    return rows, columns


def _smaller(width: int, height: int, size: int, patch: int) -> str:
    """The advice for a size that is too large: the largest below it that makes a page."""
    for fewer in range(size // patch * patch, patch, -patch):
        rows, columns = _patches(width, height, fewer, patch)
        if min(rows, columns) >= 2 and rows * columns <= MOST_PATCHES:
            return f"use --size {fewer}"
    return "crop the photo, which is too narrow"


def check_out(out: Path, photo: Path) -> None:
    """Raises UserError where the page would replace something that is no page."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a name that ends in .html")
    if out.resolve() == photo.resolve():
        raise UserError(f"--out {out}: this is the photo; expected the name of the page")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shown = "JPEG, PNG or WebP; default: one from an installed package"
    parser.add_argument("photo", nargs="?", type=Path, help=shown)
    add_encoder_options(parser)
    longer = f"longer side that the encoder sees (px); default: {NUM_PATCHES} patches"
    parser.add_argument("--size", type=int, help=longer)
    parser.add_argument("--out", type=Path, help="the page; default: in runs/part4/hover/")
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    args = parser.parse_args()
    if args.size is not None and not 1 <= args.size <= LARGEST:
        raise UserError(f"--size: expected 1 to {LARGEST} px, got {args.size}")
    photo: Path = args.photo or sample_photo()
    out: Path = args.out or OUT / f"{photo.stem}.html"
    check_out(out, photo)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    started = time.monotonic()
    encoder = load_frozen(args.encoder, args.weights, pretrained=not args.random_weights)
    view = look(photo, encoder, args.size)
    page = render(view).encode("utf-8")
    write_atomic(out, page)
    rows, columns = view.grid
    print(f"{view.file_name}: {columns} x {rows} patches, {view.encoder_name}")
    print(f"{printable(out)}  ({len(page) / 1e6:.2f} MB, {time.monotonic() - started:.1f} s)")
    if args.open:
        webbrowser.open(out.resolve().as_uri())


if __name__ == "__main__":
    run_script(main)
