"""One entry for every script: YAML files and command-line options -> one checked, frozen dataclass.

    @config                              every option once: its name, type and range,
    class Config:                        and below it its meaning, which is what --help prints
        steps: int = option(ge=1)
        \"\"\"Optimizer steps.\"\"\"

An option without a default stands in ``configs/partN/baseline.yaml``, on which each ``--config
FILE`` is stacked, then ``--key=value`` options such as ``--world.size=32``. pydantic checks types,
ranges and choices wherever a config is made, ``__post_init__`` what contradicts each other.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import pydantic
from pydantic.dataclasses import dataclass as checked_dataclass

from common.harness.errors import ConfigError, nearest
from common.harness.strict_yaml import dump, flatten, load_text

REPOSITORY = Path(__file__).resolve().parents[2]
STRICT = pydantic.ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
)
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
C = TypeVar("C")


def option(default: Any = ..., *, when: str = "", **limits: float) -> Any:
    """A field of a config: its default (none: it stands in baseline.yaml), limits ge, gt, le, lt.

    when: "name=value|value & ...", with which alone it is read; elsewhere the command line refuses
    it. Names are of options in the same group or of the whole config; of a list, any item counts.
    """
    return pydantic.Field(default, json_schema_extra={"when": when}, **limits)  # pyright: ignore


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[C]) -> type[C]:
    """A frozen dataclass that checks its fields wherever it is made; raises ValueError."""
    made: Any = checked_dataclass(cls, frozen=True, kw_only=True, config=STRICT)  # pyright: ignore
    make = made.__init__

    def checked(self: Any, **options: Any) -> None:
        try:
            make(self, **options)
        except pydantic.ValidationError as invalid:
            raise ValueError(_problem(invalid)[1]) from None

    made.__init__ = checked
    return made


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes; ``name`` defaults to the stem of the last ``--config``, or "baseline"."""

    name: str
    run_dir: Path | None = None
    overwrite: bool = False


def options_of(config_class: Any) -> dict[str, Any]:
    """{dotted key: pydantic's FieldInfo} of every option, nested ones included."""
    fields = config_class.__pydantic_fields__.items()
    groups = {name: f.annotation for name, f in fields if is_dataclass(f.annotation)}
    return flatten({name: options_of(groups[name]) if name in groups else f for name, f in fields})


def parse_config(
    config_class: type[C], *, baseline: Path, description: str, argv: Sequence[str] | None = None
) -> tuple[C, RunOptions]:
    """The config and the run options of a command line; raises ConfigError.

    ``--help`` and ``--print_config`` print and exit.
    """
    options, shown = options_of(config_class), flatten(read_yaml(baseline))
    parser = argparse.ArgumentParser(
        description=description, allow_abbrev=False, exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add, stacked = parser.add_argument, "stacked on the baseline"
    add("--config", action="append", default=[], type=Path, metavar="FILE", help=stacked)
    add("--name", help="of the run; default: that of the last --config")
    add("--run_dir", type=Path, help="default: runs/<part>/<name>-seed<seed>")
    add("--overwrite", action="store_true", help="discard the run that is there")
    add("--print_config", action="store_true", help="print the config and exit")
    for key, field in options.items():
        read = str if field.annotation is str else load_text
        about = _about(field, shown.get(key, field.default))
        add(f"--{key}", type=read, default=argparse.SUPPRESS, metavar="", help=about)
    try:
        run, unknown = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error).replace("load_text", "YAML")) from None
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = parser._option_string_actions
        raise ConfigError(f"unknown option {flag}{nearest(flag, known)}")
    given = {key: value for key, value in vars(run).items() if key in options}
    cfg = load_config(config_class, [baseline, *run.config], given, source="--")
    for key in given:
        if needed := _unmet(cfg, key, (options[key].json_schema_extra or {}).get("when", "")):
            raise ConfigError(f"--{key}: nothing reads it here, only with {needed}")
    if run.print_config:
        print(to_yaml(cfg), end="")
        raise SystemExit(0)
    name = run.name or [baseline, *run.config][-1].stem
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigError(f"--name: expected letters, digits and _ . - only, got {name!r}")
    return cfg, RunOptions(name, run.run_dir, run.overwrite)


