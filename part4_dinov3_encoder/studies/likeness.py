"""How much of what hover.py shows plain colour would have said: on the two held-out photographs.

For every patch, how alike it is to every other, by the encoder's tokens and by mean colour: the
correlation of the two maps, mean over patches. 1: colour explains the page. Each encoder is one
training, the one that ships. Writes results/likeness.json.
"""

import time
from dataclasses import replace

import torch
from torch.nn import functional as F

from common.episodes import to_float
from common.frozen import METHODS, UNTRAINED, FrozenEncoder, load_frozen
from common.harness.aggregate import metric_intervals
from common.harness.config import load_config
from common.harness.errors import no_options
from common.harness.results import write_results
from part4_dinov3_encoder.config import BASELINE, PART, Config
from part4_dinov3_encoder.data.photos import HELD_OUT, load_photo
from part4_dinov3_encoder.demo.similarity import color_likeness, cosines, mean_colors
from part4_dinov3_encoder.scoring.encoders import raw_pixels

SIDE, PATCHES = 224, 28  # px of a photograph's shorter side, and patches along it


def color_correlation(encoder: FrozenEncoder, photo: torch.Tensor) -> float:
    """Mean correlation of likeness by tokens and by colour; photo (3, H, W) in uint8."""
    frame = to_float(photo)[None]
    scale = SIDE / min(frame.shape[2:])
    frame = F.interpolate(frame, scale_factor=scale, mode="bicubic", antialias=True).clamp(0, 1)
    finer = replace(encoder, resolution=PATCHES * encoder.patch_size)
    tokens, grid = finer.encode(frame)[0].float(), finer.grid(*frame.shape[2:])
    maps = cosines(tokens, centred=True), color_likeness(mean_colors(frame, grid))
    by_tokens, by_color = (each - each.mean(1, keepdim=True) for each in maps)
    return F.cosine_similarity(by_tokens, by_color).mean().item()


def main() -> None:
    no_options(__doc__)
    begin, cfg = time.monotonic(), load_config(Config, [BASELINE])
    encoders = {name: load_frozen(name) for name in (*METHODS, UNTRAINED)}
    encoders["raw_pixels"] = raw_pixels(cfg)
    photos = {name.partition(".")[0]: load_photo(name) for name in HELD_OUT}
    found = {
        row: {name: color_correlation(encoder, photo) for name, photo in photos.items()}
        for row, encoder in encoders.items()
    }
    write_results(
        PART / "results" / "likeness.json",
        "python part4_dinov3_encoder/study.py likeness",
        protocol={"shorter_side_px": SIDE, "patches": PATCHES},
        seconds=time.monotonic() - begin,
        seeds=[5],  # of the encoders
        variants={
            row: {"params": {"encoder": row}, "metrics": metric_intervals(row, [scores], {})}
            for row, scores in found.items()
        },
    )
