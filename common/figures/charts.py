"""Numbers -> figures, in one style for the whole series; no models, no pyplot, no global settings.

panels([Curves(...), Bars(...)])     lines with their bands; bars with their single seeds
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator

from common.figures.style import (
    DPI,
    FONT,
    LETTER,
    LINE,
    PALETTE,
    QUIET,
    WIDTH,
    Look,
    log_ticks,
    look,
    with_note,
    wrap,
)  # fmt: skip

KEY = 9  # letters that a line, its marker and the gaps beside them are wide in a legend


@dataclass(frozen=True)
class Curves:
    """A panel of lines.

    series: {name: {"x", "mean" and, for a band, "low" and "high"}}, lists of numbers, as under
    "curves" in a results file, with None for a missing end of the band. bounds: {label: y} of
    horizontal lines. limits: of y, such as (0, 1) for a share.
    """

    series: Mapping[str, Mapping[str, Sequence[float]]]
    x_label: str
    y_label: str
    bounds: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    log_x: bool = False
    log_y: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Bars:
    """A panel of horizontal bars.

    rows: {row: {name: interval}}, intervals as in a results file: a bar from 0 to the mean, a
    whisker from low to high unless they are None, a dot for each of values. A bar that is named
    like its row stays out of the legend. bounds: {label: x} of vertical lines. limits: of x.
    """

    rows: Mapping[str, Mapping[str, Mapping]]
    x_label: str
    bounds: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    limits: tuple[float, float] | None = None


def panels(
    contents: Sequence[Curves | Bars],
    colors: Mapping[str, str] | None = None,
    note: str = "",
    columns: int = 3,
) -> Figure:
    """Panels side by side, at most so many in a row, under one legend and above one note.

    A name has the same colour, marker and line in every panel; colors may fix its colour.
    """
    names = [*dict.fromkeys(name for content in contents for name in _names(content))]
    looks = {name: look(i) for i, name in enumerate(names)}
    looks |= {n: (c, *looks[n][1:]) for n, c in (colors or {}).items() if n in looks}
    columns = min(columns, len(contents))
    num_rows = -(-len(contents) // columns)
    note = wrap(note)
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
            repeated = isinstance(beside, Bars) and list(beside.rows) == list(content.rows)
            ax.tick_params(labelleft=not repeated)
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        fig.legend(
            handles.values(), handles, loc="outside upper center", frameon=False, fontsize=FONT,
            ncols=_legend_columns(list(handles)),
        )  # fmt: skip
    return with_note(fig, note)


def _legend_columns(labels: Sequence[str]) -> int:
    """Columns of a legend on as few lines as the width allows, at most four entries on each."""
    for num_lines in range(-(-len(labels) // 4), len(labels)):
        columns = -(-len(labels) // num_lines)
        filled = np.array_split(np.array(labels), columns)  # as matplotlib does: column by column
        if sum(max(map(len, column)) + KEY for column in filled) * LETTER <= WIDTH:
            return columns
    return 1


def _names(content: Curves | Bars) -> list[str]:
    if isinstance(content, Curves):
        return list(content.series)
    return [name for row in content.rows.values() for name in row]


def _height(content: Curves | Bars) -> float:
    if isinstance(content, Curves):
        return 2.7
    return 1.1 + 0.1 * len(content.rows) + 0.18 * len(_names(content))


def _draw_curves(ax: Axes, content: Curves, looks: Mapping[str, Look]) -> None:
    ax.set_xlabel(content.x_label, fontsize=FONT)
    ax.set_ylabel(content.y_label, fontsize=FONT)
    for name, curve in content.series.items():
        color, marker, line = looks[name]
        x = curve["x"]
        crowded = len(x) > 20  # then markers are sparse, where they are needed at all
        ax.plot(
            x, curve["mean"], color=color, linestyle=line, markersize=5, label=name,
            marker=None if crowded and len(looks) <= len(PALETTE) else marker,
            markevery=max(1, len(x) // 8) if crowded else None,
        )  # fmt: skip
        if "low" in curve:
            low, high = (np.array(curve[end], dtype=float) for end in ("low", "high"))
            ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    if content.log_x:  # ticks where something was measured
        places = sorted({x for curve in content.series.values() for x in curve["x"]})
        ax.set_xscale("log")
        ax.set_xticks(places, [_short(x) for x in places])
        ax.xaxis.set_minor_locator(NullLocator())
    if content.log_y:
        ax.set_yscale("log")
        log_ticks(ax.yaxis)
    middle = np.median([y for curve in content.series.values() for y in curve["mean"]])
    for y in content.bounds.values():
        ax.axhline(y, color=QUIET, linewidth=1, linestyle="--", zorder=1)
    ax.margins(y=0.16 if content.bounds else 0.06)
    ax.autoscale_view()
    if content.limits:
        low, high = content.limits
        ax.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    ordered = sorted(content.bounds.items(), key=lambda bound: bound[1])
    place = ax.transScale + ax.transLimits  # data -> share of the panel
    levels = _levels([place.transform((1, y))[1] for _, y in ordered], [0.1] * len(ordered))
    for (label, y), level in zip(ordered, levels, strict=True):
        side = 1 if y >= middle else -1  # away from the curves
        ax.annotate(
            label, (0.99 - 0.35 * level, y), xycoords=("axes fraction", "data"),
            xytext=(0, 2 * side), textcoords="offset points", ha="right",
            va="bottom" if side > 0 else "top", fontsize=FONT, color=QUIET,
            path_effects=[withStroke(linewidth=3, foreground="white")], zorder=1,
        )  # fmt: skip


def _draw_bars(ax: Axes, content: Bars, looks: Mapping[str, Look]) -> None:
    y, middles = 0.0, []
    for row, bars in content.rows.items():
        middles.append(y + (len(bars) - 1) / 2)
        for name, bar in bars.items():
            color, _, line = looks[name]
            ax.barh(
                y, bar["mean"], height=0.8, color=color, alpha=0.75, edgecolor="white", linewidth=0,
                hatch={"-": None, "--": "//"}.get(line, "xx"), label=name if name != row else None,
            )  # fmt: skip
            if bar["low"] is not None:
                ends = [bar["low"], bar["high"]]
                ax.plot(ends, [y, y], color="black", linewidth=1.5, marker="|", zorder=4)
            spread = np.linspace(-0.26, 0.26, len(bar["values"])) if len(bar["values"]) > 1 else 0
            ax.scatter(
                bar["values"], y + spread, s=8, color="white", edgecolors="black", linewidths=0.6,
                zorder=3, clip_on=False,
            )  # fmt: skip
            y += 1
        y += 0.55
    ax.set_yticks(middles, list(content.rows))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(y - 0.95, -0.6)
    ax.set_xlabel(content.x_label, fontsize=FONT)
    ordered = sorted(content.bounds.items(), key=lambda bound: bound[1])
    for _, x in ordered:
        ax.axvline(x, color=QUIET, linewidth=1, linestyle="--", zorder=0)
    ax.autoscale_view()
    if content.limits:
        ax.set_xlim(content.limits)
    grid = ax.get_gridspec()
    width = (WIDTH - 1.7) / (grid.ncols if grid else 1)  # of the panel, about (inches)
    sizes = [len(label) * LETTER / width for label, _ in ordered]
    places = [ax.transLimits.transform((x, 0))[0] for _, x in ordered]
    for (label, x), level in zip(ordered, _levels(places, sizes), strict=True):
        ax.annotate(
            label + "\n" * level, (x, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=FONT, color=QUIET,
        )  # fmt: skip


def _levels(places: Sequence[float], sizes: Sequence[float]) -> list[int]:
    """0 for a label with room, one more than its neighbour's for one that would touch it."""
    levels = [0] * len(places)
    for i, (last, place) in enumerate(pairwise(places)):
        touches = place - last < (sizes[i] + sizes[i + 1]) / 2
        levels[i + 1] = levels[i] + 1 if touches else 0
    return levels


def _short(x: float) -> str:
    """1500 as 1.5K, 700000 as 700K."""
    for size, unit in ((1e6, "M"), (1e3, "K")):
        if x >= size:
            return f"{x / size:.2g}{unit}" if x < 10 * size else f"{x / size:.0f}{unit}"
    return f"{x:g}"
