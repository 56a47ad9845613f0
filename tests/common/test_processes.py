"""Part 3's training on several processes: what one does, from where one was stopped."""

import sys
from collections.abc import Callable

import pytest
import torch.distributed

from common.harness.errors import UserError
from common.harness.files import read_lines
from common.harness.processes import started
from part3_collapse_regularizers import train
from part3_collapse_regularizers.config import BASELINE

CONFIGS = BASELINE.parent
COMMAND = [
    "part3_collapse_regularizers/train.py", "--config", str(CONFIGS / "smoke.yaml"), "--threads=1",
]  # fmt: skip
ONE = [sys.executable, *COMMAND]
TWO = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *COMMAND]


def losses(folder) -> list[float]:
    return [line["loss"] for line in read_lines(folder / "metrics.jsonl") if "loss" in line]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["barlow", "vicreg", "sigreg", "byol", "dino"])
def test_two_processes_lose_what_one_does(tmp_path, run: Callable, method: str):
    arguments = ["--config", CONFIGS / f"{method}.yaml", "--learning_rate=0.001", "--figures=false"]
    run(*ONE, *arguments, "--run_dir", tmp_path / "one")
    done = run(*TWO, *arguments, "--run_dir", tmp_path / "two")
    assert any(line.startswith("two ") for line in done.stdout.splitlines()), done.stdout
    # gradients to 1e-5: test_distributed.py
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "two"), rel=1e-3)


@pytest.mark.slow
def test_two_processes_go_on_where_training_was_stopped(tmp_path, run: Callable, monkeypatch):
    arguments = ["--config", CONFIGS / "dino.yaml", "--learning_rate=0.001", "--figures=false"]
    run(*TWO, *arguments, "--run_dir", tmp_path / "two")

    def stop(step: int, cfg) -> float:
        if step == 4:
            raise KeyboardInterrupt
        return rate(step, cfg)

    rate, folder = train.learning_rate, ["--run_dir", tmp_path / "stopped"]
    monkeypatch.setattr(train, "learning_rate", stop)
    monkeypatch.setattr(sys, "argv", [str(word) for word in (*COMMAND, *arguments, *folder)])
    with pytest.raises(KeyboardInterrupt):
        train.main()
    run(*TWO, *arguments, *folder)
    assert losses(tmp_path / "stopped") == pytest.approx(losses(tmp_path / "two"), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["--batch_size=15"], "gives unequal batches: use a multiple of 2, such as 14"),
        (["--loss_weights.num_slices=0"], "num_slices"),
    ],
)
def test_several_processes_refuse_what_they_cannot_share(tmp_path, run, overrides, words):
    done = run(*TWO, *overrides, "--run_dir", tmp_path / "run", code=1)
    assert any(words in line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def as_torchrun(monkeypatch) -> Callable[[int, int], None]:
    """A function that makes this process look like one that torchrun started."""

    def set_rank(rank: int, count: int) -> None:
        found = {"TORCHELASTIC_RUN_ID": "none", "RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": 0}
        for name, value in found.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    return set_rank


@pytest.mark.parametrize("rank", [0, 1])
def test_an_impossible_world_is_refused_before_any_process_waits(
    tmp_path, monkeypatch, refusal, as_torchrun, rank
):
    as_torchrun(rank, 2)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda _: pytest.fail("too late"))
    crowded = ["--world.radius=[29.0,29.0]", f"--run_dir={tmp_path / 'run'}"]
    assert "use fewer or smaller balls" in refusal(train.main, *COMMAND[1:], *crowded)


def test_more_processes_than_samples(as_torchrun):
    as_torchrun(0, 3)
    with pytest.raises(UserError, match="more processes than samples"):
        started(2, torch.device("cpu"))


def test_a_rank_that_torchrun_did_not_give_is_none(monkeypatch):
    monkeypatch.setenv("RANK", "1")  # as some queues set it for every job
    assert started(16, torch.device("cpu")).count == 1
