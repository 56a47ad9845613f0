"""Training on several processes, of the parts that know it: what one does, from where one was."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch.distributed

from common.harness.config import REPOSITORY
from common.harness.errors import UserError
from common.harness.files import read_lines
from common.harness.processes import started

PARTS = {
    "part3": "part3_collapse_regularizers", "part4": "part4_dinov3_encoder",
    "part5": "part5_action_planning",
}  # fmt: skip
TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node", "2"]
EASY = ["--learning_rate=0.001", "--figures=false"]  # part 3
LONG = ["--steps=20", "--log_every=1", "--batch_size=8", "--figures=false"]  # part 5
SEEN = [*LONG[:3], "--eval_every=20"]  # part 4
ENCODERS = ("ijepa", "vjepa21", "dino_gram", "lejepa", "pixels", "supervised")


def command(part: str, *methods: str) -> list[str]:
    """A smoke run, without what starts it."""
    files = [REPOSITORY / "configs" / part / f"{name}.yaml" for name in (*methods, "smoke")]
    return [
        f"{PARTS[part]}/train.py", *(f"--config={file}" for file in files), "--threads=1",
        "--device=cpu",
    ]  # fmt: skip


def logged(folder: Path) -> list[dict[str, Any]]:
    return [line for line in read_lines(folder / "metrics.jsonl") if "loss" in line]


def assert_close(one: Path, two: Path, rel: float) -> None:
    """The losses that two runs logged, and each of their terms."""
    assert len(logged(one)) == len(logged(two)) > 2
    for a, b in zip(logged(one), logged(two), strict=True):
        assert a == pytest.approx(b, rel=rel)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "method", "arguments", "rel"),
    [
        *(("part3", name, EASY, 1e-3) for name in ("barlow", "vicreg", "sigreg", "byol", "dino")),
        *(("part4", name, SEEN, 1e-5) for name in ENCODERS),
        *(("part5", name, LONG, 1e-5) for name in ("lewm", "pldm", "pixel", "dino_wm")),
    ],
)
def test_two_processes_lose_what_one_does(tmp_path, run: Callable, part, method, arguments, rel):
    words = [*command(part, method), *arguments]
    run(sys.executable, *words, "--run_dir", tmp_path / "one")
    done = run(sys.executable, *TORCHRUN, *words, "--run_dir", tmp_path / "two")
    assert f"run: {tmp_path / 'two'}" in done.stdout
    assert_close(tmp_path / "one", tmp_path / "two", rel)  # gradients: test_distributed.py


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "method", "arguments", "rate", "rel"),
    [
        ("part3", "dino", EASY, "learning_rate", 1e-3),
        ("part4", "dino", SEEN, "warmup_cosine", 1e-5),
        ("part5", "dino_wm", LONG, "warmup_cosine", 1e-5),
    ],
)
def test_two_processes_go_on_where_training_was_stopped(
    tmp_path, run: Callable, monkeypatch, part, method, arguments, rate, rel
):
    words = [*command(part, method), *arguments, "--run_dir"]
    run(sys.executable, *TORCHRUN, *words, tmp_path / "two")
    train = import_module(f"{PARTS[part]}.train")
    undisturbed = getattr(train, rate)

    def stop(step: int, *rest: Any) -> float:
        if step == 4:
            raise KeyboardInterrupt
        return undisturbed(step, *rest)

    monkeypatch.setattr(train, rate, stop)
    monkeypatch.setattr(sys, "argv", [*words, str(tmp_path / "stopped")])
    with pytest.raises(KeyboardInterrupt):
        train.main()
    done = run(sys.executable, *TORCHRUN, *words, tmp_path / "stopped")
    assert "resumed from step 4" in done.stdout
    assert_close(tmp_path / "stopped", tmp_path / "two", rel)


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    words = [*command("part5"), "--steps=4000", "--log_every=1", "--save_every=4000"]
    process = subprocess.Popen(
        [sys.executable, *TORCHRUN, *words, "--run_dir", str(tmp_path)], cwd=REPOSITORY,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics = tmp_path / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=120)[1]
    lines = [line for line in told.splitlines() if line.startswith("stopped")]
    assert [line.split(PARTS["part5"])[0] for line in lines] == [
        "stopped; to resume: torchrun --nproc_per_node 2 "
    ]
    assert "[rank" not in told, told  # as every line of a traceback of theirs begins
    step = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < step == json.loads(metrics.read_text().splitlines()[-1])["step"] < 4000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "overrides", "words"),
    [
        ("part3", ["--batch_size=15"], "gives unequal batches: use a multiple of 2, such as 14"),
        ("part3", ["--loss_weights.num_slices=0"], "num_slices"),
        ("part4", ["--batch_size=15"], "gives unequal batches: use a multiple of 2, such as 14"),
        ("part5", ["--batch_size=15"], "gives unequal batches: use a multiple of 2, such as 14"),
    ],
)
def test_several_processes_refuse_what_they_cannot_share(tmp_path, run, part, overrides, words):
    folder = tmp_path / "run"
    done = run(
        sys.executable, *TORCHRUN, *command(part), *overrides, "--run_dir", folder, code=1
    )  # fmt: skip
    assert any(words in line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert not folder.exists()


@pytest.fixture
def as_torchrun(monkeypatch) -> Callable[[int, int], None]:
    """A function that makes this process look like one that torchrun started."""

    def set_rank(rank: int, count: int) -> None:
        found = {
            "TORCHELASTIC_RUN_ID": "none", "RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": 0,
            "LOCAL_WORLD_SIZE": count,
        }  # fmt: skip
        for name, value in found.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    return set_rank


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("part", "crowded", "words"),
    [
        ("part3", "--world.radius=[29.0,29.0]", "use fewer or smaller balls"),
        ("part4", "--data.num_ball_clips=1000000", "lower data.num_ball_clips"),
        ("part5", "--task.min_distance=100", "use a smaller task.min_distance"),
        ("part5", "--planner.num_samples=1000000", "lower planner.num_samples"),
    ],
)
def test_what_cannot_be_is_refused_before_any_process_waits(
    tmp_path, monkeypatch, refusal, as_torchrun, rank, part, crowded, words
):
    as_torchrun(rank, 2)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda _: pytest.fail("too late"))
    monkeypatch.setattr("common.harness.machine.memory_there", lambda: 1e9)
    main = import_module(f"{PARTS[part]}.train").main
    assert words in refusal(main, *command(part)[1:], crowded, f"--run_dir={tmp_path / 'run'}")


def test_more_processes_than_samples(as_torchrun):
    as_torchrun(0, 3)
    with pytest.raises(UserError, match="more processes than samples"):
        started(2, torch.device("cpu"))


def test_a_rank_that_torchrun_did_not_give_is_none(monkeypatch):
    monkeypatch.setenv("RANK", "1")  # as some queues set it for every job
    assert started(16, torch.device("cpu")).count == 1
