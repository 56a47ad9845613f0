"""One entry for every script: YAML files and command-line options -> one checked, frozen dataclass.

    @config                                           every option once, in a part's config.py:
    class Config:
        steps: int = option(min=1)                    its name, type and range, and below it its
        \"\"\"Optimizer steps.\"\"\"                        meaning, which is what --help prints

An option without a default stands in ``configs/partN/baseline.yaml``, which is read first; each
``--config FILE`` is stacked on it, then ``--key=value`` options such as ``--world.size=32``. Types,
ranges and choices are checked by pydantic wherever a config is made; contradictions between options
are a ValueError in ``__post_init__``.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import pydantic
from pydantic.dataclasses import dataclass as checked_dataclass

from common.harness import strict_yaml
from common.harness.errors import ConfigError, nearest, one_line

REPOSITORY = Path(__file__).resolve().parents[2]
STRICT = pydantic.ConfigDict(strict=True, use_attribute_docstrings=True, allow_inf_nan=False)
C = TypeVar("C")
Sources = list[tuple[str, Mapping[str, Any]]]  # what a message calls it, and what it says


def option(default: Any = ..., *, when: str = "", **limits: float) -> Any:
    """A field of a config: its default (none: it stands in baseline.yaml), limits ge, gt, le, lt.

    when: "name=value|value & ...", options of the same group, or of the whole config, with which
    alone it is read; given on the command line where it is not, it is refused.
    """
    extra: dict[str, Any] = {"when": when}
    return pydantic.Field(default, json_schema_extra=extra, **limits)  # pyright: ignore


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[C]) -> type[C]:
    """A frozen dataclass that checks its fields wherever it is made; raises ValueError."""
    return checked_dataclass(cls, frozen=True, kw_only=True, config=STRICT)  # pyright: ignore


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes; ``name`` defaults to the stem of the last ``--config``, or "baseline"."""

    name: str
    run_dir: Path | None = None
    overwrite: bool = False


def options_of(config_class: Any, prefix: str = "") -> dict[str, Any]:
    """Returns {dotted key: pydantic's FieldInfo} of every option, nested ones included."""
    found: dict[str, Any] = {}
    for name, field in config_class.__pydantic_fields__.items():
        nested = hasattr(field.annotation, "__pydantic_fields__")
        key = f"{prefix}{name}"
        found |= options_of(field.annotation, f"{key}.") if nested else {key: field}
    return found


def parse_config(
    config_class: type[C], *, baseline: Path, description: str, argv: Sequence[str] | None = None
) -> tuple[C, RunOptions]:
    """The config and the run options of a command line; raises ConfigError.

    ``--help`` and ``--print_config`` print and exit.
    """
    options, shown = options_of(config_class), strict_yaml.flatten(read_yaml(baseline))
    parser = argparse.ArgumentParser(
        description=description, allow_abbrev=False, exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add(
        "--config",
        action="append",
        default=[],
        type=Path,
        help="stacked on the baseline",
        metavar="FILE",
    )
    add("--name", help="of the run; default: that of the last --config")
    add("--run_dir", type=Path, help="default: runs/<part>/<name>-seed<seed>")
    add("--overwrite", action="store_true", help="discard the run that is there")
    add("--print_config", action="store_true", help="print the config and exit")
    for key, field in options.items():
        read = str if field.annotation is str else strict_yaml.load_text
        about = _about(field, shown.get(key, field.default))
        add(f"--{key}", type=read, default=argparse.SUPPRESS, metavar="", help=about)
    try:
        run, unknown = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error).replace("load_text", "YAML")) from None
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        flag = unknown[0].partition("=")[0]
        raise ConfigError(f"unknown option {flag}{nearest(flag, flags)}")
    given = {key: value for key, value in vars(run).items() if key in options}
    files: list[Path] = [baseline, *run.config]
    cfg = _build(config_class, [*((f"{f}: ", read_yaml(f)) for f in files), ("--", given)])
    for key in given:
        if needed := _unmet(cfg, key, options[key]):
            raise ConfigError(f"--{key}: nothing reads it here, only with {needed}; leave it")
    if run.print_config:
        print(to_yaml(cfg), end="")
        raise SystemExit(0)
    name = run.name or files[-1].stem
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigError(f"--name: expected letters, digits and _ . - only, got {name!r}")
    return cfg, RunOptions(name, run.run_dir, run.overwrite)


