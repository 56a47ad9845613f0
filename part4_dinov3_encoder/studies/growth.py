"""What each method's encoder knows after how many pictures: the encoders kept by the sweep length.

Trains first what is not there yet (``study.py length``, hours of one core a seed); every run's
encoders after 1,024 to 250,048 pictures are then scored in the same worlds as the untrained ViT of
that seed, at 0. Writes results/growth.json, whose variants are <method>@<pictures>.
"""

import time
from pathlib import Path

import torch

from common import sweep
from common.frozen import FrozenEncoder, load_frozen, untrained_vit
from common.harness.aggregate import metric_intervals
from common.harness.config import REPOSITORY, load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from common.harness.runs import RUNS
from part4_dinov3_encoder.config import BASELINE, PART, Config, protocol
from part4_dinov3_encoder.scoring.encoders import raw_pixels
from part4_dinov3_encoder.scoring.growth import frame_scores, make_motion, motion_scores
from part4_dinov3_encoder.scoring.scores import limits, make_heldout

SWEEP = REPOSITORY / "configs" / "part4" / "sweeps" / "length.yaml"


def kept(folder: Path) -> dict[int, FrozenEncoder]:
    """{pictures seen: encoder} of a finished run."""
    cfg = load_config(Config, [folder / "config.yaml"])
    files = {step: folder / f"encoder-{step}.pt" for step in cfg.snapshots}
    files[cfg.steps] = folder / "encoder.pt"
    each = cfg.pictures_per_step
    return {round(each * n): load_frozen(cfg.method, path) for n, path in files.items()}


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    sweep.main([str(SWEEP)])
    torch.set_num_threads(1)  # as the sweep's runs
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    asked, jobs = sweep.read_sweep(SWEEP, RUNS)
    for seed in asked.seeds:
        cfg = load_config(Config, [BASELINE], {"seed": seed})
        held, motion = make_heldout(cfg), make_motion(cfg)
        rows = {("untrained", 0): untrained_vit(cfg.vit_sizes, seed=seed)}
        rows |= {("raw_pixels", 0): raw_pixels(cfg, channels=1)}
        ends = list(rows)
        for job in (job for job in jobs if job.seed == seed):
            encoders = kept(job.folder)
            rows |= {(job.variant, pictures): e for pictures, e in encoders.items()}
            ends.append((job.variant, max(encoders)))
        for name, encoder in rows.items():
            scores = frame_scores(encoder, held, cfg)
            scores |= motion_scores(encoder, motion, cfg) if name in ends else {}
            found.setdefault(name, []).append(scores)
    write_results(
        PART / "results" / "growth.json",
        "python part4_dinov3_encoder/study.py growth",
        protocol=protocol(load_config(Config, [BASELINE])),
        seconds=time.monotonic() - begin,
        seeds=asked.seeds,
        reference="untrained@0",
        variants={
            f"{name}@{pictures}": {
                "params": {"method": name, "pictures": pictures},
                "metrics": metric_intervals(name, runs, {"limits": limits(runs[0])}),
            }
            for (name, pictures), runs in found.items()
        },
    )
