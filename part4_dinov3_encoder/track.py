"""Follows the ball of the hard world (or any point) through a clip, by frozen features alone.

    python part4_dinov3_encoder/track.py                                  this repository's default
    python part4_dinov3_encoder/track.py --encoder dinov3_vits16 --weights FOLDER
    python part4_dinov3_encoder/track.py --point 20,40 --clip 3           any patch of a clip
    python part4_dinov3_encoder/track.py --all                            -> results/tracking.json

Label propagation (``propagation.py``) from the true place of the larger ball in the first of 16
frames. Prints the mean error in px, in 5 worlds, beside raw pixels, an untrained ViT and a point
that never moves, and draws one clip as a GIF (--out; default runs/part4/track/track.gif, of --all
results/figures/track.gif). --all scores every recipe with published weights.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.config import UserError, load_config, run_script
from common.frozen import DEFAULT, RECIPES, UNTRAINED, FrozenEncoder, load_frozen
from common.intervals import mean_interval
from common.plots import PALETTE
from common.results import format_interval, write_results
from common.runs import RUNS
from common.strips import Group, strip, write_gif
from common.vit import patchify
from part4_dinov3_encoder.experiment import BASELINE, PART, Config, generator
from part4_dinov3_encoder.propagation import track
from part4_dinov3_encoder.scenes import Scenes, make_scenes

FRAMES, CLIPS, PURPOSE = 16, 24, 40
SEEDS = (0, 1, 2, 3, 4)
LOST = 8.0  # px: the ball counts as lost when the last frame's error is larger
Encode = Callable[[Tensor], Tensor]  # frames (T, 1, H, W) in [0, 1] -> tokens (T, N, D)


def make_clips(cfg: Config, count: int) -> Scenes:
    """Clips that no encoder was trained on."""
    world = replace(cfg.world, episode_length=FRAMES)
    return make_scenes(world, cfg.texture, count, generator(cfg, PURPOSE))


def raw_pixels(cfg: Config) -> Encode:
    """Patches of raw pixels as tokens: the row to beat."""
    return lambda frames: patchify(frames.unsqueeze(1), cfg.model.patch_size).flatten(1, 3)


def follow(
    encode: Encode, grid: tuple[int, int], patch: float, clip: Tensor, point: Tensor
) -> Tensor:
    """Places (T, 2) in px of a point (2,) of the first of clip's frames (T, 1, H, W) in uint8."""
    return track(encode(clip.float() / 255), grid, patch, point)


def tracking_error(places: Tensor, truth: Tensor) -> dict[str, float]:
    """Mean error (px) after the first frame, and whether the point is lost at the end; (T, 2)."""
    error = (places - truth).norm(dim=-1)
    return {"error_px": error[1:].mean().item(), "lost": float(error[-1] > LOST)}


def score(
    encode: Encode | None, grid: tuple[int, int], patch: float, clips: Scenes
) -> dict[str, float]:
    """Mean scores over the clips' larger balls; no encoder is a point that never moves."""
    rows = []
    for frames, states in zip(clips.frames, clips.states, strict=True):
        truth = states[:, 0, :2]
        still = truth[:1].expand_as(truth)
        places = still if encode is None else follow(encode, grid, patch, frames, truth[0])
        rows.append(tracking_error(places, truth))
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def subject(encoder: FrozenEncoder, cfg: Config) -> tuple[Encode, tuple[int, int], float]:
    """An encoder's tokens, grid and side of a patch in px of the frame."""
    grid = encoder.grid(cfg.world.size, cfg.world.size)
    return encoder.encode, grid, cfg.world.size / grid[0]


def compare(encoders: dict[str, FrozenEncoder]) -> dict[str, dict]:
    """{row: {metric: interval over seeds}}: each encoder, raw pixels, and a point that stays."""
    found: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        cfg = load_config(Config, [BASELINE], {"seed": seed})
        clips = make_clips(cfg, CLIPS)
        side = cfg.world.size // cfg.model.patch_size
        rows: dict[str, tuple[Encode | None, tuple[int, int], float]] = {
            name: subject(encoder, cfg) for name, encoder in encoders.items()
        }
        rows["raw_pixels"] = (raw_pixels(cfg), (side, side), cfg.model.patch_size)
        rows["never_moving"] = (None, (side, side), cfg.model.patch_size)
        for name, row in rows.items():
            found.setdefault(name, []).append(score(*row, clips))
    return {
        name: {metric: mean_interval([run[metric] for run in runs]) for metric in runs[0]}
        for name, runs in found.items()
    }


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
    parser.add_argument("--encoder", default=DEFAULT, help="a name of common/frozen.py")
    parser.add_argument("--weights", type=Path, help="file or folder to read instead")
    parser.add_argument("--random_weights", action="store_true", help="of that size")
    parser.add_argument("--clip", type=int, default=0, help="which of the clips is drawn")
    parser.add_argument("--point", help="x,y in px of its first frame; default: the larger ball")
    parser.add_argument("--out", type=Path, default=RUNS / "part4" / "track" / "track.gif")
    parser.add_argument("--all", action="store_true", help="every recipe, and a results file")
    args = parser.parse_args()
    if not 0 <= args.clip < CLIPS:
        raise UserError(f"--clip {args.clip}: expected 0 to {CLIPS - 1}")
    if args.all and (args.weights or args.random_weights or args.point or args.encoder != DEFAULT):
        parser.error("--all scores what is published: leave --encoder, its weights and --point")
    begin, cfg = time.monotonic(), load_config(Config, [BASELINE])
    torch.set_num_threads(1)
    point = None if args.point is None else parse_point(args.point, cfg.world.size)
    if args.all:
        encoders = {name: load_frozen(name) for name in (*RECIPES, UNTRAINED)}
    else:
        own = load_frozen(args.encoder, args.weights, pretrained=not args.random_weights)
        encoders = {own.name: own, UNTRAINED: load_frozen(UNTRAINED)}
    clips = make_clips(cfg, CLIPS)
    clip, truth = clips.frames[args.clip], clips.states[args.clip, :, 0, :2]
    first = truth[0] if point is None else point
    side = cfg.world.size // cfg.model.patch_size
    shown = DEFAULT if args.all else next(iter(encoders))
    places = {shown: follow(*subject(encoders[shown], cfg), clip, first)}
    places["raw pixels"] = follow(raw_pixels(cfg), (side, side), cfg.model.patch_size, clip, first)
    note = f"Label propagation from frame 0, frozen features. Clip {args.clip} of the hard world."
    out = PART / "results" / "figures" / "track.gif" if args.all else args.out
    draw(out, clip, places, note)
    print(out)
    if point is not None:
        return
    rows = compare(encoders)
    for name, metrics in rows.items():
        lost = f"{100 * metrics['lost']['mean']:.0f}% lost"
        print(f"{name:40} {format_interval(metrics['error_px'], 2)} px, {lost} at the end")
    if args.all:
        bounds = {name: rows.pop(name) for name in (UNTRAINED, "raw_pixels", "never_moving")}
        write_results(
            PART / "results" / "tracking.json",
            "python part4_dinov3_encoder/track.py --all",
            protocol={"clips": CLIPS, "frames": FRAMES, "lost_px": LOST},
            seconds=time.monotonic() - begin,
            seeds=SEEDS,
            arms=rows,
            bounds=bounds,
        )


if __name__ == "__main__":
    run_script(main)
