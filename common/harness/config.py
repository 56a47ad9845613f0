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

Fields are int, float, bool, str, ``Literal[...]``, a tuple of these, or a nested dataclass. NaN
and infinity are refused everywhere.
"""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import jsonargparse
import torch

from common.harness import strict_yaml
from common.harness.knobs import Knob, build, check_kind, check_range, knobs_of, leaves, nearest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
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


def command_line() -> str:
    """Returns the command that started this process."""
    module = sys.modules["__main__"].__spec__
    script = [sys.argv[0]] if module is None else ["-m", module.name]
    return shlex.join(["python", *script, *sys.argv[1:]])


class _HelpFormatter(jsonargparse.DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description, which is a script's docstring."""


def parse_config(
    config_class: type[C], *, baseline: Path, description: str, argv: Sequence[str] | None = None
) -> tuple[C, RunOptions]:
    """Returns the config and the run options of a command line; raises ConfigError.

    ``--help`` and ``--print_config`` print and exit.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    knobs = knobs_of(config_class)
    parser = _make_parser(knobs, description)
    known = ["--help", *_add_run_flags(parser), *(f"--{key}" for key in knobs)]
    for flag in (word.split("=", 1)[0] for word in argv if word.startswith("--")):
        if flag not in known:
            raise ConfigError(f"unknown option {flag}{nearest(flag, known)}")
    try:
        files = [baseline, *_config_files(argv)]
        parser.set_defaults(_stack(parser, knobs, files, {}, ""))
        values = vars(parser.parse_args(argv).as_flat())
        for key, knob in knobs.items():
            check_range(f"--{key}", values[key], knob)
        config = build(config_class, values)
    except ConfigError:
        raise
    except (argparse.ArgumentError, OverflowError, ValueError) as error:
        raise ConfigError(_one_line(error)) from None
    if values["print_config"] is not None:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    name = values.get("name") or files[-1].stem
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ConfigError(f"--name: expected letters, digits and _ . - only, got {name!r}")
    run_dir = Path(values["run_dir"]) if values.get("run_dir") else None
    return config, RunOptions(name, run_dir, values["overwrite"])


def load_config(
    config_class: type[C],
    paths: Sequence[Path],
    overrides: Mapping[str, Any] | None = None,
    *,
    source: str = "overrides",
) -> C:
    """Returns the config of YAML files, each stacked on those before it, then dotted overrides.

    ``source`` is what a message calls the overrides. Raises ConfigError.
    """
    knobs = knobs_of(config_class)
    values = _stack(_make_parser(knobs, ""), knobs, paths, overrides or {}, source)
    try:
        return build(config_class, values)
    except ValueError as error:
        raise ConfigError(f"{source if overrides else paths[-1]}: {_one_line(error)}") from None


def to_yaml(config: Any) -> str:
    """Returns the config as YAML that load_config reads back to an equal one."""
    return strict_yaml.dump(asdict(config))


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file; raises ConfigError.

    A path that does not exist from here is tried from the repository root.
    """
    try:
        found = path if path.exists() else REPOSITORY / path
        if not found.exists():
            siblings = [str(file) for file in sorted(found.parent.glob("*.yaml"))]
            raise ConfigError(f"{path}: no such file{nearest(str(found), siblings)}")
        return strict_yaml.load_file(found)
    except (OSError, ValueError) as error:
        raise ConfigError(_one_line(error)) from None


def run_script(main: Callable[[], None]) -> None:
    """Runs a script's main(); what the user can put right ends in one message and exit code 2.

    Subnormal floats are flushed to zero before anything else: worker threads take that setting
    from the moment they are made, and without it a saturated decoder trains at half speed.
    """
    torch.set_flush_denormal(True)
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        again = command_line().replace(" --overwrite", "")
        print(f"\nstopped; to resume: {again}", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # who read the output had enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


def no_options(description: str | None) -> None:
    """Reads the command line of a script that knows --help alone; anything else is refused."""
    argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()


def _make_parser(knobs: Mapping[str, Knob], description: str) -> jsonargparse.ArgumentParser:
    """Returns a parser with one typed option per knob, in one section per nested dataclass."""
    jsonargparse.set_loader("strict", strict_yaml.load_text, (ValueError,))
    parser = jsonargparse.ArgumentParser(
        description=description,
        exit_on_error=False,
        parser_mode="strict",
        formatter_class=_HelpFormatter,
    )
    sections: dict[str, Any] = {}
    for key, knob in knobs.items():
        section = key.rpartition(".")[0] or "config"
        if section not in sections:
            sections[section] = parser.add_argument_group(section)
        meaning = "; ".join(filter(None, (knob.meaning, knob.limits)))
        sections[section].add_argument(f"--{key}", type=knob.type, help=meaning)
    return parser


def _add_run_flags(parser: jsonargparse.ArgumentParser) -> list[str]:
    """Adds the options that are no knobs of the config; returns them."""
    run = parser.add_argument_group("run")
    stack = "YAML file stacked on the baseline; may be repeated"
    text: dict[str, Any] = {"default": argparse.SUPPRESS, "type": str}
    run.add_argument("--config", action="append", metavar="FILE", help=stack, **text)
    run.add_argument("--name", help="of the run; default: that of the last FILE", **text)
    run.add_argument("--run_dir", help="default: runs/<part>/<name>-seed<seed>", **text)
    run.add_argument("--overwrite", action="store_true", help="discard the run that is there")
    run.add_argument("--print_config", nargs="?", const="", help="print the config and exit")
    return ["--config", "--name", "--run_dir", "--overwrite", "--print_config"]


def _config_files(argv: Sequence[str]) -> list[Path]:
    """Returns the files given with --config, in order."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", action="append", default=[], type=Path)
    return parser.parse_known_args(argv)[0].config


def _stack(
    parser: jsonargparse.ArgumentParser,
    knobs: Mapping[str, Knob],
    paths: Sequence[Path],
    overrides: Mapping[str, Any],
    overrides_source: str,
) -> dict[str, Any]:
    """Returns {dotted key: typed value} of every knob; each source is checked by itself."""
    values: dict[str, Any] = {}
    sources = [*((str(path), read_yaml(path)) for path in paths), (overrides_source, overrides)]
    for source, node in sources:
        try:
            written = dict(leaves(node, knobs))
            typed = vars(parser.parse_object(written, defaults=False).as_flat())
            for key in written:
                check_kind(key, written[key], typed[key], knobs[key])
                check_range(key, typed[key], knobs[key])
                values[key] = typed[key]
        except (argparse.ArgumentError, OverflowError, ValueError) as error:
            raise ConfigError(f"{source}: {_one_line(error)}") from None
    missing = [key for key in knobs if key not in values]
    if missing:
        raise ConfigError(
            f"{paths[0] if paths else overrides_source}: missing key {', '.join(missing)}"
        )
    return values


def _one_line(error: Exception) -> str:
    """Returns an error's message on one line of bounded length, jsonargparse's in plain words."""
    text = " ".join(str(error).split())
    text = re.sub(r'^Parser key "([^"]+)":', r"\1:", text).replace(": Expected a ", ": expected ")
    text = re.sub(r"<class '(\w+)'>", r"\1", text).replace("typing.Literal", "one of ")
    text = text.replace(": expected tuple", ": expected a list")
    text = text.replace(". Got value:", ", got")
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-90:]}"
