"""Files that are written whole or not at all."""

import contextlib
import errno
import io
import json
import math
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.harness.errors import UserError, one_line

NO_ARRAYS = (  # what numpy says of a file that is cut off, damaged, a pickle, or no file at all
    OSError, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, under a name that no other writer has; renamed once it is whole.

    A reader, or a power cut, finds the old content or the new. Raises UserError, with the old
    content in place, when the disk is full or not writable.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        with contextlib.suppress(OSError):  # some systems know no fsync of a folder
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise disk_error(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, see ``atomic_file``; raises UserError."""
    with atomic_file(path) as file:
        file.write(data)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays, if there are any, as a compressed .npz, atomically; raises UserError."""
    if arrays:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
        write_atomic(path, buffer.getvalue())


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON atomically, indented where a line is short; raises UserError on NaN, infinity."""
    for name, number in not_finite(content):
        raise UserError(f"cannot write {path}: {name} is {number}, expected a finite number")
    write_atomic(path, f"{_render(content)}\n".encode())


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """The named arrays of an .npz file; raises UserError when it is damaged or lacks one."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as file:
            return [file[name] for name in names]
    except NO_ARRAYS as error:
        wanted = f"expected a file of arrays ({', '.join(names)})"
        raise UserError(f"{path}: {wanted}, got: {one_line(error)}") from None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a log, a .jsonl file, each with its step; a last line that was cut off is left
    out. Raises UserError when it holds anything else.
    """
    try:
        lines, found = path.read_text(encoding="utf-8").splitlines(), []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected the log of a run, got: {one_line(error)}") from None
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError):
            if number == len(lines):  # of a run that was killed while it wrote
                break
            found.append(None)
        if not isinstance(found[-1], dict) or type(found[-1].get("step")) is not int:
            wanted = 'expected an object such as {"step": 1}'
            raise UserError(f"{path}, line {number}: {wanted}, got {line[:60]!r}")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises UserError when it holds something else."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected a JSON file, got: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def not_finite(node: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yields (dotted name, value) of every number that is NaN or infinite."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from not_finite(value, f"{name}.{key}" if name else str(key))
    elif isinstance(node, list | tuple):
        for value in node:
            yield from not_finite(value, name)
    elif isinstance(node, float) and not math.isfinite(node):
        yield name, node


def _render(node: Any, indent: int = 0) -> str:
    flat = json.dumps(node, ensure_ascii=False)
    inner = [*node.values()] if isinstance(node, dict) else node if isinstance(node, list) else []
    nested = isinstance(node, dict) or any(isinstance(item, dict | list) for item in inner)
    if not inner or not nested or len(flat) + indent <= 100:
        return flat
    lines = [_render(item, indent + 1) for item in inner]
    if isinstance(node, dict):
        lines = [f"{json.dumps(key)}: {line}" for key, line in zip(node, lines, strict=True)]
    pad = "\n" + " " * indent
    return f"{flat[0]}{pad} {f',{pad} '.join(lines)}{pad}{flat[-1]}"


def disk_error(path: Path, error: OSError) -> UserError:
    """What to tell the user about a failed write."""
    advice = f"{error.strerror or error}; expected a place that can be written"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "the disk is full; what was saved before is intact: free some space and run again"
    return UserError(f"cannot write {path}: {advice}")
