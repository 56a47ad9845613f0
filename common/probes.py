"""What can be read from an embedding: regression on its features, scored on held-out data."""

import torch
from torch import Tensor


def linear_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, ridge: float = 1e-4
) -> Tensor:
    """R^2 on the test set of each target, (S,), by ridge regression.

    z (n, D), y (n, S). Features are standardised on the training set; ridge is relative to n. A
    target that does not vary has R^2 of nan. Raises ValueError unless shapes agree.
    """
    _check_widths(z_train, y_train, z_test, y_test)
    z_train, y_train = z_train.double(), y_train.double()
    center, scale = z_train.mean(0), z_train.std(0).clamp(min=1e-12)
    features = (z_train - center) / scale
    offset = y_train.mean(0)
    gram = features.T @ features / len(features)
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram, features.T @ (y_train - offset) / len(features))
    predicted = (z_test.double() - center) / scale @ weights + offset
    return _r2(predicted, y_test)


def ridge_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, num_strengths: int = 17
) -> Tensor:
    """R^2 on the test set of each target, (S,): ridge regression that suits few labels.

    z (n, D), y (n, S). As ``linear_probe``, but the ridge is chosen for each target, among
    num_strengths from 1e-4 to 1e4 (relative to n), by the exact leave-one-out error on the training
    set; solved in the n samples, so that raw pixels cost no more than an embedding.
    """
    _check_widths(z_train, y_train, z_test, y_test)
    z_train, y_train = z_train.double(), y_train.double()
    center, scale = z_train.mean(0), z_train.std(0).clamp(min=1e-12)
    features = (z_train - center) / scale
    test_features = (z_test.double() - center) / scale
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
    distance = torch.cdist(z_test.double(), z_train.double())
    nearest = distance.topk(min(num_neighbours, len(z_train)), largest=False).indices
    return _r2(y_train.double()[nearest].mean(1), y_test)


def add_noise(z: Tensor, generator: torch.Generator, share: float = 0.01) -> Tensor:
    """z (n, D) plus Gaussian noise of sd share * sqrt(mean |z|^2) on every coordinate.

    Before a probe it takes from a collapsed code what a scale-blind fit still reads there: rounding
    errors have no meaning for anything downstream.
    """
    deviation = share * z.square().sum(-1).mean().sqrt()
    return z + deviation * torch.randn(z.shape, generator=generator, dtype=z.dtype)


def _check_widths(z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor) -> None:
    if z_train.shape[1] != z_test.shape[1] or y_train.shape[1] != y_test.shape[1]:
        raise ValueError(
            f"train and test must have equal widths, got {z_train.shape[1]} and {z_test.shape[1]} "
            f"features, {y_train.shape[1]} and {y_test.shape[1]} targets"
        )


def _r2(predicted: Tensor, y_test: Tensor) -> Tensor:
    """1 - error / variance of each target; nan for one that does not vary."""
    error = (predicted - y_test).square().sum(0)
    spread = (y_test.double() - y_test.double().mean(0)).square().sum(0)
    return torch.where(spread > 1e-9 * len(y_test), 1 - error / spread, torch.nan)
