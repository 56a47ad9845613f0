"""Part 2's figures: a strip fits whatever a run has, and results are drawn as far as they go."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from common.harness.config import load_config
from common.harness.errors import UserError
from common.harness.results import write_results
from common.intervals import mean_interval
from part2_pixel_vs_jepa.config import BASELINE, Config
from part2_pixel_vs_jepa.figures.results import draw_results
from part2_pixel_vs_jepa.figures.strip import draw_strip, pairs_across, strip_columns
from part2_pixel_vs_jepa.model import make_models
from part2_pixel_vs_jepa.scoring.heldout import make_heldout


@pytest.mark.parametrize(
    ("overrides", "widths"),
    [
        ({}, [1, 2, 1, 2]),
        ({"methods": ["pixels_z", "jepa_z"], "num_hypotheses": 16}, [1, 2, 5, 5]),
        (
            {"world.wall": "reflect", "world.speeds": [3.0, 6.0, 9.0], "world.start_margin": 0.0},
            [1, 6, 1, 2],
        ),
        ({"history_length": 3, "methods": ["jepa"]}, [2, 1, 1]),
        ({"methods": ["pixels", "pixels_z", "jepa", "jepa_z", "tokens"]}, [1, 2, 1, 2, 1, 2, 4]),
    ],
)
def test_strip_of_a_run_fits(overrides: Mapping[str, object], widths: list[int]) -> None:
    sizes = {"data.num_test_episodes": 4, "data.num_bank_episodes": 1, "threads": 1}
    cfg = load_config(Config, [BASELINE], {**sizes, **overrides})
    held = make_heldout(cfg)
    pairs = pairs_across(held)
    columns = strip_columns(make_models(cfg), held, pairs)
    assert [part.frames.shape[1] for part in columns] == widths
    scores = columns[-1].numbers
    assert (scores.isfinite().all(1) == held.ambiguous[pairs]).all()  # no smear where nothing is
    assert len(draw_strip(columns, range(len(pairs))).axes[0].images) <= len(pairs) * sum(widths)


def test_figures_of_the_results_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results to draw"):
        draw_results(tmp_path)
    scores = {"smear": [0.9, 1.0], "coverage": [0.1, 0.1], "precision": [0.2, 0.3]}
    scores = {metric: mean_interval(values) for metric, values in scores.items()}
    far = {f"position_error_at_{n}": mean_interval([n, n + 1.0]) for n in (1, 40)}
    deterministic, latent = ({"methods": [m], "num_hypotheses": 16} for m in ("pixels", "jepa_z"))
    for name, rows in {
        "main": {"pixels": ({}, scores), "jepa_z_sigreg": ({}, scores)},
        "hypotheses": {"one": (deterministic, scores), "other": (latent, scores)},
        "stochastic_wall": {"pixels": ({}, scores | far), "a_method_of_tomorrow": ({}, far)},
    }.items():
        variants = {
            row: {"params": params, "metrics": metrics, "differences": {}}
            for row, (params, metrics) in rows.items()
        }
        write_results(
            tmp_path / f"{name}.json", "", protocol={}, seconds=1, seeds=[0, 1],
            variants=variants, bounds={"copy": scores},
        )  # fmt: skip
    paths = draw_results(tmp_path)
    assert [path.stem for path in paths] == ["main", "hypotheses", "worlds", "horizon"]
    assert all(path.stat().st_size > 10_000 for path in paths)


def test_plot_without_a_run_says_how_to_make_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "part2_pixel_vs_jepa.plot", str(tmp_path)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "make one with: python part2_pixel_vs_jepa/train.py" in done.stderr.splitlines()[-1]
