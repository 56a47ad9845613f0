"""The figures of this part, from shipped weights and results/*.json; trains nothing.

    python part4_dinov3_encoder/plot.py --results                     -> results/figures
    python part4_dinov3_encoder/plot.py --encoder dinov3_vits16 --out somewhere

features.png: two photographs that no method has seen and two scenes of the textured world; for
each, what is like the marked patch to the encoder, and to plain colour, its principal directions as
colours, and its foreground without labels. foreground.png: scenes, the truth, and what clusters of
raw pixels and of the encoder name ball, all on the encoder's grid. probes.png, and growth.png, what
is read after how many pictures: from the results files. Scenes are shown at 8 x 8 tokens, to DINOv3
as well. Each figure names its encoder, and has the arrays it was drawn from beside it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from common.episodes import to_float
from common.figures.charts import Bars, Curves, panels
from common.figures.style import DPI, FONT, QUIET, WIDTH, wrap, write_png
from common.frozen import DEFAULT, FrozenEncoder
from common.harness.config import load_config
from common.harness.errors import run_script, typed_path
from common.harness.results import read_results
from common.harness.tables import find
from part4_dinov3_encoder.config import BASELINE, PART, Config
from part4_dinov3_encoder.data.photos import HELD_OUT, load_photo
from part4_dinov3_encoder.data.scenes import ball_patches
from part4_dinov3_encoder.demo.similarity import color_likeness, cosines, mean_colors, pca_colors
from part4_dinov3_encoder.demo.similarity import foreground as two_clusters
from part4_dinov3_encoder.report.tables import BASELINES, CONV_JEPA, LONG, METHODS
from part4_dinov3_encoder.scoring.encoders import (
    asked_for,
    encoder_parser,
    load_chosen,
    raw_pixels,
)
from part4_dinov3_encoder.scoring.features import features
from part4_dinov3_encoder.scoring.foreground import foreground
from part4_dinov3_encoder.scoring.scores import make_test

PATCHES = 28  # along the shorter side of a photograph
SHOWN = 4  # scenes of foreground.png
PROBES = {
    "position_all_1000": "position",
    "radius_max_1000": "radius",
    "balls_max_1000": "number of balls",
    "velocity2_all_1000": "velocity, two frames",
}
GROWTH = {
    "position_all_1000": "position R², linear", "position_attentive": "position R², attentive",
    "foreground_labelled": "IoU, labels", "effective_rank": "rank of frames",
}  # fmt: skip


def picture_row(frame: Tensor, encoder: FrozenEncoder, query: tuple[float, float]) -> list:
    """Five pictures (H, W, 3) of a frame (1, 3, H, W) for a query at a share of (height, width)."""
    tokens = encoder.encode(frame)[0].float()
    rows, columns = grid = encoder.grid(frame.shape[2], frame.shape[3])
    y, x = (int(share * side) for share, side in zip(query, grid, strict=True))
    index = y * columns + x
    likeness = cosines(tokens, centred=True)[index].view(rows, columns)
    color = color_likeness(mean_colors(frame, grid))[index].view(rows, columns).clamp(min=-1)
    size = (frame.shape[2], frame.shape[3])
    shown = frame[0].permute(1, 2, 0).clone()
    top, left = y * size[0] // rows, x * size[1] // columns
    box = (slice(top, top + size[0] // rows + 1), slice(left, left + size[1] // columns + 1))
    red = torch.tensor([1.0, 0.0, 0.0])
    shown[box] = 0.4 * shown[box] + 0.6 * red
    pca = pca_colors(tokens).view(rows, columns, 3).float()
    named = two_clusters(tokens, grid).view(rows, columns).float()
    return [shown, likeness, color, pca, named]


def features_figure(encoder: FrozenEncoder, cfg: Config) -> tuple[Figure, dict[str, np.ndarray]]:
    """Held-out photographs and scenes, a row each."""
    frames = [(to_float(load_photo(name))[None], (0.4, 0.5)) for name in HELD_OUT]
    scenes = make_test(cfg)
    for e in (0, 1):
        x, y = scenes.states[e, 0, 0, :2].tolist()
        frame = to_float(scenes.frames[e : e + 1, 0]).expand(-1, 3, -1, -1)
        frames.append((frame, (y / cfg.world.size, x / cfg.world.size)))
    table = []
    for i, (frame, query) in enumerate(frames):
        resolution = PATCHES * encoder.patch_size if i < len(HELD_OUT) else encoder.resolution
        scale = min(1.0, 224 / min(frame.shape[2:]))
        small = F.interpolate(frame, scale_factor=scale, mode="bicubic", antialias=True).clamp(0, 1)
        table.append(picture_row(small, replace(encoder, resolution=resolution), query))
    titles = ["picture, patch", "like it: encoder", "like it: colour", "3 directions", "foreground"]
    note = (
        f"Encoder: {encoder.name}. Centred cosine, likeness of mean colour: -1 (blue) to 1 "
        "(red). The photographs were in no method's training data. Foreground: two clusters of "
        "the one picture, as in hover.py, not the rule that the table scores."
    )
    return grid_figure(table, titles, note)


def foreground_figure(encoder: FrozenEncoder, cfg: Config) -> tuple[Figure, dict[str, np.ndarray]]:
    """Scenes, truth, and the patches that clusters name ball, a column each; all on one grid."""
    scenes = make_test(cfg)
    grid = encoder.grid(cfg.world.size, cfg.world.size)
    pixels = raw_pixels(cfg, grid[0] * cfg.model.patch_size)
    masks = {"truth": ball_patches(scenes.cover[:, 0], *grid)}
    for name, shown in (("raw pixels", pixels), ("encoder", encoder)):
        masks[name] = foreground(features(shown, scenes).patches[0], grid)
    table = []
    for e in range(SHOWN):
        frame = to_float(scenes.frames[e, 0]).expand(3, -1, -1).permute(1, 2, 0)
        table.append([frame, *(mask[e].view(grid).float() for mask in masks.values())])
    note = f"Encoder: {encoder.name}. White: patches named ball, no labels."
    return grid_figure(table, ["scene", *masks], note)


def grid_figure(
    table: Sequence[Sequence[Tensor]], titles: Sequence[str], note: str
) -> tuple[Figure, dict[str, np.ndarray]]:
    """Pictures (H, W, 3) in [0, 1] and maps (H, W) in [-1, 1], or of 0 and 1, in rows."""
    side = (WIDTH - 0.2) / len(titles)
    heights = [row[0].shape[0] / row[0].shape[1] * side for row in table]
    note = wrap(note)
    lines = 1 + note.count("\n")
    fig = Figure(figsize=(WIDTH, sum(heights) + 0.3 + 0.2 * lines), dpi=DPI)
    layout = fig.add_gridspec(
        len(table), len(titles), height_ratios=heights, hspace=0.03, wspace=0.03, left=0.01,
        right=0.99, top=1 - 0.25 / fig.get_figheight(),
        bottom=(0.05 + 0.2 * lines) / fig.get_figheight(),
    )  # fmt: skip
    arrays = {}
    for i, row in enumerate(table):
        for j, picture in enumerate(row):
            ax = fig.add_subplot(layout[i, j])
            ax.axis("off")
            if i == 0:
                ax.set_title(titles[j], fontsize=FONT)
            is_mask = picture.ndim == 2 and bool(((picture == 0) | (picture == 1)).all())
            low = 0 if is_mask else -1
            ax.imshow(
                picture.numpy(), cmap="gray" if is_mask else "RdBu_r", vmin=low, vmax=1,
                interpolation="nearest", aspect="auto",
            )  # fmt: skip
            arrays[f"row{i}_{titles[j].replace(' ', '_')}"] = picture.numpy().astype(np.float16)
    fig.text(0.01, 0.04 / fig.get_figheight(), note, va="bottom", fontsize=FONT, color=QUIET)
    return fig, arrays


def probes_figure() -> Figure:
    """What can be read from each encoder, above the baselines, in grey."""
    contents, baselines = [], BASELINES | CONV_JEPA
    for metric, title in PROBES.items():
        rows = {}
        for name, label in (METHODS | baselines).items():
            found = find(PART / "results", "methods", name)
            rows |= {label: {label: found[metric]}} if metric in found else {}
        contents.append(Bars(rows, "R²", title=title))
    note = (
        "Noisy linear probes from 1,000 labelled frames of the textured world: all patch tokens, "
        "or their maximum for radius and number. Whiskers: 95% interval over seeds; dots: seeds."
    )
    figure = panels(contents, dict.fromkeys(baselines.values(), "0.6"), note, columns=2)
    for ax in figure.axes:
        ax.set_xlim(-0.1, 1)  # an R² of 1 is all there is to read
    return figure


def growth_figure() -> Figure:
    """What is read from each encoder after how many pictures, beside what no training gives."""
    content = read_results(PART / "results" / "growth.json")
    names, contents = {name: label.replace("*", "") for name, label in LONG.items()}, []
    for metric, title in GROWTH.items():
        series = {names[name]: curves[metric] for name, curves in content["curves"].items()}
        bounds = {
            names[name]: content["variants"][name]["metrics"][metric]["mean"]
            for name in ("untrained", "raw_pixels")
        }
        contents.append(Curves(series, "pictures seen", title, bounds, log_x=True))
    note = (
        "The textured world, probes as in probes.png. A frame of a clip counts as a picture, a "
        f"small view as a quarter. Seeds: {len(content['seeds'])}."
    )
    figure = panels(contents, note=note, columns=2)
    for ax in figure.axes:  # methods are scored at almost, not quite, the same numbers
        ax.set_xticks([1e3, 4e3, 16e3, 64e3, 250e3], ["1K", "4K", "16K", "64K", "250K"])
    return figure


def main() -> None:
    parser = encoder_parser(__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--results", action="store_true", help="into results/figures")
    where.add_argument("--out", type=typed_path, help="into a folder, for any encoder")
    arguments = parser.parse_args()
    if arguments.results and asked_for(arguments) not in ([{}], [{"name": DEFAULT}]):
        parser.error(
            "results/figures shows the default encoder: give another its folder with --out"
        )
    out: Path = arguments.out or PART / "results" / "figures"
    cfg = load_config(Config, [BASELINE])
    encoder = load_chosen(arguments, cfg)
    drawn = {
        "features": features_figure(encoder, cfg),
        "foreground": foreground_figure(encoder, cfg),
        "probes": (probes_figure(), {}),
        "growth": (growth_figure(), {}),
    }
    for name, (figure, arrays) in drawn.items():
        write_png(out / f"{name}.png", figure, **arrays)
        print(out / f"{name}.png")


if __name__ == "__main__":
    run_script(main)
