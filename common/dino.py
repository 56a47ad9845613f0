"""DINO's loss: a student names the prototype that a centred, sharpened teacher names.

Caron et al., arXiv 2104.14294. Nothing else keeps it from collapsing: the centre takes from every
prototype what it gets on average, without which one prototype wins always; the low temperature of
the teacher sharpens, without which all prototypes win alike. DINOv3's Gram anchoring is here too.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.distributed import (
    all_reduce_sum,
    check_alike,
    check_finite,
    full_precision,
    world_size,
)


class Centre(nn.Module):
    """The running mean of the teacher's logits, (K,), over the joined batch of all ranks.

    DINO, eq. 4: c <- momentum c + (1 - momentum) mean. Raises ValueError for a momentum outside
    [0, 1).
    """

    mean: Tensor

    def __init__(self, num_prototypes: int, *, momentum: float = 0.9) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"got momentum={momentum}; wanted a number in [0, 1)")
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(num_prototypes))

    @torch.no_grad()
    def update(self, teacher: Tensor) -> None:
        """Moves towards the mean of logits (..., K). Call it after the loss, as the authors do.

        Raises ValueError for ranks with unequal batches.
        """
        teacher = teacher.detach().flatten(0, -2).to(self.mean.dtype)
        mean = all_reduce_sum(teacher.mean(0), len(teacher)) / world_size()
        self.mean.lerp_(mean, 1 - self.momentum)


def cross_entropy(
    student: Tensor, teacher: Tensor, centre: Tensor, *,
    student_temperature: float = 0.1, teacher_temperature: float = 0.04,
) -> Tensor:  # fmt: skip
    """Cross-entropy (nats) of logits (B, K) of a student with those of a teacher, a scalar.

    -sum_k P_t log P_s with P_t = softmax((teacher - centre) / t_t), P_s = softmax(student / t_s),
    mean over the batch of all ranks; no gradient flows to the teacher. DINO, eq. 2. Between 0 and,
    for a student that says nothing, log K.

    Raises ValueError for shapes that differ, numbers that are not finite, temperatures not above
    0, and ranks with unequal batches.
    """
    check_alike(student, teacher, "(B, K)")
    if not (student_temperature > 0 and teacher_temperature > 0):
        got = f"{student_temperature} and {teacher_temperature}"
        raise ValueError(f"got temperatures {got}; wanted both above 0")
    check_finite(student)
    check_finite(teacher)
    target = F.softmax((full_precision(teacher.detach()) - centre) / teacher_temperature, dim=-1)
    log_share = F.log_softmax(full_precision(student) / student_temperature, dim=-1)
    return -all_reduce_sum((target * log_share).sum(-1).mean(), len(student)) / world_size()


def dino(
    student: Tensor, teacher: Tensor, centre: Tensor, *,
    student_temperature: float = 0.1, teacher_temperature: float = 0.04,
) -> dict[str, Tensor]:  # fmt: skip
    """Mean ``cross_entropy`` of all pairs of views but a view with itself, a scalar term.

    student (V, B, K): the global views first, then the local ones; teacher (G, B, K): the global
    views in the same order. DINO, eq. 3. Raises ValueError as ``cross_entropy``, and where no pair
    is left (one view of each).
    """
    pairs = [(v, g) for g in range(len(teacher)) for v in range(len(student)) if v != g]
    if not pairs:
        got = f"{len(student)} student and {len(teacher)} teacher views, no two of them different"
        raise ValueError(f"got {got}; wanted at least two views for the student")
    each = partial(
        cross_entropy, centre=centre, student_temperature=student_temperature,
        teacher_temperature=teacher_temperature,
    )  # fmt: skip
    return {"cross_entropy": torch.stack([each(student[v], teacher[g]) for v, g in pairs]).mean()}


def gram_anchoring(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the cosines of all pairs of patches of a picture, a scalar.

    student, teacher (B, N, D): patch tokens of the same pictures; no gradient flows to the teacher.
    DINOv3, arXiv 2508.10104, eq. 2, divided by B N^2; negative cosines are kept. Between 0 and 4.
    Features may turn, all together, at no cost. Raises ValueError as ``cross_entropy``.
    """
    check_alike(student, teacher, "(B, N, D)")
    check_finite(student)
    check_finite(teacher)
    mine, theirs = (F.normalize(full_precision(z), dim=-1) for z in (student, teacher.detach()))
    with torch.autocast(mine.device.type, enabled=False):
        gap = mine @ mine.mT - theirs @ theirs.mT  # (B, N, N)
    return all_reduce_sum(gap.square().mean(), len(gap)) / world_size()
