"""Which tokens a masked method sees of a window or clip, and which it has to predict."""

from typing import Any

import torch
from torch import Tensor

from common.masking import clip_masks, picture_masks
from part4_dinov3_encoder.data.batches import Mask

Grid = tuple[int, int, int]


def draw_masks(cfg: Any, batch: int, generator: torch.Generator) -> tuple[Grid, list[Mask]]:
    """The grid (T', H', W') of tokens, and the masks: one, or two of a clip, short- and long-range.

    cfg: a ``config.Config``. Raises ValueError where blocks leave too little to be seen.
    """
    mask, side = cfg.mask, cfg.data.view // cfg.model.patch_size
    where = (side, side, batch, generator)
    if cfg.method != "vjepa":
        seen, wanted = picture_masks(
            *where, num_targets=mask.num_targets, target_scale=mask.target_scale,
            target_aspect=mask.target_aspect, context_scale=mask.context_scale,
            least_context=mask.least_context,
        )  # fmt: skip
        return (1, side, side), [Mask(seen, wanted)]
    length = cfg.data.clip_length // cfg.model.tubelet
    first = mask.context_frames // cfg.model.tubelet or length
    masks = []
    for count, share in (mask.short_range, mask.long_range):
        seen, hidden = clip_masks(
            *where, num_blocks=count, scale=share, aspect=mask.target_aspect,
            least_context=mask.least_context,
        )  # fmt: skip
        times, later = range(length), range(first, length)
        wanted = [through_time(hidden, times, side), through_time(seen[None], later, side)]
        masks.append(Mask(through_time(seen, range(first), side), torch.cat(wanted, dim=-1)))
    return (length, side, side), masks


def through_time(index: Tensor, times: range, side: int) -> Tensor:
    """Patches (..., n) of side x side as tokens of those times of a clip, (..., T n)."""
    time = torch.arange(times.start, times.stop, device=index.device)
    return (index[..., None, :] + time[:, None] * side * side).flatten(-2)
