"""What a step of training is given: windows with hidden blocks, views, or windows with labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """Tokens that are seen, (B, n), and the blocks to be predicted from them, (M, B, m)."""

    seen: Tensor
    wanted: Tensor

    def share(self, rows: slice) -> "Mask":
        return Mask(self.seen[rows], self.wanted[:, rows])


@dataclass(frozen=True)
class Windows:
    """What a masked method sees in a step: windows x (B, T, 3, V, V) in [0, 1].

    masks are of a grid (T', H', W') of tokens. slices (D, M) of SIGReg, where it has a weight.
    """

    x: Tensor
    masks: Sequence[Mask]
    grid: tuple[int, int, int]
    slices: Tensor = field(default_factory=lambda: torch.empty(0, 0))

    def share(self, rows: slice) -> "Windows":
        """What one of several processes computes with."""
        masks = [mask.share(rows) for mask in self.masks]
        return replace(self, x=self.x[rows], masks=masks)


@dataclass(frozen=True)
class Labelled:
    """What is learnt with labels: windows x (B, 1, 3, V, V) in [0, 1] of frames with balls.

    place (B, 2): x, y of the larger ball in the window, -1 to 1 within it; cover (B, N): the share
    of each patch that a ball covers.
    """

    x: Tensor
    place: Tensor
    cover: Tensor

    def share(self, rows: slice) -> "Labelled":
        """What one of several processes computes with."""
        return Labelled(self.x[rows], self.place[rows], self.cover[rows])


@dataclass(frozen=True)
class Views:
    """What dino and lejepa see in a step: views of B frames, in [0, 1].

    large (2, B, 3, V, V); small (L, B, 3, V / 2, V / 2); pairs (2, B, K): the token of each large
    view at K places that both of them see. slices (P, M) of SIGReg, for lejepa. is_anchored:
    whether dino's Gram anchoring has begun.
    """

    large: Tensor
    small: Tensor
    pairs: Tensor
    slices: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    is_anchored: bool = False

    def share(self, rows: slice) -> "Views":
        """What one of several processes computes with."""
        parts = {name: getattr(self, name)[:, rows] for name in ("large", "small", "pairs")}
        return replace(self, **parts)


Batch = Windows | Views | Labelled
