"""Every image that a person may have is read, or refused in one clear line."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from common.harness.config import REPOSITORY
from common.harness.errors import UserError, run_script
from part4_dinov3_encoder import hover
from part4_dinov3_encoder.demo.images import read_photo, sample_photo, to_tensor

RED, BLUE = (200, 30, 40), (20, 40, 180)


def halves(width: int = 64, height: int = 32) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def saved(folder: Path, image: Image.Image, name: str = "photo.png", **options: object) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def close(pixel: object, wanted: tuple[int, ...], within: int = 12) -> bool:
    return bool(np.abs(np.array(pixel, int) - np.array(wanted, int)).max() <= within)


def test_a_photograph_that_ships_can_be_read():
    image = read_photo(sample_photo(), 256)
    assert image.mode == "RGB"
    assert min(image.size) > 100
    tensor = to_tensor(image)
    assert tensor.shape == (1, 3, image.height, image.width)
    assert 0 <= tensor.min() < tensor.max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    if mode == "I;16":
        deep = np.zeros((32, 64), np.uint16)
        deep[:, 32:] = 65535
        path = saved(tmp_path, Image.fromarray(deep))
        left, right = (0, 0, 0), (255, 255, 255)
    else:
        image = halves().convert(mode)
        path = saved(tmp_path, image, "photo.jpg" if mode == "CMYK" else "photo.png")
        left, right = (halves().convert(mode).convert("RGB").getpixel((x, 16)) for x in (16, 48))
    found = read_photo(path, 64)
    assert found.mode == "RGB"
    assert found.size == (64, 32)
    assert close(found.getpixel((16, 16)), left)
    assert close(found.getpixel((48, 16)), right)


def test_transparent_is_white(tmp_path):
    image = halves().convert("RGBA")
    image.putalpha(0)
    assert read_photo(saved(tmp_path, image), 64).getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_set_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, halves(), "photo.jpg", exif=exif, quality=95)
    found = read_photo(path, 64)
    assert found.size == ((64, 32) if orientation <= 4 else (32, 64))
    first = {1: RED, 2: BLUE, 3: BLUE, 4: RED, 5: RED, 6: RED, 7: BLUE, 8: BLUE}[orientation]
    assert close(found.getpixel((4, 4)), first, within=30)


def test_twenty_megapixels_are_shrunk_on_the_way(tmp_path):
    path = saved(tmp_path, halves(5472, 3648), "photo.jpg")
    found = read_photo(path, 512)
    assert 512 <= max(found.size) < 3 * 512
    assert found.width / found.height == pytest.approx(1.5, rel=0.01)


def test_a_large_photo_is_held_once(tmp_path):
    """Four bytes a pixel, and not those of every step on the way."""
    path = saved(tmp_path, halves(6000, 4000), compress_level=1)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from part4_dinov3_encoder.demo.images import read_photo\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); read_photo(Path(sys.argv[1]), 600); print(peak() - before)"
    )
    run = [sys.executable, "-c", code, str(path)]
    spent = int(subprocess.run(run, capture_output=True, check=True, cwd=REPOSITORY).stdout)
    assert spent * 1024 < 1.5 * 4 * 6000 * 4000


@pytest.mark.parametrize("kind", ["profile", "XMP", "zTXt"])
def test_a_png_that_says_much_of_itself_is_sound(tmp_path, kind):
    much = np.random.default_rng(0).integers(32, 127, 2_000_000, dtype=np.uint8).tobytes()
    text = PngImagePlugin.PngInfo()
    if kind == "XMP":
        text.add_itxt("XML:com.adobe.xmp", much.decode(), zip=True)
    if kind == "zTXt":
        text.add_text("Comment", much.decode(), zip=True)
    options = {"icc_profile": much} if kind == "profile" else {"pnginfo": text}
    found = read_photo(saved(tmp_path, halves(), **options), 64)
    assert close(found.getpixel((48, 16)), BLUE)


def test_a_strip_of_a_photo_keeps_its_shape(tmp_path):
    assert read_photo(saved(tmp_path, halves(20_000, 20)), 600).size == (20_000, 20)
    found = read_photo(saved(tmp_path, halves(4003, 1001)), 600)
    assert found.size == (1335, 334)
    assert close(found.getpixel((1000, 333)), BLUE)


def huge_png(path: Path, width: int, height: int) -> Path:
    """A PNG whose header says so many pixels, and has none of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) +
        chunk(b"IEND", b"")
    )  # fmt: skip
    return path


def bad(folder: Path, kind: str) -> Path:
    """A path that holds no photograph."""
    whole = io.BytesIO()
    halves(256, 256).save(whole, "JPEG")
    match kind:
        case "missing":
            return folder / "nowhere.jpg"
        case "folder":
            return folder
        case "tiny":
            return saved(folder, Image.new("RGB", (1, 1)))
        case "narrow":
            return saved(folder, Image.new("RGB", (20_000, 20)))
        case "huge":
            return huge_png(folder / "huge.png", 12_000, 9_000)
        case "bomb":
            return huge_png(folder / "bomb.png", 100_000, 100_000)
    content = {
        "empty": b"",
        "text": b"this is no image",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        "pdf": b"%PDF-1.7",
        "cut off": whole.getvalue()[: len(whole.getvalue()) // 2],
    }[kind]
    path = folder / "photo.jpg"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("folder", "this is a folder"),
        ("empty", "the file is empty"),
        ("text", "no image of a kind that can be read"),
        ("svg", "an SVG drawing"),
        ("pdf", "this is a PDF"),
        ("cut off", "damaged or cut off"),
        ("narrow", "crop the photo"),
        ("tiny", "1 x 1 px is too small"),
        ("huge", "too large to decode (12000 x 9000 px)"),
        ("bomb", "too large to decode"),
    ],
)
def test_what_is_no_photograph_ends_in_one_line(tmp_path, monkeypatch, capsys, kind, words):
    path = bad(tmp_path, kind)
    if kind != "narrow":  # a photograph, of which no size makes a page
        with pytest.raises(UserError):
            read_photo(path, 64)
    out = tmp_path / "page.html"
    monkeypatch.setattr(sys, "argv", ["hover.py", str(path), "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        run_script(hover.main)
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip()
    assert words in error.splitlines()[-1]
    assert len(error.splitlines()) == 1
    assert not out.exists()
