"""The posts' headline, "planning up to 48x faster than the DINO-based world model": by arithmetic.

On an idle machine. Both world models are built at their published sizes with random weights, which
cost what trained ones cost: LeWorldModel (arXiv 2603.19312), one token of width 192 a frame;
DINO-WM (2411.04983), 196 patch tokens of width 404 a frame; both with a history of three frames,
six blocks of 16 heads of 64 and MLPs of 2,048. First the ratio of floating-point operations of one
candidate's step, counted while it runs. Then its time on this CPU at a few small numbers of
candidates: where time is linear in them (R2), the slope extrapolates to a whole plan of 300
candidates x 30 iterations x 5 steps. 48x is what the authors' GPU saw; no GPU is used here.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from common.vit import Block, ViT
from part5_action_planning.studies import milliseconds, variant, write_study

HISTORY, DEPTH, HEADS, HEAD_DIM, MLP_DIM = 3, 6, 16, 64, 2048
SAMPLES, ITERATIONS, HORIZON = 300, 30, 5  # of a whole plan
COUNTS = (2, 4, 8)  # candidates that both models are timed at
MORE_COUNTS = (37, 75, 150, 300)  # and LeWorldModel alone: whole iterations are no extrapolation
RUNS, THREADS = 7, 2
PUBLISHED = 48.0  # LeWorldModel's figure, on one L40S GPU


class PublishedPredictor(nn.Module):
    """One candidate step: tokens of three frames (B, 3 N, D) -> those predicted, (B, 3 N, D).

    A frame's N tokens see each other and all before. DINO-WM's tokens carry the action in their
    width; LeWorldModel's are modulated by it, and end in a projector.
    """

    def __init__(self, *, tokens: int, width: int, conditioned: bool) -> None:
        super().__init__()
        self.conditioned = conditioned
        self.blocks = nn.ModuleList(
            Block(
                dim=width, num_heads=HEADS, head_dim=HEAD_DIM, mlp_dim=MLP_DIM,
                condition_dim=width if conditioned else 0,
            )
            for _ in range(DEPTH)
        )  # fmt: skip
        self.norm = nn.LayerNorm(width)
        self.project = nn.Sequential(
            nn.Linear(width, MLP_DIM), nn.GELU(), nn.Linear(MLP_DIM, width)
        ) if conditioned else nn.Identity()  # fmt: skip
        frame = torch.arange(HISTORY).repeat_interleave(tokens)
        self.register_buffer("mask", frame[:, None] >= frame)
        self.size = (HISTORY * tokens, width)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.get_buffer("mask")
        condition = x if self.conditioned else None  # any numbers of the action's shape
        for block in self.blocks:
            x = block(x, condition, mask=mask)
        return self.project(self.norm(x))


def published() -> dict[str, tuple[PublishedPredictor, ViT, int]]:
    """Predictor, encoder of one frame, and the side of that frame (px), of both models."""
    torch.manual_seed(0)
    tiny = ViT(channels=3, patch_size=14, tubelet=1, dim=192, depth=12, num_heads=3)
    small = ViT(channels=3, patch_size=14, tubelet=1, dim=384, depth=12, num_heads=6)
    lewm = PublishedPredictor(tokens=1, width=192, conditioned=True)
    dino_wm = PublishedPredictor(tokens=196, width=404, conditioned=False)
    return {"lewm": (lewm.eval(), tiny.eval(), 224), "dino_wm": (dino_wm.eval(), small.eval(), 196)}


def count_flops(call: Callable[[], Any]) -> int:
    """Operations of matrix products, those of attention too, while ``call`` runs."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def time_model(name: str, counts: Sequence[int]) -> tuple[dict[str, float], dict[str, Any]]:
    """Metrics and curve of one model; the line through its times is that of least squares."""
    predictor, encoder, side = published()[name]
    frame, one = torch.rand(1, 3, side, side), torch.randn(1, *predictor.size)
    curve: dict[str, list[float]] = {"x": list(counts), "mean": [], "low": [], "high": []}
    for count in counts:
        batch = torch.randn(count, *predictor.size)
        times = milliseconds(lambda batch=batch: predictor(batch), RUNS)
        for end, of in (("mean", statistics.median), ("low", min), ("high", max)):
            curve[end].append(of(times))
        print(f"{name}: {count} candidates, {curve['mean'][-1]:.2f} ms a step", flush=True)
    slope, intercept = statistics.linear_regression(counts, curve["mean"])
    encoder_ms = statistics.median(milliseconds(lambda: encoder(frame), RUNS))
    whole = ITERATIONS * HORIZON * (intercept + slope * SAMPLES)
    return {
        "gflop_per_step": count_flops(lambda: predictor(one)) / 1e9,
        "gflop_of_encoder": count_flops(lambda: encoder(frame)) / 1e9,
        "million_parameters": sum(p.numel() for p in predictor.parameters()) / 1e6,
        "ms_per_candidate_step": slope,
        "ms_intercept": intercept,
        "r2": statistics.correlation(counts, curve["mean"]) ** 2,
        "ms_of_encoder": encoder_ms,
        "plan_seconds": (encoder_ms + whole) / 1e3,
    }, curve


def ratios(lewm: Mapping[str, float], dino_wm: Mapping[str, float]) -> dict[str, float]:
    """How many times more DINO-WM takes than LeWorldModel."""
    keys = ("gflop_per_step", "ms_per_candidate_step", "plan_seconds")
    return {key: dino_wm[key] / lewm[key] for key in keys}


def measure() -> dict[str, Any]:
    lewm, lewm_curve = time_model("lewm", (*COUNTS, *MORE_COUNTS))
    dino_wm, dino_curve = time_model("dino_wm", COUNTS)
    models = {"lewm": lewm, "dino_wm": dino_wm, "ratio": ratios(lewm, dino_wm)}
    return {
        "variants": {name: variant({"model": name}, [found]) for name, found in models.items()},
        "curves": {"lewm": {"ms_per_step": lewm_curve}, "dino_wm": {"ms_per_step": dino_curve}},
        "protocol": {
            "threads": THREADS,
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "history_frames": HISTORY,
            "plan": f"{SAMPLES} candidates x {ITERATIONS} iterations x {HORIZON} steps",
            "extrapolated": "plan_seconds: from the line through the times of a step",
            "runs": f"median of {RUNS}; low and high are the fastest and the slowest",
            "published_ratio": PUBLISHED,
            "published_on": "one L40S GPU, by LeWorldModel's authors",
        },
        "seeds": [0],
    }


def main() -> None:
    write_study("planning_time", measure, __doc__, threads=THREADS)
