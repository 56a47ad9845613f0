"""Follows the ball of the hard world (or any point) through a clip, by frozen features alone.

    python part4_dinov3_encoder/track.py                                  this repository's default
    python part4_dinov3_encoder/track.py --encoder dinov3_vits16 --weights FOLDER
    python part4_dinov3_encoder/track.py --point 20,40 --clip 3           any patch of a clip
    python part4_dinov3_encoder/track.py --resolution 128                 larger frames, more tokens
    python part4_dinov3_encoder/track.py --all                            -> results/tracking.json

Label propagation (``propagation.py``) from the true place of the larger ball in the first of 16
frames. Prints the mean error in px, over 5 sets of clips, beside an untrained ViT, raw pixels, true
labels in every frame (what the grid alone costs) and a point that never moves, all on the encoder's
grid (by default 8 x 8 tokens: DINOv3 then sees frames of 128 px), and draws one clip as a GIF
(--out; default runs/part4/track/track.gif, of --all results/figures/track.gif). --all scores every
recipe with published weights, one training seed each, at three resolutions.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.figures.charts import PALETTE
from common.figures.frames import Group, strip, write_gif
from common.frozen import RECIPES
from common.harness.config import load_config
from common.harness.errors import UserError, run_script
from common.harness.results import format_interval, write_results
from common.harness.runs import RUNS
from part4_dinov3_encoder.config import BASELINE, PART, Config
from part4_dinov3_encoder.options import add_encoder_options, is_default, load_chosen
from part4_dinov3_encoder.scoring.tracking import (
    CLIPS,
    FRAMES,
    LOST,
    SEEDS,
    compare,
    controls,
    follow,
    make_clips,
    published,
    raw_pixels,
    with_features,
)

RESOLUTIONS = (64, 128, 192)  # px that frames of 64 px are enlarged to: 8, 16, 24 tokens a side


def marked(frame: Tensor, places: dict[str, Tensor], scale: int = 4) -> np.ndarray:
    """A frame (1, H, W) uint8, enlarged, with a black and white cross at each place (px)."""
    picture = frame[0].float().div(255).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    for place in places.values():
        x, y = (int(v) for v in (place * scale).round())
        for radius, level in ((2, 0.0), (1, 1.0)):
            picture[max(0, y - 12) : y + 12, max(0, x - radius) : x + radius] = level
            picture[max(0, y - radius) : y + radius, max(0, x - 12) : x + 12] = level
    return picture.numpy()


def draw(path: Path, clip: Tensor, places: dict[str, Tensor], note: str) -> None:
    """A GIF of a clip (T, 1, H, W): a column a tracker, a cross where it is (places (T, 2))."""
    groups = [Group(name, 1, PALETTE["vermillion"]) for name in places]
    figures = [
        strip(
            [[marked(frame, {name: way[t]}) for name, way in places.items()]],
            groups,
            [[f"frame {t}", *[""] * (len(places) - 1)]],
            note,
        )
        for t, frame in enumerate(clip)
    ]
    write_gif(path, figures, fps=4)


def parse_point(text: str, size: int) -> Tensor:
    """ "x,y" in px; raises UserError."""
    try:
        x, y = (float(word) for word in text.split(","))
    except ValueError:
        raise UserError(f"--point {text}: expected x,y in px, such as 20,40") from None
    if not (0 <= x < size and 0 <= y < size):
        raise UserError(f"--point {text}: expected both from 0 to below {size} px")
    return torch.tensor([x, y])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_encoder_options(parser)
    parser.add_argument(
        "--resolution", type=int, help="px that a frame's side is resized to; 8 x 8 tokens"
    )
    parser.add_argument("--clip", type=int, default=0, help="which of the clips is drawn")
    parser.add_argument("--point", help="x,y in px of its first frame; default: the larger ball")
    parser.add_argument("--out", type=Path, help="the GIF")
    parser.add_argument("--all", action="store_true", help="every recipe, and a results file")
    args = parser.parse_args()
    if not 0 <= args.clip < CLIPS:
        raise UserError(f"--clip {args.clip}: expected 0 to {CLIPS - 1}")
    if args.all and (any((args.point, args.resolution, args.out)) or not is_default(args)):
        parser.error("--all scores what is published: leave every other option but --clip")
    begin, cfg = time.monotonic(), load_config(Config, [BASELINE])
    torch.set_num_threads(1)
    point = None if args.point is None else parse_point(args.point, cfg.world.size)
    resolution = RESOLUTIONS[-1] if args.all else args.resolution
    own = load_chosen(args, cfg, resolution)
    side = own.grid(cfg.world.size, cfg.world.size)[0]
    pixels = raw_pixels(cfg, side * cfg.model.patch_size)
    clips = make_clips(cfg, CLIPS)
    clip, truth = clips.frames[args.clip], clips.states[args.clip, :, 0, :2]
    first = truth[0] if point is None else point
    places = {own.name: follow(own, clip, first), pixels.name: follow(pixels, clip, first)}
    note = f"Label propagation from frame 0, frozen features. Clip {args.clip} of the hard world."
    out = args.out or RUNS / "part4" / "track" / "track.gif"
    if args.all:
        out = PART / "results" / "figures" / "track.gif"
    draw(out, clip, places, note)
    print(out)
    if point is not None:
        return
    if args.all:
        followers = {}
        for px in RESOLUTIONS:
            followers |= published(RECIPES, cfg, px)
    else:
        followers = {own.name: with_features(own)} | controls(cfg, side)
    rows = compare(followers)
    for name, metrics in rows.items():
        lost = f"{100 * metrics['lost']['mean']:.0f}% lost"
        print(f"{name:40} {format_interval(metrics['error_px'], 2)} px, {lost} at the end")
    if args.all:
        arms = {name: row for name, row in rows.items() if name.split("@")[0] in RECIPES}
        write_results(
            PART / "results" / "tracking.json",
            "python part4_dinov3_encoder/track.py --all",
            protocol={
                "clips": CLIPS,
                "frames": FRAMES,
                "lost_px": LOST,
                "resolutions": RESOLUTIONS,
            },
            seconds=time.monotonic() - begin,
            seeds=SEEDS,
            arms=arms,
            bounds={name: row for name, row in rows.items() if name not in arms},
        )


if __name__ == "__main__":
    run_script(main)
