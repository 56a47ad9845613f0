"""The command line of a config: ``--key=value`` for each of its options, and where the run goes."""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.harness.errors import ConfigError, nearest, typed_path
from common.harness.strict_yaml import load_text

LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes; ``name`` defaults to the stem of the last ``--config``, or "baseline"."""

    name: str
    run_dir: Path | None = None
    overwrite: bool = False


def read_arguments(
    options: Mapping[str, Any], shown: Mapping[str, Any], description: str,
    argv: Sequence[str] | None,
) -> tuple[argparse.Namespace, dict[str, Any]]:  # fmt: skip
    """What was typed beside the config's options, and {key: value} of these; raises ConfigError.

    options: {key: pydantic's FieldInfo}; shown: the defaults that ``--help`` shows, which exits.
    """
    parser = argparse.ArgumentParser(
        description=description, allow_abbrev=False, exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add, stacked = parser.add_argument, "stacked on the baseline"
    add("--config", action="append", default=[], type=typed_path, metavar="FILE", help=stacked)
    add("--name", help="of the run; default: that of the last --config")
    add("--run_dir", type=typed_path, help="default: runs/<part>/<name>-seed<seed>")
    add("--overwrite", action="store_true", help="discard the run that is there")
    add("--print_config", action="store_true", help="print the config and exit")
    for key, field in options.items():
        read = str if field.annotation is str else load_text
        about = _about(field, shown.get(key, field.default))
        add(f"--{key}", type=read, default=argparse.SUPPRESS, metavar="", help=about)
    try:
        typed, unknown = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error).replace("load_text", "YAML")) from None
    if unknown:
        flag = unknown[0].partition("=")[0]
        raise ConfigError(f"unknown option {flag}{nearest(flag, parser._option_string_actions)}")
    if typed.name is not None and not re.fullmatch(r"[\w-][\w.-]*", typed.name):
        raise ConfigError(f"--name: expected letters, digits and _ . - only, got {typed.name!r}")
    return typed, {key: value for key, value in vars(typed).items() if key in options}


def _about(field: Any, default: Any) -> str:
    """What ``--help`` says of an option: meaning, type, range, default."""
    ends = [f"{LIMITS[n]} {end:g}" for limit in field.metadata for n, end in asdict(limit).items()]
    when = [f"read with {when}" for when in (field.json_schema_extra or {}).values() if when]
    choices = [f"of {kinds}" for kinds in re.findall(r"Literal\[(.*?)\]", str(field.annotation))]
    facts = ", ".join([*choices, *ends, f"default {default}", *when])
    return f"{' '.join((field.description or '').split())} ({facts})".replace("%", "%%")
