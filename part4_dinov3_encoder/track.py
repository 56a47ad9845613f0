"""Follows the ball of the textured world (or any point) through a clip, by frozen features alone.

    python part4_dinov3_encoder/track.py                                  this repository's default
    python part4_dinov3_encoder/track.py --encoder dinov3_vits16 --weights FOLDER
    python part4_dinov3_encoder/track.py --point 20,40 --clip 3           any patch of a clip
    python part4_dinov3_encoder/track.py --resolution 192                 larger frames, more tokens

Label propagation (``scoring/propagation.py``) from the true place of the larger ball in the first
of 16 frames. Prints the mean error in px, over 5 sets of clips, beside an untrained ViT, raw
pixels, true labels in every frame (what the grid alone costs) and a point that never moves, all on
the encoder's grid (by default 16 x 16 tokens: DINOv3 then sees frames of 256 px), and draws one
clip as a GIF, which is named by what was asked for.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.frozen import FrozenEncoder
from common.harness.config import load_config
from common.harness.errors import UserError, run_script, typed_path
from common.harness.runs import RUNS
from common.harness.tables import Column, format_interval
from part4_dinov3_encoder.config import BASELINE, Config
from part4_dinov3_encoder.scoring.encoders import (
    asked_for,
    encoder_parser,
    load_chosen,
    raw_pixels,
)  # fmt: skip
from part4_dinov3_encoder.scoring.tracking import CLIPS, compare, controls, follow, make_clips
from part4_dinov3_encoder.scoring.tracking import with_features as following

SIDE = 16  # tokens: on 8 x 8 the ball is soon lost, by any encoder
OUT = RUNS / "part4" / "track"


def marked(frame: Tensor, place: Tensor, scale: int = 4) -> np.ndarray:
    """A frame (1, H, W) uint8, enlarged, with a red cross edged in white at a place (2,) in px.

    Colours (scale H, scale W, 3), from 0 to 1.
    """
    grey = frame[0].float().div(255).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    picture = grey.unsqueeze(-1).repeat(1, 1, 3)
    x, y = (int(v) for v in (place * scale).round())
    for edge, color in ((2, (1.0, 1.0, 1.0)), (0, (0.9, 0.1, 0.0))):
        for width, height in ((14 + edge, 2 + edge), (2 + edge, 14 + edge)):
            arm = picture[max(0, y - height) : y + height, max(0, x - width) : x + width]
            arm[:] = torch.tensor(color)
    return picture.numpy()


def draw_clip(
    path: Path, encoder: FrozenEncoder, cfg: Config, index: int = 0, point: Tensor | None = None
) -> None:
    """A GIF of a clip, where the encoder and raw pixels on its grid see a point go.

    point (2,) of the first frame, by default the larger ball's place.
    """
    from common.figures.frames import Group, strip, write_gif
    from common.figures.style import PALETTE

    clips = make_clips(cfg, CLIPS)
    clip, start = clips.frames[index], clips.states[index, 0, 0, :2]
    side = encoder.grid(cfg.world.size, cfg.world.size)[0]
    pixels = raw_pixels(cfg, side * cfg.model.patch_size)
    ways = {e.name: follow(e, clip, start if point is None else point) for e in (encoder, pixels)}
    groups = [Group(name, 1, PALETTE["vermillion"]) for name in ways]
    note = f"Cross: where the ball is, by label propagation of frozen features. Clip {index}."
    figures = []
    for t, frame in enumerate(clip):
        pictures = [marked(frame, way[t]) for way in ways.values()]
        figures.append(strip([pictures], groups, [[f"frame {t}", ""]], note))
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
    parser = encoder_parser(__doc__)
    finer = f"px of a frame's side; default: {SIDE} x {SIDE} tokens"
    parser.add_argument("--resolution", type=int, help=finer)
    parser.add_argument("--clip", type=int, default=0, help="which of the clips is drawn")
    parser.add_argument("--point", help="x,y in px of its first frame; default: the larger ball")
    parser.add_argument("--out", type=typed_path, help="the GIF; default: in runs/part4/track/")
    args = parser.parse_args()
    if not 0 <= args.clip < CLIPS:
        raise UserError(f"--clip {args.clip}: expected 0 to {CLIPS - 1}")
    cfg = load_config(Config, [BASELINE])
    torch.set_num_threads(1)
    point = None if args.point is None else parse_point(args.point, cfg.world.size)
    encoder = load_chosen(args, cfg, args.resolution)
    if args.resolution is None:
        encoder = replace(encoder, resolution=SIDE * encoder.patch_size)
    side = encoder.grid(cfg.world.size, cfg.world.size)[0]
    weights = asked_for(args)[0].get("weights", Path())
    words = [encoder.name, *weights.parts[-2:], f"{side}x{side}", f"clip{args.clip}", args.point]
    name = "-".join(re.findall(r"[\w.]+", " ".join(str(word) for word in words if word)))
    out: Path = args.out or OUT / f"{name}.gif"
    draw_clip(out, encoder, cfg, args.clip, point)
    print(out)
    if point is not None:
        return
    rows = compare({encoder.name: following(encoder)} | controls(cfg, side))
    for name, metrics in rows.items():
        error = format_interval(metrics["error_px"], Column("", 2))
        print(f"{name:40} {error} px, {100 * metrics['lost']['mean']:.0f}% lost at the end")


if __name__ == "__main__":
    run_script(main)
