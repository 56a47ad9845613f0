"""Part 3's commands as its reader uses them: training, resuming, refusals."""

import sys

import pytest
import torch

from common.harness.config import load_config
from common.harness.errors import run_script
from part3_collapse_regularizers.config import BASELINE, Config
from part3_collapse_regularizers.train import main

CONFIGS = BASELINE.parent
SMOKE = CONFIGS / "smoke.yaml"
TRAIN = [
    sys.executable, "part3_collapse_regularizers/train.py", "--config", str(SMOKE), "--threads=1",
]  # fmt: skip


def test_every_config_of_the_part_loads():
    for path in sorted(CONFIGS.glob("*.yaml")):
        load_config(Config, [BASELINE, path])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--loss_weights.num_slices=0"], "num_slices"),
        (["--loss_weights.num_knots=0"], "num_knots"),
        (["--loss_weights.num_knots=16"], "odd, got 16: use 17"),
        (["--loss_weights.variance=-1.0"], "variance"),
        (["--loss_weights.sigreg_lambda=-1.0"], "sigreg_lambda: expected at least 0 or 'auto'"),
        (["--loss_weights.sigreg_lambda=automatic"], "expected a number or 'auto', got"),
        (["--loss_weights.ema_rate=1.0"], "ema_rate"),
        (["--loss_weights.ema_rate=-0.1"], "ema_rate"),
        (["--loss_weights.teacher_temperature=0.0"], "teacher_temperature"),
        (["--batch_size=1"], "batch_size"),
        (["--method=vicregg"], "method"),
        (["--rollout=3"], "use rollout 1, or setting next_frame"),
        (["--setting=next_frame", "--rollout=4"], "too short for rollout 4"),
        (["--method=dino"], "use target teacher"),
        (["--method=supervised", "--target=stopgrad"], "use target gradient"),
        (["--world.num_balls=3"], "one or two grey balls"),
        (["--world.size=60", "--world.radius=[6.0,6.0]"], "divisible by 16"),
    ],
)
def test_contradictions_end_in_one_clear_line_and_write_nothing(
    tmp_path, refusal, overrides, words
):
    where = f"--run_dir={tmp_path / 'run'}"
    assert words in refusal(main, "--config", SMOKE, *overrides, where)
    assert not (tmp_path / "run").exists()


def test_divergence_stops_with_the_step_and_what_may_help(tmp_path, monkeypatch, capsys):
    argv = ["train.py", "--config", str(SMOKE), "--config", str(CONFIGS / "none.yaml")]
    argv += ["--learning_rate=1.0", "--warmup=0.0", "--steps=60", "--schedule=constant"]
    argv += ["--world.brightness=[1.0,1.0]", "--weight_decay=10.0"]
    monkeypatch.setattr(sys, "argv", [*argv, "--figures=false", f"--run_dir={tmp_path / 'run'}"])
    with pytest.raises(SystemExit) as ended:
        run_script(main)
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "step" in last
    assert "finite" in last


@pytest.mark.slow
def test_train_and_plot_as_documented(tmp_path, run):
    folders = []
    for method in ("none", "vicreg"):
        folders.append(tmp_path / method)
        done = run(*TRAIN, "--config", CONFIGS / f"{method}.yaml", "--run_dir", folders[-1])
        starts = [line.split("  ")[0] for line in done.stdout.splitlines()]
        assert {method, "baseline: untrained encoder", "baseline: raw pixels"} <= set(starts), (
            done.stdout
        )
        figures = {path.name for path in (folders[-1] / "figures").iterdir()}
        assert {"pca.gif", "pca.npz", "correlation.png", "spectrum.png", "dashboard.png"} <= figures
    before = (folders[0] / "figures" / "spectrum.png").read_bytes()
    (folders[0] / "figures" / "spectrum.png").unlink()
    run(sys.executable, "part3_collapse_regularizers/plot.py", folders[0])
    assert (folders[0] / "figures" / "spectrum.png").read_bytes() == before
    out = tmp_path / "both"
    run(sys.executable, "part3_collapse_regularizers/plot.py", *folders, "--out", out)
    assert (out / "pca.gif").stat().st_size > 10_000
    refused = run(
        sys.executable, "part3_collapse_regularizers/plot.py", tmp_path / "nowhere", code=2
    )
    assert "expected a finished run" in refused.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_killed_at_random_steps_it_resumes_to_the_same_bits(tmp_path, run, kill_at_random_steps):
    command = [*TRAIN, "--config", str(CONFIGS / "dino.yaml"), "--steps=400", "--save_every=20"]
    command += ["--eval_every=100", "--figures=false"]
    run(*command, "--run_dir", tmp_path / "undisturbed")
    kill_at_random_steps(command, tmp_path / "killed")
    run(*command, "--run_dir", tmp_path / "killed")
    one, two = tmp_path / "undisturbed", tmp_path / "killed"
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    assert weights(one).keys() == weights(two).keys()
    assert all(torch.equal(value, weights(two)[name]) for name, value in weights(one).items())


def weights(folder):
    """The weights in a run's checkpoint, by name."""
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["model"]
