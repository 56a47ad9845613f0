"""Gram anchoring: which patches are alike stays as an earlier teacher had it."""

from torch import Tensor
from torch.nn import functional as F

from common.distributed import all_reduce_sum, world_size


def gram_anchoring(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the cosines of all pairs of patches of a picture, a scalar.

    student, teacher (B, N, D): patch tokens of the same pictures; no gradient flows to the teacher.
    DINOv3, arXiv 2508.10104, eq. 2, divided by B N^2; negative cosines are kept. Between 0 and 4.
    Features may turn, all together, at no cost. Raises ValueError for shapes that differ and for
    ranks with unequal batches.
    """
    if student.shape != teacher.shape or student.ndim != 3:
        raise ValueError(
            f"got patch tokens {tuple(student.shape)} and {tuple(teacher.shape)}; wanted two of "
            "the same shape (B, N, D)"
        )
    mine, theirs = (F.normalize(z.float(), dim=-1) for z in (student, teacher.detach()))
    gap = mine @ mine.mT - theirs @ theirs.mT  # (B, N, N)
    return all_reduce_sum(gap.square().mean(), len(gap)) / world_size()
