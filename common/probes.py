"""What can be read from an embedding: regression, neighbours and clusters, on held-out data."""

from collections.abc import Callable

import torch
from torch import Tensor

from common.distributed import exact


def linear_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, ridge: float = 1e-4
) -> Tensor:
    """R^2 on the test set of each target, (S,), by ``ridge_fit``; z (n, D), y (n, S).

    A target that does not vary has R^2 of nan. Raises ValueError unless shapes agree.
    """
    _check_widths(z_train, y_train, z_test, y_test)
    return _r2(ridge_fit(z_train, y_train, ridge)(z_test), y_test)


def ridge_fit(z: Tensor, y: Tensor, ridge: float) -> Callable[[Tensor], Tensor]:
    """Ridge regression of y (n, S) on features z (n, D): a function of features (m, D) to (m, S).

    Features are standardised on the n samples; ridge is relative to n.
    """
    z, y = exact(z), exact(y)
    center, scale, offset = z.mean(0), z.std(0).clamp(min=1e-12), y.mean(0)
    features = (z - center) / scale
    gram = features.T @ features / len(features)
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram, features.T @ (y - offset) / len(features))
    return lambda z_new: (exact(z_new) - center) / scale @ weights + offset


def ridge_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, num_strengths: int = 17
) -> Tensor:
    """R^2 on the test set of each target, (S,): ridge regression that suits few labels.

    z (n, D), y (n, S). As ``linear_probe``, but the ridge is chosen for each target, among
    num_strengths from 1e-4 to 1e4 (relative to n), by the exact leave-one-out error on the training
    set; solved in the n samples, so that raw pixels cost no more than an embedding.
    """
    _check_widths(z_train, y_train, z_test, y_test)
    z_train, y_train = exact(z_train), exact(y_train)
    center, scale = z_train.mean(0), z_train.std(0).clamp(min=1e-12)
    features = (z_train - center) / scale
    test_features = (exact(z_test) - center) / scale
    offset = y_train.mean(0)
    values, vectors = torch.linalg.eigh(features @ features.T)  # (n,), (n, n)
    rotated = vectors.T @ (y_train - offset)
    error, duals = [], []
    for strength in torch.logspace(-4, 4, num_strengths, dtype=torch.double):
        ridge = strength * len(features)
        shrink = 1 / (values.clamp(min=0) + ridge)  # (n,)
        duals.append(vectors @ (shrink[:, None] * rotated))  # (n, S)
        # 1 - leverage, over ridge; the offset is fitted too, and not shrunk: it takes 1 / n
        slack = vectors.square() @ shrink - 1 / (len(features) * ridge)
        left_out = duals[-1] / slack[:, None]  # the exact leave-one-out residuals
        error.append(left_out.square().mean(0))
    best = torch.stack(error).argmin(0)  # (S,)
    dual = torch.stack(duals).gather(0, best.expand(1, len(features), -1))[0]
    return _r2(test_features @ (features.T @ dual) + offset, y_test)


def knn_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, num_neighbours: int = 10
) -> Tensor:
    """R^2 on the test set of each target, (S,): the mean of the nearest training samples' targets.

    z (n, D), y (n, S); distances are Euclidean in the embedding as it is.
    """
    _check_widths(z_train, y_train, z_test, y_test)
    distance = torch.cdist(exact(z_test), exact(z_train))
    nearest = distance.topk(min(num_neighbours, len(z_train)), largest=False).indices
    return _r2(exact(y_train)[nearest].mean(1), y_test)


def add_noise(z: Tensor, generator: torch.Generator, share: float = 0.01) -> Tensor:
    """z (n, D) plus Gaussian noise of sd share * sqrt(mean |z|^2) on every coordinate.

    Before a probe it takes from a collapsed code what a scale-blind fit still reads there: rounding
    errors have no meaning for anything downstream.
    """
    deviation = share * z.square().sum(-1).mean().sqrt()
    noise = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=generator.device)
    return z + deviation * noise.to(z.device)


def _check_widths(z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor) -> None:
    if z_train.shape[1] != z_test.shape[1] or y_train.shape[1] != y_test.shape[1]:
        features = f"{z_train.shape[1]} and {z_test.shape[1]} features"
        got = f"{features}, {y_train.shape[1]} and {y_test.shape[1]} targets"
        raise ValueError(f"train and test must have equal widths, got {got}")


def _r2(predicted: Tensor, y_test: Tensor) -> Tensor:
    """1 - error / variance of each target; nan for one that does not vary."""
    y_test = exact(y_test)
    error = (predicted - y_test).square().sum(0)
    spread = (y_test - y_test.mean(0)).square().sum(0)
    return torch.where(spread > 1e-9 * len(y_test), 1 - error / spread, torch.nan)


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
    starts = (_spread_starts(x, num_clusters, generator) for _ in range(restarts))
    found = [lloyd(x, start, rounds) for start in starts]
    return min(found, key=lambda pair: (x - pair[0][pair[1]]).square().sum().item())


def lloyd(
    x: Tensor, middles: Tensor, rounds: int = 30, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As ``kmeans``, from given middles (K, D); weight (n,): how often each sample counts."""
    for _ in range(rounds):
        near = nearest(x, middles)
        counted = x if weight is None else x * weight[:, None]
        moved = middles.new_zeros(middles.shape).index_add_(0, near, counted)
        count = near.bincount(weight, minlength=len(middles))
        moved = moved / count.clamp(min=1)[:, None]
        if (count == 0).any():
            gap = (x - middles[near]).square().sum(1)
            moved[count == 0] = x[gap.topk(int((count == 0).sum())).indices]
        if torch.equal(moved, middles):
            break
        middles = moved
    return middles, nearest(x, middles)


def nearest(x: Tensor, middles: Tensor) -> Tensor:
    """Index of the nearest of middles (K, D) for each of x (n, D), (n,)."""
    return (middles.square().sum(1) - 2 * x @ middles.T).argmin(1)


def _spread_starts(x: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """k-means++: each start is drawn in proportion to its squared distance to those before."""
    starts = x[torch.randint(len(x), (1,), generator=generator, device=generator.device)]
    for _ in range(1, num_clusters):
        gap = torch.cdist(x, starts).square().amin(1)
        gap = gap if gap.sum() > 0 else torch.ones_like(gap)
        starts = torch.cat([starts, x[torch.multinomial(gap, 1, generator=generator)]])
    return starts
