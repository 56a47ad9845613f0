"""One entry for every script: YAML files and command-line overrides -> a frozen dataclass.

    parse_config(Config, baseline=BASELINE, description=__doc__)  what a script's main() calls
    load_config(Config, paths, overrides)                         the same, for tests and tools
    to_yaml(config)                                               the resolved config
    run_script(main)                                              the last line of every script

The dataclass holds names, types, meanings (its docstrings become ``--help``) and ranges
(``field(metadata={"min": 1})``; also ``max``, and ``above``, ``below`` for open ends), never
numbers. Those live in ``configs/partN/baseline.yaml``, which is complete and read first. Each
``--config FILE`` is stacked on it, then dotted overrides such as ``--world.radius=6``, wherever
they stand on the line. Contradictions between keys are a ValueError in ``__post_init__``.

Fields are int, float, bool, str, ``Literal[...]``, ``tuple[T, ...]`` of these, or a nested
dataclass. YAML is read strictly: values are those of JSON (``on`` and ``010`` are text) with
``1e-3`` a float; tags, anchors and duplicate keys are errors.
"""

import argparse
import difflib
import math
import operator
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import docstring_parser
import jsonargparse
import torch
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
RANGES = {
    "min": (operator.ge, "at least"),
    "max": (operator.le, "at most"),
    "above": (operator.gt, "above"),
    "below": (operator.lt, "below"),
}
RUN_FLAGS = {
    "name": "of the run (default: that of the last --config)",
    "run_dir": "(default: runs/<part>/<name>-seed<seed>)",
    "overwrite": "discard the run that is there",
    "print_config": "print the resolved config and exit",
}
C = TypeVar("C")


class UserError(Exception):
    """Something the person at the keyboard can put right; shown without a traceback."""


class ConfigError(UserError, ValueError):
    """A config that cannot be used; the message says what was got and what is wanted."""


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes; ``name`` defaults to the stem of the last ``--config``, or "baseline"."""

    name: str
    run_dir: Path | None
    overwrite: bool


@dataclass(frozen=True)
class _Knob:
    """A leaf of the config."""

    type: Any
    range: Mapping[str, Any]
    meaning: str


def parse_config(
    config_class: type[C], *, baseline: Path, description: str, argv: Sequence[str] | None = None
) -> tuple[C, RunOptions]:
    """Returns the config and the run options of a command line; raises ConfigError.

    ``--help`` and ``--print_config`` print and exit.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    knobs = dict(_knobs(config_class))
    parser = _make_parser(knobs, description)
    run = parser.add_argument_group("run")
    files_help = "YAML file stacked on the baseline; may be repeated"
    run.add_argument("--config", action="append", default=[], metavar="FILE", help=files_help)
    for flag, meaning in RUN_FLAGS.items():
        switch = flag in ("overwrite", "print_config")
        kind: dict[str, Any] = {"action": "store_true"} if switch else {"default": ""}
        run.add_argument(f"--{flag}", help=meaning, **kind)
    known = [f"--{key}" for key in ("help", "config", *RUN_FLAGS, *knobs)]
    for flag in (token.split("=", 1)[0] for token in argv if token.startswith("--")):
        if flag not in known:
            raise ConfigError(f"unknown option {flag}{_nearest(flag, known)}")
    try:
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        first.add_argument("--config", action="append", default=[])
        files = [baseline, *(Path(file) for file in first.parse_known_args(argv)[0].config)]
        parser.set_defaults(_stack(parser, knobs, files))
        values = vars(parser.parse_args(argv).as_flat())
    except (argparse.ArgumentError, OverflowError) as error:
        raise ConfigError(_one_line(error)) from None
    config = _build(config_class, _in_range(values, knobs, "--"))
    if values["print_config"]:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    name = values["name"] or files[-1].stem
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigError(f"--name: expected letters, digits and _ . - only, got {name!r}")
    run_dir = Path(values["run_dir"]) if values["run_dir"] else None
    return config, RunOptions(name, run_dir, values["overwrite"])


