"""What the methods have to beat: raw pixels, an untrained ViT, and a JEPA of one ball on black.

Scored as the sweep ``methods`` scores encoders, in its five worlds. Writes results/references.json.
"""

import time
from dataclasses import replace

import torch

from common.frozen import FrozenEncoder, untrained_vit
from common.harness.config import load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from part4_dinov3_encoder.config import BASELINE, PART, Config, protocol
from part4_dinov3_encoder.scoring.encoders import conv_jepa, raw_pixels
from part4_dinov3_encoder.scoring.scores import FIRST_SEED, score_seeds

NUM_SEEDS = 5


def references(cfg: Config) -> dict[str, FrozenEncoder]:
    """What the methods have to beat, at one seed."""
    return {
        "raw_pixels": raw_pixels(cfg, channels=1),
        "untrained": untrained_vit(cfg.vit_sizes, seed=cfg.seed),
        "part2_jepa": conv_jepa(),
    }


def main() -> None:
    no_options(__doc__)
    begin = time.monotonic()
    torch.set_num_threads(1)  # as a sweep's runs
    baseline = load_config(Config, [BASELINE])
    seeds = range(FIRST_SEED, FIRST_SEED + NUM_SEEDS)
    rows = score_seeds(references, [replace(baseline, seed=seed) for seed in seeds])
    write_results(
        PART / "results" / "references.json",
        "python part4_dinov3_encoder/study.py references",
        protocol=protocol(baseline),
        seconds=time.monotonic() - begin,
        seeds=seeds,
        reference="untrained",
        variants={
            name: {"params": {"encoder": name}, "metrics": row} for name, row in rows.items()
        },
    )
