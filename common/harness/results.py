"""Results files: their one form, and from them the tables of a README.

    {"experiment", "command", "protocol", "versions", "seconds", "seeds",
     "arms":   {arm: {metric: {"mean", "low", "high", "n", "values": [one per seed]}}},
     "bounds": {bound: {metric: the same}},                   floors and ceilings
     "curves": {arm: {metric: {"x", "mean", "low", "high"}}}, optional
     "grid":   {metric: {"axes": {name: [...]}, "mean"}}}     optional

low and high are the ends of a 95% interval over seeds, null for a single seed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.harness.config import UserError
from common.harness.files import read_json, write_atomic, write_json
from common.harness.provenance import versions

FORM = {
    "experiment": str,
    "command": str,
    "protocol": dict,
    "versions": dict,
    "seconds": float | int,
    "seeds": list,
    "arms": dict,
    "bounds": dict,
}
NUMBER = float | int


def read_results(path: Path) -> dict[str, Any]:
    """Returns a results file; raises UserError when it is missing or not in this form."""
    content = read_json(path)
    try:
        validate_results(content)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return content


def write_results(
    path: Path,
    command: str,
    *,
    protocol: Mapping[str, Any],
    seconds: float,
    seeds: Sequence[int],
    arms: Mapping[str, Any],
    bounds: Mapping[str, Any] | None = None,
    **optional: Mapping[str, Any],
) -> None:
    """Writes the results of an experiment, named as its file, with the versions that made them.

    optional: curves, grid. Raises ValueError where the content is not of this module's form.
    """
    content = {
        "experiment": path.stem,
        "command": command,
        "protocol": dict(protocol),
        "versions": versions(),
        "seconds": round(seconds, 1),
        "seeds": list(seeds),
        "arms": dict(arms),
        "bounds": dict(bounds or {}),
        **optional,
    }
    validate_results(content)
    write_json(path, content)


def validate_results(content: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the place, where the content is not of this module's form."""
    for key, kind in FORM.items():
        if not isinstance(content.get(key), kind):
            raise ValueError(f"{key}: expected {kind}, got {content.get(key)!r}")
    strange = set(content) - set(FORM) - {"curves", "grid"}
    if strange:
        raise ValueError(f"unknown key {sorted(strange)[0]}; expected one of {sorted(FORM)}")
    if not content["seeds"] or not all(type(seed) is int for seed in content["seeds"]):
        raise ValueError(f"seeds: expected one or more integers, got {content['seeds']}")
    if not content["arms"]:
        raise ValueError("arms: expected one or more, got none")
    for section in ("arms", "bounds"):
        for place, interval in _cells(section, content[section]):
            _check_interval(place, interval)
    for place, curve in _cells("curves", content.get("curves", {})):
        _check_curve(place, curve)
    for metric, grid in _items("grid", content.get("grid", {})):
        if not isinstance(grid, dict) or set(grid) != {"axes", "mean"}:
            raise ValueError(f"grid.{metric}: expected axes and mean, got {grid!r}")
        sizes = [len(ticks) for _, ticks in _items(f"grid.{metric}.axes", grid["axes"])]
        _check_nested(f"grid.{metric}.mean", grid["mean"], sizes)


def _items(place: str, node: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        raise ValueError(f"{place}: expected a mapping, got {node!r}")
    yield from node.items()


def _cells(section: str, rows: Any) -> Iterator[tuple[str, Any]]:
    """Yields (place, cell) of {row: {metric: cell}}."""
    for row, metrics in _items(section, rows):
        for metric, cell in _items(f"{section}.{row}", metrics):
            yield f"{section}.{row}.{metric}", cell


def _check_interval(place: str, interval: Any) -> None:
    if not isinstance(interval, dict) or set(interval) != {"mean", "low", "high", "n", "values"}:
        raise ValueError(f"{place}: expected mean, low, high, n and values, got {interval!r}")
    _check_nested(f"{place}.values", interval["values"], [interval["n"]])
    low, mean, high = (interval[key] for key in ("low", "mean", "high"))
    if not isinstance(mean, NUMBER):
        raise ValueError(f"{place}.mean: expected a number, got {mean!r}")
    if low is None and high is None and interval["n"] == 1:
        return
    slack = 1e-9 * max(1.0, abs(mean))
    if not (isinstance(low, NUMBER) and isinstance(high, NUMBER)):
        raise ValueError(f"{place}: expected low and high as numbers, got {low!r} and {high!r}")
    if not low - slack <= mean <= high + slack:
        raise ValueError(f"{place}: expected low <= mean <= high, got {low}, {mean}, {high}")


def _check_curve(place: str, curve: Any) -> None:
    if not isinstance(curve, dict) or set(curve) != {"x", "mean", "low", "high"}:
        raise ValueError(f"{place}: expected x, mean, low and high, got {curve!r}")
    for key in ("mean", "low", "high"):
        if len(curve[key]) != len(curve["x"]):
            raise ValueError(f"{place}.{key}: expected {len(curve['x'])} values")


def _check_nested(place: str, node: Any, sizes: Sequence[int]) -> None:
    """Checks lists of these lengths, nested, with numbers (or null) at the bottom."""
    if not sizes:
        if node is not None and not isinstance(node, NUMBER):
            raise ValueError(f"{place}: expected a number, got {node!r}")
        return
    if not isinstance(node, list) or len(node) != sizes[0]:
        raise ValueError(f"{place}: expected a list of {sizes[0]}, got {node!r}")
    for item in node:
        _check_nested(place, item, sizes[1:])


def format_interval(interval: Mapping[str, Any], digits: int = 3) -> str:
    """Returns "0.812 [0.801, 0.823]", or "0.812 (one seed)" without an interval."""
    mean = f"{interval['mean']:.{digits}f}"
    if interval["low"] is None:
        return f"{mean} (one seed)"
    return f"{mean} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first column is aligned left, the others right."""
    ruler = ["---", *("---:" for _ in header[1:])]
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in (header, ruler, *rows))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in escaped)


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table for a terminal, a ruler under the first row; names left, numbers right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


Table = tuple[list[str], list[list[str]]]  # header, rows


def named_tables(*makers: Callable[[], Table]) -> dict[str, str]:
    """Markdown tables by the name in their markers: ``main_table`` makes the table ``main``."""
    return {m.__name__.removesuffix("_table"): markdown_table(*m()) for m in makers}


def update_pages(pages: Mapping[Path, Mapping[str, str]], *, check: bool = False) -> bool:
    """``update_tables`` for several pages; returns whether any differed."""
    return sum(update_tables(page, tables, check=check) for page, tables in pages.items()) > 0


def update_tables(readme: Path, tables: Mapping[str, str], *, check: bool = False) -> bool:
    """Returns whether the README's tables differed from these; rewrites them unless ``check``.

    A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``. Raises UserError when
    the names in the README and those given are not the same.
    """
    text = readme.read_text(encoding="utf-8")
    block = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)
    there = {match[2] for match in block.finditer(text)}
    if there != set(tables):
        odd = sorted(there ^ set(tables))[0]
        raise UserError(f"{readme}: table {odd} is in the README or in the results, but not both")
    new = block.sub(lambda match: f"{match[1]}{tables[match[2]].strip()}\n{match[3]}", text)
    if new != text and not check:
        write_atomic(readme, new.encode())
    return new != text
