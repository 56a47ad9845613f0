"""Where a number came from: command, commit, versions, machine setting."""

import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from common.harness.config import REPOSITORY
from common.harness.errors import UserError, command_line
from common.harness.files import read_json


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
