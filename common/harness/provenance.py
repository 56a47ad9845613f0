"""Where a number came from: command, commit, versions, machine setting."""

import os
import platform
import subprocess
from typing import Any

import numpy as np
import torch

from common.harness.config import REPOSITORY
from common.harness.errors import command_line


def provenance(device: str, precision: str) -> dict[str, Any]:
    """Returns what has to be the same for a run of this process to give the same numbers."""
    return {
        "command": command_line(),
        "git": git_commit(),
        "versions": versions(),
        "machine": machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def git_commit() -> str | None:
    """Returns the commit, with "-dirty" where files differ from it; None outside a checkout."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=REPOSITORY,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def versions() -> dict[str, str]:
    """Returns the versions that a number depends on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def machine() -> str:
    """Returns processor and number of cores, such as "x86_64, 2 cores"."""
    return f"{platform.machine()}, {os.cpu_count()} cores"
