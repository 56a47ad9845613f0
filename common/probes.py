"""What can be read from an embedding: ridge regression on its features, scored on held-out data."""

import torch
from torch import Tensor


def linear_probe(
    z_train: Tensor, y_train: Tensor, z_test: Tensor, y_test: Tensor, ridge: float = 1e-4
) -> Tensor:
    """R^2 on the test set of each target, (S,), by ridge regression.

    z (n, D), y (n, S). Features are standardised on the training set; ridge is relative to n. A
    target that does not vary has R^2 of nan. Raises ValueError unless shapes agree.
    """
    if z_train.shape[1] != z_test.shape[1] or y_train.shape[1] != y_test.shape[1]:
        raise ValueError(
            f"train and test must have equal widths, got {z_train.shape[1]} and {z_test.shape[1]} "
            f"features, {y_train.shape[1]} and {y_test.shape[1]} targets"
        )
    z_train, y_train = z_train.double(), y_train.double()
    center, scale = z_train.mean(0), z_train.std(0).clamp(min=1e-12)
    features = (z_train - center) / scale
    offset = y_train.mean(0)
    gram = features.T @ features / len(features)
    gram += ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weights = torch.linalg.solve(gram, features.T @ (y_train - offset) / len(features))
    predicted = (z_test.double() - center) / scale @ weights + offset
    error = (predicted - y_test).square().sum(0)
    spread = (y_test.double() - y_test.double().mean(0)).square().sum(0)
    return torch.where(spread > 1e-9 * len(y_test), 1 - error / spread, torch.nan)
