"""Run directories: nothing is overwritten, nothing is shared, nothing is half-written."""

import errno
import importlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from common.figures.style import write_png
from common.harness import machine
from common.harness.checkpoints import (
    load_checkpoint,
    load_state,
    load_weights,
    save_checkpoint,
    state_of,
    weights_of,
)
from common.harness.config import REPOSITORY, RunOptions
from common.harness.errors import UserError
from common.harness.files import atomic_file, read_json, read_lines, write_atomic, write_json
from common.harness.runs import Run

CONFIG = "steps: 10\nworld:\n  radius: 8.0\n"


def open_run(folder: Path, config: str = CONFIG, overwrite: bool = False) -> Run:
    return Run.open("part2", RunOptions("base", folder, overwrite), config, seed=0)


def finish(folder: Path) -> None:
    with open_run(folder) as run:
        run.log(1, {"loss": 0.5})
        run.save(1, {"weights": torch.ones(2)})
        write_png(run.folder / "figures" / "strip.png", Figure(), frames=np.zeros(3))
        run.finish({"variants": {"pixels": {"smear": 0.8}}})


def train(folder: Path, until: int, every: int = 3) -> None:
    """A run of 10 steps, stopped before step ``until`` as if it were killed."""
    with open_run(folder) as run:
        generator = torch.Generator().manual_seed(0)
        for step in range(run.restore({"generator": generator}) + 1, min(11, until)):
            run.log(step, {"loss": torch.rand((), generator=generator), "method": "pixels"})
            if step % every == 0:
                run.save(step, {"generator": generator})


def test_lines_are_read_without_one_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}')
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1}, {"step": 2}]


def test_files_of_a_run(tmp_path: Path) -> None:
    finish(tmp_path / "run")
    names = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*.*")}
    assert names - {".lock"} == {
        *("config.yaml", "run.json", "metrics.jsonl", "checkpoint.pt", "summary.json"),
        *("figures/strip.png", "figures/strip.npz"),
    }
    setting = read_json(tmp_path / "run" / "run.json")
    assert setting["device"] == "cpu"
    assert setting["precision"] == "fp32"
    assert setting["threads"] == torch.get_num_threads()
    assert setting["versions"]["torch"] == torch.__version__
    assert setting["seconds"] >= 0
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == '{"step": 1, "loss": 0.5}\n'


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.harness.runs.RUNS", tmp_path)
    with Run.open("part2", RunOptions("k4", None, False), CONFIG, seed=3) as run:
        assert run.folder == tmp_path / "part2" / "k4-seed3"


def test_resume_gives_the_same_bytes(tmp_path: Path) -> None:
    train(tmp_path / "whole", until=11)
    for stop in (1, 5, 9):
        train(tmp_path / "cut", until=stop)
        with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
            file.write('{"step": 9, "lo')  # a line that was cut off
    train(tmp_path / "cut", until=11)
    whole, cut = (tmp_path / name / "metrics.jsonl" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    assert len(whole.read_text().splitlines()) == 10


def test_a_run_says_where_its_files_are_and_where_it_went_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path, until=5)
    assert "resumed" not in capsys.readouterr().out
    train(tmp_path, until=5)
    assert capsys.readouterr().out == f"resumed from step 3: {tmp_path}\n"
    finish(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"run: {tmp_path}", f"figures: {tmp_path / 'figures'}"]


