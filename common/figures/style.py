"""One style for the figures of the whole series: colours, sizes, text, and how they are written.

A figure is 7 inches wide with 10 pt text, to be read at the width of a blog column (700 px).
"""

import io
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from common.harness.files import write_arrays, write_atomic

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
MARKERS = "osD^vPX*"  # one more than colours: no two series of 56 are drawn alike
LINES = ("-", "--", ":")  # of the first seven series, the next seven, and so on
QUIET = "0.4"  # grey of bounds and notes: there, but not the subject
WIDTH, DPI, FONT = 7.0, 150, 10  # inches, pixels per inch, points
LINE, LETTER = 0.19, 0.075  # inches: a line of text, the width of a letter
Look = tuple[str, str, str]  # colour, marker and line


def look(i: int) -> Look:
    """How the i-th series is drawn: unlike all others in colour and marker taken together."""
    colors = list(PALETTE.values())
    line = LINES[i // len(colors) % len(LINES)]
    return colors[i % len(colors)], MARKERS[i % len(MARKERS)], line


def wrap(text: str, width: float = WIDTH - 0.2) -> str:
    """The text with its lines broken to at most so many inches."""
    letters = max(6, int(width / LETTER))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def with_note(fig: Figure, note: str) -> Figure:
    """The figure with a note below, whose lines are broken already."""
    if note:
        fig.supxlabel(note, x=0.01, ha="left", fontsize=FONT, color=QUIET)
    return fig


def log_ticks(axis: Axis) -> None:
    """Ticks at powers of ten, and over less than three of them at 2 and 5 times each."""
    low, high = axis.get_data_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def write_png(path: Path, figure: Figure, **arrays: np.ndarray) -> None:
    """Writes the figure and, where arrays are given, what it was drawn from as .npz beside it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_arrays(path.with_suffix(".npz"), arrays)
    write_atomic(path, buffer.getvalue())
