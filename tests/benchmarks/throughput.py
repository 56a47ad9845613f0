"""Samples/s of each part's training step, on every device that is here, and its share of the peak.

A step is what train.py repeats: drawing a batch on the device, forward, backward, AdamW. The peak
is the rate of a large float32 matrix product there (TF32 off). Small models are bound by launches
on a GPU: the share says how far from the roofline each is.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from common.episodes import draw_batch as draw_transitions
from common.episodes import make_clips
from common.harness.config import load_config
from common.harness.machine import wait_for
from common.sigreg import random_slices
from part2_pixel_vs_jepa import config as part2
from part2_pixel_vs_jepa import train as train2
from part2_pixel_vs_jepa.model import make_models
from part3_collapse_regularizers import config as part3
from part3_collapse_regularizers import train as train3
from part3_collapse_regularizers.data import draw_sample
from part3_collapse_regularizers.data import make_pool as make_pool3
from part3_collapse_regularizers.model import make_batch
from part3_collapse_regularizers.model import make_model as make_model3
from part4_dinov3_encoder import config as part4
from part4_dinov3_encoder import train as train4
from part4_dinov3_encoder.data.views import draw_batch as draw_views
from part4_dinov3_encoder.data.views import make_pool as make_pool4
from part4_dinov3_encoder.model import make_model as make_model4
from part5_action_planning import config as part5
from part5_action_planning import train as train5
from part5_action_planning.data import Batch, make_recording
from part5_action_planning.data import draw_batch as draw_clips
from part5_action_planning.model.world_models import make_model as make_model5

WARM, TIMED, MATRIX = 5, 7, 4096
Loss = Callable[[], Tensor]  # draws a batch and returns its loss


def devices() -> list[torch.device]:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [torch.device(name) for name in ("cpu", *(n for n, found in there.items() if found))]


def part2_pixels(device: torch.device) -> tuple[nn.Module, Loss, int]:
    cfg = load_config(part2.Config, [part2.BASELINE], {"methods": ["pixels"]})
    draws = part2.generator(cfg, part2.Stream.TRAIN_DATA, device)
    clips = make_clips(cfg.world, cfg.distractor, cfg.data.num_train_episodes, draws)
    model = make_models(cfg)["pixels"].to(device)

    def loss() -> Tensor:
        batch = draw_transitions(clips, cfg.batch_size, 1, max(cfg.world.speeds), draws)
        return train2.compute_loss(model, batch, cfg, None)[0]

    return model, loss, cfg.batch_size


def part3_sigreg(device: torch.device) -> tuple[nn.Module, Loss, int]:
    cfg = load_config(part3.Config, [part3.BASELINE], {"method": "sigreg"})
    draws = part3.generator(cfg, part3.Stream.TRAIN_EPISODES, device)
    pool = make_pool3(cfg, cfg.data.num_train_episodes, cfg.world.episode_length, draws)
    model = make_model3(cfg).to(device)

    def loss() -> Tensor:
        sample = draw_sample(cfg, pool, cfg.batch_size, draws)
        return train3.compute_loss(model, make_batch(model, sample, cfg, draws), cfg)[0]

    return model, loss, cfg.batch_size


def part4_method(method: str) -> Callable[[torch.device], tuple[nn.Module, Loss, int]]:
    def made(device: torch.device) -> tuple[nn.Module, Loss, int]:
        own = part4.BASELINE.with_name(f"{method}.yaml")
        cfg = load_config(part4.Config, [part4.BASELINE, own], {"data.photo_share": 0.0})
        draws = part4.generator(cfg, part4.Stream.TRAIN_DATA, device)
        pool, model = make_pool4(cfg, draws), make_model4(cfg).to(device)
        return model, lambda: train4.compute_loss(
            model, draw_views(cfg, pool, 0, draws), cfg
        )[0], cfg.batch_size  # fmt: skip

    return made


def part5_lewm(device: torch.device) -> tuple[nn.Module, Loss, int]:
    cfg = load_config(part5.Config, [part5.BASELINE])
    draws = part5.generator(cfg, part5.Stream.TRAIN_DATA, device)
    recording = make_recording(cfg, cfg.data.num_train_episodes, draws)
    model: Any = make_model5(cfg).to(device)

    def loss() -> Tensor:
        batch = draw_clips(recording, None, cfg.batch_size, cfg.data.clip_length, draws)
        slices = random_slices(cfg.model.embedding_dim, cfg.loss_weights.num_slices, draws)
        batch = Batch(batch.seen, batch.actions, slices)
        return train5.compute_loss(model, batch, cfg)[0]

    return model, loss, cfg.batch_size


CASES = {
    "part2_pixels": part2_pixels,
    "part3_sigreg": part3_sigreg,
    **{f"part4_{name}": part4_method(name) for name in ("ijepa", "vjepa", "dino", "lejepa")},
    "part5_lewm": part5_lewm,
}


def measure(case: Callable[..., Any], device: torch.device, peak: float) -> dict[str, float]:
    """Samples/s of a case: the median of TIMED steps."""
    model, loss, batch_size = case(device)
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        wait_for(device)

    for _ in range(WARM):
        step()
    times = []
    for _ in range(TIMED):
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    with FlopCounterMode(display=False) as counter:
        loss().backward()
    seconds = statistics.median(times)
    share = counter.get_total_flops() / seconds / peak
    return {"samples_per_second": batch_size / seconds, "share_of_matmul_peak": share}


def matmul_peak(device: torch.device) -> float:
    """FLOP/s of a float32 product, the best of several."""
    a, b = (torch.randn(MATRIX, MATRIX, device=device) for _ in range(2))
    times = []
    for _ in range(5):
        wait_for(device)
        begin = time.perf_counter()
        torch.mm(a, b)
        wait_for(device)
        times.append(time.perf_counter() - begin)
    return 2 * MATRIX**3 / min(times)


def run() -> dict[str, object]:
    found: dict[str, object] = {}
    for device in devices():
        peak = matmul_peak(device)
        rows = {name: measure(case, device, peak) for name, case in CASES.items()}
        found[device.type] = {"matmul_peak_gflops": peak / 1e9, **rows}
    return found


if __name__ == "__main__":
    print(run())
