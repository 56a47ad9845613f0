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
checkpoint. A finished run is only redone when asked, and two processes never share a directory.
"""

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import filelock
import numpy as np
import torch

from common.harness.checkpoints import load_checkpoint, save_checkpoint
from common.harness.config import REPOSITORY, RunOptions, read_yaml
from common.harness.errors import UserError
from common.harness.files import (
    disk_error,
    not_finite,
    read_json,
    write_arrays,
    write_atomic,
    write_json,
)
from common.harness.provenance import provenance
from common.harness.strict_yaml import flatten, load_text

RUNS = REPOSITORY / "runs"
PARTIAL = "config.yaml.partial"
FILES = (  # in the order in which they are cleared
    "summary.json", "outcomes.npz", "checkpoint.pt", "encoder.pt", "metrics.jsonl", "run.json",
    "figures/*.png", "figures/*.gif", "figures/*.npz", "config.yaml",
)  # fmt: skip


class Run:
    """An open run directory; use it as a context manager."""

    def __init__(self, folder: Path, lock: filelock.BaseFileLock, setting: dict[str, Any]) -> None:
        self.folder, self._lock, self._setting = folder, lock, setting
        self._started = time.monotonic()
        earlier = read_json(folder / "run.json") if (folder / "run.json").exists() else {}
        self._earlier = float(earlier.get("seconds", 0.0))
        self._write_setting()
        self._metrics = (folder / "metrics.jsonl").open("ab", buffering=0)

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
            busy = f"another process is running in {folder}"
            raise UserError(f"{busy}; wait for it, or pass another --run_dir") from None
        except OSError as error:
            raise disk_error(folder, error) from None
        try:
            if options.overwrite:
                _clear(folder)
            _check_same_config(folder, config_yaml)
            if (folder / "summary.json").exists():
                ways = "--overwrite to discard it, or another --name or --run_dir to keep it"
                raise UserError(f"{folder} holds a finished run; pass {ways}")
            write_atomic(folder / "config.yaml", config_yaml.encode())
            return cls(folder, lock, provenance(device, precision))
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

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Makes this the state that restore() returns, with its step; the rest is the caller's.

        Put weights, optimizers and the state of every random generator in it. Raises UserError.
        """
        try:
            os.fsync(self._metrics.fileno())
        except OSError as error:
            raise disk_error(self.folder / "metrics.jsonl", error) from None
        content = {"step": step, "metrics_bytes": self._metrics.tell(), "state": dict(state)}
        save_checkpoint(self.folder / "checkpoint.pt", content)
        self._write_setting()

    def restore(self) -> dict[str, Any] | None:
        """{"step": step, **state} of the last save(), None if there was none.

        Cuts metrics.jsonl back to what that checkpoint had seen. Raises UserError.
        """
        path = self.folder / "checkpoint.pt"
        anew = f"{self._setting['command']} --overwrite"
        fresh: dict[str, Any] = {"step": 0, "metrics_bytes": 0, "state": {}}
        checkpoint = load_checkpoint(path, anew) if path.exists() else fresh
        if checkpoint.keys() != {"step", "metrics_bytes", "state"}:
            raise UserError(f"{path}: not the checkpoint of a run; start anew: {anew}")
        if checkpoint["metrics_bytes"] > self._metrics.seek(0, os.SEEK_END):
            raise UserError(f"metrics.jsonl is older than {path}; start anew: {anew}")
        self._metrics.truncate(checkpoint["metrics_bytes"])
        self._metrics.seek(0, os.SEEK_END)
        if not path.exists():
            return None
        print(f"resumed from step {checkpoint['step']}: {self.folder}")
        return {"step": checkpoint["step"], **checkpoint["state"]}

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
    if not folder.exists() or (folder / "config.yaml").exists():
        return
    strange = [path.name for path in folder.iterdir() if path.name not in (".lock", PARTIAL)]
    if strange:
        holds = f"it holds {strange[0]} but no config.yaml"
        raise UserError(f"{folder} is not a run ({holds}); pass an empty or new --run_dir")


def _check_same_config(folder: Path, config_yaml: str) -> None:
    """Refuses a directory whose config differs, naming the first key that does."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    try:
        there = flatten(read_yaml(path))
    except UserError as error:
        raise UserError(f"{error}; pass another --run_dir, or --overwrite") from None
    here = flatten(load_text(config_yaml))
    for key in [*here, *there]:
        if there.get(key) != here.get(key):
            differs = f"{there.get(key, 'absent')} there and {here.get(key, 'absent')} here"
            ways = "another --name or --run_dir, or --overwrite to discard it"
            raise UserError(f"{folder} holds another config's run: {key} is {differs}; pass {ways}")


def _clear(folder: Path) -> None:
    """Removes what a run writes, and nothing else; config.yaml last, so that it can be redone."""
    for pattern in FILES:
        for path in [*folder.glob(pattern), *folder.glob(f"{pattern}.partial")]:
            path.unlink()


def _plain(value: Any) -> Any:
    """A term as JSON can hold it; tensors and arrays become numbers or lists."""
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value
