"""A teacher: a copy of the student that follows it slowly and gets no gradient (BYOL, DINO)."""

import copy
import math
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def make_teacher(student: M) -> M:
    """A copy with the student's weights, in evaluation mode, without gradients."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, rate: float) -> None:
    """teacher <- rate teacher + (1 - rate) student, for weights; buffers are copied.

    BYOL, arXiv 2006.07733, eq. 1. On several ranks nothing is sent: equal students make equal
    teachers. Raises ValueError for a rate outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"got an EMA rate of {rate}; wanted a number in [0, 1]")
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.lerp_(fast, 1 - rate)
    for slow, fast in zip(teacher.buffers(), student.buffers(), strict=True):
        slow.copy_(fast)


def ema_rate(step: int, num_steps: int, first: float) -> float:
    """The rate at a step: from ``first`` at 0 to 1 at the end along a cosine (BYOL, sec. 3.2).

    From 1 on the teacher stays as it was drawn. Raises ValueError for a first rate outside [0, 1].
    """
    if not 0 <= first <= 1:
        raise ValueError(f"got an EMA rate of {first}; wanted a number in [0, 1]")
    return 1 - (1 - first) * (1 + math.cos(math.pi * step / num_steps)) / 2


def initial_share(num_steps: int, first: float) -> float:
    """The share of its first weights still in a teacher after num_steps of ``ema_rate``, 0 to 1.

    The product of the rates: every step multiplies what was there by its rate.
    """
    return math.prod(ema_rate(step, num_steps, first) for step in range(num_steps))
