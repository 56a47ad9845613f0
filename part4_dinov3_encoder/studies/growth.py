"""What each method's encoder knows after how many pictures: the encoders kept by the sweep length.

Trains first what is not there yet (``study.py length``, hours of one core a seed); every run's
encoders after 1,024 to 250,048 pictures are then scored in the same worlds as the untrained ViT of
that seed, at 0. Writes results/growth.json, whose variants are <method>@<pictures>.
"""

import time
from dataclasses import replace
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
from part4_dinov3_encoder.scoring.scores import growth_scores, limits, make_heldout

SWEEP = REPOSITORY / "configs" / "part4" / "sweeps" / "length.yaml"


def kept(folder: Path, cfg: Config) -> dict[int, FrozenEncoder]:
    """{pictures seen: encoder} of a finished run; a clip counts as its frames."""
    frames = cfg.batch_size * (cfg.data.clip_length if cfg.method == "vjepa" else 1)
    files = {step: folder / f"encoder-{step}.pt" for step in cfg.snapshots}
    files[cfg.steps] = folder / "encoder.pt"
    return {frames * step: load_frozen(cfg.method, path) for step, path in files.items()}


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    sweep.main([str(SWEEP)])
    torch.set_num_threads(1)  # as the sweep's runs
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    asked, jobs = sweep.read_sweep(SWEEP, RUNS)
    for seed in asked.seeds:
        baseline = load_config(Config, [BASELINE], {"seed": seed})
        held = make_heldout(baseline)
        start = growth_scores(untrained_vit(baseline.vit_sizes, seed=seed), held, baseline)
        found.setdefault(("untrained", 0), []).append(start)
        for job in (job for job in jobs if job.seed == seed):
            cfg = load_config(Config, [job.folder / "config.yaml"])
            for pictures, encoder in kept(job.folder, cfg).items():
                scores = growth_scores(encoder, held, replace(baseline, method=cfg.method))
                found.setdefault((job.variant, pictures), []).append(scores)
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
