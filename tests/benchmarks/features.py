"""Frozen features: frames/s of DINOv3 ViT-S/16 at 224 px against what FLOPs and the machine allow.

Random weights: time does not depend on them. The allowance is the rate of a large matrix product in
the same precision, timed in the same run, over the FLOPs of a frame's matrix products and
attention. bfloat16 is used where the processor multiplies it faster than float32, and is compared
with float32 on the same frames: the largest relative difference of a frame's normed tokens.
"""

import statistics
import time
from collections.abc import Callable

import torch

from common.dinov3 import PATCH_SIZE, SIZES
from common.frozen import load_frozen

NAME, SIDE, BATCH = "dinov3_vits16", 224, 16
MATRIX = 2048
TOLERANCE = 0.05  # relative, of normed tokens in bfloat16


def seconds(work: Callable[[], object]) -> float:
    """Median over at least five runs and two seconds, after one that is not counted."""
    work()
    times: list[float] = []
    while len(times) < 5 or sum(times) < 2:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def flops_per_frame() -> float:
    """Multiplications and additions of a frame's matrix products and attention."""
    size = SIZES[NAME]
    patches = (SIDE // PATCH_SIZE) ** 2
    tokens = patches + 5
    linear = size.depth * (4 * size.dim**2 + 2 * size.dim * size.mlp_dim)
    attention = size.depth * 2 * tokens * size.dim  # scores and their weighted sum, per token
    return 2.0 * (tokens * (linear + attention) + patches * 3 * PATCH_SIZE**2 * size.dim)


def matmul_flops(dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product: the machine's peak, as measured."""
    a, b = (torch.randn(MATRIX, MATRIX).to(dtype) for _ in range(2))
    return 2 * MATRIX**3 / seconds(lambda: a @ b)


def run() -> dict[str, object]:
    """A row a precision."""
    torch.set_num_threads(2)
    encoder = load_frozen(NAME, pretrained=False)
    frames = torch.rand(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    exact = encoder.encode(frames)
    rows: dict[str, object] = {}
    peaks = {"float32": matmul_flops(torch.float32), "bfloat16": matmul_flops(torch.bfloat16)}
    for name, peak in peaks.items():
        if name == "bfloat16" and peak < 1.2 * peaks["float32"]:
            rows[name] = {"matmul_gflops": peak / 1e9, "used": False}
            continue
        is_half = name == "bfloat16"

        def encode(is_half: bool = is_half) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
                return encoder.encode(frames)

        rate = BATCH / seconds(encode)
        gap = ((encode().float() - exact).norm() / exact.norm()).item()
        rows[name] = {
            "frames_per_second": rate,
            "frames_per_second_allowed": peak / flops_per_frame(),
            "share_of_peak": rate * flops_per_frame() / peak,
            "matmul_gflops": peak / 1e9,
            "relative_difference": gap,
            "relative_difference_allowed": TOLERANCE,
            "used": gap <= TOLERANCE,
        }
    return {"gflop_per_frame": flops_per_frame() / 1e9} | rows


if __name__ == "__main__":
    print(run())