def test_seconds_add_up(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.save(1, {})
    write_json(tmp_path / "run.json", read_json(tmp_path / "run.json") | {"seconds": 100.0})
    with open_run(tmp_path) as run:
        run.finish({})
    assert read_json(tmp_path / "run.json")["seconds"] >= 100


def test_finished_run_is_kept_unless_asked(tmp_path: Path) -> None:
    finish(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="finished run; pass --overwrite"):
        open_run(tmp_path)
    with open_run(tmp_path, overwrite=True) as run:
        assert run.restore({}) == 0
    names = {path.name for path in tmp_path.iterdir()} - {".lock"}
    assert names == {"notes.txt", "figures", "config.yaml", "run.json", "metrics.jsonl"}
    assert not list((tmp_path / "figures").iterdir())


def test_another_configs_run_is_refused(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        run.log(1, {"loss": 0.5})
    with pytest.raises(UserError, match=r"world.radius is 8.0 there and 6.0 here; pass another"):
        open_run(tmp_path, CONFIG.replace("8.0", "6.0"))
    with pytest.raises(UserError, match=r"width is absent there and 2 here"):
        open_run(tmp_path, CONFIG + "width: 2\n")
    with open_run(tmp_path, CONFIG.replace("8.0", "6.0"), overwrite=True):
        assert "6.0" in (tmp_path / "config.yaml").read_text()


def test_a_run_that_did_nothing_yet_makes_room_for_another_config(tmp_path: Path) -> None:
    open_run(tmp_path).__exit__(None, None, None)
    with open_run(tmp_path, CONFIG.replace("8.0", "6.0")):
        assert "6.0" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["thesis.tex", "checkpoint.pt", "config.yaml", "metrics.jsonl"])
def test_a_directory_that_is_no_run_is_refused(tmp_path: Path, overwrite: bool, name: str) -> None:
    (tmp_path / name).write_text("years of work")
    with pytest.raises(UserError, match=rf"not a run \(it holds {name} but no run.json\)"):
        open_run(tmp_path, overwrite=overwrite)
    with pytest.raises(UserError, match="is a file; expected a directory"):
        open_run(tmp_path / name, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_another_projects_config_and_checkpoint_are_kept(tmp_path: Path) -> None:
    for name in ("config.yaml", "checkpoint.pt"):
        (tmp_path / name).write_text("steps: 10")
    with pytest.raises(UserError, match="is not a run"):
        open_run(tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "checkpoint.pt"}


def test_a_run_that_was_killed_at_its_first_file_begins_again(tmp_path: Path) -> None:
    for name in ("run.json", "run.json.0123abcd.partial"):
        (tmp_path / name).write_text("")
    with open_run(tmp_path) as run:
        assert run.restore({}) == 0
    assert not list(tmp_path.glob("*.partial"))


def test_another_number_of_threads_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run(tmp_path, CONFIG + "threads: 2\n") as run:
        run.save(4, {})
    with open_run(tmp_path, CONFIG + "threads: 1\n") as run:
        assert run.restore({}) == 4
    assert "begun with 2 threads, goes on with 1" in capsys.readouterr().err
    assert "threads: 1" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize("seconds", [None, "12", float("nan"), -1])
def test_seconds_that_are_no_number(tmp_path: Path, seconds: Any) -> None:
    with open_run(tmp_path) as run:
        run.save(1, {})
    (tmp_path / "run.json").write_text(json.dumps({"seconds": seconds}))
    with pytest.raises(UserError, match=r"run.json: seconds is .*expected a number"):
        open_run(tmp_path)


def test_a_directory_in_place_of_the_metrics(tmp_path: Path) -> None:
    open_run(tmp_path).__exit__(None, None, None)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match=r"metrics.jsonl: Is a directory"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "content", [b"[" * 50_000 + b"\n{}", b"\xff\n", b"[1]\n", b"{\n{}\n", b"3"]
)
def test_files_of_json_that_hold_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    for read in (read_lines, read_json):
        with pytest.raises(UserError, match=r"metrics.jsonl(, line 1)?: expected") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"expected the log of a run, got: .*Is a directory"):
        read_lines(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_loop_after_it_has_saved(tmp_path: Path, number: int) -> None:
    def loop(run: Run) -> None:
        for step in run.steps(0, 10):
            if step == 5:
                signal.raise_signal(number)
            if run.is_stopping:
                run.save(step + 1, {})

    with open_run(tmp_path) as run, pytest.raises(KeyboardInterrupt):
        loop(run)
    with open_run(tmp_path) as run:
        assert run.restore({}) == 6
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    seen = []

    def loop(run: Run) -> None:
        for step in run.steps(0, 10):
            seen.append(step)
            signal.raise_signal(signal.SIGINT)

    with open_run(tmp_path) as run, pytest.raises(KeyboardInterrupt):
        loop(run)
    assert seen == [0, 1]


def test_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib\nimport filelock\n"
        "lock = filelock.FileLock(sys.argv[1])\nlock.acquire()\n"
        "print('locked', flush=True)\ntime.sleep(60)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"locked\n"
        with pytest.raises(UserError, match="another process is running in"):
            open_run(tmp_path)
        first.send_signal(signal.SIGKILL)
    open_run(tmp_path).__exit__(None, None, None)


def test_lock_is_given_back(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(UserError, match="finished"):
        open_run(tmp_path)
    with filelock.FileLock(tmp_path / ".lock", timeout=0):
        pass


@pytest.mark.parametrize("value", [float("nan"), torch.tensor(float("inf")), [1.0, float("nan")]])
def test_not_finite_stops_with_step_and_term(tmp_path: Path, value: Any) -> None:
    with open_run(tmp_path) as run:
        run.save(6, {"weights": torch.ones(1)})
        with pytest.raises(UserError, match=r"step 7: loss is (nan|inf), expected a finite number"):
            run.log(7, {"fine": 1.0, "loss": value})
        assert run.restore({}) == 6
        with pytest.raises(UserError, match=r"variants.pixels.smear is (nan|inf)"):
            run.finish({"variants": {"pixels": {"smear": float("nan")}}})
    assert not (tmp_path / "summary.json").exists()


def test_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_run(tmp_path) as run:
        run.log(1, {"loss": 1.0})
        run.save(1, {"weights": ["good"]})
        monkeypatch.setattr(os, "fsync", full)
        for action in (lambda: run.save(2, {}), lambda: run.finish({})):
            with pytest.raises(UserError, match="the disk is full; what was saved before"):
                action()
        with pytest.raises(UserError, match="the disk is full"):
            save_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(1)})
        monkeypatch.undo()
        assert not list(tmp_path.glob("*.partial"))
        weights: list[str] = []
        assert run.restore({"weights": weights}) == 1
        assert weights == ["good"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_while_logging(tmp_path: Path) -> None:
    with open_run(tmp_path) as run, Path("/dev/full").open("wb", buffering=0) as full:
        run._metrics.close()
        run._metrics = full
        with pytest.raises(UserError, match=r"metrics.jsonl: the disk is full"):
            run.log(1, {"loss": 1.0})


def test_write_to_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*expected a place that can be written"):
        write_atomic(tmp_path / "file" / "x.json", b"")
    with pytest.raises(UserError, match=r"cannot write .*expected a place that can be written"):
        open_run(tmp_path / "file" / "run")
    (tmp_path / "file").write_text("[]")
    with pytest.raises(UserError, match="expected a JSON object, got list"):
        read_json(tmp_path / "file")


def test_two_writers_of_one_file_never_meet(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    with atomic_file(path) as one, atomic_file(path) as two:
        one.write(b"one")
        two.write(b"two")
    assert path.read_bytes() == b"one"
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]


class Boom:
    """Would make a file if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("boom",)


def archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", content)
        file.writestr("archive/version", "3\n")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        b"\x80\x02}q\x00.",
        pickle.dumps(Boom()),
        pickle.dumps({"weights": Boom()}, protocol=2),
        archive(pickle.dumps({"weights": Boom()}, protocol=2)),
        archive(b"\x80\x02K\x01."),
        archive(b"garbage"),
        archive(b""),
        archive(b"]" * 100),
    ],
)
def test_what_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"checkpoint.pt: ") as caught:
        load_checkpoint(tmp_path / "checkpoint.pt", "python train.py")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "boom").exists()


def test_damaged_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": torch.randn(300), "step": 3, "name": "x", "ok": [1.0, None]})
    whole = path.read_bytes()
    assert load_checkpoint(path, "")["ok"] == [1.0, None]
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"cut off; make it with: python train.py"):
            load_checkpoint(path, "python train.py")
    flipped = bytearray(whole)
    flipped[whole.index(b"data/0") + 200] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(UserError, match="not a checkpoint, or cut off"):
        load_checkpoint(path, "")
    with pytest.raises(UserError, match=r"no checkpoint at .*none.pt; make it with: python t.py"):
        load_checkpoint(tmp_path / "none.pt", "python t.py")
    with pytest.raises(UserError, match="Is a directory"):
        load_checkpoint(tmp_path, "")


def test_weights_of_another_architecture() -> None:
    path, model = Path("weights.pt"), nn.Linear(2, 3)
    load_weights(model, {"weight": torch.ones(3, 2), "bias": torch.ones(3)}, path)
    assert torch.equal(model.bias, torch.ones(3))
    cases: list[tuple[Any, str]] = [
        ({"weight": torch.ones(4, 2), "bias": torch.ones(4)}, r"weight is \(4, 2\), .*\(3, 2\)"),
        ({"weight": torch.ones(3, 2)}, r"bias is absent, expected \(3,\)"),
        (model.state_dict() | {"extra": torch.ones(1)}, r"extra is \(1,\), expected absent"),
        (model.state_dict() | {"bias": 3}, r"bias is int, expected \(3,\)"),
        ([1], "expected weights by name, got list"),
    ]
    for weights, message in cases:
        with pytest.raises(UserError, match=message):
            load_weights(model, weights, path)
    assert torch.equal(model.bias, torch.ones(3))


def test_weights_are_found_or_are_none() -> None:
    assert weights_of({"state": {"models": {"pixel": 1}}}, "models", "pixel") == 1
    for odd in ({}, {"state": [1]}, {"state": {"models": 3}}, {"state": {}}):
        assert weights_of(odd, "models", "pixel") is None


def trained() -> dict[str, Any]:
    """A model, its optimizer after a step, and a generator."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.randn(4, 2)).square().sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer, "draws": torch.Generator(), "looks": [1]}


def test_state_comes_back_bit_by_bit() -> None:
    one, two = trained(), trained()
    one["optimizer"].step()
    torch.rand(7, generator=one["draws"])
    load_state(two, state_of(one), Path("checkpoint.pt"))
    for parts in (one, two):
        for parameter in parts["model"].parameters():
            parameter.grad = torch.ones_like(parameter)
        parts["optimizer"].step()
        parts["looks"].append(torch.rand((), generator=parts["draws"]).item())
    found = [nn.ParameterList(parts["model"].parameters()).state_dict() for parts in (one, two)]
    assert one["looks"] == two["looks"]
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            "optimizer.state.0.exp_avg",
            torch.zeros(3),
            r"exp_avg is \(3,\) torch.float32, expected \(3, 2",
        ),
        ("optimizer.state.0.exp_avg", torch.zeros(3, 2).half(), "float16, expected .*float32"),
        ("optimizer.state.0.exp_avg", torch.full((3, 2), torch.nan), "not finite"),
        ("optimizer.state.0.exp_avg", torch.zeros(3, 2).to_sparse(), "exp_avg is torch.sparse_coo"),
        ("optimizer.state.0.step", torch.zeros(2), r"step is \(2,\)"),
        ("optimizer.state.0.step", 3, "step is int, expected"),
        ("optimizer.state.0", {}, "exp_avg is absent|step is absent"),
        ("optimizer.state.9", {"step": torch.ones(())}, "expected absent"),
        ("optimizer.state", {}, "no moments"),
        ("optimizer", None, "no moments"),
        ("model.0.weight", torch.zeros(3, 2).double(), "float64, expected .*float32"),
        ("model.0.weight", torch.full((3, 2), torch.inf), "not finite"),
        ("model.0.weight", torch.zeros(3, 2, device="meta"), "weight is empty tensor"),
        ("model.1.num_batches_tracked", torch.ones(()), "num_batches_tracked is"),
        ("model", 3, "expected state.model by name, got int"),
        ("draws", torch.zeros(16, dtype=torch.uint8), "not the state of a CPU generator"),
        ("draws", torch.zeros(5056, dtype=torch.uint8), "not the state of a CPU generator"),
        ("draws", "abc", "not the state of a CPU generator"),
        ("looks", "abc", "looks is str, expected list"),
    ],
)
def test_state_that_does_not_fit(place: str, value: Any, message: str) -> None:
    parts = trained()
    saved = state_of(parts)
    group, *keys = place.split(".")
    node, key = saved, group
    if group == "model" and keys:
        node, key = saved["model"], ".".join(keys)
    elif keys:
        for word in [group, *keys[:-1]]:
            node = node[int(word) if word.isdigit() else word]
        key = int(keys[-1]) if keys[-1].isdigit() else keys[-1]
    node[key] = value
    with pytest.raises(UserError, match=message) as caught:
        load_state(parts, saved, Path("checkpoint.pt"))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_quantized_weights_are_refused() -> None:
    parts = trained()
    saved = state_of(parts)
    saved["model"]["0.weight"] = torch.quantize_per_tensor(torch.ones(3, 2), 1.0, 0, torch.qint8)
    with pytest.raises(UserError, match="weight is quantized tensor"):
        load_state(parts, saved, Path("checkpoint.pt"))


