"""Checkpoints: saved atomically, loaded without ever executing what is in them."""

import io
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from common.harness.errors import UserError
from common.harness.files import write_atomic

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
MALFORMED = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError, ValueError)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors, numbers, text and containers of them; a full disk leaves the last one.

    Raises UserError.
    """
    buffer = io.BytesIO()  # torch's own writer hides the reason of a failed write
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path, made_by: str) -> dict[str, Any]:
    """The state in a checkpoint, on the CPU; raises UserError, which names the command made_by."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no checkpoint at {path}; make it with: {made_by}") from None
    except OSError as error:
        raise UserError(f"{path}: expected a checkpoint, got: {error.strerror}") from None
    broken = f"{path}: not a checkpoint, or cut off; make it with: {made_by}"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            damaged = archive.testzip()  # compares every member with its checksum
    except DAMAGED:
        raise UserError(broken) from None
    if damaged:
        raise UserError(broken)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MALFORMED:
        raise UserError(f"{path}: expected tensors and plain data, got something else") from None
    if not isinstance(state, dict):
        raise UserError(f"{path}: expected a checkpoint (a dict), got {type(state).__name__}")
    return state


def load_weights(module: nn.Module, weights: Any, path: Path) -> None:
    """Loads weights of a path into a module; UserError names the first that does not fit."""
    if not isinstance(weights, dict):
        raise UserError(f"{path}: expected weights by name, got {type(weights).__name__}")
    wanted = {name: _shape(tensor) for name, tensor in module.state_dict().items()}
    got = {name: _shape(tensor) for name, tensor in weights.items()}
    for name in [*wanted, *got]:
        if got.get(name) != wanted.get(name):
            differs = f"{got.get(name, 'absent')}, expected {wanted.get(name, 'absent')}"
            raise UserError(f"{path} was made by another architecture: {name} is {differs}")
    module.load_state_dict(weights)


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__
