"""Frames side by side: the strip, and the GIF that a series of figures makes.

strip(rows, groups, captions)        a grid of grey frames with a caption under each
write_gif(path, figures)             looping; written by Pillow, which matplotlib depends on
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from common.figures.style import DPI, FONT, LINE, QUIET, WIDTH, wrap
from common.harness.files import write_arrays, write_atomic

LARGEST = 1.1  # side of a frame (inches)
BESIDE, BETWEEN = 0.05, 0.22  # gaps (inches): from frame to frame, from group to group


@dataclass(frozen=True)
class Group:
    """Neighbouring columns under one title, underlined in a colour."""

    title: str
    columns: int
    color: str = QUIET


def strip(
    rows: Sequence[Sequence[np.ndarray | None]],
    groups: Sequence[Group],
    captions: Sequence[Sequence[str]],
    note: str = "",
) -> Figure:
    """A grid of frames, (H, W) from black to white or (H, W, 3), a caption under each, or blanks.

    groups titles the columns, from left to right. Raises ValueError when a row has not as many
    frames and captions as the groups have columns.
    """
    num_columns = sum(group.columns for group in groups)
    for i, (frames, texts) in enumerate(zip(rows, captions, strict=True)):
        if not len(frames) == len(texts) == num_columns:
            wanted = " + ".join(f"{group.columns} of {group.title!r}" for group in groups)
            got = f"row {i} has {len(frames)} frames and {len(texts)} captions"
            raise ValueError(f"{got}, expected {num_columns} of each ({wanted})")
    gaps = (num_columns - len(groups)) * BESIDE + (len(groups) - 1) * BETWEEN
    side = min(LARGEST, (WIDTH - 0.2 - gaps) / num_columns)
    widths = [group.columns * (side + BESIDE) - BESIDE for group in groups]
    titles = [wrap(g.title, w + BETWEEN) for g, w in zip(groups, widths, strict=True)]
    note = wrap(note)
    top = 0.2 + LINE * max(1 + title.count("\n") for title in titles)
    step = side + LINE + 0.12  # from row to row
    height = top + len(rows) * step + (LINE * (1 + note.count("\n")) if note else 0)

    fig = Figure(figsize=(WIDTH, height), dpi=DPI)
    ax = fig.add_axes((0, 0, 1, 1))  # in inches, from the upper left corner
    ax.set(xlim=(0, WIDTH), ylim=(height, 0))
    ax.axis("off")
    column, x = 0, (WIDTH - num_columns * side - gaps) / 2
    for group, width, title in zip(groups, widths, titles, strict=True):
        ax.text(x + width / 2, top - 0.12, title, ha="center", va="bottom", fontsize=FONT)
        ax.plot([x, x + width], [top - 0.07] * 2, color=group.color, linewidth=3)
        for _ in range(group.columns):
            for i, (frames, texts) in enumerate(zip(rows, captions, strict=True)):
                frame, y = frames[column], top + i * step
                if frame is not None:
                    ax.imshow(
                        frame, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto",
                        extent=(x, x + side, y + side, y),
                    )  # fmt: skip
                middle, below = x + side / 2, y + side + 0.04
                ax.text(middle, below, texts[column], ha="center", va="top", fontsize=FONT)
            column, x = column + 1, x + side + BESIDE
        x += BETWEEN - BESIDE
    ax.text(0.1, height - 0.06, note, va="bottom", fontsize=FONT, color=QUIET)
    return fig


def write_gif(path: Path, figures: Sequence[Figure], fps: float = 8, **arrays: np.ndarray) -> None:
    """Writes figures of one size as a GIF that loops for ever; arrays as in ``write_png``.

    A figure that looks like the one before it is not stored again: that one is shown for longer.
    """
    frames = [_pixels(figure) for figure in figures]
    if len({frame.shape for frame in frames}) != 1:
        raise ValueError(f"expected figures of one size, got {[f.shape[:2] for f in frames]} px")
    pixels, palette = _to_palette(np.stack(frames))
    images = [Image.fromarray(frame) for frame in pixels]
    for image in images:
        image.putpalette(palette)
    buffer, more = io.BytesIO(), images[1:]
    images[0].save(buffer, "GIF", save_all=True, append_images=more, loop=0, duration=1000 / fps)
    write_arrays(path.with_suffix(".npz"), arrays)
    write_atomic(path, buffer.getvalue())


def _pixels(figure: Figure) -> np.ndarray:
    """The figure as it is drawn, (H, W, 3) in uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _to_palette(frames: np.ndarray) -> tuple[np.ndarray, bytes]:
    """Frames (F, H, W, 3) as indices (F, H, W) of their 256 commonest colours, and those.

    Pillow's own choice of colours keeps 6 bits of each: a white page would turn grey.
    """
    codes = np.zeros(frames.shape[:-1], dtype=np.uint32)
    for c in range(3):
        codes = codes << 8 | frames[..., c]  # 0xRRGGBB
    counts = np.bincount(codes.ravel())
    colors = counts.nonzero()[0]
    colors = colors[counts[colors].argsort(kind="stable")[::-1]]  # commonest first, everywhere
    rgb = colors[:, None] >> np.array([16, 8, 0]) & 255  # (n, 3)
    distance = np.abs(rgb[:, None] - rgb[None, :256]).sum(-1)
    index = np.zeros(len(counts), dtype=np.uint8)
    index[colors] = distance.argmin(1)
    return index[codes], rgb[:256].astype(np.uint8).tobytes()
