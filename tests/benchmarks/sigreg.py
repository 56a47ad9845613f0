"""SIGReg, fast form against direct form: time, error against float64, memory kept for backward.

    python tests/benchmarks/sigreg.py

Both forms are timed in turn in the same process, so that their ratio travels better than either.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from common.sigreg import random_slices, sigreg, sigreg_direct

N, D, M = 256, 128, 1024
FORMS: dict[str, Callable[..., Tensor]] = {"fast": sigreg, "direct": sigreg_direct}


def run(*, repeats: int = 15, threads: int = 2) -> dict:
    """Milliseconds of forward + backward (medians), their ratio, relative errors, saved MB."""
    previous = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return {
            "N": N,
            "D": D,
            "M": M,
            "threads": threads,
            **time_forms(repeats),
            "error": {str(scale): error_at(scale) for scale in (0.01, 1.0, 10.0)},
            "saved_megabytes": {
                form: {str(knots): saved_megabytes(form, knots) for knots in (9, 17, 33)}
                for form in FORMS
            },
        }
    finally:
        torch.set_num_threads(previous)


def time_forms(repeats: int) -> dict:
    z, slices = make_input(1.0)
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for repeat in range(repeats + 2):  # the first two warm up
        for form in FORMS:
            start = time.perf_counter()
            value_and_gradient(form, z, slices)
            if repeat >= 2:
                seconds[form].append(time.perf_counter() - start)
    medians = {form: 1000 * statistics.median(times) for form, times in seconds.items()}
    return {
        "fast_ms": medians["fast"],
        "direct_ms": medians["direct"],
        "ratio": medians["direct"] / medians["fast"],
        "ratio_of_fastest": min(seconds["direct"]) / min(seconds["fast"]),  # for a busy machine
    }


def error_at(scale: float) -> dict:
    """Relative error of value and gradient (norm) against the direct form in float64."""
    z, slices = make_input(scale)
    exact, exact_gradient = value_and_gradient("direct", z.double(), slices.double())
    errors = {}
    for form in FORMS:
        value, gradient = value_and_gradient(form, z, slices)
        errors[f"{form}_value"] = ((value - exact).abs() / exact).item()
        errors[f"{form}_gradient"] = (
            (gradient - exact_gradient).norm() / exact_gradient.norm()
        ).item()
    return errors


def saved_megabytes(form: str, num_knots: int) -> float:
    """What the forward pass keeps until the backward pass, each storage counted once."""
    z, slices = make_input(1.0)
    storages: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        loss = FORMS[form](z.requires_grad_(), slices, num_knots=num_knots)
    assert loss.requires_grad
    return sum(storages.values()) / 1e6


def make_input(scale: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z = scale * torch.randn(N, D, generator=generator)
    return z, random_slices(D, M, generator)


def value_and_gradient(form: str, z: Tensor, slices: Tensor) -> tuple[Tensor, Tensor]:
    z = z.detach().requires_grad_()
    value = FORMS[form](z, slices)
    return value.detach(), torch.autograd.grad(value, z)[0]


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
