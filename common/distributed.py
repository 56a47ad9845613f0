"""Batch statistics over several processes: the one all-reduce through which gradients flow.

Started without ``torch.distributed``, everything here is the identity, so a loss is written once.

The convention, under which training on W ranks is training on the joined batch: every rank
returns the same loss L, a function of sums over all ranks. ``DistributedDataParallel`` divides
the summed gradients by W; the backward of ``all_reduce_sum`` adds up the W equal copies of dL/dsum,
which puts that factor back. (An all-reduce that is invisible to autograd is short by 1 / W.)
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def world_size() -> int:
    """Number of processes in the default group; 1 when ``torch.distributed`` is not in use."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum of the real tensor ``x`` over all ranks, same shape, differentiable (Gloo and NCCL).

    Every rank must call it with the same shape and in the same order, the backward included.
    """
    return x if world_size() == 1 else _AllReduceSum.apply(x)


def check_equal_batches(batch_size: int, device: torch.device) -> None:
    """Raise ValueError, on every rank, unless all ranks hold ``batch_size`` samples.

    Without it a mean of per-rank means is silently weighted, or a collective hangs.
    """
    if world_size() == 1:
        return
    extremes = torch.tensor([batch_size, -batch_size], device=device)
    dist.all_reduce(extremes, op=dist.ReduceOp.MAX)
    largest, smallest = extremes[0].item(), -extremes[1].item()
    if largest != smallest:
        raise ValueError(
            f"ranks hold between {smallest} and {largest} samples (rank {dist.get_rank()}: "
            f"{batch_size}); wanted equal batches, e.g. by dropping the last incomplete one"
        )


def check_finite(z: Tensor) -> None:
    """Raise ValueError where ``z`` holds NaN or an infinity, with their number."""
    finite = torch.isfinite(z)
    if not finite.all():
        count = z.numel() - int(finite.sum())
        raise ValueError(
            f"got {count} of {z.numel()} values that are not finite in an embedding of shape "
            f"{tuple(z.shape)}; wanted finite numbers"
        )


def shared_seed(seed: int) -> int:
    """Rank 0's ``seed`` on every rank: generators seeded with it draw the same slices."""
    if world_size() == 1:
        return seed
    holder = [seed]
    dist.broadcast_object_list(holder, src=0)
    return holder[0]


class _AllReduceSum(torch.autograd.Function):
    """y = sum of x over ranks; dL/dx = sum of dL/dy over ranks."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, op=dist.ReduceOp.SUM)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, op=dist.ReduceOp.SUM)
        return total
