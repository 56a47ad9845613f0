"""Arrays -> figures, in one style for the whole series; no models, no pyplot, no global settings.

    strip(rows, groups, captions)        grey frames side by side, each with its caption
    panels([Curves(...), Bars(...)])     lines with their bands; bars with their single seeds
    write_png(path, figure)              and write_gif(path, figures), arrays beside them as .npz

A figure is 7 inches wide with 10 pt text, so that it can be read at the width of a blog column
(about 700 px). GIFs are written by Pillow, which matplotlib depends on.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image

from common.files import write_atomic

# Okabe and Ito's colours, which every common form of colour blindness tells apart; their yellow,
# which is hardly seen on white, is left out.
PALETTE = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "black": "#000000",
}
MARKERS = "osD^vPX"  # colour is never the only difference
QUIET = "0.4"  # grey of bounds and notes: there, but not the subject
WIDTH, DPI, FONT = 7.0, 150, 10  # inches, pixels per inch, points
LINE, LETTER = 0.19, 0.07  # inches: a line of text, the width of a letter


@dataclass(frozen=True)
class Group:
    """Neighbouring columns of a strip under one title, underlined in a colour."""

    title: str
    columns: int
    color: str = QUIET


@dataclass(frozen=True)
class Curves:
    """A panel of lines.

    series: {name: {"x", "mean" and, for a band, "low" and "high"}}, lists of numbers, as under
    "curves" in a results file. bounds: {label: y} of horizontal lines.
    """

    series: Mapping[str, Mapping[str, Sequence[float]]]
    x_label: str
    y_label: str
    bounds: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Bars:
    """A panel of horizontal bars.

    rows: {row: {name: {"mean", "low", "high", "values"}}}, as under "arms" in a results file: a bar
    from 0 to the mean, a whisker from low to high, a dot for each of values. A bar that is named
    like its row stays out of the legend. bounds: {label: x} of vertical lines.
    """

    rows: Mapping[str, Mapping[str, Mapping]]
    x_label: str
    bounds: Mapping[str, float] = field(default_factory=dict)
    title: str = ""


def strip(
    rows: Sequence[Sequence[np.ndarray | None]],
    groups: Sequence[Group],
    captions: Sequence[Sequence[str]],
    note: str = "",
) -> Figure:
    """A grid of grey frames (H, W), 0 black to 1 white, a caption under each; None stays blank.

    groups titles the columns, from left to right. Raises ValueError when a row has not as many
    frames and captions as the groups have columns.
    """
    num_columns = sum(group.columns for group in groups)
    for i, (cells, texts) in enumerate(zip(rows, captions, strict=True)):
        if not len(cells) == len(texts) == num_columns:
            wanted = " + ".join(f"{group.columns} of {group.title!r}" for group in groups)
            raise ValueError(
                f"row {i} has {len(cells)} frames and {len(texts)} captions, expected "
                f"{num_columns} of each ({wanted})"
            )
    beside, between = 0.05, 0.22  # inches from cell to cell, from group to group
    gaps = (num_columns - len(groups)) * beside + (len(groups) - 1) * between
    side = min(1.3, (WIDTH - 0.2 - gaps) / num_columns)
    widths = [group.columns * (side + beside) - beside for group in groups]
    titles = [
        textwrap.fill(group.title, max(6, int((width + between) / LETTER)))
        for group, width in zip(groups, widths, strict=True)
    ]
    top = 0.2 + LINE * max(1 + title.count("\n") for title in titles)
    step = side + LINE + 0.12  # from row to row
    note = textwrap.fill(note, int(WIDTH / LETTER))
    height = top + len(rows) * step + LINE * (1 + note.count("\n")) * bool(note)

    fig = Figure(figsize=(WIDTH, height), dpi=DPI)
    ax = fig.add_axes((0, 0, 1, 1))  # in inches, from the upper left corner
    ax.set(xlim=(0, WIDTH), ylim=(height, 0))
    ax.axis("off")
    column, x = 0, (WIDTH - num_columns * side - gaps) / 2
    for group, width, title in zip(groups, widths, titles, strict=True):
        ax.text(x + width / 2, top - 0.12, title, ha="center", va="bottom", fontsize=FONT)
        ax.plot([x, x + width], [top - 0.07] * 2, color=group.color, linewidth=3)
        for _ in range(group.columns):
            for i, (cells, texts) in enumerate(zip(rows, captions, strict=True)):
                _draw_frame(ax, cells[column], texts[column], (x, top + i * step), side)
            column, x = column + 1, x + side + beside
        x += between - beside
    ax.text(0.1, height - 0.06, note, va="bottom", fontsize=FONT, color=QUIET)
    return fig


def panels(
    contents: Sequence[Curves | Bars],
    colors: Mapping[str, str] | None = None,
    note: str = "",
    columns: int = 3,
) -> Figure:
    """Panels side by side, at most so many in a row, under one legend and above one note.

    A name has the same colour and marker in every panel: colors[name], or one of the palette.
    """
    names = list(dict.fromkeys(name for content in contents for name in _names(content)))
    cycle = list(PALETTE.values()) * len(names)
    looks = {
        name: ((colors or {}).get(name, cycle[i]), MARKERS[i % len(MARKERS)])
        for i, name in enumerate(names)
    }
    columns = min(columns, len(contents))
    num_rows = -(-len(contents) // columns)
    note = textwrap.fill(note, int(WIDTH / LETTER))
    height = num_rows * max(map(_height, contents)) + LINE * (2 + note.count("\n"))
    fig = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    handles = {}
    for i, content in enumerate(contents):
        ax = fig.add_subplot(num_rows, columns, i + 1)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=FONT)
        ax.set_title(content.title, fontsize=FONT, fontweight="bold", loc="left")
        if isinstance(content, Curves):
            _draw_curves(ax, content, looks)
        else:
            _draw_bars(ax, content, looks)
            beside = contents[i - 1] if i % columns else None
            named = isinstance(beside, Bars) and list(beside.rows) == list(content.rows)
            ax.tick_params(labelleft=not named)
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        fig.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=4,
                   frameon=False, fontsize=FONT)  # fmt: skip
    if note:
        fig.supxlabel(note, x=0.01, ha="left", fontsize=FONT, color=QUIET)
    return fig


def write_png(path: Path, figure: Figure, **arrays: np.ndarray) -> None:
    """Writes the figure and, where arrays are given, what it was drawn from as .npz beside it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    _write(path, buffer, arrays)


