"""The ball followed by every published encoder at three resolutions, beside what has no training.

Each is one training; intervals are over five sets of clips. Writes results/tracking.json, and the
clip that track.py draws by default, results/figures/track.gif.
"""

import time

import torch

from common.frozen import DEFAULT, METHODS, load_frozen
from common.harness.config import load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from part4_dinov3_encoder.config import BASELINE, PART, Config
from part4_dinov3_encoder.scoring import tracking
from part4_dinov3_encoder.scoring.tracking import with_features
from part4_dinov3_encoder.track import SIDE, draw_clip

RESOLUTIONS = (64, 128, 192)  # px that frames of 64 px are enlarged to: 8, 16, 24 tokens a side


def main() -> None:
    no_options(__doc__)
    begin, cfg = time.monotonic(), load_config(Config, [BASELINE])
    torch.set_num_threads(1)
    variants = {}
    for px in RESOLUTIONS:
        encoders = {name: load_frozen(name, resolution=px) for name in METHODS}
        followers = {name: with_features(encoder) for name, encoder in encoders.items()}
        rows = tracking.compare(followers | tracking.controls(cfg, px // cfg.model.patch_size))
        variants |= {
            f"{name}@{px}": {"params": {"encoder": name, "resolution": px}, "metrics": row}
            for name, row in rows.items()
        }
    write_results(
        PART / "results" / "tracking.json",
        "python part4_dinov3_encoder/study.py tracking",
        protocol={
            "clips": tracking.CLIPS, "frames": tracking.FRAMES, "lost_px": tracking.LOST,
            "resolutions": list(RESOLUTIONS),
        },
        seconds=time.monotonic() - begin,
        seeds=tracking.SEEDS,
        variants=variants,
    )  # fmt: skip
    shown = load_frozen(DEFAULT, resolution=SIDE * cfg.model.patch_size)
    draw_clip(PART / "results" / "figures" / "track.gif", shown, cfg)
