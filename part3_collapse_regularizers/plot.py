"""The figures of a run, and of several runs side by side, drawn without training anything.

    python part3_collapse_regularizers/plot.py runs/part3/none-seed0
    python part3_collapse_regularizers/plot.py runs/part3/none-seed0 runs/part3/vicreg-seed0
    python part3_collapse_regularizers/plot.py --results                those of results/*.json

A run has pca.gif (its embedding in the plane of largest spread while it trains), correlation.png
(cross-correlation of the two frames of a sample), spectrum.png and dashboard.png. With several runs
pca.gif and dashboard.png are drawn side by side, into --out (default: side_by_side/ in the first).
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from common.figures.charts import Curves, panels
from common.figures.frames import write_gif
from common.figures.panels import Cloud, clouds, matrices
from common.figures.style import write_png
from common.harness.errors import UserError, run_script, typed_path
from common.harness.files import read_arrays, read_lines
from common.losses import cross_correlation
from common.metrics import spectrum
from part3_collapse_regularizers.config import PART
from part3_collapse_regularizers.data import Sample
from part3_collapse_regularizers.figures.results import draw_results
from part3_collapse_regularizers.report.tables import METRICS

MEASURES = (
    "collapse_ratio", "effective_rank", "mean_std", "content_100", "correlation",
    "sigreg_per_sample",
)  # fmt: skip
PCA_NOTE = (
    "Held-out frames in the plane of largest spread. Above: axes that fit the cloud of the moment. "
    "Below: the same axes from first to last, in every column."
)
DASHBOARD_NOTE = (
    "On held-out frames. Collapse ratio: 0 a point, 1 spread about 0. Content R²: noisy linear "
    "probes with 100 labels. SIGReg / sample: 0 for a Gaussian, 0.402 for all zeros."
)
CORRELATION_NOTE = (
    "Cross-correlation of the two frames' embeddings over held-out samples. Barlow Twins asks for "
    "the identity."
)
Arrays = Mapping[str, np.ndarray]


def draw_figures(folder: Path, snapshots: list[dict[str, Any]], shown: Sample) -> None:
    """Draws every figure of a run that has just ended.

    They are drawn from step (S,), z (S, 2, n, D), and x (n,), the first ball's place, by which the
    animation is coloured.
    """
    z = torch.stack([snapshot["z"] for snapshot in snapshots])
    step = np.array([snapshot["step"] for snapshot in snapshots])
    _draw(folder, {"step": step, "z": z.numpy(), "x": shown.content[0, : z.shape[2], 0].numpy()})


def _title(run_dir: Path) -> str:
    """A run's name in a figure, where a dollar sign would begin a formula."""
    return run_dir.name.replace("$", r"\$")


def _draw(run_dir: Path, arrays: Arrays) -> list[Path]:
    folder = run_dir / "figures"
    names = ("correlation.png", "spectrum.png", "dashboard.png", "pca.gif")
    paths = [folder / name for name in names]
    write_png(paths[0], correlation_figure(arrays))
    write_png(paths[1], spectrum_figure(arrays))
    write_png(paths[2], dashboard_figure({_title(run_dir): run_dir / "metrics.jsonl"}))
    frames = pca_frames({_title(run_dir): arrays})
    write_gif(paths[3], frames, fps=4, **arrays)  # written last: the others are in it
    return paths


def plane(z: np.ndarray) -> np.ndarray:
    """Embeddings through training (S, n, D) -> points (S, n, 2) in the plane of largest spread.

    Each step has a plane of its own, turned (or mirrored) within itself to follow the step before.
    """
    shown: list[np.ndarray] = []
    for frame in z.astype(np.float64):
        centred = frame - frame.mean(0)
        _, _, axes = np.linalg.svd(centred, full_matrices=False)
        points = centred @ axes[:2].T  # (n, 2)
        if points.shape[1] < 2:  # an embedding of one dimension
            points = np.pad(points, ((0, 0), (0, 1)))
        if shown:
            left, _, right = np.linalg.svd(points.T @ shown[-1])
            points = points @ (left @ right)
        shown.append(points)
    return np.stack(shown)


def pca_frames(runs: Mapping[str, Arrays]) -> list[Figure]:
    """One figure per step that all runs were looked at: a column a run, two kinds of axes."""
    steps = sorted(set.intersection(*(set(arrays["step"].tolist()) for arrays in runs.values())))
    points = {name: plane(arrays["z"][:, 0]) for name, arrays in runs.items()}
    largest = max(np.abs(p).max() for p in points.values())
    figures = []
    for step in steps:
        own, shared = [], []
        for name, arrays in runs.items():
            now = points[name][arrays["step"].tolist().index(step)]
            limit = max(np.abs(now).max() * 1.05, 1e-30)
            own.append(Cloud(now, arrays["x"], limit, f"{name}, step {step}"))
            shared.append(Cloud(now, arrays["x"], largest * 1.05, "axes of the whole run"))
        figures.append(clouds([own, shared], "ball's x (px)", PCA_NOTE))
    return figures


