"""The leaves of a config dataclass, and the checks that a value must pass to be one of them.

Everything here raises ValueError with one line that names the key, what was got and what is wanted.
"""

import difflib
import functools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser

RANGES = {
    "min": (operator.ge, "at least"),
    "max": (operator.le, "at most"),
    "above": (operator.gt, "above"),
    "below": (operator.lt, "below"),
}


@dataclass(frozen=True)
class Knob:
    """A leaf: its type, its range (keys of RANGES) and what it means."""

    type: Any
    range: Mapping[str, float]
    meaning: str

    @property
    def limits(self) -> str:
        """The range in words, "" where there is none."""
        return " and ".join(f"{RANGES[end][1]} {limit:g}" for end, limit in self.range.items())


@functools.cache
def knobs_of(config_class: type, prefix: str = "") -> dict[str, Knob]:
    """Returns {dotted key: knob} for every leaf of a dataclass, nested ones included."""
    types = get_type_hints(config_class)
    docs = docstring_parser.parse(config_class.__doc__ or "").params
    meanings = {doc.arg_name: " ".join((doc.description or "").split()) for doc in docs}
    knobs = {}
    for field in fields(config_class):
        key, kind = prefix + field.name, types[field.name]
        if isinstance(kind, type) and is_dataclass(kind):
            knobs |= knobs_of(kind, f"{key}.")
        else:
            knobs[key] = Knob(kind, field.metadata, meanings.get(field.name, "").rstrip("."))
    return knobs


def leaves(
    node: Mapping[str, Any], knobs: Mapping[str, Knob], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, value) of a nested mapping in which every key is that of a knob."""
    for name, value in node.items():
        key = f"{prefix}{name}"
        inside = [knob for knob in knobs if knob.startswith(f"{key}.")]
        if key in knobs and value is not None:
            yield key, value
        elif key in knobs:
            raise ValueError(f"{key}: expected a value, got null")
        elif not inside:
            sections = [knob.rpartition(".")[0] for knob in knobs]
            raise ValueError(f"unknown key {key}{nearest(key, [*knobs, *filter(None, sections)])}")
        elif not isinstance(value, Mapping):
            raise ValueError(f"{key}: expected a mapping with {inside[0]} and so on, got {value!r}")
        else:
            yield from leaves(value, knobs, f"{key}.")


def check_kind(key: str, written: Any, value: Any, knob: Knob) -> None:
    """Refuses a conversion other than int to float and list to tuple, such as "6" or true to 1."""
    if isinstance(value, tuple) and not isinstance(written, list | tuple):
        raise ValueError(f"{key}: expected a list, got {written!r}")
    literals = [item for kind in (knob.type, *get_args(knob.type)) for item in _literals(kind)]
    pairs = zip(written, value, strict=True) if isinstance(value, tuple) else [(written, value)]
    for got, made in pairs:
        wanted = {type(item) for item in literals if item == made} or {type(made)}
        if type(got) not in wanted and not (type(got) is int and wanted == {float}):
            names = " or ".join(sorted(kind.__name__ for kind in wanted))
            raise ValueError(f"{key}: expected {names}, got {got!r}")


def _literals(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def check_range(key: str, value: Any, knob: Knob) -> None:
    """Refuses a number that is not finite or out of the knob's range, alone or in a tuple."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, str | bool):
            continue
        if not math.isfinite(number):
            raise ValueError(f"{key}: expected a finite number, got {number}")
        if not all(RANGES[end][0](number, limit) for end, limit in knob.range.items()):
            raise ValueError(f"{key}: expected {knob.limits}, got {number}")


def build(config_class: type, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Returns the dataclass; a ValueError of its __post_init__ passes through."""
    types = get_type_hints(config_class)
    made = {}
    for field in fields(config_class):
        key, kind = prefix + field.name, types[field.name]
        nested = isinstance(kind, type) and is_dataclass(kind)
        made[field.name] = build(kind, values, f"{key}.") if nested else values[key]
    return config_class(**made)


def nearest(word: str, words: Iterable[str]) -> str:
    """Returns "; did you mean ...?" for the most alike of the words, "" where none is alike."""
    words = list(words)
    last = {known.rpartition(".")[2]: known for known in words}
    found = difflib.get_close_matches(word, words, n=1) or [
        last[part] for part in difflib.get_close_matches(word.rpartition(".")[2], last, n=1)
    ]
    return f"; did you mean {found[0]}?" if found else ""
