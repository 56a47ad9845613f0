"""A person's photograph, whatever their camera made of it, as RGB in [0, 1].

Turned as its EXIF tag says; grey, palette, CMYK, 16-bit and transparent (on white) are made RGB.
Colour profiles are not applied. The header is read first: what would not fit in memory is refused
before a pixel of it is decoded, and a JPEG is decoded at a half, a quarter or an eighth of its size
where that is all that is needed.
"""

import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from common.harness.errors import UserError
from part4_dinov3_encoder.data.photos import HELD_OUT, photo_path

FORMATS = ("JPEG", "PNG", "WEBP")
WANTED = "expected a photograph as JPEG, PNG or WebP"
MAX_PIXELS = 64_000_000  # decoded at once: up to 320 MB for a PNG, 1 GB for a WebP
MIN_SIDE = 16  # px
STRIP = 256  # rows made RGB and shrunk at a time
MAX_TEXT = 2**26  # bytes of a profile or a text in a PNG; Pillow's own limit refuses sound ones
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)  # Pillow's, all met


def sample_photo() -> Path:
    """A photograph that ships inside an installed package: scikit-image's cat, else matplotlib's
    Grace Hopper. Neither is ever trained on."""
    cat, hopper = HELD_OUT
    try:
        return photo_path(cat)
    except UserError:
        return photo_path(hopper)


def read_photo(path: Path, size: int) -> Image.Image:
    """The photograph in RGB, upright, its longer side at most about twice size (px).

    Longer where its shorter side would fall below MIN_SIDE. Raises UserError, in one line, for
    whatever is no photograph, is damaged, is smaller than MIN_SIDE or would decode to more than
    MAX_PIXELS.
    """
    _check_is_file(path)
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF; sizes are checked here
            with Image.open(path, formats=FORMATS) as image:
                if min(image.size) < MIN_SIDE:
                    small = f"{image.width} x {image.height} px is too small to have patches"
                    raise UserError(f"{path}: {small}; expected {MIN_SIDE} px or more a side")
                image.draft("RGB", (size, size))  # JPEG alone: the nearest scale that is not below
                _check_pixels(path, *image.size)
                image.load()
                return _upright(_to_rgb(image, size))
    except UnidentifiedImageError:
        raise UserError(f"{path}: {_guess(path)}; {WANTED}") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path}: {_too_large('its header says so')}") from None
    except MemoryError:
        raise UserError(f"{path}: not enough memory to decode it; pass a smaller photo") from None
    except BROKEN as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"{path}: the image is damaged or cut off ({reason}); {WANTED}: copy or export it again"
        ) from None


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(image, dtype=np.float32) / 255)  # (H, W, 3)
    return pixels.permute(2, 0, 1).unsqueeze(0)


def _check_is_file(path: Path) -> None:
    try:
        wrong = (
            "this is a folder" if path.is_dir()
            else "no such file" if not path.exists()
            else "this is no ordinary file" if not path.is_file()
            else "the file is empty" if path.stat().st_size == 0
            else ""
        )  # fmt: skip
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        wrong = f"cannot be opened ({error})"
    if wrong:
        raise UserError(f"{path}: {wrong}; {WANTED}, or no name for one that ships")


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(f"{path}: {_too_large(f'{width} x {height} px')}")


def _too_large(what: str) -> str:
    return (
        f"too large to decode ({what}); expected at most {MAX_PIXELS // 1_000_000} megapixels: "
        "make it smaller, or save it as a JPEG, which can be decoded at a fraction of its size"
    )


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the EXIF tag says; as it is where the tag cannot be read."""
    try:
        return ImageOps.exif_transpose(image)
    except (*BROKEN, KeyError, TypeError, ZeroDivisionError):
        return image


def _to_rgb(image: Image.Image, size: int) -> Image.Image:
    """RGB, shrunk by a whole factor to twice size or more; strip by strip, to need no second copy.

    It keeps what the file says of itself, its EXIF tags among that.
    """
    width, height = image.size
    factor = max(1, min(max(width, height) // (2 * size), min(width, height) // MIN_SIDE))
    rgb = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * -(-STRIP // factor)
    for top in range(0, height, rows):
        strip = _flat(image.crop((0, top, width, min(height, top + rows))))
        rgb.paste(strip.reduce(factor), (0, top // factor))
    rgb.info = image.info
    return rgb


def _flat(image: Image.Image) -> Image.Image:
    """RGB, on white where it is transparent."""
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip at 255
        deep = np.asarray(image) // 257
        image = Image.fromarray(deep.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _guess(path: Path) -> str:
    """What a file that is no image seems to be."""
    with path.open("rb") as file:
        start = file.read(1024)
    if b"<svg" in start.lower():
        return "this is an SVG drawing, which has no pixels yet"
    if start[4:8] == b"ftyp":
        return "this is a HEIC, AVIF or video file"
    if start.startswith(b"%PDF"):
        return "this is a PDF"
    return "this is no image of a kind that can be read"
