"""Which patches a masked predictor sees, and which it has to predict: blocks, as in I-JEPA.

V-JEPA (arXiv 2404.08471, sec. 3.2) hides short-range and long-range blocks, about 90% of a clip;
here it gets I-JEPA's masks, held through all frames.
"""

import math

import torch
from torch import Tensor


def block_masks(
    rows: int, columns: int, batch: int, generator: torch.Generator, *, num_targets: int,
    target_scale: tuple[float, float], target_aspect: tuple[float, float],
    context_scale: tuple[float, float],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Patches seen (B, n) and to be predicted (B, num_targets m), as indices row by row.

    I-JEPA, arXiv 2301.08243, sec. 3: num_targets blocks, of a share of the picture and a height /
    width drawn in their ranges, at places of their own; the context is a square block of a share
    in context_scale without any patch of a target. Shares and aspect are drawn once a batch, places
    for every sample. So that n is one number, samples lose context patches, from a random end of
    the picture, down to the fewest of the batch. Targets may overlap, and then repeat patches.

    Raises ValueError where targets could cover the whole context.
    """
    height, width = _side(rows, columns, target_scale, target_aspect, generator)
    tall, wide = _side(rows, columns, context_scale, (1.0, 1.0), generator)
    if num_targets * height * width >= tall * wide:
        covers = f"{num_targets} targets of {height} x {width} patches can cover a context of"
        advice = "use fewer or smaller targets, or a larger context"
        raise ValueError(f"{covers} {tall} x {wide}: {advice}")
    targets = _blocks(rows, columns, height, width, (batch, num_targets), generator)  # (B, M, r, c)
    context = _blocks(rows, columns, tall, wide, (batch,), generator) & ~targets.any(1)
    fewest = int(context.flatten(1).sum(1).min())
    device = generator.device
    order = torch.arange(rows * columns, device=device).expand(batch, -1)
    is_kept = torch.rand(batch, 1, generator=generator, device=device) < 0.5
    order = torch.where(is_kept, order, order.flip(1))
    seen = context.flatten(1).gather(1, order)
    first = seen.int().argsort(dim=1, descending=True, stable=True)[:, :fewest]
    wanted = targets.flatten(2).nonzero()[:, 2].view(batch, -1)
    return order.gather(1, first), wanted


def block_size(rows: int, columns: int, share: float, ratio: float) -> tuple[int, int]:
    """Height and width in patches of a block of that share of the picture and height / width."""
    area = share * rows * columns
    height = min(rows, max(1, round(math.sqrt(area * ratio))))
    width = min(columns, max(1, round(math.sqrt(area / ratio))))
    return height, width


def most_patches(rows: int, columns: int, share: float, aspect: tuple[float, float]) -> int:
    """The most patches that a block of that share can have at any height / width of a range.

    Rounding may add to it: of a share of 6.5 patches a block has up to 9. Of each height the block
    is widest at the smallest ratio that is rounded to it.
    """
    area = share * rows * columns
    least, most = (block_size(rows, columns, share, ratio)[0] for ratio in aspect)
    ratios = {h: max(aspect[0], (h - 0.5) ** 2 / area) for h in range(least, most + 1)}
    return max(h * block_size(rows, columns, share, ratio)[1] for h, ratio in ratios.items())


def _side(
    rows: int, columns: int, scale: tuple[float, float], aspect: tuple[float, float],
    generator: torch.Generator,
) -> tuple[int, int]:  # fmt: skip
    """Height and width in patches of a block of a drawn share and aspect."""
    share, ratio = (
        low + (high - low) * torch.rand((), generator=generator, device=generator.device).item()
        for low, high in (scale, aspect)
    )
    return block_size(rows, columns, share, ratio)


def _blocks(
    rows: int, columns: int, height: int, width: int, shape: tuple[int, ...],
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Blocks at random places, (*shape, rows, columns), true inside."""
    draw = {"size": (*shape, 1, 1), "generator": generator, "device": generator.device}
    top = torch.randint(0, rows - height + 1, **draw)
    left = torch.randint(0, columns - width + 1, **draw)
    y, x = (torch.arange(side, device=generator.device) for side in (rows, columns))
    y = y[:, None]
    return (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
