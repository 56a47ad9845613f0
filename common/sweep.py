"""Runs a list of configs x seeds in parallel and writes one results file with intervals.

    python -m common.sweep configs/part2/sweeps/main.yaml --jobs 2
    python -m common.sweep configs/part2/sweeps/main.yaml --list            the commands, not run
    python -m common.sweep configs/part2/sweeps/main.yaml --dask HOST:8786  on a Dask cluster

A sweep file:

    experiment: main                             # -> <part>/results/main.json
    script: part2_pixel_vs_jepa/train.py
    baseline: configs/part2/baseline.yaml        # the one that the script reads
    seeds: [0, 1, 2, 3, 4]
    config: []                                   # optional, for every arm, below its own
    overrides: {steps: 500}                      # optional, the same
    curves: [loss]                               # optional, metrics kept against the step
    bounds_per_arm: false                        # optional, true when the arms' worlds differ
    arms:
      jepa_sigreg: {config: [configs/part2/sigreg.yaml], overrides: {arms: [jepa]}}

A job is one process of one thread in ``runs/<part>/sweep/<hash of its config>-seed<k>``, with its
output in a .log beside. So a sweep may be killed and run again, finished runs are skipped, and
two sweeps that name the same config share its runs. The results file is written when every run
has finished, never from a part of them. The machines of a cluster must see the same files. What
counts as finished is decided by config alone: after a change of code, remove the old runs.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.harness.aggregate import collect, collect_outcomes
from common.harness.config import REPOSITORY, ConfigError, load_config, read_yaml, run_script
from common.harness.files import write_arrays, write_json
from common.harness.knobs import nearest
from common.harness.launcher import Job, run_jobs
from common.harness.results import validate_results
from common.harness.runs import RUNS
from common.harness.strict_yaml import flatten, load_text

OPTIONAL = {"config": [], "curves": [], "bounds_per_arm": False}


@dataclass(frozen=True)
class Sweep:
    """A sweep file, but for the overrides and the arms."""

    experiment: str
    script: str
    baseline: str
    seeds: tuple[int, ...] = field(metadata={"min": 0})
    config: tuple[str, ...]
    curves: tuple[str, ...]
    bounds_per_arm: bool

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.experiment):
            raise ValueError(f"experiment: expected letters, digits, _ -, got {self.experiment!r}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: expected one or more, all different, got {list(self.seeds)}")
        if not (REPOSITORY / self.script).is_file():
            raise ValueError(f"script: no such file {self.script}")


@dataclass(frozen=True)
class Arm:
    """An arm of a sweep file, but for its overrides."""

    config: tuple[str, ...]


def read_sweep(path: Path, runs: Path) -> tuple[Sweep, list[Job]]:
    """Returns a sweep file and its jobs, arm by arm; raises ConfigError."""
    node = OPTIONAL | read_yaml(path)
    shared = _mapping(f"{path}: overrides", node.pop("overrides", {}))
    arms = _mapping(f"{path}: arms", node.pop("arms", {}))
    sweep = load_config(Sweep, [], node, source=str(path))
    if not arms:
        raise ConfigError(f"{path}: arms: expected one or more, got none")
    baseline = flatten(read_yaml(Path(sweep.baseline)))
    shared = ({"threads": 1} if "threads" in baseline else {}) | flatten(shared)
    part = Path(sweep.script).parent.name.split("_")[0]
    jobs = []
    for name, value in arms.items():
        place = f"{path}: arms.{name}"
        arm = _mapping(place, value)
        overrides = shared | flatten(_mapping(f"{place}.overrides", arm.pop("overrides", {})))
        own = load_config(Arm, [], {"config": []} | arm, source=place).config
        files = [*sweep.config, *own]
        config = _resolve(place, baseline, files, overrides)
        arguments = [sweep.script, *(word for file in files for word in ("--config", file))]
        arguments += [f"--{key}={_text(value)}" for key, value in overrides.items()]
        stem = runs / part / "sweep" / _digest(sweep.script, config)
        for seed in sweep.seeds:
            folder = stem.with_name(f"{stem.name}-seed{seed}")
            shown = folder.relative_to(REPOSITORY) if folder.is_relative_to(REPOSITORY) else folder
            command = (*arguments, f"--seed={seed}", f"--run_dir={shown}")
            jobs.append(Job(name, seed, command, folder, config | {"seed": seed}))
    return sweep, jobs


def _mapping(place: str, node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise ConfigError(f"{place}: expected a mapping (key: value), got {node!r}")
    return dict(node)


def _resolve(
    place: str, baseline: Mapping[str, Any], files: Sequence[str], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the config that the script will resolve, as {dotted key: value}."""
    config = dict(baseline)
    for layer in [*(flatten(read_yaml(Path(file))) for file in files), overrides, {"seed": 0}]:
        for key in layer:
            if key not in baseline:
                raise ConfigError(f"{place}: unknown key {key}{nearest(key, baseline)}")
        config |= layer
    return config


