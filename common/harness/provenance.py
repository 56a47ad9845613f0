"""Where a number came from: command, commit, versions, machine; and whose a run's directory is."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.harness.config import REPOSITORY, read_yaml
from common.harness.errors import UserError, command_line
from common.harness.files import read_json
from common.harness.strict_yaml import flatten, load_text

MARKS = ("run.json", "config.yaml")  # a run's directory holds both; written in this order, first
FILES = (  # the rest, in the order in which they are cleared
    "summary.json", "outcomes.npz", "checkpoint.pt", "encoder.pt", "metrics.jsonl",
    "encoder-*.pt", "figures/*.png", "figures/*.gif", "figures/*.npz", "tensorboard/events.*",
)  # fmt: skip
MAY_CHANGE = ("threads", "device", "logger")  # options with which another config's run goes on


def provenance(device: str, precision: str) -> dict[str, Any]:
    """What has to be the same for a run of this process to give the same numbers."""
    import torch  # here, so that results are read without

    return {
        "command": command_line(),
        "git": git_commit(),
        "versions": versions(),
        "machine": machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def read_setting(folder: Path) -> dict[str, Any]:
    """The run.json of a run's folder; raises UserError where it lacks its number of seconds."""
    setting = read_json(folder / "run.json")
    seconds = setting.get("seconds")
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        wrong = f"seconds is {seconds!r}, expected a number, 0 or more"
        raise UserError(f"{folder / 'run.json'}: {wrong}; mend it, or pass another --run_dir")
    return setting


def git_commit() -> str | None:
    """The commit, with "-dirty" where files differ from it; None outside a checkout."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=REPOSITORY, capture_output=True, text=True, check=True,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """The versions that a number depends on."""
    import numpy as np
    import torch

    python = platform.python_version()
    return {"python": python, "torch": torch.__version__, "numpy": np.__version__}


def machine() -> str:
    """Processor and number of cores, such as "x86_64, 2 cores"."""
    return f"{platform.machine()}, {os.cpu_count()} cores"


def check_is_run(folder: Path) -> None:
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


def check_goes_on(folder: Path, config_yaml: str, device: str) -> None:
    """Refuses a finished run, or another config's, naming the first key.

    Says where threads or device are others than it was begun with.
    """
    path, files = folder / "config.yaml", [folder / name for name in FILES[:5]]
    if not path.exists() or not any(file.exists() and file.stat().st_size for file in files):
        return  # nothing was done yet, as where the config was refused for what it would take
    try:
        there = flatten(read_yaml(path))
    except UserError as error:
        raise UserError(f"{error}; pass another --run_dir, or --overwrite") from None
    here = flatten(load_text(config_yaml))
    for key in [*here, *there]:
        if key not in MAY_CHANGE and there.get(key) != here.get(key):
            differs = f"{there.get(key, 'absent')} there and {here.get(key, 'absent')} here"
            ways = "another --name or --run_dir, or --overwrite to discard it"
            raise UserError(f"{folder} holds another config's run: {key} is {differs}; pass {ways}")
    if (folder / "summary.json").exists():
        ways = "--overwrite to discard it, or another --name or --run_dir to keep it"
        raise UserError(f"{folder} holds a finished run; pass {ways}")
    if not (folder / "checkpoint.pt").exists():
        return
    if there.get("threads") != here.get("threads"):
        begun = f"begun with {there.get('threads')} threads, goes on with {here.get('threads')}"
        print(f"note: {begun}: equal to rounding, not to the bit", file=sys.stderr)
    before = read_setting(folder).get("device") if (folder / "run.json").exists() else device
    if before != device:
        begun = f"begun with device {before}, goes on with {device}"
        print(f"note: {begun}: what is drawn from here on is its own", file=sys.stderr)


def clear(folder: Path, patterns: Sequence[str]) -> None:
    """Removes files that a run writes, and nothing else."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        path.unlink()
