"""Makes a page in which one moves the pointer over a photograph and sees which patches are alike.

    python part4_dinov3_encoder/hover.py                                      a photo that ships
    python part4_dinov3_encoder/hover.py PHOTO
    python part4_dinov3_encoder/hover.py PHOTO --encoder lejepa --encoder dino      to compare them
    python part4_dinov3_encoder/hover.py PHOTO --encoder dinov3_vits16 --weights FOLDER --size 448
    python part4_dinov3_encoder/hover.py PHOTO --encoder dinov3_vits16 --random_weights

The post's "hover demo" is three still pictures. This is one HTML file that works from a double
click, offline: the photograph, the cosine similarity of the patch under the pointer (finger, arrow
keys) to every other on a fixed scale, the encoder's principal directions as colours, a foreground
without labels, and what plain colour would have said. It names the encoders that were asked for,
always; --weights and --random_weights belong to the --encoder that they stand beside. Default
output: runs/part4/hover/<photo>.html, numbered where another page has that name. The README's
picture of it is a browser's:

    chromium --headless --hide-scrollbars --window-size=1280,955 --virtual-time-budget=2000 \\
        --force-device-scale-factor=0.75 \\
        --screenshot=part4_dinov3_encoder/results/figures/hover.png runs/part4/hover/chelsea.html
"""

import os
import time
import webbrowser
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional as F

from common.frozen import FrozenEncoder, load_frozen
from common.harness.errors import UserError, run_script, typed_path
from common.harness.files import write_atomic
from common.harness.machine import pick_device
from common.harness.runs import RUNS
from part4_dinov3_encoder.demo.images import read_photo, sample_photo, to_tensor
from part4_dinov3_encoder.demo.page import SHOWN_SIDE, View, render
from part4_dinov3_encoder.scoring.encoders import asked_for, encoder_parser

NUM_PATCHES = 28  # along the longer side, by default
MOST_PATCHES = 2500  # in all: similarities of every pair are in the page
LARGEST = 4096  # px
OUT = RUNS / "part4" / "hover"


def look(photo: Image.Image, encoder: FrozenEncoder, size: int | None) -> View:
    """A photograph as the encoder sees it, size px on the longer side; raises UserError."""
    patch = encoder.patch_size
    grid = grid_of(photo.width, photo.height, size or NUM_PATCHES * patch, patch)
    pixels = (grid[0] * patch, grid[1] * patch)
    frames = F.interpolate(to_tensor(photo), pixels, mode="bicubic", antialias=True).clamp(0, 1)
    tokens = replace(encoder, resolution=None).encode(frames)[0]
    return View(encoder.name, encoder.is_pretrained, patch, grid, frames, tokens)


def printable(name: str | Path) -> str:
    """A file's name with what is no UTF-8 in it replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def grid_of(width: int, height: int, size: int, patch: int) -> tuple[int, int]:
    """Rows and columns of patches, each side to its nearest patch.

    Raises UserError, with the nearest size that makes a page, for a size that makes none.
    """

    def at(size: int) -> tuple[int, int]:
        scale = size / max(width, height) / patch
        return round(height * scale), round(width * scale)

    def is_page(grid: tuple[int, int]) -> bool:
        return min(grid) >= 2 and grid[0] * grid[1] <= MOST_PATCHES

    if is_page(grid := at(size)):
        return grid
    possible = [other for other in range(patch, LARGEST + 1, patch) if is_page(at(other))]
    nearest = min(possible, key=lambda other: abs(other - size), default=None)
    advice = "crop the photo, which is too narrow" if nearest is None else f"use --size {nearest}"
    raise UserError(
        f"--size {size} gives {grid[1]} x {grid[0]} patches of {patch} px; expected at least 2 on "
        f"either side and at most {MOST_PATCHES}, since the page holds every pair: {advice}"
    )


def place_of(page: bytes, photo: Path) -> Path:
    """Where a page goes: the photo's name, numbered where another page has it already."""
    names = (OUT / f"{photo.stem}{'' if n == 1 else f'-{n}'}.html" for n in count(1))
    return next(name for name in names if not name.exists() or name.read_bytes() == page)


def check_out(out: Path, photo: Path) -> None:
    """Raises UserError where the page would replace something that is no page."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a name that ends in .html")
    if out.resolve() == photo.resolve():
        raise UserError(f"--out {out}: this is the photo; expected the name of the page")


def main() -> None:
    parser = encoder_parser(__doc__)
    shown = "JPEG, PNG or WebP; default: one from an installed package"
    parser.add_argument("photo", nargs="?", type=Path, help=shown)
    longer = f"longer side that the encoder sees (px); default: {NUM_PATCHES} patches"
    parser.add_argument("--size", type=int, help=longer)
    parser.add_argument("--out", type=typed_path, help="the page; default: in runs/part4/hover/")
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    args = parser.parse_args()
    if args.size is not None and not 1 <= args.size <= LARGEST:
        raise UserError(f"--size: expected 1 to {LARGEST} px, got {args.size}")
    path: Path = args.photo or sample_photo()
    if args.out is not None:
        check_out(args.out, path)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    started = time.monotonic()
    device = pick_device(args.device)
    encoders = [load_frozen(**asked).to(device) for asked in asked_for(args)]
    sizes = [args.size or NUM_PATCHES * encoder.patch_size for encoder in encoders]
    photo, name = read_photo(path, max(SHOWN_SIDE, *sizes)), printable(path.name)
    views = [look(photo, encoder, args.size) for encoder in encoders]
    page = render(photo, name, views).encode("utf-8")
    out: Path = args.out or place_of(page, path)
    note = "; replaces the page that was there" if args.out and out.exists() else ""
    write_atomic(out, page)
    for view in views:
        print(f"{name}: {view.grid[1]} x {view.grid[0]} patches, {view.encoder_name}")
    spent = f"{len(page) / 1e6:.2f} MB, {time.monotonic() - started:.1f} s"
    print(f"{printable(out)}  ({spent}{note})")
    if args.open:
        webbrowser.open(out.resolve().as_uri())


if __name__ == "__main__":
    run_script(main)
