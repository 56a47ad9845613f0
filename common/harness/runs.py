"""The directory that a run lives in: what it was asked, what it measured, where it stands.

    runs/<part>/<name>-seed<k>/
        config.yaml      the resolved config
        run.json         command, git commit, versions, device, threads, precision, seconds
        metrics.jsonl    one line per log(); no clock times, so that equal runs are equal files
        checkpoint.pt    the state of the last save(), and how much of metrics.jsonl it has seen
        figures/         *.png and *.gif, each with the .npz of the arrays it was drawn from
        outcomes.npz     the scores of single pairs or episodes, where the part keeps them
        summary.json     the final numbers; written last, so its presence means finished

A run may be killed at any moment: opened again with the same config, it continues from its last
checkpoint; stopped by Ctrl-C, from where it was. The number of threads alone may differ, which is
said, since sums in another order round otherwise. A finished run is only redone when asked, and two
processes never share a directory.
"""

import errno
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import filelock
import numpy as np
import torch
from tqdm import tqdm

from common.harness.checkpoints import load_checkpoint, load_state, save_checkpoint, state_of
from common.harness.config import REPOSITORY, RunOptions, read_yaml
from common.harness.errors import BUSY, UserError, on_interrupt
from common.harness.files import (
    disk_error,
    not_finite,
    write_arrays,
    write_atomic,
    write_json,
)
from common.harness.provenance import provenance, read_setting
from common.harness.strict_yaml import flatten, load_text

RUNS = REPOSITORY / "runs"
MARKS = ("run.json", "config.yaml")  # a run's directory holds both; written in this order, first
FILES = (  # the rest, in the order in which they are cleared
    "summary.json", "outcomes.npz", "checkpoint.pt", "encoder.pt", "metrics.jsonl",
    "figures/*.png", "figures/*.gif", "figures/*.npz",
)  # fmt: skip


class Run:
    """An open run directory; use it as a context manager."""

    def __init__(
        self, folder: Path, lock: filelock.BaseFileLock, setting: dict[str, Any], config_yaml: str
    ) -> None:  # fmt: skip
        self.folder, self._lock, self._setting = folder, lock, setting
        self._started = time.monotonic()
        is_resumed = (folder / "checkpoint.pt").exists() and (folder / "run.json").exists()
        self._earlier = read_setting(folder)["seconds"] if is_resumed else 0.0
        self.is_stopping = False  # asked to: the loop is to save once more
        self._write_setting()
        write_atomic(folder / "config.yaml", config_yaml.encode())
        try:
            self._metrics = (folder / "metrics.jsonl").open("ab", buffering=0)
        except OSError as error:
            raise disk_error(folder / "metrics.jsonl", error) from None

    @classmethod
    def open(
        cls, part: str, options: RunOptions, config_yaml: str, *, seed: int, device: str = "cpu",
        precision: str = "float32",
    ) -> Self:  # fmt: skip
        """The run in options.run_dir, or in runs/<part>/<name>-seed<seed>.

        Call it after the number of threads is set. Raises UserError when the directory is another
        process's, another config's, finished (without options.overwrite) or no run at all.
        """
        folder = options.run_dir or RUNS / part / f"{options.name}-seed{seed}"
        try:
            _check_is_run(folder)
            folder.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(folder / ".lock")
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise UserError(f"{BUSY} {folder}; wait for it, or pass another --run_dir") from None
        except OSError as error:
            raise disk_error(folder, error) from None
        try:
            _clear(folder, [f"{name}.*.partial" for name in (*FILES, *MARKS)])  # of killed writers
            if options.overwrite:
                _clear(folder, FILES)
            else:
                _check_goes_on(folder, config_yaml)
            return cls(folder, lock, provenance(device, precision), config_yaml)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.close()
        self._lock.release()

    def log(self, step: int, terms: Mapping[str, Any]) -> None:
        """Appends {"step": step, **terms} to metrics.jsonl.

        A term is a number, a scalar tensor, text, or a list of these. Raises UserError, naming
        step and term, when a number is not finite; the last checkpoint stays.
        """
        line = {"step": step} | {name: _plain(value) for name, value in terms.items()}
        for name, number in not_finite(line):
            wrong = f"step {step}: {name} is {number}, expected a finite number"
            raise UserError(f"{wrong}; the last good checkpoint is in {self.folder}")
        data = f"{json.dumps(line)}\n".encode()
        try:
            if self._metrics.write(data) != len(data):
                raise OSError(errno.ENOSPC, "disk full")
        except OSError as error:
            raise disk_error(self.folder / "metrics.jsonl", error) from None

    def steps(self, start: int, stop: int) -> Iterator[int]:
        """start .. stop - 1, with a progress bar, stopped by Ctrl-C only after a save().

        Ctrl-C, or SIGTERM, sets is_stopping; the loop then saves after the step that it is at. A
        second Ctrl-C stops at once.
        """
        with on_interrupt(self._stop):
            yield from tqdm(range(start, stop), initial=start, total=stop, desc="training")
        if self.is_stopping:  # asked after the last save
            raise KeyboardInterrupt

    def _stop(self) -> None:
        self.is_stopping = True

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Makes this the state that restore() loads, and ends the run if it is_stopping.

        Put every module, optimizer and random generator in it, or dicts of them. Raises UserError.
        """
        try:
            os.fsync(self._metrics.fileno())
        except OSError as error:
            raise disk_error(self.folder / "metrics.jsonl", error) from None
        content = {"step": step, "metrics_bytes": self._metrics.tell(), "state": state_of(state)}
        save_checkpoint(self.folder / "checkpoint.pt", content)
        self._write_setting()
        if self.is_stopping:
            raise KeyboardInterrupt

    def restore(self, state: Mapping[str, Any]) -> int:
        """The step of the last save(), whose state is loaded into what save() gets; 0 without one.

        Cuts metrics.jsonl back to what that checkpoint had seen. Raises UserError.
        """
        path = self.folder / "checkpoint.pt"
        anew = f"{self._setting['command']} --overwrite"
        fresh: dict[str, Any] = {"step": 0, "metrics_bytes": 0, "state": {}}
        checkpoint = load_checkpoint(path, anew) if path.exists() else fresh
        step, seen = checkpoint.get("step"), checkpoint.get("metrics_bytes")
        if not (isinstance(step, int) and isinstance(seen, int) and min(step, seen) >= 0):
            raise UserError(f"{path}: not the checkpoint of a run; start anew: {anew}")
        if seen > self._metrics.seek(0, os.SEEK_END):
            raise UserError(f"metrics.jsonl is older than {path}; start anew: {anew}")
        if path.exists():
            try:
                load_state(state, checkpoint.get("state"), path)
            except UserError as error:
                raise UserError(f"{error}; start anew: {anew}") from None
        self._metrics.truncate(seen)
        self._metrics.seek(0, os.SEEK_END)
        if step:
            print(f"resumed from step {step}: {self.folder}")
        return step

    def finish(
        self, summary: dict[str, Any], outcomes: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Writes outcomes.npz, the scores of single pairs or episodes, and, last, summary.json.

        A sweep aggregates {"variants": {method: {metric: number}}, "bounds": {bound: {metric:
        number}}, "protocol": {...}}; which interval a metric gets follows from {"shares": {metric:
        trials}, "limits": {metric: [low, high]}, "same_episodes": bool}, null for no limit
        (``common.harness.aggregate.interval_of``). Raises UserError on a number that is not finite.
        """
        self._write_setting()
        write_arrays(self.folder / "outcomes.npz", outcomes or {})
        write_json(self.folder / "summary.json", summary)
        print(f"run: {self.folder}")
        if any(self.folder.glob("figures/*.*")):
            print(f"figures: {self.folder / 'figures'}")

    def _write_setting(self) -> None:
        seconds = self._earlier + time.monotonic() - self._started
        write_json(self.folder / "run.json", self._setting | {"seconds": round(seconds, 1)})


