"""The processes that torchrun started, which share every batch; without it, a script is one."""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from common.harness.checkpoints import load_state, state_of
from common.harness.errors import UserError
from common.harness.runs import Run


@dataclass(frozen=True)
class Processes:
    """Which process this is (its rank), of how many, and where it computes."""

    rank: int
    count: int
    device: torch.device

    def join(self) -> None:
        """Waits until all are there; from here on, batch statistics run over the joined batch."""
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        if self.rank > 0:  # Ctrl-C is left to rank 0, who saves and goes
            signal.signal(signal.SIGINT, _leave_quietly)

    def share(self, batch_size: int) -> slice:
        """Which samples of a batch are this rank's; those of all ranks make it up, in order."""
        size = batch_size // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def from_first(self, value: Any) -> Any:
        """What rank 0 passed, on every rank."""
        holder = [value]
        if self.count > 1:
            dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def restore(self, run: Run | None, state: Mapping[str, Any]) -> int:
        """As ``Run.restore``, on every rank, of which the first alone has a run."""
        step, saved = self.from_first((run.restore(state), state_of(state)) if run else None)
        if not run and step:
            load_state(state, saved, Path("the checkpoint of rank 0"))
        return step

    def leave(self) -> None:
        """Leaves the group when all ranks do: one that goes first cuts off who still receives."""
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()

    def end(self) -> None:
        """Ends one of several processes here: Gloo's threads can abort the interpreter's end."""
        if self.count > 1:
            with suppress(OSError):  # of a closed terminal: the run is finished
                sys.stdout.flush()
            os._exit(0)


def _leave_quietly(*_: object) -> None:
    """What ends this process from here on, rank 0 being gone, is not shown."""
    sys.excepthook = lambda *_: os._exit(130)


def started(batch_size: int, device: torch.device) -> Processes:
    """The processes of this command, on CUDA each with a GPU of its own.

    Raises UserError unless each gets as much of a batch, and on MPS, which has one at most.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes(0, 1, device)
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if batch_size % count:
        few = " (there are more processes than samples)" if batch_size < count else ""
        raise UserError(
            f"batch_size {batch_size} over {count} processes gives unequal batches{few}: use a "
            f"multiple of {count}, such as {max(1, batch_size // count) * count}"
        )
    if count > 1 and device.type == "mps":
        raise UserError("several processes cannot share mps: use --device=cpu, or one process")
    if count > 1 and device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return Processes(rank, count, device)
