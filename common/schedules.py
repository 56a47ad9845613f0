"""What changes from step to step, and the streams of chance that a run draws from."""

import math

import torch


def warmup_cosine(step: int, num_steps: int, peak: float, warmup: float) -> float:
    """Learning rate: linear up to ``peak``, then half a cosine.

    ``warmup`` is the share of the steps that go up. Reaches the peak with the last of them, is
    never above it, and ends at 0.
    """
    warm = warmup * num_steps
    if step < warm:
        return min(peak, peak * (step + 1) / warm)
    done = (step - warm) / max(1.0, num_steps - warm)
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def stream(seed: int, purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose of a run (0 to a million), which draws on a device.

    Each kind of device has numbers of its own. Torch's CPU generator keeps the low 32 bits of a
    seed. Purposes of one run never share them, nor do seeds below 4,000; larger seeds wrap around
    and may.
    """
    return torch.Generator(device).manual_seed(1_000_003 * (seed + 1) + purpose)
