"""What a machine can hold, asked before anything large is made."""

import math
import os
import sys
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

    Where it is a quarter of it or more, that is said. lower: the options that make it smaller.
    """
    needed, there = math.prod(shape) * item_size, memory_there()
    takes, of = f"{needed / 1e9:,.1f} GB", f"the {there / 1e9:,.1f} GB of this machine or container"
    if needed > there:
        raise UserError(f"{what} would take {takes}, more than {of}: lower {lower}")
    if needed > there / 4:
        print(f"note: {what} will take {takes} of {of}; less with a lower {lower}", file=sys.stderr)
