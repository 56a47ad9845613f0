"""A point followed through a clip by label propagation: no training, frozen features alone.

A frame's patches take their labels from those patches of the first frame and of the last few that
are most like them, within a window (as DINO, arXiv 2104.14294, sec. 4.2.2, and DINOv3 do for
masks). Read out with a soft maximum: the hard one alone would cost 0.38 of a patch side. Lengths
are px of the frame, whatever the grid: a ball does not shrink when patches do.
"""

import torch
from torch import Tensor

LAST = 7  # frames before this one, beside the first
TOP = 5  # most similar patches that a label comes from
TEMPERATURE = 0.1  # of their cosines
WINDOW = 20.0  # px: how far a label may move between two frames
SPREAD = 4.0  # px: standard deviation of the first frame's labels around the point
SHARPNESS = 2.0  # power of the labels before their centre is taken


def centres(grid: tuple[int, int], patch: float) -> Tensor:
    """Middles of patches, (N, 2) as x, y in px, row by row."""
    rows, columns = grid
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (torch.stack([x, y], -1).flatten(0, 1) + 0.5) * patch


def start_labels(point: Tensor, grid: tuple[int, int], patch: float) -> Tensor:
    """Labels (N,) of the first frame: how near each patch is to a point (2,), largest 1."""
    gap = (centres(grid, patch) - point).square().sum(-1)
    labels = torch.exp(-gap / (2 * SPREAD**2))
    return labels / labels.max()


def track(tokens: Tensor, grid: tuple[int, int], patch: float, point: Tensor) -> Tensor:
    """Where a point (2,) of the first frame is in every frame of a clip, (T, 2) in px.

    tokens (T, N, D), N = rows x columns; what all patches of the clip share is taken out, so that
    it makes none alike. patch: side of a patch in px of the frame. Raises ValueError for tokens of
    another number and a point outside the frame.
    """
    length, num_tokens, _ = tokens.shape
    side = torch.tensor([grid[1], grid[0]]) * patch
    if num_tokens != grid[0] * grid[1]:
        raise ValueError(f"got {num_tokens} tokens a frame; wanted {grid[0] * grid[1]}, the grid's")
    if not ((point >= 0) & (point < side)).all():
        raise ValueError(
            f"the point {point.tolist()} lies outside the frame: x must be from 0 to below "
            f"{side[0]:g}, y to below {side[1]:g} px"
        )
    unit = tokens - tokens.mean((0, 1))
    unit = unit / unit.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    place = centres(grid, patch)
    near = torch.cdist(place, place) <= max(WINDOW, patch)  # (N, N)
    labels = [start_labels(point, grid, patch)]
    for t in range(1, length):
        context = sorted({0, *range(max(0, t - LAST), t)})
        likeness = torch.cat([unit[t] @ unit[c].T for c in context], 1)  # (N, n N)
        allowed = near.repeat(1, len(context))
        likeness = likeness.masked_fill(~allowed, -torch.inf)
        best, index = likeness.topk(min(TOP, likeness.shape[1]), dim=1)
        weight = torch.softmax(best / TEMPERATURE, dim=1)
        known = torch.cat([labels[c] for c in context])
        labels.append((weight * known[index]).sum(1))
    return torch.stack([read_out(label, place) for label in labels])


def read_out(labels: Tensor, place: Tensor) -> Tensor:
    """The soft maximum: the centre (2,) of labels (N,) at places (N, 2), sharpened."""
    weight = (labels / labels.max().clamp(min=1e-12)).pow(SHARPNESS)
    return (weight[:, None] * place).sum(0) / weight.sum().clamp(min=1e-12)
