"""What a machine can hold, asked before anything large is made."""

import math
import os
from collections.abc import Sequence

from common.harness.errors import UserError


def check_memory(what: str, shape: Sequence[float], item_size: int, lower: str) -> None:
    """Raises UserError where an array of that shape and size (bytes) an item is more than there is.

    lower: the options that would make it smaller.
    """
    needed = math.prod(shape) * item_size
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system that does not tell
        return
    if needed > there:
        more = f"more than the {there / 1e9:.0f} GB of this machine"
        raise UserError(f"{what} would take {needed / 1e9:.0f} GB, {more}: lower {lower}")
