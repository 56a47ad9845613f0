"""Runs a list of configs x seeds in parallel and writes one results file with intervals.

    python -m common.sweep configs/part2/sweeps/main.yaml --jobs 2
    python -m common.sweep configs/part2/sweeps/main.yaml --list            the commands, not run
    python -m common.sweep configs/part2/sweeps/main.yaml --dask HOST:8786  on a Dask cluster

A sweep file:

    experiment: main                             # -> <part>/results/main.json
    script: part2_pixel_vs_jepa/train.py
    baseline: configs/part2/baseline.yaml        # the one that the script reads
    seeds: [0, 1, 2, 3, 4]
    config: []                                   # optional, for every variant, below its own
    overrides: {steps: 500}                      # optional, the same
    curves: [loss]                               # optional, metrics kept against the step
    reference: pixels                            # optional, what differences are taken from, paired
    bounds_from: references                      # optional, a results file of the same seeds whose
                                                 # variants are bounds of this one
    bounds_per_variant: false                    # optional, true when the variants' worlds differ
    variants:
      jepa_sigreg: {config: [configs/part2/sigreg.yaml], overrides: {methods: [jepa]}}

A job is one process of one thread in ``runs/<part>/sweep/<hash of its config>-seed<k>``, with its
output in a .log beside; of several GPUs each job takes the next. So a sweep may be killed and run
again, finished runs are skipped, and two sweeps that name the same config share its runs; those of
another commit are named. The results file is written when every run has finished, never from a part
of them. A variant's params are the options in which the variants differ. The machines of a cluster
must see the same files.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from common.harness.aggregate import aggregate, collect_outcomes
from common.harness.config import config, load_config, options_of, parse_config, read_yaml
from common.harness.errors import REPOSITORY, ConfigError, UserError, run_script, typed_path
from common.harness.files import write_arrays, write_json
from common.harness.launcher import Job, run_jobs
from common.harness.provenance import git_commit, read_setting
from common.harness.results import read_results, validate_results
from common.harness.runs import RUNS
from common.harness.strict_yaml import dump, flatten


@config
class Sweep:
    """A sweep file, but for the overrides and the variants."""

    experiment: str
    script: str
    baseline: str
    seeds: tuple[Annotated[int, Field(ge=0)], ...]
    config: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    reference: str = ""
    bounds_from: str = ""
    bounds_per_variant: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+", self.experiment):
            raise ValueError(f"experiment: expected letters, digits, _ -, got {self.experiment!r}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: expected one or more, all different, got {list(self.seeds)}")
        if not (REPOSITORY / self.script).is_file():
            raise ValueError(f"script: no such file {self.script}")

    @property
    def results(self) -> Path:
        """The folder of the part's results."""
        return (REPOSITORY / self.script).parent / "results"


@config
class Variant:
    """A variant of a sweep file, but for its overrides."""

    config: tuple[str, ...] = ()


def read_sweep(path: Path, runs: Path, device: str | None = None) -> tuple[Sweep, list[Job]]:
    """A sweep file and its jobs, variant by variant, on a device; raises ConfigError."""
    node = read_yaml(path)
    shared = _mapping(f"{path}: overrides", node.pop("overrides", {}))
    variants = _mapping(f"{path}: variants", node.pop("variants", {}))
    sweep = load_config(Sweep, [], node, source=f"{path}: ")
    if not variants:
        raise ConfigError(f"{path}: variants: expected one or more, got none")
    module = _config_module(REPOSITORY / sweep.script)
    if (REPOSITORY / sweep.baseline).resolve() != module.BASELINE:
        expected = f"expected the script's, {_shown(module.BASELINE)}, got {sweep.baseline}"
        raise ConfigError(f"{path}: baseline: {expected}")
    types = {key: field.annotation for key, field in options_of(module.Config).items()}
    shared = ({"threads": 1} if "threads" in types else {}) | flatten(shared)
    shared |= {"device": device} if device else {}
    made: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for name, value in variants.items():
        place = f"{path}: variants.{name}"
        variant = _mapping(place, value)
        own = flatten(_mapping(f"{place}.overrides", variant.pop("overrides", {})))
        files = [*sweep.config, *load_config(Variant, [], variant, source=f"{place}: ").config]
        options = [word for file in files for word in ("--config", file)]
        if "seed" in shared | own:
            raise ConfigError(f"{place}: overrides: seed comes from seeds, expected none here")
        for key, value in (shared | own).items():  # text stays text, as in a config file
            plain = types.get(key) is str and isinstance(value, str)
            options.append(f"--{key}={value if plain else dump(value, flow=True)}")
        try:  # as the script will read it
            cfg, _ = parse_config(
                module.Config, baseline=module.BASELINE, description="", argv=options
            )
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None
        made[name] = (options, flatten(json.loads(json.dumps(asdict(cfg)))))
    every = [resolved for _, resolved in made.values()]
    apart = [key for key in every[0] if any(each[key] != every[0][key] for each in every)]
    folder = runs / Path(sweep.script).parent.name.split("_")[0] / "sweep"
    jobs = []
    for name, (options, resolved) in made.items():
        content = json.dumps([sweep.script, sorted((resolved | {"seed": 0}).items())])
        stem = folder / hashlib.sha256(content.encode()).hexdigest()[:10]
        params = {key: resolved[key] for key in apart}
        for seed in sweep.seeds:
            run = stem.with_name(f"{stem.name}-seed{seed}")
            command = (sweep.script, *options, f"--seed={seed}", f"--run_dir={_shown(run)}")
            jobs.append(Job(name, seed, command, run, resolved | {"seed": seed}, params))
    return sweep, jobs


