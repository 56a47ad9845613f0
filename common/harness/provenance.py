"""Where a number came from: command, commit, versions, machine setting."""

import os
import platform
import subprocess
from typing import Any

from common.harness.config import REPOSITORY
from common.harness.errors import command_line


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
