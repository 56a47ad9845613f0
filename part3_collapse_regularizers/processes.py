"""The processes that torchrun started, which share every batch; without it, a script is one."""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from common.harness.errors import UserError

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """Which process this is (its rank), of how many, and where it computes."""

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    def join(self) -> None:
        """Waits until all are there; from here on, batch statistics run over the joined batch."""
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    def from_first(self, value: Any) -> Any:
        """What rank 0 passed, on every rank."""
        holder = [value]
        if self.count > 1:
            dist.broadcast_object_list(holder, src=0)
        return holder[0]

    def leave(self) -> None:
        """Leaves the group when all ranks do: one that goes first cuts off who still receives."""
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()


def started(batch_size: int) -> Processes:
    """The processes of this command; raises UserError unless each gets as much of a batch."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Processes()
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if batch_size % count:
        few = " (there are more processes than samples)" if batch_size < count else ""
        raise UserError(
            f"batch_size {batch_size} over {count} processes gives unequal batches{few}: use a "
            f"multiple of {count}, such as {max(1, batch_size // count) * count}"
        )
    if count == 1 or not torch.cuda.is_available():
        return Processes(rank, count)
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return Processes(rank, count, device)