@pytest.mark.parametrize("name", ["model", "optimizer", "draws", "looks"])
def test_state_that_is_absent(name: str) -> None:
    parts = trained()
    saved = state_of(parts)
    del saved[name]
    with pytest.raises(UserError, match=rf"holds no state.{name}"):
        load_state(parts, saved, Path("checkpoint.pt"))


def test_moments_that_share_or_repeat_their_memory_are_copied() -> None:
    parts = trained()
    saved = state_of(parts)
    moments = saved["optimizer"]["state"][0]
    moments["exp_avg"] = moments["exp_avg_sq"] = torch.ones(1).expand(3, 2)
    load_state(parts, saved, Path("checkpoint.pt"))
    (first, second) = (
        parts["optimizer"].state_dict()["state"][0][name] for name in ("exp_avg", "exp_avg_sq")
    )
    assert first.is_contiguous()
    assert first.data_ptr() != second.data_ptr()


def test_checkpoint_of_something_else_in_a_run(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        save_checkpoint(tmp_path / "checkpoint.pt", {"weights": 1})
        with pytest.raises(
            UserError, match=r"not the checkpoint of a run; start anew: .*overwrite"
        ):
            run.restore({})
        run.log(1, {"loss": 1.0})
        run.save(1, {})
        (tmp_path / "metrics.jsonl").write_text("")
        with pytest.raises(UserError, match=r"metrics.jsonl is older than .*start anew"):
            run.restore({})


@pytest.mark.slow
def test_killed_process_resumes(tmp_path: Path) -> None:
    code = (
        "import sys, time, torch\nfrom pathlib import Path\n"
        "from common.harness.config import RunOptions\nfrom common.harness.runs import Run\n"
        f"with Run.open('p', RunOptions('n', Path(sys.argv[1]), False), {CONFIG!r}, seed=0) as r:\n"
        "    start = r.restore({})\n"
        "    for step in range(start + 1, 41):\n"
        "        r.log(step, {'loss': 1 / step})\n        time.sleep(0.02)\n"
        "        if step % 4 == 0:\n            r.save(step, {'x': torch.ones(1000)})\n"
        "    r.finish({})\n"
    )
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        while not (tmp_path / "checkpoint.pt").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        process.kill()
        process.wait()
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 41))


