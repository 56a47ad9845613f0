"""Sweeps: what is finished is skipped, what failed is reported, results are whole or absent."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.harness.config import REPOSITORY
from common.harness.errors import ConfigError, UserError
from common.harness.results import read_results
from common.harness.runs import RUNS
from common.sweep import main, read_sweep

# A stand-in for a training script, without torch, so that it starts at once.
QUICK = """
import json
import os
import sys
from pathlib import Path

from common.harness.strict_yaml import dump, flatten, load_text

here = Path(__file__).parent
config, words = flatten(load_text((here / "baseline.yaml").read_text())), iter(sys.argv[1:])
config |= {"depth": 1}
for word in words:
    key, _, value = word[2:].partition("=")
    if key == "config":
        config |= flatten(load_text(Path(next(words)).read_text()))
    elif key == "run_dir":
        run = Path(value)
    else:
        config[key] = load_text(value)
assert os.environ["OMP_NUM_THREADS"] == "1"
if config["broken"] and not (here / "mended").exists():
    print("error: broken; expected a mend")
    sys.exit(2)
run.mkdir()
lines = [{"step": step, "loss": config["width"] + config["seed"] / step} for step in (1, 2)]
(run / "config.yaml").write_text(dump(config))
setting = {"seconds": 1, "versions": {}, "git": "abc", "machine": "toy", "device": "cpu"}
(run / "run.json").write_text(json.dumps(setting))
(run / "metrics.jsonl").write_text("\\n".join(map(json.dumps, lines)))
summary = {"variants": {"toy": {"width": config["width"] + config["seed"]}},
           "bounds": {"seed": {"width": config["seed"]}}, "protocol": {"n": 1}}
(run / "summary.json").write_text(json.dumps(summary))
"""
CONFIG = """
from pathlib import Path

from common.harness.config import config, option

BASELINE = Path(__file__).with_name("baseline.yaml")


@config
class Config:
    width: float
    methods: tuple[str, ...]
    broken: bool
    steps: int
    threads: int
    seed: int
    depth: int = option(1, when="width=0.5")
"""
REAL = """
import importlib.util
import time
from pathlib import Path

from common.harness.errors import run_script
from common.harness.config import parse_config, to_yaml
from common.harness.runs import Run

spec = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("config.py"))
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
Config = module.Config


def main():
    baseline = Path(__file__).with_name("baseline.yaml")
    config, options = parse_config(Config, baseline=baseline, description="toy")
    with Run.open("toy", options, to_yaml(config), seed=config.seed) as run:
        start = run.restore({})
        for step in range(start + 1, config.steps + 1):
            run.log(step, {"loss": config.width + config.seed / step})
            run.save(step, {})
            time.sleep(0.05)
        run.finish({"variants": {"toy": {"width": config.width + config.seed}}})


if __name__ == "__main__":
    run_script(main)
"""
BASELINE = "width: 1\nmethods: [a]\nbroken: false\nsteps: 2\nthreads: 2\nseed: 0\n"
SWEEP = """\
experiment: widths
script: {folder}/train.py
baseline: {folder}/baseline.yaml
seeds: [0, 1]
curves: [loss]
reference: narrow
variants:
  narrow: {{config: [{folder}/narrow.yaml]}}
  wide: {{overrides: {{width: 2, broken: true, methods: [a, b c]}}}}
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "train.py").write_text(QUICK)
    (folder / "config.py").write_text(CONFIG)
    (folder / "baseline.yaml").write_text(BASELINE)
    (folder / "narrow.yaml").write_text("width: 0.5\n")
    (folder / "sweep.yaml").write_text(SWEEP.format(folder=folder))
    return folder


def sweep(toy: Path, *options: str) -> None:
    main([str(toy / "sweep.yaml"), f"--runs={toy.parent}/runs", *options])


