"""k-means, seeded and restarted: the same tokens give the same clusters."""

import torch
from torch import Tensor


def kmeans(
    x: Tensor, num_clusters: int, generator: torch.Generator, *, restarts: int = 4, rounds: int = 30
) -> tuple[Tensor, Tensor]:
    """Middles (K, D) and the nearest one of each sample, (n,), of x (n, D).

    Lloyd's algorithm from k-means++ starts (Arthur & Vassilvitskii 2007); of several restarts the
    one with the least squared distance. An emptied cluster restarts at the sample furthest from its
    own. Raises ValueError for fewer samples than clusters.
    """
    if not 1 <= num_clusters <= len(x):
        raise ValueError(f"got {num_clusters} clusters of {len(x)} samples; wanted 1 to {len(x)}")
    best: tuple[float, Tensor, Tensor] | None = None
    for _ in range(restarts):
        middles = _spread_starts(x, num_clusters, generator)
        for _ in range(rounds):
            near = nearest(x, middles)
            moved = middles.new_zeros(middles.shape).index_add_(0, near, x)
            count = near.bincount(minlength=num_clusters)
            moved = moved / count.clamp(min=1)[:, None]
            if (count == 0).any():
                gap = (x - middles[near]).square().sum(1)
                moved[count == 0] = x[gap.topk(int((count == 0).sum())).indices]
            if torch.equal(moved, middles):
                break
            middles = moved
        near = nearest(x, middles)
        error = (x - middles[near]).square().sum().item()
        if best is None or error < best[0]:
            best = (error, middles, near)
    assert best is not None
    return best[1], best[2]


def nearest(x: Tensor, middles: Tensor) -> Tensor:
    """Index of the nearest of middles (K, D) for each of x (n, D), (n,)."""
    return (middles.square().sum(1) - 2 * x @ middles.T).argmin(1)


def _spread_starts(x: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """k-means++: each start is drawn in proportion to its squared distance to those before."""
    first = torch.randint(len(x), (1,), generator=generator)
    starts = x[first]
    for _ in range(1, num_clusters):
        gap = torch.cdist(x, starts).square().amin(1)
        gap = gap if gap.sum() > 0 else torch.ones_like(gap)
        starts = torch.cat([starts, x[torch.multinomial(gap, 1, generator=generator)]])
    return starts
