"""How much of a patch token tells where the patch is, measured and taken out without labels."""

import torch
from torch import Tensor

KEPT = 0.95  # share of the blank picture's variance over places that is taken out


def blank_directions(blank: Tensor, kept: float = KEPT) -> Tensor:
    """Directions (r, D) along which the tokens (N, D) of a blank picture differ.

    On a picture of one grey nothing but the place tells two patches apart: the leading right
    singular vectors of the centred tokens, as many as hold that share of their variance (INSID3
    does the same). Empty where the tokens do not differ.
    """
    centred = blank - blank.mean(0)
    _, values, directions = torch.linalg.svd(centred, full_matrices=False)
    variance = values.square()
    if variance.sum() <= 1e-12 * blank.square().sum():
        return directions[:0]
    share = (variance / variance.sum()).cumsum(0)
    return directions[: int((share < kept).sum()) + 1]


def remove_directions(tokens: Tensor, directions: Tensor) -> Tensor:
    """Tokens (..., D) without their parts along orthonormal directions (r, D)."""
    return tokens - tokens @ directions.T @ directions


def leakage(tokens: Tensor) -> float:
    """Share of the variance of tokens (n, N, D) of n pictures that the place explains, 0 to 1.

    Where all places hold the same on average, a token that knows nothing of its place scores about
    1 / n. Not so in this world, where balls keep their radius from the border and squares flicker
    at fixed places: what raw pixels score, which know of no place, is the baseline to compare with.
    """
    overall = (tokens - tokens.mean(dim=(0, 1))).square().sum(-1).mean()
    by_place = tokens.mean(0)  # (N, D)
    return ((by_place - by_place.mean(0)).square().sum(-1).mean() / overall).item()