def load_config(
    config_class: type[C], paths: Sequence[Path], overrides: Mapping[str, Any] | None = None
) -> C:
    """Returns the config of YAML files, each stacked on those before it, then dotted overrides.

    Raises ConfigError.
    """
    knobs = dict(_knobs(config_class))
    return _build(config_class, _stack(_make_parser(knobs, ""), knobs, paths, overrides or {}))


def to_yaml(config: Any) -> str:
    """Returns the config as YAML that load_config reads back to an equal one."""
    return yaml.dump(asdict(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def run_script(main: Callable[[], None]) -> None:
    """Runs a script's main(); what the user can put right ends in one message and exit code 2.

    Subnormal floats are flushed to zero before anything else: worker threads take that setting
    from the moment they are made, and without it a saturated decoder trains at half speed.
    """
    torch.set_flush_denormal(True)
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        words = [word for word in sys.argv if word != "--overwrite"]
        print(f"\nstopped; to resume: python {shlex.join(words)}", file=sys.stderr)
        raise SystemExit(130) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file, {} if it is empty; raises ConfigError.

    A path that does not exist from here is tried from the repository root.
    """
    found = path if path.exists() else REPOSITORY / path
    try:
        node = yaml.load(found.read_bytes().decode("utf-8-sig"), Loader=_Loader)
    except FileNotFoundError:
        siblings = [str(file) for file in sorted(found.parent.glob("*.yaml"))]
        raise ConfigError(f"{path}: no such file{_nearest(str(found), siblings)}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected YAML text, got bytes that are not UTF-8") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from None
    if not isinstance(node, dict | None):
        raise ConfigError(f"{path}: expected a mapping (key: value), got {_one_line(node)}")
    return node or {}


def _knobs(config_class: type, prefix: str = "") -> Iterator[tuple[str, _Knob]]:
    """Yields (dotted key, knob) for every leaf of a dataclass."""
    types = get_type_hints(config_class)
    docs = docstring_parser.parse_from_object(config_class).params
    meanings = {doc.arg_name: " ".join((doc.description or "").split()) for doc in docs}
    for field in fields(config_class):
        key, kind = prefix + field.name, types[field.name]
        if is_dataclass(kind):
            yield from _knobs(kind, f"{key}.")
        else:
            yield key, _Knob(kind, field.metadata, meanings.get(field.name, ""))


def _make_parser(knobs: Mapping[str, _Knob], description: str) -> jsonargparse.ArgumentParser:
    """Returns a parser with one typed option per knob, in one section per nested dataclass."""
    jsonargparse.set_loader("strict", lambda text: yaml.load(text, _Loader), (yaml.YAMLError,))
    parser = jsonargparse.ArgumentParser(
        description=description,
        exit_on_error=False,
        parser_mode="strict",
        formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sections: dict[str, Any] = {}
    for key, knob in knobs.items():
        section = key.rpartition(".")[0] or "config"
        if section not in sections:
            sections[section] = parser.add_argument_group(section)
        limits = [f"{RANGES[end][1]} {limit:g}" for end, limit in knob.range.items()]
        words = ", ".join([knob.meaning.rstrip("."), *limits]).replace("%", "%%")
        sections[section].add_argument(f"--{key}", type=knob.type, help=words)
    return parser


def _stack(
    parser: jsonargparse.ArgumentParser,
    knobs: Mapping[str, _Knob],
    paths: Sequence[Path],
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns {dotted key: typed value} of all knobs; every source is checked by itself."""
    sources = [(str(path), read_yaml(path)) for path in paths]
    values = {}
    for source, node in [*sources, ("overrides", dict(overrides or {}))]:
        try:
            leaves = dict(_leaves(node, knobs))
            typed = vars(parser.parse_object(leaves, defaults=False).as_flat())
            for key, value in leaves.items():
                if isinstance(value, str) and not isinstance(typed[key], str):
                    raise ConfigError(f"{key}: expected {_wanted(knobs[key])}, got text {value!r}")
            values |= _in_range({key: typed[key] for key in leaves}, knobs)
        except (ValueError, argparse.ArgumentError, OverflowError) as error:
            raise ConfigError(f"{source}: {_one_line(error)}") from None
    return values
