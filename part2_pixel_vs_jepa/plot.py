"""The figures of a run, and those of the results, drawn without training anything.

    python part2_pixel_vs_jepa/plot.py runs/part2/baseline-seed0    a run's, from its checkpoint
    python part2_pixel_vs_jepa/plot.py --results                    those of results/*.json

A run has strip.png (held-out pairs: what came in, every real future, what each arm says),
episode.gif (the same along one episode) and training.png (held-out error against steps).
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from common.config import run_script
from common.plots import Curves, panels, write_png
from common.runs import Run
from common.strips import write_gif
from part2_pixel_vs_jepa.experiment import PART, Arm, Config, load_run
from part2_pixel_vs_jepa.heldout import Heldout, make_heldout
from part2_pixel_vs_jepa.plot_results import COLORS, arm_look, draw_results
from part2_pixel_vs_jepa.plot_strip import draw_strip, pairs_across, strip_arrays, strip_columns

TRAINING = (
    "On held-out episodes. MSE: of the next frame; 1 is the irreducible error. Unexplained "
    "variance: of the next frame's embedding; 0 is a perfect prediction."
)


def draw_figures(run: Run, arms: Mapping[str, Arm], held: Heldout, cfg: Config) -> list[Path]:
    """Draws every figure of a run from its trained arms; returns the files."""
    return _draw(run.folder, arms, held, cfg)


def _draw(run_dir: Path, arms: Mapping[str, Arm], held: Heldout, cfg: Config) -> list[Path]:
    folder = run_dir / "figures"
    paths = [folder / name for name in ("strip.png", "episode.gif", "training.png")]

    pairs = pairs_across(held)
    columns = strip_columns(arms, held, cfg, pairs)
    write_png(paths[0], draw_strip(columns, range(len(pairs))), **strip_arrays(columns, pairs))

    pairs = (held.batch.episode == 0).nonzero()[:, 0]
    columns = strip_columns(arms, held, cfg, pairs)
    frames = [draw_strip(columns, [i]) for i in range(len(pairs))]
    write_gif(paths[1], frames, fps=4, **strip_arrays(columns, pairs))

    curves = heldout_curves(run_dir / "metrics.jsonl", arms)
    if not curves:  # stopped before its first look at held-out data
        return paths[:2]
    arrays = {f"{arm}_{key}": np.array(curves[arm][key]) for arm in curves for key in curves[arm]}
    write_png(paths[2], training_figure(curves, held), **arrays)
    return paths


def heldout_curves(path: Path, arms: Mapping[str, Arm]) -> dict[str, dict[str, list[float]]]:
    """{arm: {"x": steps, "mean": held-out error}} from a run's metrics.jsonl.

    The error is the MSE of pixel arms, the fraction of variance unexplained of jepa arms.
    """
    curves: dict[str, dict[str, list[float]]] = {}
    for line in map(json.loads, path.read_text().splitlines()):
        for name, arm in arms.items():
            error = line.get(f"{name}/heldout" if arm.in_pixels else f"{name}/heldout_ratio")
            if error is not None:
                curve = curves.setdefault(name, {"x": [], "mean": []})
                curve["x"].append(line["step"])
                curve["mean"].append(error)
    return curves


def training_figure(curves: Mapping[str, Mapping[str, list[float]]], held: Heldout) -> Figure:
    """Held-out error against steps, pixel arms on the left, in units of the Bayes floor.

    In a world where nothing is uncertain that floor is 0, and the unit is 1.
    """
    unit = held.floor or 1.0
    mean = held.bank.frames.float().mean(dim=(0, 1)) / 255
    floors = {"Bayes floor": held.floor} if held.floor else {}
    for label, frame in (("mean frame", mean), ("copy-last", held.batch.x_past[:, -1])):
        floors[label] = (frame - held.batch.x_next).square().mean().item()
    pixels, jepa = {}, {}
    for name, curve in curves.items():
        in_pixels = name.startswith("pixels")
        values = [value / unit if in_pixels else value for value in curve["mean"]]
        (pixels if in_pixels else jepa)[arm_look(name)[0]] = {"x": curve["x"], "mean": values}
    contents = []
    if pixels:
        bounds = {label: value / unit for label, value in floors.items()}
        y_label = "MSE / Bayes floor" if held.floor else "MSE"
        contents.append(Curves(pixels, "optimizer steps", y_label, bounds, log_y=True))
    if jepa:
        bounds = {"mean embedding": 1.0}
        contents.append(Curves(jepa, "optimizer steps", "unexplained variance", bounds, log_y=True))
    return panels(contents, COLORS, TRAINING)


def redraw(run_dir: Path) -> list[Path]:
    """Draws the figures of a run again, from its config, checkpoint and log; raises UserError."""
    cfg, arms = load_run(run_dir)
    return _draw(run_dir, arms, make_heldout(cfg), cfg)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run_dir", nargs="?", type=Path, help="a run's directory")
    what.add_argument("--results", action="store_true", help="the figures of results/*.json")
    args = parser.parse_args()
    paths = draw_results(PART / "results") if args.results else redraw(args.run_dir)
    for path in paths:
        print(path)


if __name__ == "__main__":
    run_script(main)
