"""Part 3's figures: what they show, and what is said of files that they cannot be drawn from."""

import json
import pickle
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from common.harness.config import load_config
from common.harness.errors import UserError
from part3_collapse_regularizers.config import BASELINE, Config
from part3_collapse_regularizers.plot import draw_side_by_side, main, plane, spectrum_figure
from part3_collapse_regularizers.scoring.dashboard import MOST_KEPT, kept_steps


def test_the_plane_of_each_step_is_turned_to_follow_the_one_before():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 6)) * np.array([5.0, 3.0, 0.1, 0.1, 0.1, 0.1])
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    first, second = plane(np.stack([z, z @ turn]))
    np.testing.assert_allclose(first, second, atol=1e-8)
    np.testing.assert_allclose(np.abs(first).max(0), np.abs(z - z.mean(0)).max(0)[:2], rtol=0.05)


def test_two_runs_of_one_name_are_not_drawn_as_one(tmp_path):
    with pytest.raises(UserError, match="several folders named none-seed0"):
        draw_side_by_side([tmp_path / "a" / "none-seed0", tmp_path / "none-seed0"], tmp_path)


@pytest.mark.parametrize("smallest", [0.02, 1e-3, 1e-5, 1e-12])
def test_labels_of_a_spectrum_do_not_touch(smallest):
    """Not even of a collapsed run, whose eigenvalues reach over twelve powers of ten."""
    scale = np.geomspace(1, smallest, 16) ** 0.5
    z = np.random.default_rng(0).normal(size=(1, 2, 256, 16)) * scale + np.array([3.0, *[0] * 15])
    figure = spectrum_figure({"step": np.array([0]), "z": z, "x": np.zeros(256)})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    low, high = figure.axes[0].get_ylim()
    places = zip(figure.axes[0].get_yticks(), figure.axes[0].get_yticklabels(), strict=True)
    boxes = [text.get_window_extent() for y, text in places if low <= y <= high]
    assert len(boxes) >= 2
    assert all(above.y0 > below.y1 for below, above in pairwise(boxes))


@pytest.mark.parametrize(("steps", "every"), [(1000, 50), (7, 3), (3, 10), (9999, 1), (10**7, 1)])
def test_a_run_keeps_a_bounded_number_of_looks_spread_evenly(steps: int, every: int):
    sizes = {"steps": steps, "eval_every": every}
    kept = sorted(kept_steps(load_config(Config, [BASELINE], sizes)))
    assert len(kept) == min(MOST_KEPT, 1 + -(-steps // every))
    assert (kept[0], kept[-1]) == (0, steps)
    assert all(step % every == 0 for step in kept[:-1])
    gaps = np.diff(kept[:-1])
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= every


def a_run(folder: Path) -> Path:
    """A folder with all that a run's figures are drawn from."""
    rng = np.random.default_rng(0)
    arrays = {"step": np.array([0, 5]), "z": rng.normal(size=(2, 2, 8, 4)), "x": np.arange(8.0)}
    (folder / "figures").mkdir(parents=True)
    np.savez(folder / "figures" / "pca.npz", **arrays)
    measures = ("collapse_ratio", "effective_rank", "mean_std", "content_100", "correlation")
    line = {"step": 0, **dict.fromkeys([*measures, "sigreg_per_sample"], 0.5)}
    text = "".join(f"{json.dumps(line | {'step': step})}\n" for step in (0, 5))
    (folder / "metrics.jsonl").write_text(text)
    return folder


DEEP = b"[" * 100_000 + b"\n{}\n"
DAMAGE = (
    lambda data: data[:100],
    *(b"\xff\x00", b"{}\n[1]\n", b'{"step": 1}\n{"st\n{"step": 2}\n', DEEP, pickle.dumps([1])),
)


@pytest.mark.parametrize("file", ["figures/pca.npz", "metrics.jsonl"])
@pytest.mark.parametrize("damage", [*DAMAGE, None])
def test_a_damaged_file_ends_in_one_line_that_names_it(tmp_path, refusal, file, damage):
    """Cut off, binary, of another form, deeply nested, a pickle, a folder."""
    path = a_run(tmp_path / "run") / file
    data = damage(path.read_bytes()) if callable(damage) else damage
    path.unlink()
    path.mkdir() if data is None else path.write_bytes(data)
    assert str(path) in refusal(main, tmp_path / "run")


def test_a_dollar_sign_in_a_runs_name_is_no_formula(tmp_path, monkeypatch):
    folder = a_run(tmp_path / r"$\frac$")
    monkeypatch.setattr(sys, "argv", ["plot.py", str(folder)])
    main()
    assert (folder / "figures" / "dashboard.png").stat().st_size > 1000


def test_arrays_of_another_kind_are_refused(tmp_path, refusal):
    path = a_run(tmp_path / "run") / "figures" / "pca.npz"
    for arrays in ({"y": np.zeros(3)}, dict.fromkeys(["step", "z", "x"], np.zeros(3))):
        np.savez(path, **arrays)
        assert str(path) in refusal(main, tmp_path / "run")


def test_a_flipped_bit_of_the_arrays_is_seen(tmp_path, refusal):
    path = a_run(tmp_path / "run") / "figures" / "pca.npz"
    data = path.read_bytes()
    path.write_bytes(data[:400] + bytes([data[400] ^ 1]) + data[401:])
    assert str(path) in refusal(main, tmp_path / "run")
