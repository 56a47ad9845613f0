"""What a machine can hold, asked before anything large is made."""

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from common.harness.errors import UserError

CONTAINER = (  # where Linux says what a container may use: cgroup v2, v1
    Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)  # fmt: skip


def memory_there() -> float:
    """Bytes that this process may use: the machine's or its container's; inf where none tells."""
    found = [math.inf]
    with suppress(AttributeError, OSError, ValueError):  # a system that does not tell
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CONTAINER:
        with suppress(OSError, ValueError):  # no container, or "max", which is no limit
            found.append(int(path.read_text()))
    return min(found)


def check_memory(what: str, shape: Sequence[float], item_size: int, lower: str) -> None:
    """Raises UserError where an array of that shape and size (bytes) an item is more than there is.

    lower: the options that would make it smaller.
    """
    needed, there = math.prod(shape) * item_size, memory_there()
    if needed > there:
        more = f"more than the {there / 1e9:,.1f} GB of this machine or container"
        raise UserError(f"{what} would take {needed / 1e9:,.1f} GB, {more}: lower {lower}")
