"""A frozen encoder's features on disk: computed once, memory-mapped from then on.

    tokens = cached_features(encoder, frames, folder, "train")  # (n, N, D)

The file's name holds the caller's key and a hash of weights, preprocessing and frames, so that a
change of any of them is another file. Written to a temporary name and renamed: a killed writer
leaves nothing under the final name. A file that is cut off, damaged (it ends with a checksum) or of
another form is made anew.
"""

import hashlib
import io
import re
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from common.episodes import to_float
from common.frozen import FrozenEncoder
from common.harness.files import atomic_file

CHUNK = 64  # frames encoded at a time
CHECKSUM = 4  # bytes of a CRC-32


def cached_features(
    encoder: FrozenEncoder, frames: Tensor, folder: Path, key: str, *,
    dtype: type[np.floating] = np.float16,
) -> np.ndarray:  # fmt: skip
    """Patch tokens (n, N, D) of uint8 frames (n, C, H, W), read-only, from disk.

    Episodes (E, T, C, H, W) give (E T, N, D). float16 by default: tokens are normed, and it halves
    the file. key: letters, digits, _ and -. Raises ValueError for other frames or keys, and
    UserError where the folder cannot be written.
    """
    if frames.dtype != torch.uint8 or frames.ndim not in (4, 5):
        got = f"frames {tuple(frames.shape)} of {frames.dtype}"
        raise ValueError(f"got {got}; wanted (n, C, H, W) or (E, T, C, H, W) in uint8")
    if not re.fullmatch(r"[\w-]+", key):
        raise ValueError(f"got key {key!r}; wanted letters, digits, _ and - only")
    frames = frames.flatten(0, -4)
    rows, columns = encoder.grid(frames.shape[2], frames.shape[3])
    shape = (len(frames), rows * columns, encoder.dim)
    digest = hashlib.sha256(f"{encoder.fingerprint()} {shape} {np.dtype(dtype)}".encode())
    for part in frames.split(4096):
        digest.update(part.cpu().contiguous().numpy().data)
    path = folder / f"{key}-{digest.hexdigest()[:16]}.npy"
    found = _open(path, shape, dtype)
    if found is not None:
        return found
    _write(path, encoder, frames, shape, dtype)
    found = _open(path, shape, dtype)
    assert found is not None, f"{path}: was just written and cannot be read"
    return found


def _open(path: Path, shape: tuple[int, ...], dtype: type[np.floating]) -> np.ndarray | None:
    """The array in a file, mapped; None where there is none, or not as it was written."""
    try:
        data = np.memmap(path, np.uint8, "r")
        if zlib.crc32(data[:-CHECKSUM].data) != int.from_bytes(data[-CHECKSUM:].tobytes(), "big"):
            return None
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == dtype else None


def _write(
    path: Path, encoder: FrozenEncoder, frames: Tensor, shape: tuple[int, ...],
    dtype: type[np.floating],
) -> None:  # fmt: skip
    """Encodes the frames, a chunk at a time; behind the array, where readers stop, its checksum."""
    buffer = io.BytesIO()
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    with atomic_file(path) as file:
        file.write(buffer.getvalue())
        checksum = zlib.crc32(buffer.getvalue())
        for part in frames.split(CHUNK):
            tokens = encoder.encode(to_float(part)).cpu().numpy().astype(dtype)
            data = np.ascontiguousarray(tokens).data
            file.write(data)
            checksum = zlib.crc32(data, checksum)
        file.write(checksum.to_bytes(CHECKSUM, "big"))
