"""A run's numbers in TensorBoard, beside metrics.jsonl."""

import sys
from pathlib import Path

import pytest

from common.harness.config import RunOptions
from common.harness.errors import UserError
from common.harness.runs import Run


def open_run(folder: Path, *, overwrite: bool = False) -> Run:
    config = "logger: tensorboard\nseed: 0\n"
    options = RunOptions("n", folder, overwrite)
    return Run.open("p", options, config, seed=0, logger="tensorboard")


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard shows of a curve: steps and values."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    shown = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    return [(point.step, point.value) for point in shown.Scalars(name)]


def test_the_numbers_of_a_run_and_of_its_resumption(tmp_path):
    pytest.importorskip("tensorboard")
    with open_run(tmp_path) as run:
        for step in (1, 2, 3):
            run.log(step, {"method": "jepa", "prediction": step / 2, "list": [1.0]})
            if step == 2:
                run.save(step, {})
    with open_run(tmp_path) as run:
        assert run.restore({}) == 2
        run.log(3, {"method": "jepa", "prediction": 8.0})
        run.log(3, {"fvu": 0.5})
    assert points(tmp_path, "jepa/prediction") == [(1, 0.5), (2, 1.0), (3, 8.0)]
    assert points(tmp_path, "fvu") == [(3, 0.5)]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 4
    with open_run(tmp_path, overwrite=True) as run:
        assert not list((tmp_path / "tensorboard").iterdir())


def test_without_tensorboard_it_ends_in_one_line_and_leaves_no_lock(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for _ in range(2):
        with pytest.raises(UserError, match=r'pip install -e "\.\[logging\]", or use logger jsonl'):
            open_run(tmp_path)
    assert not (tmp_path / "config.yaml").exists()
