"""Processes of one thread each, run in parallel here or on a Dask cluster, through joblib."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import joblib
from tqdm import tqdm

from common.harness.config import REPOSITORY, read_yaml
from common.harness.errors import BUSY, UserError, one_line
from common.harness.files import disk_error
from common.harness.strict_yaml import flatten


@dataclass(frozen=True)
class Job:
    """A variant at one seed: what to run, its run's folder and config, what sets it apart."""

    variant: str
    seed: int
    arguments: tuple[str, ...]
    folder: Path
    config: Mapping[str, Any]
    params: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        """True when the folder holds a finished run of this config."""
        if not (self.folder / "summary.json").exists():
            return False
        try:
            return flatten(read_yaml(self.folder / "config.yaml")) == self.config
        except ValueError:
            return False


def run_jobs(jobs: Sequence[Job], num_jobs: int, dask: str | None) -> list[tuple[Job, str]]:
    """Runs jobs in parallel; returns those that failed, each with its last line."""
    running: set[subprocess.Popen[bytes]] = set()
    run = run_job if dask is not None else partial(run_job, running=running)
    try:
        with _backend(num_jobs, dask):
            parallel = joblib.Parallel(return_as="generator_unordered", pre_dispatch="n_jobs")
            outcomes: Any = parallel(joblib.delayed(run)(job, k) for k, job in enumerate(jobs))
            bar = tqdm(outcomes, total=len(jobs), unit="run")
            return [(job, error) for job, error in bar if error]
    finally:
        left = list(running)  # none but after Ctrl-C or an error
        for process in left:
            process.terminate()
        for process in left:  # until it has saved what it did
            process.wait()


def run_job(
    job: Job, number: int = 0, running: set[subprocess.Popen[bytes]] | None = None
) -> tuple[Job, str]:
    """Runs a job in a process of one thread; returns it with "" or its last line of output.

    number: of the job among all, which shares out the GPUs. A run that another process is making is
    waited for, and its result taken.
    """
    while True:
        if job.folder.exists():
            with filelock.FileLock(job.folder / ".lock"):
                pass
        error = "" if job.is_finished else _run(job, number, running)
        if BUSY not in error:
            return job, error


def gpu_of(number: int) -> dict[str, str]:
    """The environment in which a job sees one GPU, each the next; nothing where there is one."""
    import torch  # here, so that results are read without

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    known = named if len(named) == count else [str(gpu) for gpu in range(count)]
    return {"CUDA_VISIBLE_DEVICES": known[number % count]} if count > 1 else {}


def _run(job: Job, number: int, running: set[subprocess.Popen[bytes]] | None) -> str:
    log = job.folder.with_name(f"{job.folder.name}.log")
    running = set() if running is None else running
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *job.arguments],
                cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | gpu_of(number),
            )  # fmt: skip
    except OSError as error:
        raise disk_error(log, error) from None
    running.add(process)
    code = process.wait()
    running.discard(process)
    if job.is_finished:  # by this process, or by another that was faster
        return ""
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
    return f"{last} (exit code {code}, all of it in {log})"


@contextmanager
def _backend(num_jobs: int, dask: str | None) -> Iterator[None]:
    """Makes joblib use threads here, each driving a process, or the workers of a Dask cluster."""
    if dask is None:
        with joblib.parallel_config(backend="threading", n_jobs=num_jobs):
            yield
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise UserError('--dask needs an extra: pip install -e ".[cluster]"') from None
    local = {"n_workers": num_jobs, "threads_per_worker": 1, "dashboard_address": None}
    try:
        if dask:  # a client waits for ever where another kind of server listens
            asyncio.run(_reach(dask))
        client = Client(dask, timeout=5) if dask else Client(**local)
    except (OSError, ValueError) as error:
        wanted = "expected a scheduler that runs, as HOST:8786"
        raise UserError(f"--dask {dask}: {wanted}: {one_line(error) or 'no answer'}") from None
    with client, joblib.parallel_config(backend="dask", n_jobs=-1):
        yield


async def _reach(address: str) -> None:
    """Raises OSError (or ValueError) where no Dask scheduler answers within three seconds."""
    from distributed.comm.core import connect

    await (await asyncio.wait_for(connect(address), 3)).close()
