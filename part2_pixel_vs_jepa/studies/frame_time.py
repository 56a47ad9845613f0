"""What a predicted frame costs, method by method: no training, under a minute."""

import time

import torch

from common.episodes import Batch
from common.harness.config import load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from common.intervals import mean_interval
from part2_pixel_vs_jepa.config import BASELINE, METHODS, PART, Config, Stream, generator
from part2_pixel_vs_jepa.model import Arm, Sampler, make_models
from part2_pixel_vs_jepa.scoring.heldout import make_heldout, take

FRAMES, REPEATS = 256, 5  # predicted at once, so many times over


def frame_time() -> None:
    """Milliseconds of one core per predicted frame: results/frame_time.json.

    Of untrained models, which take as long as trained ones, on 256 frames at once; a method with z
    makes K = 2 frames of each, tokens and likelihoods draw one. Processor time, whatever else runs.
    """
    no_options(frame_time.__doc__)
    start, seeds = time.monotonic(), [0, 1, 2]
    torch.set_num_threads(1)
    taken: dict[str, list[float]] = {method: [] for method in METHODS}
    for seed in seeds:
        sizes = {"data.num_test_episodes": 16, "data.num_bank_episodes": 1, "seed": seed}
        cfg = load_config(Config, [BASELINE], {**sizes, "methods": list(METHODS), "threads": 1})
        held = make_heldout(cfg)
        some = take(held.batch, torch.arange(FRAMES))
        for method, model in make_models(cfg).items():
            taken[method].append(min(_seconds(model, some, cfg) for _ in range(REPEATS)))
    variants = {
        method: {
            "params": {"methods": [method]},
            "metrics": {"ms": mean_interval([1000 * s / FRAMES for s in each], (0, float("inf")))},
        }
        for method, each in taken.items()
    }
    write_results(
        PART / "results" / "frame_time.json",
        "python part2_pixel_vs_jepa/study.py frame_time",
        protocol={"frames": FRAMES, "repeats": REPEATS, "num_hypotheses": 2},
        seeds=seeds, seconds=time.monotonic() - start, variants=variants, reference="pixels",
    )  # fmt: skip


@torch.no_grad()
def _seconds(model: Arm, batch: Batch, cfg: Config) -> float:
    """Of one core, for a frame (or K) after each of the batch's."""
    begin = time.process_time()
    if isinstance(model, Sampler):
        model.sample(batch, 1, generator(cfg, Stream.SAMPLES))
    else:
        model.hypotheses(batch)
    return time.process_time() - begin