def load_config(
    config_class: type[C], paths: Sequence[Path], overrides: Mapping[str, Any] | None = None, *,
    source: str = "overrides: ",
) -> C:  # fmt: skip
    """The config of YAML files, each stacked on those before it, then (dotted) overrides.

    ``source`` is what a message puts before a key of the overrides. Raises ConfigError.
    """
    sources = [*((f"{path}: ", read_yaml(path)) for path in paths), (source, overrides or {})]
    options, flat, origin = options_of(config_class), {}, {}
    for place, node in sources:
        for key, value in flatten(node).items():
            if key not in options:
                raise ConfigError(f"{place}unknown key {key}{nearest(key, options)}")
            flat[key], origin[key] = value, place
    tree: dict[str, Any] = {}
    for key in options:  # so that a group whose options all have defaults may be left out
        *groups, name = key.split(".")
        group = reduce(lambda tree, part: tree.setdefault(part, {}), groups, tree)
        group |= {name: flat[key]} if key in flat else {}
    try:
        return pydantic.TypeAdapter(config_class).validate_json(json.dumps(tree))
    except pydantic.ValidationError as invalid:
        key, problem = _problem(invalid)
    last = ([place for place, node in sources if node] or [source])[-1].removeprefix("--")
    raise ConfigError(origin.get(key, sources[0][0] if key else last) + problem)


def to_yaml(cfg: Any) -> str:
    """The config as YAML that load_config reads back to an equal one."""
    return dump(asdict(cfg))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file, found from here or from the repository; raises ConfigError."""
    found = path
    try:
        found = path if path.exists() else REPOSITORY / path
        node = load_text(found.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        siblings = [str(file) for file in sorted(found.parent.glob("*.yaml"))]
        raise ConfigError(f"{path}: no such file{nearest(str(found), siblings)}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', 0) or error}") from None
    if not isinstance(node, dict | None):
        raise ConfigError(f"{path}: expected a mapping (key: value), got {str(node)[:80]}")
    return node or {}


def _unmet(cfg: Any, key: str, when: str) -> str:
    """The condition of an option that does not hold in this config; "" where it is read."""
    group = attrgetter(key.rpartition(".")[0])(cfg) if "." in key else cfg
    for condition in filter(None, when.split(" & ")):
        name, _, values = condition.partition("=")
        found = attrgetter(name)(group if hasattr(group, name) else cfg)
        if not {*map(str, found if isinstance(found, tuple) else [found])} & {*values.split("|")}:
            return condition.replace("|", " or ")
    return ""


def _problem(invalid: pydantic.ValidationError) -> tuple[str, str]:
    """The dotted key of the first mistake ("" for a contradiction), and what is wrong with it."""
    error: Any = invalid.errors()[0]
    if error["type"] == "value_error":  # of __post_init__: its message says which options
        return "", str(error["ctx"]["error"])
    key, got = ".".join(part for part in error["loc"] if isinstance(part, str)), error["input"]
    if error["type"] == "missing" and isinstance(got, dict):
        return key, f"missing key {key}"
    wanted = re.sub("Input should be (a |)(valid )?|Field required", r"\1", error["msg"])
    limits = [f"{LIMITS[n]} {end:g}" for n, end in error.get("ctx", {}).items() if n in LIMITS]
    wanted = [*limits, wanted.replace("array", "list") or "a longer list"][0]
    return key, f"{key}: expected {wanted}, got {got!r}"


def _about(field: Any, default: Any) -> str:
    """What ``--help`` says of an option: meaning, type, range, default."""
    ends = [f"{LIMITS[n]} {end:g}" for limit in field.metadata for n, end in asdict(limit).items()]
    when = [f"read with {when}" for when in (field.json_schema_extra or {}).values() if when]
    choices = [f"of {kinds}" for kinds in re.findall(r"Literal\[(.*?)\]", str(field.annotation))]
    facts = ", ".join([*choices, *ends, f"default {default}", *when])
    return f"{' '.join((field.description or '').split())} ({facts})".replace("%", "%%")
