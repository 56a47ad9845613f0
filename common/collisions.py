"""Elastic contacts of discs: mirror images at a box, bounces off a rectangle, pairs of balls."""

import torch
from torch import Tensor


def fold(position: Tensor, velocity: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror images of a straight flight back into [low, high]: exact for any number of bounces."""
    width = high - low
    along = (position - low) % (2 * width)
    bounced = along > width
    place = low + torch.where(bounced, 2 * width - along, along)
    return place, torch.where(bounced, -velocity, velocity)


def bounce_off_box(
    position: Tensor, velocity: Tensor, radius: Tensor, low: Tensor, high: Tensor, before: Tensor
) -> None:
    """Elastic bounce off a rectangle, faces and corners alike, in place.

    A centre whose way from ``before`` leads into the rectangle stays at ``before``: however fast,
    no ball gets inside or through.
    """
    entered, axis = _enters(before, position, low, high)
    velocity *= torch.where(entered & axis, -1.0, 1.0)
    position.copy_(torch.where(entered, before, position))
    nearest = torch.maximum(torch.minimum(position, high), low)
    offset = position - nearest
    distance = offset.norm(dim=-1, keepdim=True)
    normal = offset / distance.clamp(min=1e-6)
    touching = distance < radius.unsqueeze(-1)
    approach = (velocity * normal).sum(dim=-1, keepdim=True).clamp(max=0)
    velocity -= torch.where(touching, 2 * approach * normal, 0.0)
    position += torch.where(touching, (radius.unsqueeze(-1) - distance) * normal, 0.0)


def _enters(before: Tensor, after: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Whether before -> after meets a rectangle, (..., 1), and on which axis first, (..., 2)."""
    way = after - before
    way = torch.where(way == 0, 1e-9, way)
    sides = (low - before) / way, (high - before) / way
    near, far = torch.minimum(*sides), torch.maximum(*sides)
    entry = near.amax(dim=-1, keepdim=True)
    entered = (entry >= 0) & (entry <= 1) & (entry <= far.amin(dim=-1, keepdim=True))
    return entered, near == entry


def collide(position: Tensor, velocity: Tensor, radius: Tensor) -> None:
    """Elastic collisions of every pair of balls, mass proportional to radius^2, in place."""
    for i in range(position.shape[1]):
        for j in range(i):
            offset = position[:, i] - position[:, j]
            distance = offset.norm(dim=-1, keepdim=True)
            normal = offset / distance.clamp(min=1e-6)
            touching = distance < (radius[:, i] + radius[:, j]).unsqueeze(-1)
            meeting = velocity[:, i] - velocity[:, j]
            closing = (meeting * normal).sum(-1, keepdim=True).clamp(max=0)
            mass_i, mass_j = radius[:, i : i + 1].square(), radius[:, j : j + 1].square()
            impulse = torch.where(touching, 2 * closing / (mass_i + mass_j), 0.0) * normal
            velocity[:, i] -= mass_j * impulse
            velocity[:, j] += mass_i * impulse
