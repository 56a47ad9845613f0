"""Each anti-collapse loss, forward and backward: milliseconds, and how they grow with N, D and M.

Sizes: N samples, D dimensions, M slices of SIGReg (256 unless it is M that grows). An exponent of 1
is linear growth; fitted by least squares on the logarithms of the medians of repeated runs.
"""

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from common.dino import cross_entropy
from common.losses import barlow_twins, negative_cosine, vicreg
from common.sigreg import random_slices, sigreg

SIZES = ((256, 128), (4096, 512))
GROW_N = (256, 1024, 4096)
GROW_D = (64, 128, 256, 512)
GROW_M = (64, 256, 1024)
NUM_SLICES = 256


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def losses(dim: int, num_slices: int) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The losses of two embeddings (N, D), all of one shape."""
    slices = random_slices(dim, num_slices, torch.Generator().manual_seed(0))
    return {
        "barlow_twins": lambda a, b: total(barlow_twins(a, b)),
        "vicreg": lambda a, b: total(vicreg(a, b)),
        "sigreg": lambda a, b: sigreg(torch.stack([a, b]), slices),
        "negative_cosine": lambda a, b: negative_cosine(a, b.detach()),
        "dino": lambda a, b: cross_entropy(a, b, torch.zeros(dim)),
    }


def milliseconds(loss: Callable[[Tensor, Tensor], Tensor], n: int, d: int) -> float:
    """Median of forward and backward, over at least five runs and half a second."""
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(n, d, generator=generator).requires_grad_() for _ in range(2))
    times: list[float] = []
    while len(times) < 5 or (sum(times) < 0.5 and len(times) < 200):
        begin = time.perf_counter()
        loss(a, b).backward()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times[1:])


def exponent(sizes: tuple[int, ...], times: list[float]) -> float:
    """Slope of log time against log size."""
    x, y = [math.log(size) for size in sizes], [math.log(t) for t in times]
    return statistics.linear_regression(x, y).slope


def run() -> dict[str, object]:
    """A row a loss."""
    torch.set_num_threads(2)
    rows: dict[str, object] = {}
    for name in losses(8, 8):
        row: dict[str, float] = {}
        for n, d in SIZES:
            row[f"ms_n{n}_d{d}"] = milliseconds(losses(d, NUM_SLICES)[name], n, d)
        grown = [milliseconds(losses(128, NUM_SLICES)[name], n, 128) for n in GROW_N]
        row["exponent_n"] = exponent(GROW_N, grown)
        grown = [milliseconds(losses(d, NUM_SLICES)[name], 1024, d) for d in GROW_D]
        row["exponent_d"] = exponent(GROW_D, grown)
        if name == "sigreg":
            grown = [milliseconds(losses(128, m)[name], 1024, 128) for m in GROW_M]
            row["exponent_m"] = exponent(GROW_M, grown)
        rows[name] = row
    return rows


if __name__ == "__main__":
    print(run())
