"""Tables as data: which rows and columns of which results files, with their labels.

    MAIN = Table("main", {"jepa": "JEPA", "jepa_z": "JEPA, latent z"},
                 {"smear": ("smear", 3), "coverage": ("coverage", 2)},
                 bounds={"copy": "*baseline: copy of the last frame*"})
    MAIN.markdown(folder)              for a README
    MAIN.text(summary["variants"], summary["bounds"])       for the terminal, of one run

A row is a variant of the table's file, or "file:variant". ``Pivot`` spreads one metric over a
parameter. Pages name tables in markers, see ``update_page``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from common.harness.errors import UserError
from common.harness.files import write_atomic
from common.harness.results import read_results

Rows = list[list[str]]


class Renders(Protocol):
    """What a page can hold between markers: a table, or claims."""

    def markdown(self, folder: Path) -> str: ...


@dataclass(frozen=True)
class Column:
    """A metric as a table shows it: its heading, digits after the point, and a factor (100: %).

    part "metrics" or "differences" (from the file's reference). whole: a count, with commas.
    variant: the one of the row's file that the column shows, where it is not the row's own.
    """

    label: str
    digits: int = 2
    scale: float = 1.0
    part: str = "metrics"
    interval: bool = True
    metric: str = ""  # where it is not the column's key
    whole: bool = False
    variant: str = ""


@dataclass(frozen=True)
class Table:
    """Variants by metrics, then bounds."""

    file: str
    rows: Mapping[str, str]
    columns: Mapping[str, Column | tuple[str, int]]
    bounds: Mapping[str, str] = field(default_factory=dict)
    corner: str = "{n} seeds"

    def markdown(self, folder: Path) -> str:
        """The table as Markdown, from the results files in a folder; raises UserError."""
        corner = self.corner.format(n=len(_read(folder, self.file)["seeds"]))
        lines = [[corner, *(column.label for _, column in self._columns())]]
        for kind, named in (("variants", self.rows), ("bounds", self.bounds)):
            for name, label in named.items():
                lines.append([label])
                for key, column in self._columns():
                    metrics = find(folder, self.file, name, kind, column.variant)
                    lines[-1].append(cell(metrics, key, column))
        return markdown_table(lines)

    def text(self, variants: Mapping[str, Any], bounds: Mapping[str, Any]) -> str:
        """The same for the terminal, of plain numbers {row: {metric: number}}; no differences."""
        columns = [(metric, c) for metric, c in self._columns() if c.part == "metrics"]
        lines = [["", *(column.label for _, column in columns)]]
        for named, labels in ((variants, self.rows), (bounds, self.bounds)):
            for name, numbers in named.items():
                if named is variants or name in labels:
                    cells = (number(numbers.get(metric), c) for metric, c in columns)
                    lines.append([labels.get(name, name), *cells])
        return text_table(lines)

    def _columns(self) -> list[tuple[str, Column]]:
        made = {k: c if isinstance(c, Column) else Column(*c) for k, c in self.columns.items()}
        return [(column.metric or key, column) for key, column in made.items()]


@dataclass(frozen=True)
class Pivot:
    """One metric, a row for each value of one parameter and a column for each of another.

    labels: of the parameters' values; a missing combination stays empty. Columns of numbers are
    sorted, those of words stand as in the file.
    """

    file: str
    metric: str
    row: str
    column: str
    show: Column
    labels: Mapping[Any, str] = field(default_factory=dict)
    corner: str = ""

    def markdown(self, folder: Path) -> str:
        """The table as Markdown, from the results files in a folder; raises UserError."""
        cells: dict[tuple[Any, Any], str] = {}
        for variant in _read(folder, self.file)["variants"].values():
            params = variant["params"]
            if self.row in params and self.column in params:
                place = (params[self.row], params[self.column])
                cells[place] = cell(variant["metrics"], self.metric, self.show)
        columns = [*dict.fromkeys(column for _, column in cells)]
        if not any(isinstance(column, str) for column in columns):
            columns.sort()
        lines = [[self.corner or self.show.label, *map(self._label, columns)]]
        for row in dict.fromkeys(row for row, _ in cells):
            lines.append([self._label(row), *(cells.get((row, column), "") for column in columns)])
        return markdown_table(lines)

    def _label(self, value: Any) -> str:
        return self.labels.get(value) or (value if isinstance(value, str) else f"{value:g}")


@dataclass(frozen=True)
class Sources:
    """Of each results file the command that made it, and its minutes on one core."""

    files: Sequence[str]

    def markdown(self, folder: Path) -> str:
        """The table as Markdown, from the results files in a folder; raises UserError."""
        lines = [["file", "command", "minutes on one core"]]
        for name in self.files:
            content = _read(folder, name)
            minutes = content["seconds"] / 60
            shown = f"{minutes:.0f}" if minutes >= 0.5 else "under 1"
            lines.append([f"`{name}.json`", f"`{content['command']}`", shown])
        return markdown_table(lines)


def find(
    folder: Path, file: str, name: str, kind: str = "variants", variant: str = ""
) -> Mapping[str, Any]:
    """{metric: interval} of a variant or bound, "file:name" or a name of the given file.

    variant: another one of that file. A variant's differences are under "differences.<metric>".
    """
    other, colon, rest = name.partition(":")
    content = _read(folder, file)
    if colon and name not in content["variants"] | content["bounds"]:
        content, name = _read(folder, other), rest
    name = variant or name
    known = content["bounds"] | content["variants"] if kind == "variants" else content["bounds"]
    if name not in known:
        shown = f"{content['experiment']}.json has no {kind} {name}"
        raise UserError(f"{shown}; expected one of {', '.join(known)}")
    found = known[name]
    if "params" not in found:
        return found
    return found["metrics"] | {f"differences.{k}": v for k, v in found["differences"].items()}


def cell(metrics: Mapping[str, Any], metric: str, column: Column) -> str:
    """A metric as its column shows it; empty where there is none."""
    key = metric if column.part == "metrics" else f"{column.part}.{metric}"
    return format_interval(metrics[key], column) if key in metrics else ""


def format_interval(interval: Mapping[str, Any], column: Column) -> str:
    """ "0.812 [0.801, 0.823]"; the number alone where there is no interval, or none to be seen."""
    mean, low, high = (
        number(interval[end], column, column.part != "metrics") for end in ("mean", "low", "high")
    )
    if not column.interval or interval["low"] is None or low == mean == high:
        return mean
    return f"{mean} [{low}, {high}]"


def number(value: float | None, column: Column, signed: bool = False) -> str:
    """A number as a column shows it, never "-0.00"; empty for None."""
    if value is None:
        return ""
    if column.whole:
        return f"{value:,.0f}"
    rounded = round(value * column.scale, column.digits) + 0.0
    return f"{rounded:{'+' if signed else ''}.{column.digits}f}"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first row the heading; columns of numbers are aligned right."""
    is_number = re.compile(r"\*{0,2}[-+]?[\d.,]+%?( \[[^]]*\])?( ?\w{1,3})?\*{0,2}|")
    ruler = [
        "---:" if i and all(is_number.fullmatch(row[i]) for row in rows[1:]) else "---"
        for i in range(len(rows[0]))
    ]
    escaped = ([text.replace("|", "\\|") for text in row] for row in (rows[0], ruler, *rows[1:]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal, a ruler under the first row; names left, numbers right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def update_page(page: Path, blocks: Mapping[str, Renders], folder: Path, *, check: bool) -> bool:
    """Whether a page's blocks differed from the results; rewrites them unless ``check``.

    A block stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``. Raises UserError when
    the names on the page and those given are not the same.
    """
    text = page.read_text(encoding="utf-8")
    block = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)
    there = {match[2] for match in block.finditer(text)}
    if there != set(blocks):
        odd = sorted(there ^ set(blocks))[0]
        raise UserError(f"{page}: block {odd} is on the page or among the tables, but not both")
    new = block.sub(lambda m: f"{m[1]}{blocks[m[2]].markdown(folder).strip()}\n{m[3]}", text)
    if new != text and not check:
        write_atomic(page, new.encode())
    return new != text


def _read(folder: Path, file: str) -> dict[str, Any]:
    path = folder / f"{file}.json"
    return _read_once(path, path.stat().st_mtime_ns if path.exists() else 0)


@cache
def _read_once(path: Path, changed: int) -> dict[str, Any]:
    """A results file as it was at its last change: a page reads one for each of its cells."""
    return read_results(path)
