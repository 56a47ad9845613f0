"""Frames of 64x64 (uint8) per second, simulated and rendered: batched, against a numpy loop."""

import statistics
import time

import numpy as np
import torch

from common.episodes import make_clips
from common.harness.config import load_config
from part2_pixel_vs_jepa.config import BASELINE, Config

EPISODES, NAIVE_EPISODES, REPEATS = 2000, 40, 7


def naive(num_episodes: int, rng: np.random.Generator) -> np.ndarray:
    """The posts' world as its readers would first write it: a loop over frames, in numpy."""
    rows, columns = np.mgrid[:64, :64]
    frames = np.zeros((num_episodes, 24, 64, 64), dtype=np.uint8)
    for episode in frames:
        x, v = rng.uniform(9, 55), rng.choice([-6.0, 6.0])
        for frame in episode:
            frame[(columns - x) ** 2 + (rows - 32) ** 2 <= 64] = 255
            if not 8 <= x + v <= 56:
                v = -v
            x += v
    return frames


def run() -> dict[str, float]:
    """Medians of frames per second, alternating the two."""
    torch.set_num_threads(2)
    cfg = load_config(Config, [BASELINE])
    ours, theirs = [], []
    for repeat in range(REPEATS):
        begin = time.perf_counter()
        draws = torch.Generator().manual_seed(repeat)
        clips = make_clips(cfg.world, cfg.distractor, EPISODES, draws)
        ours.append(clips.frames[:, :, 0].shape[:2].numel() / (time.perf_counter() - begin))
        begin = time.perf_counter()
        frames = naive(NAIVE_EPISODES, np.random.default_rng(repeat))
        theirs.append(frames[:, :, 0, 0].size / (time.perf_counter() - begin))
    return {
        "frames_per_second": statistics.median(ours),
        "frames_per_second_numpy_loop": statistics.median(theirs),
        "frames_per_second_wanted": 150_000,
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
    }


if __name__ == "__main__":
    print(run())
