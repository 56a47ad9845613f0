"""What moves or lies behind the ball and cannot be predicted: dots, flickering squares, a texture.

A distractor is a layer (B, T, H, W) behind the ball. Futures are never listed over it: it enters
the Bayes-optimal frame as a mean and the irreducible error as a variance per pixel.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from common.harness.config import config, option

SQUARE_PLACES = ((0.25, 0.18), (0.75, 0.18), (0.25, 0.82), (0.75, 0.82))  # middles, share of size


@config
class Distractor:
    """What is behind the ball."""

    kind: Literal["none", "dots", "squares", "background"] = "none"
    """None; dots (white pixels drawn afresh each frame, as in the posts); squares (fixed places,
    each on or off by a fair coin each frame); background (a texture drawn once per episode)."""
    num_dots: int = option(200, ge=1, le=100_000, when="kind=dots")
    """Dots per frame, drawn with replacement."""
    num_squares: int = option(4, ge=1, le=4, when="kind=squares")
    """Squares that flicker."""
    square_size: int = option(8, ge=1, le=512, when="kind=squares")
    """Their side (px)."""
    cell_size: int = option(8, ge=1, le=512, when="kind=background")
    """Side of the background's cells, each of one grey (px)."""
    contrast: float = option(0.5, ge=0, le=1, when="kind=background")
    """The background's greys are uniform in 0 .. contrast."""


def square_masks(distractor: Distractor, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Where each square is seen, (S, H, W), 0 or 1: a later one lies in front of those before."""
    masks = torch.zeros(distractor.num_squares, size, size, device=device)
    side = min(distractor.square_size, size)
    for mask, (x, y) in zip(masks, SQUARE_PLACES, strict=False):
        left = min(max(round(x * size - side / 2), 0), size - side)
        top = min(max(round(y * size - side / 2), 0), size - side)
        masks[:, top : top + side, left : left + side] = 0
        mask[top : top + side, left : left + side] = 1
    return masks


def sample_layers(
    distractor: Distractor, size: int, batch: int, length: int, generator: torch.Generator
) -> tuple[Tensor | None, Tensor]:
    """Layers (B, T, H, W) uint8, or None, and the distractors' own state (B, T, S).

    The state is: the squares' bits; dots counted in each quadrant; the mean grey of each quadrant
    of the background; S = 0 without a distractor. Raises ValueError for dots that leave nothing
    to see.
    """
    kind, device = distractor.kind, generator.device
    if kind == "none":
        return None, torch.zeros(batch, length, 0, device=device)
    if kind == "squares":
        shape = (batch, length, distractor.num_squares)
        bits = torch.randint(2, shape, generator=generator, dtype=torch.uint8, device=device)
        masks = square_masks(distractor, size, device).bool()
        layer = torch.zeros(batch, length, size, size, dtype=torch.uint8, device=device)
        for s, mask in enumerate(masks):
            rows, columns = mask.nonzero(as_tuple=True)
            layer[:, :, rows, columns] = 255 * bits[:, :, s : s + 1]
        return layer, bits.float()
    if kind == "dots":
        most = int(4.6 * size**2)  # which leave 1% of the pixels
        if distractor.num_dots > most:
            seen = f"{distractor.num_dots} dots leave nothing to see in a frame of {size} px"
            raise ValueError(f"{seen}: use a distractor.num_dots of at most {most}")
        shape = (batch * length, distractor.num_dots)
        places = torch.randint(size * size, shape, generator=generator, device=device)
        layer = torch.zeros(batch * length, size * size, dtype=torch.uint8, device=device)
        layer = layer.scatter_(1, places, 255).view(batch, length, size, size)
        return layer, (_quadrants(layer) / 255 * (size // 2) ** 2).round()
    cells = math.ceil(size / distractor.cell_size)
    grey = torch.rand(batch, 1, cells, cells, generator=generator, device=device)
    grey = (255 * (grey * distractor.contrast)).round().to(torch.uint8)
    layer = grey.repeat_interleave(distractor.cell_size, 2)
    layer = layer.repeat_interleave(distractor.cell_size, 3)[..., :size, :size].contiguous()
    return layer, (_quadrants(layer) / 255).expand(-1, length, -1)


def _quadrants(layer: Tensor) -> Tensor:
    """Mean of each quadrant, (B, T, 4), of a uint8 layer (B, T, H, W), in float32."""
    half = layer.shape[-1] // 2
    parts = layer[..., : 2 * half, : 2 * half].unflatten(-1, (2, half)).unflatten(-3, (2, half))
    return parts.float().mean(dim=(-3, -1)).flatten(-2)


def moments(
    distractor: Distractor, size: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Mean and variance of each pixel of the layer, (H, W) each, when nothing of it is known."""
    if distractor.kind == "squares":
        masks = square_masks(distractor, size, device).sum(0).clamp(max=1)
        return masks / 2, masks / 4
    mean = variance = 0.0
    if distractor.kind == "dots":
        mean = 1 - (1 - 1 / size**2) ** distractor.num_dots
        variance = mean * (1 - mean)
    elif distractor.kind == "background":
        mean, variance = distractor.contrast / 2, distractor.contrast**2 / 12
    shape = (size, size)
    return torch.full(shape, mean, device=device), torch.full(shape, variance, device=device)


def next_moments(
    distractor: Distractor, layer: Tensor | None, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and variance of the next frame's layer given what was seen, (B, H, W) each.

    Dots and squares are drawn afresh, so nothing seen helps. A background stays: a cell is known
    unless every pixel of it was hidden behind the ball. layer (B, H, W) in [0, 1] is the layer of
    the frames seen; hidden (B, H, W) is the share of each pixel hidden in all of them.
    """
    mean, variance = moments(distractor, hidden.shape[-1], hidden.device)
    mean, variance = mean.expand_as(hidden), variance.expand_as(hidden)
    if distractor.kind != "background" or layer is None:
        return mean, variance
    cell, size = distractor.cell_size, hidden.shape[-1]
    padding = -size % cell
    padded = torch.nn.functional.pad(hidden, (0, padding, 0, padding), value=1.0)
    least = -torch.nn.functional.max_pool2d(-padded, cell)  # 1 where a whole cell is hidden
    unknown = least.repeat_interleave(cell, 1).repeat_interleave(cell, 2)[:, :size, :size] >= 1
    return torch.where(unknown, mean, layer), torch.where(unknown, variance, 0.0)


def nuisance_basis(distractor: Distractor, layer: Tensor | None, size: int) -> Tensor:
    """Images that span what the distractor may add to a frame, (S, H, W) or (B, S, H, W).

    Scores of the *ball* project these out: a prediction is charged neither for the state of a
    square nor for the mean grey of dots. Their supports do not overlap.
    """
    if distractor.kind == "squares":
        return square_masks(distractor, size)
    if distractor.kind == "dots":
        return torch.ones(1, size, size)
    if distractor.kind == "background" and layer is not None:
        return layer.unsqueeze(1)
    return torch.zeros(0, size, size)