def test_list_prints_the_commands(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(toy, "--list")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(
        f"python {toy}/train.py --config {toy}/narrow.yaml --threads=1 --seed=0 "
        f"--run_dir={toy.parent}/runs/toy/sweep/"
    )
    assert """--width=2 --broken=true '--methods=[a, b c]' --seed=1 --run_dir=""" in lines[3]
    assert lines[0].removesuffix("0").rpartition("/")[2] == lines[1][:-1].rpartition("/")[2]
    assert not (toy.parent / "runs").exists()


def test_run_fail_resume_skip(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = toy / "results" / "widths.json"
    with pytest.raises(SystemExit) as caught:
        sweep(toy, "--jobs=2")
    assert caught.value.code == 1
    captured = capsys.readouterr()
    assert "widths: 4 runs, 0 finished before" in captured.out
    failures = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 2
    assert any("failed: wide, seed 1: error: broken; expected a mend (exit" in f for f in failures)
    assert not results.exists()

    (toy / "mended").touch()
    sweep(toy)
    assert "widths: 4 runs, 2 finished before" in capsys.readouterr().out
    content = read_results(results)
    narrow, wide = (content["variants"][name] for name in ("narrow", "wide"))
    assert narrow["metrics"]["width"]["values"] == [0.5, 1.5]
    assert wide["metrics"]["width"]["values"] == [2.0, 3.0]
    assert wide["metrics"]["seconds"]["mean"] == 1
    assert content["bounds"]["seed"]["width"]["values"] == [0.0, 1.0]
    # what sets the variants apart, and nothing else; differences are paired, seed by seed
    assert narrow["params"] == {"width": 0.5, "methods": ["a"], "broken": False}
    assert wide["params"] == {"width": 2.0, "methods": ["a", "b c"], "broken": True}
    assert wide["differences"]["width"]["values"] == [1.5, 1.5]
    assert wide["differences"]["width"]["low"] == wide["differences"]["width"]["high"] == 1.5
    assert narrow["differences"] == {}
    assert (content["commit"], content["machine"], content["device"]) == ("abc", "toy", "cpu")
    assert content["curves"]["wide"]["loss"] == {
        **{"x": [1, 2], "mean": [2.5, 2.25]},
        **{key: content["curves"]["wide"]["loss"][key] for key in ("low", "high")},
    }
    assert content["seeds"] == [0, 1]
    assert content["command"] == f"python -m common.sweep {toy}/sweep.yaml"

    text = SWEEP.format(folder=toy).replace("widths", "others").replace("narrow:", "halved:")
    text = text.replace("reference: narrow", "bounds_from: widths")
    (toy / "sweep.yaml").write_text(text.replace("width: 2", "width: 2.0"))
    sweep(toy)
    captured = capsys.readouterr()
    assert "others: 4 runs, 4 finished before" in captured.out
    assert "warning: runs of abc are reused" in captured.err  # made by another commit
    others = read_results(toy / "results" / "others.json")
    assert set(others["variants"]) == {"halved", "wide"}
    assert others["reference"] is None
    assert set(others["bounds"]) == {"seed", "narrow", "wide"}
    assert others["bounds"]["narrow"]["width"] == narrow["metrics"]["width"]


def test_bounds_of_other_seeds_are_refused(toy: Path) -> None:
    (toy / "mended").touch()
    sweep(toy)
    text = SWEEP.format(folder=toy).replace("widths", "others").replace("[0, 1]", "[0]")
    (toy / "sweep.yaml").write_text(text.replace("reference: narrow", "bounds_from: widths"))
    with pytest.raises(UserError, match=r"widths.json has seeds \[0, 1\], expected \[0\]"):
        sweep(toy)


def test_runs_of_this_commit_are_reused_without_a_word(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.sweep.git_commit", lambda: "abc")
    (toy / "mended").touch()
    sweep(toy)
    capsys.readouterr()
    sweep(toy)
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("experiment: widths", "experiment: a/b", "experiment: expected letters, digits"),
        ("experiment: widths", "experimnt: a", "unknown key experimnt; did you mean experiment?"),
        ("seeds: [0, 1]", "seeds: [0, 0]", "seeds: expected one or more, all different"),
        ("seeds: [0, 1]", "seeds: []", "seeds: expected one or more, all different"),
        ("seeds: [0, 1]", "seeds: 5", "seeds: expected a list such as [a, b]"),
        ("seeds: [0, 1]", "seeds: [-1]", "seeds: expected at least 0, got -1"),
        ("seeds: [0, 1]", "", "missing key seeds"),
        ("/train.py", "/nowhere.py", "script: no such file"),
        ("toy/baseline.yaml", "toy/narrow.yaml", "baseline: expected the script's, "),
        ("width: 2", "width: '2'", "variants.wide: --width: expected a number, got '2'"),
        ("width: 2", "width: 02", "variants.wide: --width: expected a number, got '02'"),
        ("width: 2", "width: 1_0", "variants.wide: --width: expected a number, got '1_0'"),
        ("width: 2", "width: '1e-3'", "variants.wide: --width: expected a number, got '1e-3'"),
        ("broken: true", "broken: no", "--broken: expected a boolean, got 'no'"),
        ("broken: true", "broken: 'false'", "--broken: expected a boolean, got 'false'"),
        ("width: 2", "seed: 2", "variants.wide: overrides: seed comes from seeds"),
        ("curves: [loss]", "overrides: {seed: 2}", "overrides: seed comes from seeds"),
        ("width: 2", "widht: 2", "variants.wide: unknown option --widht; did you mean --width?"),
        ("width: 2", "depth: 2, width: 2", "variants.wide: --depth: nothing reads it here"),
        ("narrow.yaml", "narow.yaml", "no such file; did you mean"),
        ("narrow: {config", "narrow: {confg", "variants.narrow: unknown key confg; did you mean"),
        ("narrow: {", "narrow: [{", ""),
        ("overrides: {width", "overrides: 3 #", ""),
        ("variants:\n", "variants: {}\nother:\n", "unknown key other"),
    ],
)
def test_mistake_in_a_sweep_file(toy: Path, old: str, new: str, message: str) -> None:
    path = toy / "sweep.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_sweep(path, toy / "runs")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shared_settings_come_below_a_variants_own(toy: Path) -> None:
    path = toy / "sweep.yaml"
    path.write_text(
        path.read_text() + f"config: [{toy}/narrow.yaml]\noverrides: {{steps: 5, width: 3}}\n"
    )
    jobs = {job.variant: job for job in read_sweep(path, toy / "runs")[1]}
    assert (jobs["narrow"].config["steps"], jobs["narrow"].config["width"]) == (5, 3)
    assert (jobs["wide"].config["width"], jobs["wide"].config["threads"]) == (2, 1)


def test_every_committed_sweep_reads() -> None:
    for path in sorted(REPOSITORY.glob("configs/part*/sweeps/*.yaml")):
        assert read_sweep(path, RUNS)[1]


@pytest.mark.parametrize("address", ["127.0.0.1:9", "tcp://", "nowhere", "http://x:1", "a:b:c"])
def test_a_cluster_that_does_not_answer(toy: Path, address: str) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match="expected a scheduler that runs") as caught:
        sweep(toy, f"--dask={address}")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 20


