"""YAML in which a slip of the pen is an error and a value is what it looks like.

    load_file(path) -> mapping      load_text(text) -> value
    dump(mapping) -> text           flatten(mapping) -> {dotted key: value}

Refused: duplicate keys, keys that are no names, tags (so nothing is ever executed), anchors and
aliases, more than 16 levels, bytes that are not UTF-8. Scalars are those of JSON, with ``1e-3`` a
float and integers of at most 18 digits; what YAML 1.1 takes for something else (``on``, ``010``,
``1_000``, ``12:30``, a date) is text here. Errors are one-line ValueErrors.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MAX_DEPTH = 16


def load_file(path: Path) -> dict[str, Any]:
    """Returns the mapping in a file, {} for an empty one; ValueError names the file."""
    try:
        node = load_text(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected YAML text, got bytes that are not UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path}: expected a YAML file, got: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(node, dict | None):
        raise ValueError(f"{path}: expected a mapping (key: value), got {str(node)[:80]}")
    return node or {}


def load_text(text: str) -> Any:
    """Returns the value written in a text; raises ValueError."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def dump(mapping: dict[str, Any]) -> str:
    """Returns YAML that load_text reads back to an equal mapping (tuples as lists)."""
    return yaml.dump(mapping, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns {dotted key: value} of a nested mapping."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        nested = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


class _Loader(yaml.SafeLoader):
    """SafeLoader with the refusals of this module."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (as in PyYAML) - refilled below
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
            raise _error("anchors (&), aliases (*) and tags (!) are not used here", event)
        if self.depth >= MAX_DEPTH:
            raise _error(f"nested more than {MAX_DEPTH} deep", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _error("expected a name as key", key)
            if key.value in keys:
                raise _error(f"duplicate key {key.value!r}, expected it once", key)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that keeps numbers and text apart as _Loader reads them."""


def _error(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def _represent_tuple(dumper: _Dumper, values: tuple[Any, ...]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(tuple, _represent_tuple)
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,17})", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
    ),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    for _class in (_Loader, _Dumper):
        _resolver = re.compile(rf"(?:{_pattern})\Z")
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _resolver, _first)