def _check_is_run(folder: Path) -> None:
    """Refuses a directory with content that no run wrote."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; expected a directory to run in")
    missing = [name for name in MARKS if not (folder / name).exists()]
    if not folder.exists() or not missing:
        return
    begun = (".lock", "run.json", *(path.name for path in folder.glob("*.partial")))
    strange = [path.name for path in folder.iterdir() if path.name not in begun]
    if strange:
        holds = f"it holds {strange[0]} but no {missing[0]}"
        raise UserError(f"{folder} is not a run ({holds}); pass an empty or new --run_dir")


def _check_goes_on(folder: Path, config_yaml: str) -> None:
    """Refuses a finished run, or another config's, naming the first key; other threads are said."""
    path, files = folder / "config.yaml", [folder / name for name in FILES[:5]]
    if not path.exists() or not any(file.exists() and file.stat().st_size for file in files):
        return  # nothing was done yet, as where the config was refused for what it would take
    try:
        there = flatten(read_yaml(path))
    except UserError as error:
        raise UserError(f"{error}; pass another --run_dir, or --overwrite") from None
    here = flatten(load_text(config_yaml))
    for key in [*here, *there]:
        if key != "threads" and there.get(key) != here.get(key):
            differs = f"{there.get(key, 'absent')} there and {here.get(key, 'absent')} here"
            ways = "another --name or --run_dir, or --overwrite to discard it"
            raise UserError(f"{folder} holds another config's run: {key} is {differs}; pass {ways}")
    if (folder / "summary.json").exists():
        ways = "--overwrite to discard it, or another --name or --run_dir to keep it"
        raise UserError(f"{folder} holds a finished run; pass {ways}")
    if (folder / "checkpoint.pt").exists() and there.get("threads") != here.get("threads"):
        begun = f"begun with {there.get('threads')} threads, goes on with {here.get('threads')}"
        print(f"note: {begun}: equal to rounding, not to the bit", file=sys.stderr)


def _clear(folder: Path, patterns: Sequence[str]) -> None:
    """Removes files that a run writes, and nothing else."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        path.unlink()


def _plain(value: Any) -> Any:
    """A term as JSON can hold it; tensors and arrays become numbers or lists."""
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value