def test_a_server_that_is_no_scheduler(toy: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(UserError, match=r"expected a scheduler that runs.*no answer"),
    ):
        sweep(toy, f"--dask=127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.slow
def test_dask_cluster(toy: Path) -> None:
    (toy / "train.py").write_text(REAL)
    command = [sys.executable, "-m", "common.sweep", str(toy / "sweep.yaml"), "--dask", "--jobs=2"]
    subprocess.run([*command, f"--runs={toy.parent}/runs"], check=True, cwd=REPOSITORY)
    assert (
        read_results(toy / "results" / "widths.json")["variants"]["wide"]["metrics"]["width"]["n"]
        == 2
    )


@pytest.mark.slow
def test_two_sweeps_share_the_runs_that_they_make(toy: Path) -> None:
    (toy / "train.py").write_text(REAL)
    path = toy / "sweep.yaml"
    path.write_text(path.read_text() + "overrides: {steps: 40}\n")
    command = [sys.executable, "-m", "common.sweep", str(path), f"--runs={toy.parent}/runs"]
    both = [
        subprocess.Popen([*command, "--jobs=2", f"--results={toy}/{name}.json"], cwd=REPOSITORY)
        for name in ("one", "two")
    ]
    assert [sweep.wait(timeout=300) for sweep in both] == [0, 0]
    one, two = (read_results(toy / f"{name}.json")["variants"] for name in ("one", "two"))
    assert one == two
    for metrics in toy.parent.glob("runs/toy/sweep/*/metrics.jsonl"):
        assert len(metrics.read_text().splitlines()) == 40


@pytest.mark.slow
def test_killed_sweep_resumes(toy: Path) -> None:
    (toy / "train.py").write_text(REAL)
    path = toy / "sweep.yaml"
    path.write_text(path.read_text() + "overrides: {steps: 120}\n")
    command = [sys.executable, "-m", "common.sweep", str(path), f"--runs={toy.parent}/runs"]
    with subprocess.Popen([*command, "--jobs=2"], cwd=REPOSITORY, stderr=subprocess.PIPE) as first:
        while len(list(toy.parent.glob("runs/toy/sweep/*/checkpoint.pt"))) < 2:
            time.sleep(0.05)
        os.kill(first.pid, signal.SIGTERM)
        _, error = first.communicate(timeout=30)
        assert first.returncode == 130
        assert b"stopped; to resume: python -m common.sweep" in error
    assert not (toy / "results").exists()
    subprocess.run([*command, "--jobs=4"], check=True, cwd=REPOSITORY)
    assert (
        read_results(toy / "results" / "widths.json")["variants"]["wide"]["metrics"]["width"]["n"]
        == 2
    )
    for metrics in toy.parent.glob("runs/toy/sweep/*/metrics.jsonl"):
        assert len(metrics.read_text().splitlines()) == 120
