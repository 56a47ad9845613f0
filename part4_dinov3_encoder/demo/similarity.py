"""What the page shows, from the patch tokens of one photograph.

Patches run row by row from the upper left. N patches, D dimensions, grid = (rows, columns).
"""

import base64

import numpy as np
import torch
from torch import Tensor

from common.probes import lloyd
from part4_dinov3_encoder.scoring.foreground import border

STEPS = 127  # of the byte that holds a similarity in [-1, 1]: off by at most 0.004
TINY = 1e-12


def cosines(tokens: Tensor, *, centred: bool = False) -> Tensor:
    """Cosine similarity of every pair of tokens (N, D) -> (N, N) in [-1, 1].

    centred first subtracts the photograph's mean token: what all patches share (most of an
    untrained encoder's output) no longer makes them alike. A token of length 0 is like nothing.
    """
    tokens = tokens.double()
    if centred:
        tokens = tokens - tokens.mean(0)
    unit = tokens / tokens.norm(dim=-1, keepdim=True).clamp(min=TINY)
    return (unit @ unit.T).clamp(-1, 1)


def mean_colors(frames: Tensor, grid: tuple[int, int]) -> Tensor:
    """Mean colour of each patch of a frame (1, 3, H, W) in [0, 1] -> (N, 3)."""
    return torch.nn.functional.adaptive_avg_pool2d(frames, grid)[0].flatten(1).T


def color_spread(colors: Tensor) -> float:
    """Mean squared distance of colours (N, 3) from their mean."""
    return (colors - colors.mean(0)).square().sum(-1).mean().item()


def color_likeness(colors: Tensor) -> Tensor:
    """1 - |a - b|^2 / (2 spread) for every pair of colours (N, 3) -> (N, N), at most 1.

    1 for one colour, 0 on average over all pairs of patches; two colours further apart than most
    fall below -1, where pages and figures cut it off. For vectors of equal length about their mean
    it is the centred cosine, but two greys near the mean count as alike.
    """
    colors = colors.double()
    gap = (colors[:, None] - colors[None]).square().sum(-1)
    return 1 - gap / (2 * max(color_spread(colors), TINY))


def pca_colors(tokens: Tensor, shown: Tensor | None = None) -> Tensor:
    """The three directions of largest spread as RGB, (N, 3) in [0, 1].

    Fitted on the patches shown (N,) (bool; default all), whitened, then sigmoid(2 x), as in
    DINOv3's notebook. The sign of each direction, which is arbitrary, makes its skew positive.
    """
    tokens = tokens.double()
    kept = tokens if shown is None or int(shown.sum()) < 2 else tokens[shown]
    mean = kept.mean(0)
    _, lengths, axes = torch.linalg.svd(kept - mean, full_matrices=False)
    lengths, axes = lengths[:3], axes[:3]
    sign = ((kept - mean) @ axes.T).pow(3).sum(0).sign()
    sd = (lengths / len(kept) ** 0.5).clamp(min=TINY)
    found = (tokens - mean) @ axes.T * torch.where(sign == 0, 1.0, sign) / sd
    colors = torch.full((len(tokens), 3), 0.5, dtype=torch.float64)  # fewer than three directions
    colors[:, : found.shape[1]] = torch.sigmoid(2 * found)
    return colors


def foreground(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Two clusters of unit tokens (N, D) by k-means; True (N,) is the one touching the border less.

    No labels and no chance: k-means starts from the sides of the first principal direction. The
    foreground is the cluster of which the smaller share lies on the photograph's border.
    """
    unit = torch.nn.functional.normalize(tokens.double(), dim=-1)
    unit = unit - unit.mean(0)
    _, _, axes = torch.linalg.svd(unit, full_matrices=False)
    side = unit @ axes[0] > 0
    if side.any() and not side.all():
        starts = torch.stack([unit[~side].mean(0), unit[side].mean(0)])
        side = lloyd(unit, starts, rounds=50)[1] == 1
    rim = border(*grid)
    shares = [rim[part].double().mean().nan_to_num(2.0) for part in (side, ~side)]
    return side if shares[0] < shares[1] else ~side


def pack(similarity: Tensor) -> str:
    """The upper triangle, with the diagonal, of a symmetric (N, N): N (N + 1) / 2 bytes, base64."""
    rows, columns = np.triu_indices(len(similarity))
    steps = (similarity * STEPS).round().to(torch.int8).numpy()
    return encode(steps[rows, columns])


def encode(array: np.ndarray) -> str:
    """An array's bytes as base64 text."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def to_bytes(values: Tensor) -> np.ndarray:
    """Values in [0, 1] as uint8."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8).numpy()
