"""Fixtures that several test files share."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from common.harness.config import REPOSITORY
from common.harness.errors import run_script
from common.world import World

# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_world() -> Callable[..., World]:
    """A function that returns the posts' world, with some of its options changed."""

    def make(**changes: Any) -> World:
        return World(**{"antialias": False, "wall": "turn_back", "start_margin": 1.0, **changes})

    return make


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a command from the repository root and checks its exit code."""

    def call(*command: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def kill_at_random_steps() -> Callable[[Sequence[str], Path], None]:
    """A function that starts a training of 400 steps three times and kills it three times."""

    def kill(command: Sequence[str], folder: Path) -> None:
        draw = random.Random(0)
        for begin in (0, 100, 200):
            process = subprocess.Popen(
                [*command, "--run_dir", str(folder)], cwd=REPOSITORY, stderr=subprocess.DEVNULL
            )
            wanted = begin + draw.randrange(20, 100)
            while process.poll() is None and last_step(folder) < wanted:
                time.sleep(0.01)
            assert process.poll() is None, "finished before it could be killed"
            process.send_signal(signal.SIGKILL)
            process.wait()

    return kill


def last_step(folder: Path) -> int:
    """The step of the last whole line of a run's metrics.jsonl."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    whole = [line for line in lines if line.endswith("}")]
    return json.loads(whole[-1])["step"] if whole else 0


@pytest.fixture
def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a script's main with arguments that it must refuse, and returns its last line."""

    def refuse(main: Callable[[], None], *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["script.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run_script(main)
        assert ended.value.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return refuse