def write_gif(path: Path, frames: Sequence[Figure], fps: float = 8, **arrays: np.ndarray) -> None:
    """Writes figures of one size as a GIF that loops for ever; arrays as in write_png.

    A frame equal to the one before it is not stored again: that one is shown for longer.
    """
    images = [Image.fromarray(_pixels(frame)) for frame in frames]
    tall = Image.fromarray(np.concatenate([np.asarray(image) for image in images]))
    palette = tall.quantize(128)  # one for all frames, so that nothing flickers
    plain = Image.Dither.NONE
    first, *others = [image.quantize(palette=palette, dither=plain) for image in images]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, loop=0, duration=1000 / fps)
    _write(path, buffer, arrays)


def _write(path: Path, picture: io.BytesIO, arrays: Mapping[str, np.ndarray]) -> None:
    if arrays:
        data = io.BytesIO()
        np.savez_compressed(data, **arrays)  # pyright: ignore[reportArgumentType]
        write_atomic(path.with_suffix(".npz"), data.getvalue())
    write_atomic(path, picture.getvalue())


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _draw_frame(
    ax: Axes, frame: np.ndarray | None, caption: str, corner: tuple[float, float], side: float
) -> None:
    x, y = corner
    if frame is not None:
        ax.imshow(frame, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto",
                  extent=(x, x + side, y + side, y))  # fmt: skip
    ax.text(x + side / 2, y + side + 0.04, caption, ha="center", va="top", fontsize=FONT)


def _names(content: Curves | Bars) -> list[str]:
    if isinstance(content, Curves):
        return list(content.series)
    return [name for row in content.rows.values() for name in row]


def _height(content: Curves | Bars) -> float:
    if isinstance(content, Curves):
        return 2.7
    return 1.0 + 0.12 * len(content.rows) + 0.17 * len(_names(content))


def _draw_curves(ax: Axes, content: Curves, looks: Mapping[str, tuple[str, str]]) -> None:
    ax.set_xlabel(content.x_label, fontsize=FONT)
    ax.set_ylabel(content.y_label, fontsize=FONT)
    for name, curve in content.series.items():
        color, marker = looks[name]
        x = curve["x"]
        ax.plot(x, curve["mean"], color=color, marker=marker if len(x) <= 20 else None,
                markersize=5, label=name)  # fmt: skip
        if "low" in curve:
            ax.fill_between(x, curve["low"], curve["high"], color=color, alpha=0.2, linewidth=0)
    if content.log_x:  # ticks where something was measured
        places = sorted({x for curve in content.series.values() for x in curve["x"]})
        ax.set_xscale("log")
        ax.set_xticks(places, [_short(x) for x in places])
        ax.xaxis.set_minor_locator(NullLocator())
    if content.log_y:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
    values = [y for curve in content.series.values() for y in curve["mean"]]
    for label, y in content.bounds.items():  # each label on the side where there are fewer points
        above = y >= np.median(values)
        ax.axhline(y, color=QUIET, linewidth=1, linestyle="--", zorder=1)
        ax.annotate(label, (0.99, y), xycoords=("axes fraction", "data"), xytext=(0, 3 if above else -3),
                    textcoords="offset points", ha="right", va="bottom" if above else "top",
                    fontsize=FONT, color=QUIET, path_effects=[withStroke(linewidth=3, foreground="white")])  # fmt: skip
    ax.margins(y=0.16)


def _short(x: float) -> str:
    """1500 as 1.5K, 700000 as 700K."""
    for size, unit in ((1e6, "M"), (1e3, "K")):
        if x >= size:
            return f"{x / size:.2g}{unit}" if x < 10 * size else f"{x / size:.0f}{unit}"
    return f"{x:g}"


def _draw_bars(ax: Axes, content: Bars, looks: Mapping[str, tuple[str, str]]) -> None:
    ...