def _digest(script: str, config: Mapping[str, Any]) -> str:
    """Returns a name for this script at this config; 6 and 6.0 are the same config."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        return float(value) if type(value) is int else value

    content = [script, sorted((key, plain(value)) for key, value in config.items())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:10]


def _text(value: Any) -> str:
    """Returns a value as an option of the command line holds it."""
    if isinstance(value, list):
        return f"[{','.join(map(_item, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _item(value: Any) -> str:
    """Returns an item of a list; a word that YAML reads as text needs no quotes."""
    is_word = isinstance(value, str) and value.isidentifier() and load_text(value) == value
    return value if is_word else json.dumps(value)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m common.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", type=Path, help="the sweep file")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="runs at once, default all cores"
    )
    parser.add_argument("--list", action="store_true", help="print the commands and exit")
    cluster = "run on the Dask cluster at ADDRESS, or on one of --jobs workers started here"
    parser.add_argument("--dask", nargs="?", const="", metavar="ADDRESS", help=cluster)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where runs go")
    parser.add_argument("--results", type=Path, help="default: <part>/results/<experiment>.json")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error(f"--jobs: expected at least 1, got {arguments.jobs}")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is not finished, then writes the results file; exit code 1 if a run failed."""
    arguments = _parse(argv)
    sweep, jobs = read_sweep(arguments.sweep, arguments.runs.resolve())
    if arguments.list:
        print("\n".join(f"python {shlex.join(job.arguments)}" for job in jobs))
        return
    waiting = {job.folder: job for job in jobs if not job.is_finished}
    distinct = len({job.folder for job in jobs})
    print(f"{sweep.experiment}: {distinct} runs, {distinct - len(waiting)} finished before")
    failed = run_jobs([*waiting.values()], arguments.jobs, arguments.dask) if waiting else []
    for job, error in failed:
        print(f"failed: {job.arm}, seed {job.seed}: {error}", file=sys.stderr)
    if failed:
        raise SystemExit(1)
    _write_results(sweep, jobs, arguments)


def _write_results(sweep: Sweep, jobs: Sequence[Job], arguments: argparse.Namespace) -> None:
    folders: dict[str, list[Path]] = {}
    for job in jobs:
        folders.setdefault(job.arm, []).append(job.folder)
    file = arguments.sweep.resolve() if arguments.sweep.exists() else REPOSITORY / arguments.sweep
    shown = file.relative_to(REPOSITORY) if file.is_relative_to(REPOSITORY) else file
    named = {
        "experiment": sweep.experiment,
        "command": f"python -m common.sweep {shown}",
        "seeds": list(sweep.seeds),
    }
    content = named | collect(folders, curves=sweep.curves, bounds_per_arm=sweep.bounds_per_arm)
    validate_results(content)
    results = (REPOSITORY / sweep.script).parent / "results" / f"{sweep.experiment}.json"
    results = arguments.results or results
    outcomes = collect_outcomes(folders, sweep.seeds)
    write_arrays(results.with_suffix(".npz"), outcomes)
    if not outcomes:  # an earlier sweep of that name may have had some
        results.with_suffix(".npz").unlink(missing_ok=True)
    write_json(results, content)
    print(f"wrote {results}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, runs included
    run_script(main)
