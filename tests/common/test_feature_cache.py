"""Features on disk: the same as computed, another file for another question, whole or made anew."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from common.episodes import to_float
from common.feature_cache import cached_features
from common.frozen import FrozenEncoder, untrained_vit
from common.harness.config import REPOSITORY
from common.harness.errors import UserError

SIZES = {"channels": 3, "patch_size": 8, "tubelet": 1, "dim": 8, "depth": 1, "num_heads": 2}


def frames(n: int = 70, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 1, 16, 24), generator=generator, dtype=torch.uint8)


@pytest.fixture
def encoder() -> FrozenEncoder:
    return untrained_vit(SIZES)


def test_the_cache_holds_what_the_encoder_says(tmp_path, encoder):
    found = cached_features(encoder, frames(), tmp_path, "train", dtype=np.float32)
    assert isinstance(found, np.memmap)
    assert found.shape == (70, 6, 8)
    assert not found.flags.writeable
    wanted = torch.cat([encoder.encode(to_float(part)) for part in frames().split(64)])
    np.testing.assert_array_equal(found, wanted.numpy())
    half = cached_features(encoder, frames(), tmp_path, "train")
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, found, atol=2e-3, rtol=1e-3)
    assert not list(tmp_path.glob("*.partial"))


def test_it_is_computed_once(tmp_path, encoder, monkeypatch):
    calls = []
    encode = FrozenEncoder.encode
    monkeypatch.setattr(
        FrozenEncoder, "encode", lambda self, x: calls.append(len(x)) or encode(self, x)
    )
    cached_features(encoder, frames(), tmp_path, "train")
    assert calls == [64, 6]
    cached_features(encoder, frames(), tmp_path, "train")
    assert calls == [64, 6]


def test_episodes_are_the_same_frames(tmp_path, encoder):
    flat = cached_features(encoder, frames(), tmp_path, "train")
    nested = cached_features(encoder, frames().unflatten(0, (10, 7)), tmp_path, "train")
    np.testing.assert_array_equal(flat, nested)
    assert len(list(tmp_path.iterdir())) == 1


def test_another_question_is_another_file(tmp_path, encoder):
    cached_features(encoder, frames(), tmp_path, "train")
    cached_features(encoder, frames(seed=1), tmp_path, "train")
    cached_features(encoder, frames(), tmp_path, "test")
    cached_features(untrained_vit(SIZES, seed=1), frames(), tmp_path, "train")
    cached_features(untrained_vit(SIZES, resolution=32), frames(), tmp_path, "train")
    cached_features(encoder, frames(), tmp_path, "train", dtype=np.float32)
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("left", [0, 10, 128, 1000])
def test_a_file_that_was_cut_off_is_made_anew(tmp_path, encoder, left):
    whole = np.array(cached_features(encoder, frames(), tmp_path, "train"))
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:left])
    np.testing.assert_array_equal(cached_features(encoder, frames(), tmp_path, "train"), whole)
    assert path.read_bytes() == data


@pytest.mark.parametrize("place", [3, 70, 130, 2000, -6, -1])
def test_a_file_with_one_flipped_bit_is_made_anew(tmp_path, encoder, place):
    whole = np.array(cached_features(encoder, frames(), tmp_path, "train"))
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.unlink()
    path.write_bytes(data)
    np.testing.assert_array_equal(cached_features(encoder, frames(), tmp_path, "train"), whole)


def test_an_array_of_another_form_is_made_anew(tmp_path, encoder):
    whole = np.array(cached_features(encoder, frames(), tmp_path, "train"))
    (path,) = tmp_path.iterdir()
    path.unlink()
    np.save(path, whole[:3])
    np.testing.assert_array_equal(cached_features(encoder, frames(), tmp_path, "train"), whole)


WRITER = """
import sys, torch
from pathlib import Path
from common.feature_cache import cached_features
from common.frozen import FrozenEncoder, untrained_vit

encode = FrozenEncoder.encode
def slowly(self, x):
    print("chunk", flush=True)
    sys.stdin.readline()
    return encode(self, x)
FrozenEncoder.encode = slowly
sizes = {"channels": 3, "patch_size": 8, "tubelet": 1, "dim": 8, "depth": 1, "num_heads": 2}
cached_features(untrained_vit(sizes), torch.zeros(200, 1, 16, 24, dtype=torch.uint8),
                Path(sys.argv[1]), "train")
"""


@pytest.mark.slow
def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path, encoder):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=REPOSITORY, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(2):  # into the second chunk
        assert process.stdout.readline() == "chunk\n"
        process.stdin.write("\n")
        process.stdin.flush()
    while not list(tmp_path.glob("*.partial")):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list(tmp_path.glob("*.npy"))
    zeros = torch.zeros(200, 1, 16, 24, dtype=torch.uint8)
    found = cached_features(encoder, zeros, tmp_path, "train")
    assert np.isfinite(found).all()


def test_what_it_refuses(tmp_path, encoder):
    with pytest.raises(ValueError, match="in uint8"):
        cached_features(encoder, to_float(frames()), tmp_path, "train")
    with pytest.raises(ValueError, match="letters, digits"):
        cached_features(encoder, frames(), tmp_path, "../train")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        cached_features(encoder, frames(), tmp_path / "file", "train")
