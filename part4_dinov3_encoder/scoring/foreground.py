"""Balls found without labels, by clusters of patch tokens and a rule; and with labels.

The rule: the balls are what goes everywhere inside the picture and keeps away from its border. A
cluster of the tokens of all pictures is named ball when it is seen at EVERYWHERE or more of the
inner places and the share of its patches that lie on the border is at most RARE of the share that
all patches have. Where no cluster is, the one with the smallest share on the border is.
"""

import math

import torch
from torch import Tensor

from common.probes import kmeans, nearest, ridge_fit

NUM_CLUSTERS = 32
NUM_DIRECTIONS = 32
EVERYWHERE = 0.9
RARE = 0.5
FITTED = 256  # pictures whose tokens are clustered; all of them are then scored


def foreground(tokens: Tensor, grid: tuple[int, int], num_clusters: int = NUM_CLUSTERS) -> Tensor:
    """Which patches are named ball, (n, N) bool, of tokens (n, N, D) of n pictures, no labels.

    Before they are clustered, tokens lose what their place always has (its mean token), and are
    whitened: their leading directions are scaled to equal spread, since the largest, such as a
    patch's grey, would decide alone.
    """
    z = whiten(tokens - tokens.mean(0))
    fitted = z[:FITTED].flatten(0, 1)
    middles, _ = kmeans(fitted, num_clusters, torch.Generator().manual_seed(0))
    cluster = nearest(z.flatten(0, 1), middles).view(z.shape[:2])  # (n, N)
    rim = border(*grid)
    places = torch.stack([(cluster == c).sum(0) for c in range(num_clusters)])  # (K, N)
    total = places.sum(1).clamp(min=1)
    on_border = places[:, rim].sum(1) / total
    everywhere = (places[:, ~rim] > 0).float().mean(1) >= EVERYWHERE
    named = everywhere & (on_border <= RARE * rim.float().mean())
    if not named.any():
        named[on_border.argmin()] = True
    return named[cluster]


def whiten(tokens: Tensor, num_directions: int = NUM_DIRECTIONS) -> Tensor:
    """Centred tokens (n, N, D) along their directions of largest spread, at unit variance each.

    (n, N, d): d is num_directions, or as many as hold more than a millionth of the largest spread.
    """
    fitted = tokens[:FITTED].flatten(0, 1)
    _, lengths, axes = torch.linalg.svd(fitted, full_matrices=False)
    kept = min(num_directions, int((lengths > 1e-3 * lengths[0].clamp(min=1e-12)).sum()))
    deviation = lengths[:kept] / math.sqrt(len(fitted))
    return tokens @ axes[:kept].T / deviation


def labelled_foreground(
    tokens: Tensor, truth: Tensor, test_tokens: Tensor, ridge: float = 1e-3
) -> Tensor:
    """The same from labels, by a linear probe of single patches, (n', N) bool.

    tokens (n, N, D) with truth (n, N); least squares, at the threshold with the best IoU on them.
    """
    fitted = ridge_fit(tokens.flatten(0, 1), truth.flatten()[:, None], ridge)
    score, test_score = (fitted(x.flatten(0, 1)).view(x.shape[:2]) for x in (tokens, test_tokens))
    thresholds = torch.linspace(0.05, 0.95, 37).tolist()
    return test_score >= max(thresholds, key=lambda t: iou(score >= t, truth))


def border(rows: int, columns: int) -> Tensor:
    """Which patches lie on the picture's border, (N,), row by row."""
    inside = torch.zeros(rows, columns, dtype=torch.bool)
    inside[1:-1, 1:-1] = True
    return ~inside.flatten()


def iou(found: Tensor, truth: Tensor) -> float:
    """Intersection over union of patches, both bool, over all pictures together."""
    return ((found & truth).sum() / (found | truth).sum().clamp(min=1)).item()