def load_config(
    config_class: type[C], paths: Sequence[Path], overrides: Mapping[str, Any] | None = None, *,
    source: str = "overrides",
) -> C:  # fmt: skip
    """The config of YAML files, each stacked on those before it, then (dotted) overrides.

    ``source`` is what a message calls the overrides. Raises ConfigError.
    """
    files: Sources = [(f"{path}: ", read_yaml(path)) for path in paths]
    return _build(config_class, [*files, (f"{source}: ", overrides or {})])


def to_yaml(cfg: Any) -> str:
    """The config as YAML that load_config reads back to an equal one."""
    return strict_yaml.dump(asdict(cfg))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file, found from here or from the repository; raises ConfigError."""
    found = path if path.exists() else REPOSITORY / path
    try:
        return strict_yaml.load_file(found)
    except FileNotFoundError:
        siblings = [str(file) for file in sorted(found.parent.glob("*.yaml"))]
        raise ConfigError(f"{path}: no such file{nearest(str(found), siblings)}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: {one_line(getattr(error, 'strerror', None) or error)}"
        ) from None


def _leaves(
    node: Mapping[str, Any], options: Mapping[str, Any], source: str, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of a nested mapping in which every key is that of an option."""
    groups = {known.rpartition(".")[0] for known in options}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if key in groups and isinstance(value, Mapping):
            yield from _leaves(value, options, source, f"{key}.")
        elif key in options and value is not None:
            yield key, value
        elif key in options or key in groups:
            kind = "a value" if key in options else "a mapping (key: value)"
            raise ConfigError(f"{source}{key}: expected {kind}, got {json.dumps(value)}")
        else:
            raise ConfigError(f"{source}unknown key {key}{nearest(key, [*options, *groups])}")


def _build(config_class: type[C], sources: Sources) -> C:
    """The config of sources, each stacked on those before it; raises ConfigError."""
    options, tree, flat, origin = options_of(config_class), {}, {}, {}
    for source, node in sources:
        for key, value in _leaves(node, options, source):
            flat[key], origin[key] = value, source
    for key in options:
        group, (*groups, name) = tree, key.split(".")
        for part in groups:
            group = group.setdefault(part, {})
        group |= {name: flat[key]} if key in flat else {}
    try:
        return pydantic.TypeAdapter(config_class).validate_json(json.dumps(tree))
    except pydantic.ValidationError as invalid:
        error = invalid.errors()[0]
    key = ".".join(part for part in error["loc"] if isinstance(part, str))
    last = next((source for source, node in reversed(sources) if node), sources[0][0])
    if error["type"] == "value_error":  # of __post_init__: its message says which options
        raise ConfigError(one_line(f"{last.removeprefix('--')}{error.get('ctx', {}).get('error')}"))
    if error["type"] == "missing" and key not in origin:
        raise ConfigError(f"{sources[0][0]}missing key {key}")
    wanted = error["msg"].removeprefix("Input should be ").replace("valid array", "list")
    raise ConfigError(one_line(f"{origin[key]}{key}: expected {wanted}, got {error['input']!r}"))


def _unmet(cfg: Any, key: str, field: Any) -> str:
    """The condition of an option that does not hold in this config; "" where it is read."""
    group = key.rpartition(".")[0]
    own = attrgetter(group)(cfg) if group else cfg
    for condition in filter(None, (field.json_schema_extra or {}).get("when", "").split(" & ")):
        name, _, values = condition.partition("=")
        if str(attrgetter(name)(own if hasattr(own, name) else cfg)) not in values.split("|"):
            return condition.replace("|", " or ")
    return ""


def _about(field: Any, default: Any) -> str:
    """What ``--help`` says of an option: meaning, type, range, default."""
    kind = str(field.annotation) if "[" in str(field.annotation) else field.annotation.__name__
    ends = [f"{n} {end:g}" for limit in field.metadata for n, end in asdict(limit).items()]
    when = (field.json_schema_extra or {}).get("when", "")
    facts = ", ".join(
        [kind.replace("typing.", ""), *ends, f"default {default}", *filter(None, [when])]
    )
    return f"{' '.join((field.description or '').split())} ({facts})".replace("%", "%%")