@pytest.mark.parametrize(
    ("part", "options", "lower"),
    [
        ("part2", ["--world.size=512", "--data.num_train_episodes=100000"], "world.size"),
        ("part4", ["--data.num_ball_clips=1000000", "--data.canvas=512"], "data.num_ball_clips"),
        ("part5", ["--world.size=512", "--data.num_train_episodes=100000"], "num_train_episodes"),
        (
            "part5",
            ["--planner.num_samples=1000000", "--evaluation.num_test_episodes=1000"],
            "planner.num_samples",
        ),
        (  # of so many candidates only a token model's states, of 4 x 4 x 96 numbers, are too large
            "part5",
            [
                "--config=configs/part5/dino_mlp.yaml",
                "--planner.num_samples=5000",
                "--evaluation.num_test_episodes=100",
            ],
            "planner.num_samples",
        ),
    ],
)
def test_more_than_the_memory_is_refused_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Any, part: str, options: list[str],
    lower: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096}.get(name, 2**21))
    script = next(REPOSITORY.glob(f"{part}_*")).name
    main = importlib.import_module(f"{script}.train").main
    config = f"configs/{part}/smoke.yaml"
    line = refusal(main, "--config", config, *options, "--run_dir", tmp_path / "run")
    assert "more than the 8.6 GB of this machine or container: lower" in line
    assert lower in line


def test_a_container_may_hold_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("memory.max", "memory.limit_in_bytes", "absent")]
    monkeypatch.setattr(machine, "CONTAINER", files)
    there = machine.memory_there()
    files[0].write_text("max\n")
    assert machine.memory_there() == there
    files[1].write_text("1000000000\n")
    machine.check_memory("an array", (1000, 1000, 200), 1, "its size")
    assert not capsys.readouterr().err
    machine.check_memory("an array", (1000, 1000, 1000), 1, "its size")
    assert "will take 1.0 GB" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"take 1\.1 GB, more than the 1\.0 GB .*: lower its size"):
        machine.check_memory("an array", (1000, 1000, 1100), 1, "its size")


def test_one_heldout_pair_is_too_few(tmp_path: Path, refusal: Any) -> None:
    from part2_pixel_vs_jepa.train import main

    few = ["--data.num_test_episodes=1", "--world.episode_length=2"]
    line = refusal(main, *few, "--run_dir", tmp_path)
    assert "one held-out pair has no variance" in line
