"""What a new regularizer touches: config.py, train.py and a YAML file of its own, nothing else."""

import ast
import os
import shutil
import sys
from pathlib import Path
from typing import get_args

import pytest

from common.harness.config import REPOSITORY
from common.harness.files import read_json
from part3_collapse_regularizers.config import PART, Method

KNOW = {"config.py", "train.py", "model.py"}  # model.py where a method needs a head
ABOUT = ("report", "studies", "figures")  # labels, and experiments on the methods that are there
CONFIG = (
    ('"sigreg", "supervised"]', '"sigreg", "spread", "supervised"]'),
    (
        "    num_slices: int = option(256",
        '    spread: float = option(1.0, ge=0, le=1e6, when="method=spread")\n'
        '    """Weight of the new term."""\n'
        "    num_slices: int = option(256",
    ),
)
TRAIN = (
    (
        '        case "supervised":\n',
        '        case "spread":\n'
        '            return spread_loss(model, batch, cfg)\n'
        '        case "supervised":\n',
    ),
    (
        "def supervised_loss(",
        "def spread_loss(model: Model, batch: Batch, cfg: Config) -> Loss:\n"
        '    """mean (z_pred - z\')^2 + lambda (1 - std z)^2."""\n'
        "    z = model.embed(batch.x)\n"
        "    terms = prediction(squared_error, model, z, batch)\n"
        '    terms["spread"] = (1 - z.std(1)).square().mean()\n'
        '    loss = terms["prediction"] + cfg.loss_weights.spread * terms["spread"]\n'
        "    return loss, terms\n\n\n"
        "def supervised_loss(",
    ),
)  # fmt: skip


def test_a_methods_name_stands_in_three_files_and_in_what_is_about_it():
    for path in sorted(PART.rglob("*.py")):
        room = path.relative_to(PART).parts[0]
        if room not in {*KNOW, *ABOUT}:
            words = {n.value for n in ast.walk(ast.parse(path.read_text("utf-8")))
                     if isinstance(n, ast.Constant)}  # fmt: skip
            assert not words & set(get_args(Method)), path


@pytest.mark.slow
def test_a_regularizer_is_added_in_two_files_and_a_yaml(tmp_path: Path, monkeypatch, run):
    part = tmp_path / PART.name
    shutil.copytree(PART, part, ignore=shutil.ignore_patterns("results", "__pycache__"))
    shutil.copytree(REPOSITORY / "configs" / "part3", tmp_path / "configs" / "part3")
    for file, changes in (("config.py", CONFIG), ("train.py", TRAIN)):
        text = (part / file).read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (part / file).write_text(text, "utf-8")
    yaml = tmp_path / "spread.yaml"
    yaml.write_text("method: spread\nloss_weights: {spread: 2.0}\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{REPOSITORY}")
    smoke = REPOSITORY / "configs" / "part3" / "smoke.yaml"
    files = ["--config", smoke, "--config", yaml, "--run_dir", tmp_path / "run"]
    done = run(sys.executable, part / "train.py", *files, "--figures=false")
    assert "position R²" in done.stdout
    (scores,) = read_json(tmp_path / "run" / "summary.json")["variants"].values()
    assert scores["heldout_spread"] > 0
