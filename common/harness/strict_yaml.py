"""YAML in which a slip of the pen is an error and a value is what it looks like.

Refused: duplicate keys, keys that are no names, tags (so nothing is ever executed), anchors and
aliases. Scalars are those of JSON, with ``1e-3`` a float and integers of at most 18 digits; what
YAML 1.1 takes for something else (``on``, ``010``, ``1_000``, ``12:30``, a date) is text here.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(0|[1-9][0-9]{0,17})",
    "float": r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 (as in PyYAML) - refilled below

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
            _refuse("anchors (&), aliases (*) and tags (!) are not used here", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                _refuse("expected a name as key", key)
            if keys.count(key.value) > 1:
                _refuse(f"duplicate key {key.value!r}, expected it once", key)
        return super().construct_mapping(node, deep)


_Dumper = type("_Dumper", (yaml.SafeDumper,), {})  # keeps numbers and text apart as _Loader does
_Dumper.add_representer(tuple, lambda d, v: d.represent_sequence("tag:yaml.org,2002:seq", v, True))
for _tag, _pattern in SCALARS.items():
    for _class in (_Loader, _Dumper):
        _form = re.compile(rf"(?:{_pattern})\Z")
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _form, None)


def _refuse(problem: str, at: Any) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def load_text(text: str) -> Any:
    """The value written in a text; raises ValueError, in one line."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", error)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(line + " ".join(str(problem).split())) from None


def dump(value: Any, *, flow: bool = False) -> str:
    """YAML that load_text reads back to an equal value (tuples as lists); flow: on one line."""
    layout: Any = {"default_flow_style": flow, "width": 10**9 if flow else 100}
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **layout)
    return text.removesuffix("...\n").strip() if flow else text


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{dotted key: value} of a nested mapping."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        nested = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
