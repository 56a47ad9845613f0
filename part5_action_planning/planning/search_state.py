"""What all planners share: bounds, the best plan so far, elites and weights."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

CostFn = Callable[[Tensor], Tensor]  # candidates (E, S, ...) -> cost (E, S)


@dataclass(frozen=True)
class Bounds:
    """Least and largest action, (A,) each. Raises ValueError where least is not below largest."""

    low: Tensor
    high: Tensor

    def __post_init__(self) -> None:
        if self.low.shape != self.high.shape or not (self.low < self.high).all():
            raise ValueError(
                f"bounds {self.low.tolist()} and {self.high.tolist()} leave no action: low must "
                "be below high in every component"
            )

    def clamp(self, actions: Tensor) -> Tensor:
        """The nearest actions within the bounds."""
        return actions.clamp(self.low, self.high)

    @property
    def middle(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def half(self) -> Tensor:
        return (self.high - self.low) / 2


@dataclass
class Plan:
    """actions (E, H, A) and their cost (E,); calls: rollouts that an episode has cost so far."""

    actions: Tensor
    cost: Tensor
    calls: int

    def improve(self, cost_fn: CostFn, candidates: Tensor) -> Tensor:
        """Keeps each episode's best of candidates (E, S, H, A); returns their cost (E, S)."""
        cost = cost_fn(candidates)
        if cost.shape != candidates.shape[:2]:
            raise ValueError(
                f"got costs of shape {tuple(cost.shape)} for candidates {tuple(candidates.shape)}; "
                f"wanted {tuple(candidates.shape[:2])}"
            )
        self.keep_best(cost, candidates)
        return torch.where(cost.isfinite(), cost, torch.inf)

    def keep_best(self, cost: Tensor, candidates: Tensor) -> None:
        """Keeps each episode's best of candidates (E, S, ...) whose cost (E, S) is known.

        Raises ValueError for an episode that has met no finite cost so far.
        """
        self.calls += candidates.shape[1]
        cost = torch.where(cost.isfinite(), cost, torch.inf).detach()
        best, which = cost.min(dim=1)
        found = candidates.detach()[torch.arange(len(which), device=which.device), which]
        better = best < self.cost
        shape = (-1, *[1] * (found.ndim - 1))
        self.actions = torch.where(better.view(shape), found, self.actions)
        self.cost = torch.where(better, best, self.cost)
        if not self.cost.isfinite().all():
            episode = int((~self.cost.isfinite()).nonzero()[0])
            raise ValueError(
                f"no candidate of episode {episode} has a finite cost: the model diverges"
            )


def take_best(candidates: Tensor, cost: Tensor, count: int, best_so_far: Tensor) -> Tensor:
    """The ``count`` cheapest candidates of each episode, cheapest first: (E, count, H, A).

    Where fewer have a finite cost, best_so_far (E, H, A) takes the places of the others.
    """
    index = cost.argsort(dim=1, stable=True)[:, :count]
    found = candidates.gather(1, index[:, :, None, None].expand(-1, -1, *candidates.shape[2:]))
    accepted = cost.gather(1, index).isfinite()[:, :, None, None]
    return torch.where(accepted, found, best_so_far.unsqueeze(1))


def softmin(cost: Tensor, temperature: float) -> Tensor:
    """Weights (E, S) that sum to 1: softmax of -cost over temperature standard deviations.

    0 for an infinite cost; equal weights where all are infinite. The unit of the cost and how low
    the temperature is matter to no square and no quotient: costs are taken in powers of two near
    the largest, which rounds nothing.
    """
    cost = torch.where(cost.isfinite().any(1, keepdim=True), cost, 0.0)
    finite = cost.isfinite()
    count = finite.sum(1, keepdim=True)
    largest = torch.where(finite, cost, 0.0).abs().amax(1, keepdim=True)
    largest = largest.clamp(min=torch.finfo(cost.dtype).tiny)
    cost = cost / (largest / (2 * torch.frexp(largest).mantissa))  # by a power of two
    mean = torch.where(finite, cost, 0.0).sum(1, keepdim=True) / count
    variance = (torch.where(finite, cost - mean, 0.0).square().sum(1, keepdim=True)) / count
    scale = (temperature * variance.sqrt()).clamp(min=1e-30)
    return torch.softmax(-(cost - cost.amin(1, keepdim=True)) / scale, dim=1)
