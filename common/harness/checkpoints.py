"""Checkpoints: saved atomically, loaded without ever executing what is in them."""

import io
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

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


def state_of(part: Any) -> Any:
    """What a checkpoint holds of a module, an optimizer, a generator, plain data, or a dict."""
    if isinstance(part, Mapping):
        return {name: state_of(inner) for name, inner in part.items()}
    if isinstance(part, torch.Generator):
        state, kind = part.get_state(), part.device.type
        return state if kind == "cpu" else {"device": kind, "generator": state}
    return part.state_dict() if isinstance(part, nn.Module | Optimizer) else part


def load_state(part: Any, saved: Any, path: Path, place: str = "state") -> None:
    """Puts what ``state_of`` gave back where it came from; a list gets its items back.

    Nothing is taken that has another name, shape or type, or a number that is not finite: PyTorch
    checks the names and shapes of weights, but of an optimizer nothing, and a fused step then
    writes past the end of its moments. Raises UserError, naming the first that does not fit.
    """
    if isinstance(part, nn.Module):
        _check(part.state_dict(), saved, path, place, exact=True)
        part.load_state_dict(saved)
    elif isinstance(part, Optimizer):
        _load_optimizer(part, saved, path, place)
    elif isinstance(part, torch.Generator):
        _load_generator(part, saved, path, place)
    elif isinstance(part, Mapping):
        for name, inner in part.items():
            if not isinstance(saved, dict) or name not in saved:
                raise UserError(f"{path} holds no {place}.{name}")
            load_state(inner, saved[name], path, f"{place}.{name}")
    elif type(part) is not type(saved):
        got, wanted = type(saved).__name__, type(part).__name__
        raise UserError(f"{path}: {place} is {got}, expected {wanted}")
    elif isinstance(part, list):
        part[:] = saved


def load_weights(module: nn.Module, weights: Any, path: Path) -> None:
    """Loads weights of a path, of any precision; UserError names the first that does not fit."""
    _check(module.state_dict(), weights, path)
    module.load_state_dict(weights)


def weights_of(saved: Mapping[str, Any], *names: str) -> Any:
    """What a run's checkpoint holds under state and these names; None where there is no such."""
    found: Any = saved.get("state")
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _load_generator(generator: torch.Generator, saved: Any, path: Path, place: str) -> None:
    """Goes on where a generator was; the state of another kind of device only seeds this one."""
    named: Any = {"device": "cpu", "generator": saved}
    if isinstance(saved, dict) and saved.keys() == named.keys():
        named = saved
    kind, state = named["device"], named["generator"]
    try:
        if kind == generator.device.type:
            generator.set_state(state)
        else:
            generator.manual_seed(zlib.crc32(state.numpy().data))
    except (RuntimeError, TypeError, AttributeError, ValueError):
        wanted = f"the state of a {str(kind).upper()} generator"
        raise UserError(f"{path}: {place} is not {wanted}") from None


def _load_optimizer(optimizer: Optimizer, saved: Any, path: Path, place: str) -> None:
    """Loads the moments; options such as weight_decay stay those of the config.

    What belongs to each parameter is known from one step of an equal optimizer on zeros. Numbers
    are copied, so that moments that share their memory, or repeat it, cannot be written twice.
    """
    groups = [
        group | {"params": [torch.zeros_like(p, requires_grad=True) for p in group["params"]]}
        for group in optimizer.param_groups
    ]
    make: Any = type(optimizer)
    twin = make(groups)
    for parameter in (parameter for group in groups for parameter in group["params"]):
        parameter.grad = torch.zeros_like(parameter)
    twin.step()
    fresh, moments = twin.state_dict()["state"], {}
    states = saved.get("state") if isinstance(saved, dict) else None
    if not isinstance(states, dict) or not states:
        raise UserError(f"{path}: {place} holds no moments of an optimizer")
    for number, state in states.items():
        _check(fresh.get(number, {}), state, path, f"{place}.{number}", exact=True)
        moments[number] = {
            name: value.copy_(state[name]) if isinstance(value, torch.Tensor) else state[name]
            for name, value in fresh.get(number, {}).items()
        }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})


def _check(
    wanted: Mapping[str, Any], got: Any, path: Path, place: str = "", *, exact: bool = False
) -> None:
    """Raises UserError unless got has the names, shapes and types of wanted, all finite."""
    if not isinstance(got, dict):
        raise UserError(f"{path}: expected {place or 'weights'} by name, got {type(got).__name__}")
    forms = {name: _form(value, exact) for name, value in got.items()}
    for name in [*wanted, *got]:
        form = _form(wanted[name], exact) if name in wanted else "absent"
        label = f"{place} {name}".strip()
        if forms.get(name, "absent") != form:
            differs = f"{label} is {forms.get(name, 'absent')}, expected {form}"
            raise UserError(f"{path} was made by another architecture: {differs}")
        if isinstance(got[name], torch.Tensor) and not got[name].float().isfinite().all():
            raise UserError(f"{path}: {label} has numbers that are not finite, expected none")


def _form(value: Any, exact: bool) -> str:
    """Shape and type of a tensor; all floating-point types are alike unless exact."""
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    odd = {"nested": value.is_nested, "quantized": value.is_quantized, "empty": value.is_meta}
    odd[str(value.layout)] = value.layout != torch.strided
    if strange := [word for word, is_so in odd.items() if is_so]:
        return f"{strange[0]} tensor"
    kind = "" if value.is_floating_point() and not exact else f" {value.dtype}"
    return f"{tuple(value.shape)}{kind}"
