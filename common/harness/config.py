"""One entry for every script: YAML files and command-line options -> one checked, frozen dataclass.

    @config                              every option once: its name, type and range,
    class Config:                        and below it its meaning, which is what --help prints
        steps: int = option(ge=1)
        \"\"\"Optimizer steps.\"\"\"

An option without a default stands in ``configs/partN/baseline.yaml``, on which each ``--config
FILE`` is stacked, then ``--key=value`` options such as ``--world.size=32``. pydantic checks types,
ranges and choices wherever a config is made, ``__post_init__`` what contradicts each other.
"""

import json
import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, dataclass_transform

import pydantic
from pydantic.dataclasses import dataclass as checked_dataclass

from common.harness.arguments import LIMITS, RunOptions, read_arguments
from common.harness.errors import REPOSITORY, ConfigError, nearest
from common.harness.strict_yaml import dump, flatten, load_text

STRICT = pydantic.ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
)
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
    make, fields = made.__init__, made.__pydantic_fields__
    for base in cls.__mro__[1:]:  # pydantic reads the docstrings of the class itself alone
        for name, field in getattr(base, "__pydantic_fields__", {}).items():
            fields[name].description = fields[name].description or field.description

    def checked(self: Any, **options: Any) -> None:
        try:
            make(self, **options)
        except pydantic.ValidationError as invalid:
            raise ValueError(_problem(invalid, fields)[1]) from None

    made.__init__ = checked
    return made


@config
class RunConfig:
    """What a run of any part has; a part's Config adds its own."""

    seed: int = option(0, ge=0, le=2**31 - 1)
    """Seeds weights, data and sampling."""
    steps: int = option(ge=1, le=10_000_000)
    """Optimizer steps."""
    batch_size: int = option(ge=2, le=65536)
    """Samples per step."""
    learning_rate: float = option(gt=0, le=1)
    """Peak, after a linear warm-up and before a cosine decay to 0."""
    warmup: float = option(0.1, ge=0, le=1)
    """Share of the steps that warm up."""
    weight_decay: float = option(1e-4, ge=0, le=10)
    """Of AdamW."""
    log_every: int = option(25, ge=1, le=10_000_000)
    """Steps between lines of the loss in metrics.jsonl."""
    save_every: int = option(250, ge=1, le=10_000_000)
    """Steps between checkpoints."""
    threads: int = option(2, ge=1, le=1024)
    """CPU threads."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto: CUDA, else MPS, else the CPU. First weights and held-out data are the
    same everywhere, training data are drawn on the device, by a stream of its own."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16 autocast where the device has it."""
    logger: Literal["jsonl", "tensorboard"] = "jsonl"
    """tensorboard writes its files too, beside metrics.jsonl (pip install -e ".[logging]")."""


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
    options = options_of(config_class)
    typed, given = read_arguments(options, flatten(read_yaml(baseline)), description, argv)
    cfg = load_config(config_class, [baseline, *typed.config], given, source="--")
    for key in given:
        if needed := _unmet(cfg, key, (options[key].json_schema_extra or {}).get("when", "")):
            raise ConfigError(f"--{key}: nothing reads it here, only with {needed}")
    threads, cores = getattr(cfg, "threads", 1), os.cpu_count() or 1
    if threads > 4 * cores:
        raise ConfigError(f"threads: expected at most {4 * cores} on {cores} cores, got {threads}")
    if typed.print_config:
        print(to_yaml(cfg), end="")
        raise SystemExit(0)
    name = typed.name or [baseline, *typed.config][-1].stem
    return cfg, RunOptions(name, typed.run_dir, typed.overwrite)


def load_config(
    config_class: type[C], paths: Sequence[Path], overrides: Mapping[str, Any] | None = None, *,
    source: str = "overrides: ",
) -> C:  # fmt: skip
    """The config of YAML files, each stacked on those before it, then (dotted) overrides.

    ``source`` is what a message puts before a key of the overrides. Raises ConfigError.
    """
    part = config_class.__module__.partition("_")[0]
    files = [(f"{path}: ", read_yaml(path, part)) for path in paths]
    sources = [*files, (source, overrides or {})]
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
        key, problem = _problem(invalid, options)
    last = ([place for place, node in sources if node] or [source])[-1].removeprefix("--")
    raise ConfigError(origin.get(key, sources[0][0] if key else last) + problem)


def to_yaml(cfg: Any) -> str:
    """The config as YAML that load_config reads back to an equal one."""
    return dump(asdict(cfg))


def read_yaml(path: Path, part: str = "") -> dict[str, Any]:
    """The mapping in a file, found from here or from the repository; raises ConfigError.

    With a part, such as "part2", a file of another part's folder of configs is refused.
    """
    found, configs = path, REPOSITORY / "configs"
    try:
        found = path if path.exists() else REPOSITORY / path
        node = load_text(found.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        own = [file.relative_to(REPOSITORY) for file in sorted((configs / part).glob("*.yaml"))]
        known = [str(file) for file in [*own, *sorted(found.parent.glob("*.yaml"))]]
        raise ConfigError(f"{path}: no such file{nearest(str(path), known)}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', 0) or error}") from None
    folder = found.resolve().parent
    if part.startswith("part") and folder.parent == configs and folder.name != part:
        raise ConfigError(f"{path}: expected a config of {part}, got one of {folder.name}")
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


def _problem(invalid: pydantic.ValidationError, options: Container[str]) -> tuple[str, str]:
    """The dotted key of the first mistake ("" for a contradiction), and what is wrong with it."""
    error, *others = cast(list[Any], invalid.errors())
    if error["type"] == "value_error":  # of __post_init__: its message says which options
        return "", str(error["ctx"]["error"])
    key, got = ".".join(part for part in error["loc"] if isinstance(part, str)), error["input"]
    if error["type"] == "missing" and not isinstance(got, list | tuple):
        return key, f"missing key {key}"
    if error["type"] == "unexpected_keyword_argument":
        return key, f"unknown key {key}"
    if key not in options and key.rpartition(".")[0] in options:  # of a number or a word
        key = key.rpartition(".")[0]
        words = [other["ctx"]["expected"] for other in others if other["type"] == "literal_error"]
    else:
        words = []
    wanted = re.sub("Input should be (a |)(valid )?|Field required", r"\1", error["msg"])
    wanted = re.sub("^Tuple should have (.*) after.*", r"a list of \1", wanted)
    wanted = re.sub("^a (?=[aeiou])", "an ", wanted.replace("array", "list such as [a, b]"))
    limits = [f"{LIMITS[n]} {end:g}" for n, end in error.get("ctx", {}).items() if n in LIMITS]
    wanted = " or ".join([[*limits, wanted or "a longer list"][0], *words])
    return key, f"{key}: expected {wanted}, got {got!r}"