def _mapping(place: str, node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise ConfigError(f"{place}: expected a mapping (key: value), got {node!r}")
    return dict(node)


@cache
def _config_module(script: Path) -> Any:
    """The config.py beside a script: its class Config, and the BASELINE that it reads."""
    name = f"{script.parent.name}.config"
    spec = importlib.util.spec_from_file_location(name, script.parent / "config.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _shown(path: Path) -> Path:
    """A path as a command names it, from the repository."""
    return path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m common.sweep", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    cluster = "run on the Dask cluster at ADDRESS, or on one of --jobs workers started here"
    add = parser.add_argument
    add("sweep", type=typed_path, help="the sweep file")
    add("--jobs", type=int, default=os.cpu_count(), help="runs at once, default all cores")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), help="of every run; default: its own")
    add("--list", action="store_true", help="print the commands and exit")
    add("--dask", nargs="?", const="", metavar="ADDRESS", help=cluster)
    add("--runs", type=typed_path, default=RUNS, help="where runs go")
    add("--results", type=typed_path, help="default: <part>/results/<experiment>.json")
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1:
        parser.error(f"--jobs: expected at least 1, got {arguments.jobs}")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is not finished, then writes the results file; exit code 1 if a run failed."""
    arguments = _parse(argv)
    sweep, jobs = read_sweep(arguments.sweep, arguments.runs.resolve(), arguments.device)
    if arguments.list:
        print("\n".join(f"python {shlex.join(job.arguments)}" for job in jobs))
        return
    waiting = {job.folder: job for job in jobs if not job.is_finished}
    distinct = len({job.folder for job in jobs})
    print(f"{sweep.experiment}: {distinct} runs, {distinct - len(waiting)} finished before")
    _warn_of_other_commits([job.folder for job in jobs if job.folder not in waiting])
    failed = run_jobs([*waiting.values()], arguments.jobs, arguments.dask) if waiting else []
    for job, error in failed:
        print(f"failed: {job.variant}, seed {job.seed}: {error}", file=sys.stderr)
    if failed:
        raise SystemExit(1)
    _write_results(sweep, jobs, arguments)


def _warn_of_other_commits(finished: Sequence[Path]) -> None:
    """Says of runs that are reused which commits made them, where that is not this one."""
    made_by = {read_setting(folder).get("git") for folder in finished} - {git_commit()}
    if made_by:
        runs = f"runs of {', '.join(sorted(map(str, made_by)))} are reused as they are"
        anew = f"to train anew, remove them from {finished[0].parent}"
        print(f"warning: {runs}; {anew}", file=sys.stderr)


def _other_bounds(sweep: Sweep) -> dict[str, Any]:
    """The variants of the results file that bounds_from names; raises UserError."""
    if not sweep.bounds_from:
        return {}
    path = sweep.results / f"{sweep.bounds_from}.json"
    content = read_results(path)
    if content["seeds"] != list(sweep.seeds):
        raise UserError(f"{path} has seeds {content['seeds']}, expected {list(sweep.seeds)}")
    return {name: variant["metrics"] for name, variant in content["variants"].items()}


def _write_results(sweep: Sweep, jobs: Sequence[Job], arguments: argparse.Namespace) -> None:
    folders: dict[str, list[Path]] = {}
    for job in jobs:
        folders.setdefault(job.variant, []).append(job.folder)
    file = arguments.sweep.resolve() if arguments.sweep.exists() else REPOSITORY / arguments.sweep
    content = {"experiment": sweep.experiment, "seeds": list(sweep.seeds)}
    content["command"] = f"python -m common.sweep {_shown(file)}"
    content |= aggregate(
        folders, {job.variant: job.params for job in jobs}, curves=sweep.curves,
        bounds_per_variant=sweep.bounds_per_variant, reference=sweep.reference or None,
        bounds=_other_bounds(sweep),
    )  # fmt: skip
    validate_results(content)
    results = arguments.results or sweep.results / f"{sweep.experiment}.json"
    outcomes = collect_outcomes(folders, sweep.seeds)
    write_arrays(results.with_suffix(".npz"), outcomes)
    if not outcomes:  # an earlier sweep of that name may have had some
        results.with_suffix(".npz").unlink(missing_ok=True)
    write_json(results, content)
    print(f"wrote {results}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, runs included
    run_script(main)
