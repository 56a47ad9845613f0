"""The figures of a run, and those of the results, drawn without training anything.

    python part2_pixel_vs_jepa/plot.py runs/part2/baseline-seed0    a run's, from its checkpoint
    python part2_pixel_vs_jepa/plot.py --results                    those of results/*.json

A run has strip.png (held-out pairs: what came in, every real future, what each method says),
episode.gif (the same along one episode) and training.png (held-out error against steps).
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from common.figures.charts import Curves, panels
from common.figures.frames import write_gif
from common.figures.style import write_png
from common.harness.errors import UserError, run_script, typed_path
from common.harness.files import read_lines
from part2_pixel_vs_jepa.config import PART
from part2_pixel_vs_jepa.figures.results import COLORS, draw_results, look_of
from part2_pixel_vs_jepa.figures.strip import draw_strip, pairs_across, strip_arrays, strip_columns
from part2_pixel_vs_jepa.model import Arm, load_run
from part2_pixel_vs_jepa.scoring.heldout import Heldout, make_heldout
from part2_pixel_vs_jepa.scoring.scores import frame_variance

LONGEST = 24  # frames of the GIF
TRAINING = (
    "On held-out episodes. MSE: of the next frame. Unexplained variance: of the next frame's "
    "embedding; 0 is a perfect prediction. Bits: of the next frame."
)


def draw_figures(run_dir: Path, models: Mapping[str, Arm], held: Heldout) -> list[Path]:
    """Draws every figure of a run from its log and its trained models; returns the files."""
    folder = run_dir / "figures"
    paths = [folder / name for name in ("strip.png", "episode.gif", "training.png")]

    pairs = pairs_across(held)
    columns = strip_columns(models, held, pairs)
    write_png(paths[0], draw_strip(columns, range(len(pairs))), **strip_arrays(columns, pairs))

    pairs = (held.batch.episode == 0).nonzero()[:LONGEST, 0]
    columns = strip_columns(models, held, pairs)
    frames = [draw_strip(columns, [i]) for i in range(len(pairs))]
    write_gif(paths[1], frames, fps=4, **strip_arrays(columns, pairs))

    curves = heldout_curves(run_dir / "metrics.jsonl")
    if not curves:  # stopped before its first look at held-out data
        return paths[:2]
    arrays = {f"{m}_{key}": np.array(curve[key]) for m, curve in curves.items() for key in curve}
    write_png(paths[2], training_figure(curves, held), **arrays)
    return paths


def heldout_curves(path: Path) -> dict[str, dict[str, list[float]]]:
    """{method: {"x": steps, "mean": held-out ratio}} from a run's metrics.jsonl."""
    curves: dict[str, dict[str, list[float]]] = {}
    for line in read_lines(path):
        if "heldout_ratio" in line:
            curve = curves.setdefault(line["method"], {"x": [], "mean": []})
            curve["x"].append(line["step"])
            curve["mean"].append(line["heldout_ratio"])
    return curves


def training_figure(curves: Mapping[str, Mapping[str, list[float]]], held: Heldout) -> Figure:
    """Held-out error against steps: of pixels over the Bayes floor, of embeddings unexplained.

    In a world where nothing is uncertain that floor is 0, and the frames' variance stands for it.
    """
    reference = held.floor if held.is_uncertain else frame_variance(held)
    bounds = {"Bayes floor": 1.0} if held.is_uncertain else {}
    mean = held.bank.frames.float().mean(dim=(0, 1)) / 255
    for label, frame in (("mean frame", mean), ("copy-last", held.batch.x_past[:, -1])):
        bounds[label] = (frame - held.batch.x_next).square().mean().item() / reference
    error = "MSE / Bayes floor" if held.is_uncertain else "MSE / variance of frames"
    contents = []
    for names, label, lines in (
        (("pixels", "pixels_z"), error, bounds),
        (("jepa", "jepa_z"), "unexplained variance", {"mean embedding": 1.0}),
        (("pixels_nll", "pixels_nll_z", "tokens"), "bits / those of a random frame", {}),
    ):
        if drawn := {look_of(name)[0]: curves[name] for name in names if name in curves}:
            contents.append(Curves(drawn, "optimizer steps", label, lines, log_y=True))
    return panels(contents, COLORS, TRAINING)


def redraw(run_dir: Path) -> list[Path]:
    """Draws the figures of a run again, from its config, checkpoint and log; raises UserError."""
    cfg, models = load_run(run_dir)
    if not (run_dir / "metrics.jsonl").exists():
        raise UserError(f"{run_dir} has no metrics.jsonl: published weights have no figures")
    return draw_figures(run_dir, models, make_heldout(cfg))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run_dir", nargs="?", type=typed_path, help="a run's directory")
    what.add_argument("--results", action="store_true", help="the figures of results/*.json")
    args = parser.parse_args()
    paths = draw_results(PART / "results") if args.results else redraw(args.run_dir)
    print(*paths, sep="\n")


if __name__ == "__main__":
    run_script(main)
