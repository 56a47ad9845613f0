"""Small multiples in the style of ``common.figures.style``: points, matrices, phase diagrams."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from common.figures.style import (
    DPI,
    FONT,
    LINE,
    PALETTE,
    QUIET,
    WIDTH,
    log_ticks,
    look,
    with_note,
    wrap,
)


@dataclass(frozen=True)
class Cloud:
    """Points (n, 2), coloured by value (n,), within +-limit on both axes."""

    points: np.ndarray
    value: np.ndarray
    limit: float
    title: str = ""


@dataclass(frozen=True)
class Phases:
    """A phase diagram: mean (rows, columns) over ticks of two axes, row 0 at the bottom.

    line: a height per column in units of rows (0 is the middle of the first row).
    """

    mean: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    row_label: str
    column_label: str
    title: str
    line: Sequence[float]
    line_label: str


def clouds(rows: Sequence[Sequence[Cloud]], color_label: str, note: str = "") -> Figure:
    """Scatter plots in a grid, all coloured on one scale.

    Everything has a fixed place, whatever the ticks say: the figures of a film do not jump.
    """
    note = wrap(note)
    columns, left, bottom = len(rows[0]), 0.55, 0.25 + LINE * (1 + note.count("\n"))  # inches
    side = (WIDTH - left - 1.2) / max(2, columns) - 0.5
    height = bottom + len(rows) * (side + 0.8)
    fig = Figure(figsize=(WIDTH, height), dpi=100)

    def place(x: float, y: float, width: float, tall: float) -> tuple[float, float, float, float]:
        return x / WIDTH, y / height, width / WIDTH, tall / height

    values = np.concatenate([cloud.value for row in rows for cloud in row])
    scale = Normalize(values.min(), values.max())
    for r, row in enumerate(rows):
        for c, cloud in enumerate(row):
            y = height - (r + 1) * (side + 0.8) + 0.35
            ax = fig.add_axes(place(left + c * (side + 0.5), y, side, side))
            ax.scatter(*cloud.points.T, c=cloud.value, s=9, cmap="viridis", norm=scale)
            ax.set(xlim=(-cloud.limit, cloud.limit), ylim=(-cloud.limit, cloud.limit))
            ax.ticklabel_format(scilimits=(-2, 3))
            ax.locator_params(nbins=3)
            ax.tick_params(labelsize=FONT - 2)
            ax.set_title(cloud.title, fontsize=FONT, pad=12)
    x = left + columns * (side + 0.5) - 0.2
    bar = fig.colorbar(
        ScalarMappable(scale, "viridis"),
        cax=fig.add_axes(place(x, bottom + 0.1, 0.15, height - bottom - 0.5)),
    )
    bar.set_label(color_label, fontsize=FONT)
    fig.text(0.01, 0.02, note, ha="left", va="bottom", fontsize=FONT, color=QUIET)
    return fig


def matrices(
    contents: Sequence[np.ndarray], titles: Sequence[str], value_label: str, note: str = ""
) -> Figure:
    """Square matrices side by side on one colour scale, -1 to 1, 0 white."""
    fig, axes = _row(len(contents), (WIDTH - 0.8) / len(contents) + 0.5, note)
    for ax, matrix, title in zip(axes, contents, titles, strict=True):
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        ax.set_title(title, fontsize=FONT)
        ax.set(xticks=[], yticks=[])
    fig.colorbar(image, ax=axes, fraction=0.03, pad=0.02).set_label(value_label, fontsize=FONT)
    return fig


def phases(contents: Sequence[Phases], value_label: str, note: str = "") -> Figure:
    """Phase diagrams side by side on one colour scale, 0 to 1, each cell with its number."""
    height = max(0.32 * len(content.rows) for content in contents) + 1.2
    fig, axes = _row(len(contents), height, note)
    for ax, content in zip(axes, contents, strict=True):
        image = ax.imshow(
            content.mean, cmap="viridis", vmin=0, vmax=1, origin="lower", aspect="auto"
        )
        ax.set_xticks(range(len(content.columns)), list(content.columns), fontsize=FONT)
        ax.set_yticks(range(len(content.rows)), list(content.rows), fontsize=FONT)
        ax.set_xlabel(content.column_label, fontsize=FONT)
        ax.set_ylabel(content.row_label, fontsize=FONT)
        ax.set_title(content.title, fontsize=FONT, fontweight="bold", loc="left")
        for (r, c), value in np.ndenumerate(content.mean):
            color, halo = ("black", "white") if value > 0.55 else ("white", "black")
            ax.text(
                c, r, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color, zorder=5,
                path_effects=[withStroke(linewidth=1.5, foreground=halo)],
            )  # fmt: skip
        edges = np.arange(len(content.columns) + 1) - 0.5
        line = np.clip(content.line, -0.5, len(content.rows) - 0.5)
        ax.stairs(line, edges, baseline=None, color="white", linewidth=4, zorder=3)
        ax.stairs(
            line, edges, baseline=None, color=PALETTE["vermillion"], linewidth=2, zorder=4,
            label=content.line_label,
        )  # fmt: skip
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False, fontsize=8)
    fig.colorbar(image, ax=axes, fraction=0.04, pad=0.02).set_label(value_label, fontsize=FONT)
    return fig


def points(
    contents: Sequence[tuple[Mapping[str, tuple[np.ndarray, np.ndarray]], str]],
    y_label: str,
    note: str = "",
) -> Figure:
    """Scatter plots side by side, x on a log scale: ({name: (x, y)}, x label) a panel."""
    fig, axes = _row(len(contents), 3.0, note)
    for ax, (series, x_label) in zip(axes, contents, strict=True):
        for k, (name, (x, y)) in enumerate(series.items()):
            color, marker, _ = look(k)
            ax.scatter(x, y, s=18, color=color, marker=marker, label=name, alpha=0.8)
        ax.set_xscale("log")
        log_ticks(ax.xaxis)
        ax.set_xlabel(x_label, fontsize=FONT)
        ax.set_ylabel(y_label, fontsize=FONT)
        ax.spines[["top", "right"]].set_visible(False)
    fig.legend(
        *fig.axes[0].get_legend_handles_labels(), loc="outside upper center", frameon=False,
        fontsize=FONT, ncols=4,
    )  # fmt: skip
    return fig


def _row(count: int, height: float, note: str) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels side by side, so high (inches), above its note."""
    note = wrap(note)
    size = (WIDTH, height + LINE * (1 + note.count("\n")))
    fig = Figure(figsize=size, dpi=DPI, layout="constrained")
    return with_note(fig, note), [fig.add_subplot(1, count, i + 1) for i in range(count)]
