"""Batch statistics over several processes: the one all-reduce through which gradients flow.

Started without ``torch.distributed``, everything here is the identity, so a loss is written once.

The convention, under which training on W ranks is training on the joined batch: what is minimised
is the mean of the ranks' losses, each a function of the rank's own equal share and of sums over all
ranks. A mean over samples may thus stay the rank's own; a loss that is the same on every rank is
its own mean. ``average_gradients``, as ``DistributedDataParallel``, divides the summed gradients by
W; the backward of ``all_reduce_sum`` adds up the W ranks' dL/dsum. (An all-reduce that is invisible
to autograd leaves W - 1 of them out.)
"""

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor
from torch.autograd.function import once_differentiable


def world_size() -> int:
    """Number of processes in the default group; 1 when ``torch.distributed`` is not in use."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_reduce_sum(x: Tensor, batch_size: int | None = None) -> Tensor:
    """Sum of the real tensor ``x`` over all ranks, same shape, differentiable (Gloo and NCCL).

    Every rank must call it with the same shape and in the same order, the backward included.
    With ``batch_size``, the number of samples behind ``x`` on this rank, ranks that hold unequal
    batches all raise ValueError: a mean of means would be silently weighted. The sizes travel in
    the same message.
    """
    return x if world_size() == 1 else _AllReduceSum.apply(x, batch_size)


def average_gradients(weights: Iterable[Tensor]) -> None:
    """Makes every gradient its mean over all ranks; a weight that has none on any stays without.

    For equal weights, of which the same have a gradient on every rank. DistributedDataParallel
    does as much, but wants one forward pass of one module in which every weight has a part.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if world_size() == 1 or not gradients:
        return
    mean = _total(torch.cat([each.flatten() for each in gradients])) / world_size()
    for each, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
        each.copy_(part.view_as(each))


def average(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scalars, to look at: the mean of each over all ranks, without a gradient."""
    if world_size() == 1:
        return {name: term.detach() for name, term in terms.items()}
    means = _total(torch.stack([term.detach() for term in terms.values()])) / world_size()
    return dict(zip(terms, means, strict=True))


def check_finite(z: Tensor) -> None:
    """Raise ValueError where ``z`` holds NaN or an infinity, with their number.

    Inside ``torch.vmap`` all that it maps over is looked at.
    """
    while is_functorch_wrapped_tensor(z):
        z = get_unwrapped(z)
    if odd := int((~torch.isfinite(z)).sum()):
        got = f"{odd} of {z.numel()} values that are not finite in an embedding of shape"
        raise ValueError(f"got {got} {tuple(z.shape)}; wanted finite numbers")


def full_precision(z: Tensor) -> Tensor:
    """``z`` in float32, in which statistics are taken; float64 stays as it is."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def exact(z: Tensor) -> Tensor:
    """``z`` in float64, for scores: on the CPU, since not every device has float64."""
    return z.cpu().double()


def check_alike(a: Tensor, b: Tensor, form: str) -> None:
    """Raise ValueError unless two tensors have one shape of a form such as (B, D), without 0."""
    if a.shape != b.shape or a.ndim != form.count(",") + 1 or a.numel() == 0:
        got = f"shapes {tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"got {got}; wanted two of the same shape {form}, none of it 0")


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
    def forward(ctx, x: Tensor, batch_size: int | None) -> Tensor:
        if batch_size is None:
            return _total(x)
        batches = x.new_zeros(world_size())  # each rank writes its own place
        batches[dist.get_rank()] = batch_size
        total = _total(torch.cat([x.flatten(), batches]))
        batches = [int(size) for size in total[x.numel() :].tolist()]
        if len(set(batches)) > 1:
            got = f"ranks hold batches of {', '.join(map(str, batches))} samples"
            raise ValueError(f"{got}; wanted equal ones, e.g. by dropping the last incomplete one")
        return total[: x.numel()].view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        return _total(grad), None


def _total(x: Tensor) -> Tensor:
    """The sum over ranks, which autograd does not see."""
    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, op=dist.ReduceOp.SUM)
    return total