def _few(arrays: Arrays, number: int) -> list[int]:
    """Evenly spaced looks of a run, the first and the last among them."""
    return np.unique(np.linspace(0, len(arrays["step"]) - 1, number).round().astype(int)).tolist()


def correlation_figure(arrays: Arrays) -> Figure:
    """Cross-correlation matrices of the two frames of a sample, at a few steps."""
    looks = _few(arrays, 4)
    found = [cross_correlation(*torch.from_numpy(arrays["z"][i])).numpy() for i in looks]
    titles = [f"step {arrays['step'][i]}" for i in looks]
    return matrices(found, titles, "correlation", CORRELATION_NOTE)


def spectrum_figure(arrays: Arrays) -> Figure:
    """Eigenvalues of the covariance at a few steps."""
    series = {}
    for i in _few(arrays, 5):
        values = spectrum(torch.from_numpy(arrays["z"][i, 0])).clamp(min=1e-12).tolist()
        series[f"step {arrays['step'][i]}"] = {"x": range(1, len(values) + 1), "mean": values}
    axes = ("eigenvalue, from the largest", "share of mean |z|²")
    return panels([Curves(series, *axes, log_y=True)])


def dashboard_figure(logs: Mapping[str, Path]) -> Figure:
    """Every measure against steps, one line a run; raises UserError for a log without them."""
    contents = []
    lines = {name: read_lines(path) for name, path in logs.items()}
    for metric in MEASURES:
        series = {}
        for name, found in lines.items():
            seen = [(line["step"], max(line[metric], 1e-12)) for line in found if metric in line]
            if not seen:
                raise UserError(f"{logs[name]}: expected lines with {metric}, got none")
            steps, values = zip(*seen, strict=True)
            series[name] = {"x": steps, "mean": values}
        label, log_y = METRICS[metric][0], metric == "collapse_ratio"
        contents.append(Curves(series, "optimizer steps", label, log_y=log_y))
    return panels(contents, note=DASHBOARD_NOTE)


def arrays_of(run_dir: Path) -> dict[str, np.ndarray]:
    """What a run's figures were drawn from; raises UserError when it has none."""
    path = run_dir / "figures" / "pca.npz"
    if not path.exists():
        raise UserError(
            f"{run_dir} has no {path.name}: expected a finished run with figures, made with: "
            "python part3_collapse_regularizers/train.py"
        )
    step, z, x = read_arrays(path, "step", "z", "x")
    if z.ndim != 4 or z.size == 0 or (*step.shape, 2, *x.shape) != z.shape[:3]:
        got = f"{step.shape}, {z.shape} and {x.shape}"
        raise UserError(f"{path}: expected step (S,), z (S, 2, n, D) and x (n,), got {got}")
    return {"step": step, "z": z, "x": x}


def draw_side_by_side(run_dirs: Sequence[Path], out: Path) -> list[Path]:
    """pca.gif and dashboard.png of several runs; raises UserError for two runs of one name."""
    names = [run.name for run in run_dirs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"got several folders named {repeated[0]}, by which the figures name a run: expected "
            "folders of different names"
        )
    paths = [out / "pca.gif", out / "dashboard.png"]
    write_gif(paths[0], pca_frames({_title(run): arrays_of(run) for run in run_dirs}), fps=4)
    write_png(paths[1], dashboard_figure({_title(run): run / "metrics.jsonl" for run in run_dirs}))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dirs", nargs="*", type=typed_path, help="one or more finished runs")
    parser.add_argument("--out", type=typed_path, help="where several runs' figures go")
    parser.add_argument("--results", action="store_true", help="the figures of results/*.json")
    args = parser.parse_args()
    if args.results == bool(args.run_dirs):
        parser.error("expected one or more run directories, or --results")
    if args.out and len(args.run_dirs) < 2:
        parser.error("--out is for several runs; one run's figures go into its figures/")
    if args.results:
        paths = draw_results(PART / "results")
    elif len(args.run_dirs) == 1:
        paths = _draw(args.run_dirs[0], arrays_of(args.run_dirs[0]))
    else:
        paths = draw_side_by_side(args.run_dirs, args.out or args.run_dirs[0] / "side_by_side")
    print(*paths, sep="\n")


if __name__ == "__main__":
    run_script(main)
