"""Which patches a masked predictor sees, and which it has to predict: blocks of patches."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

ROUNDS = 20  # of drawing anew the samples that are left with too little context
Range = tuple[float, float]


def picture_masks(
    rows: int, columns: int, batch: int, generator: torch.Generator, *, num_targets: int,
    target_scale: Range, target_aspect: Range, context_scale: Range, least_context: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """I-JEPA's: patches seen (B, n), and the blocks to be predicted (num_targets, B, m).

    arXiv 2301.08243, sec. 3: num_targets blocks, of a share of the picture and a height / width
    drawn in their ranges; the context is a square block of a share in context_scale without any
    patch of a target. See ``fewest`` for what all masks have in common.
    """
    height, width = _side(rows, columns, target_scale, target_aspect, generator)
    tall, wide = _side(rows, columns, context_scale, (1.0, 1.0), generator)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        blocks = _blocks(rows, columns, height, width, (count, num_targets), generator)
        context = _blocks(rows, columns, tall, wide, (count,), generator)
        return blocks, context & ~blocks.any(1)

    blocks, context = _with_context(draw, batch, least_context)
    wanted = blocks.flatten(2).nonzero()[:, 2].view(batch, num_targets, -1)
    return fewest(context.flatten(1), generator), wanted.movedim(1, 0)


def clip_masks(
    rows: int, columns: int, batch: int, generator: torch.Generator, *, num_blocks: int,
    scale: float, aspect: Range, least_context: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """V-JEPA's, held through all frames: patches seen (B, n), and to be predicted (1, B, m).

    arXiv 2404.08471, sec. 3.2: num_blocks blocks of that share of the picture are hidden, what is
    left of it is seen: short-range masks are many small blocks, long-range ones few large. See
    ``fewest``.
    """
    height, width = _side(rows, columns, (scale, scale), aspect, generator)

    def draw(count: int) -> tuple[Tensor, Tensor]:
        hidden = _blocks(rows, columns, height, width, (count, num_blocks), generator).any(1)
        return hidden, ~hidden

    hidden, context = _with_context(draw, batch, least_context)
    return fewest(context.flatten(1), generator), fewest(hidden.flatten(1), generator)[None]


def fewest(chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Indices (B, n) of chosen (B, N) bool, as many of each sample as the poorest has.

    As both papers' code: sizes of blocks are drawn once a batch, places for every sample. Those
    with more lose patches from a random end of the picture.
    """
    batch, num = chosen.shape
    draw = torch.rand(batch, 1, generator=generator, device=chosen.device)
    order = torch.arange(num, device=chosen.device).expand(batch, -1)
    order = torch.where(draw < 0.5, order, order.flip(1))
    first = chosen.gather(1, order).int().argsort(dim=1, descending=True, stable=True)
    return order.gather(1, first[:, : int(chosen.sum(1).min())])


def patches_apart(seen: Tensor, hidden: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """How far tokens (B, n) are from the nearest of hidden ones (B, m), in patches, (B, n).

    Of a grid (T, H, W) whose frames all hide the same patches: distance within a frame.
    """
    _, rows, columns = grid

    def places(index: Tensor) -> Tensor:
        patch = index % (rows * columns)
        return torch.stack([patch // columns, patch % columns], dim=-1).float()

    return torch.cdist(places(seen), places(hidden)).amin(-1)


def block_size(rows: int, columns: int, share: float, ratio: float) -> tuple[int, int]:
    """Height and width in patches of a block of that share of the picture and height / width."""
    area = share * rows * columns
    height = min(rows, max(1, round(math.sqrt(area * ratio))))
    width = min(columns, max(1, round(math.sqrt(area / ratio))))
    return height, width


def _with_context(
    draw: Callable[[int], tuple[Tensor, Tensor]], batch: int, least: int
) -> tuple[Tensor, Tensor]:
    """Blocks and context of a batch, each with at least so many patches of context.

    Samples with fewer are drawn anew; the few that never fit take another's masks. Raises
    ValueError where none fits.
    """
    blocks, context = draw(batch)
    for _ in range(ROUNDS):
        poor = context.flatten(1).sum(1) < least
        if not poor.any():
            return blocks, context
        blocks[poor], context[poor] = draw(int(poor.sum()))
    fits = context.flatten(1).sum(1) >= least
    if not fits.any():
        leaves = f"the hidden blocks leave fewer than least_context = {least} patches to be seen"
        raise ValueError(f"{leaves}: use fewer or smaller blocks, or a lower mask.least_context")
    one = fits.int().argmax()
    blocks[~fits], context[~fits] = blocks[one].clone(), context[one].clone()
    return blocks, context


def _side(
    rows: int, columns: int, scale: Range, aspect: Range, generator: torch.Generator
) -> tuple[int, int]:
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
