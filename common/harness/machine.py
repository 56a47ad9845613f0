"""What the machine has: the device that a script computes on, what is moved there, and memory."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from common.harness.errors import UserError

CONTAINER = (  # where Linux says what a container may use: cgroup v2, v1
    Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)  # fmt: skip
DEVICES = ("auto", "cpu", "cuda", "mps")
T = TypeVar("T")


def pick_device(name: str, precision: str = "fp32") -> torch.device:
    """The device of a name of DEVICES; auto is CUDA, else MPS, else the CPU, and says which.

    Raises UserError where it is not there, or has no bf16 and that is the precision asked for.
    """
    there = {
        "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True
    }  # fmt: skip
    found = [known for known, is_there in there.items() if is_there]
    if name != "auto" and name not in found:
        only = f"PyTorch {torch.__version__} finds {' and '.join(found)} here"
        raise UserError(f"device {name}: {only}; use --device={found[0]}")
    device = torch.device(found[0] if name == "auto" else name)
    if precision == "bf16":
        _check_bf16(device)
    is_torchrun = "TORCHELASTIC_RUN_ID" in os.environ  # whose processes say it once
    if name == "auto" and not (is_torchrun and os.environ["RANK"] != "0"):
        print(f"device: {device_name(device)}", flush=True)
    return device


def device_name(device: torch.device) -> str:
    """What run.json says of a device, such as "cpu" or "cuda (NVIDIA A100)"."""
    if device.type != "cuda":
        return device.type
    return f"cuda ({torch.cuda.get_device_name(device)})"


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option ``--device`` of a script that has no config on its command line."""
    about = "where to compute; auto, the default: CUDA, else MPS, else the CPU"
    parser.add_argument("--device", choices=DEVICES, default="auto", help=about)


def device_of(module: nn.Module) -> torch.device:
    """Where a module's weights are; the CPU for one that has none."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def wait_for(device: torch.device) -> None:
    """Until all that was launched on it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def to_device(part: T, device: torch.device | str) -> T:
    """A tensor on a device, or a dataclass with all its tensors there; anything else as it is."""
    if isinstance(part, torch.Tensor):
        return part.to(device)  # pyright: ignore[reportReturnType]
    if not is_dataclass(part):
        return part
    moved: Any = {f.name: to_device(getattr(part, f.name), device) for f in fields(part)}
    return type(part)(**moved)  # pyright: ignore[reportReturnType, reportCallIssue]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Products in bf16 where that is the precision, for the forward pass; else nothing changes."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _check_bf16(device: torch.device) -> None:
    """Raises UserError for a device on which bf16 is not faster, or not there."""
    if device.type == "cpu" and "AVX512" not in torch.backends.cpu.get_cpu_capability():
        slow = "precision bf16 is no faster than fp32 on this processor, which has no AVX-512"
        raise UserError(f"{slow}: use precision fp32")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(f"precision bf16: {device_name(device)} has none: use precision fp32")


def memory_there() -> float:
    """Bytes that this process may use: the machine's or its container's; inf where none tells."""
    found = [math.inf]
    with suppress(AttributeError, OSError, ValueError):  # a system that does not tell
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in CONTAINER:
        with suppress(OSError, ValueError):  # no container, or "max", which is no limit
            found.append(int(path.read_text()))
    return min(found)


def check_memory(what: str, shape: Sequence[float], item_size: int, lower: str) -> None:
    """Raises UserError where an array of that shape and size (bytes) an item is more than there is.

    Where it is a quarter of it or more, that is said. lower: the options that make it smaller.
    """
    needed, there = math.prod(shape) * item_size, memory_there()
    takes, of = f"{needed / 1e9:,.1f} GB", f"the {there / 1e9:,.1f} GB of this machine or container"
    if needed > there:
        raise UserError(f"{what} would take {takes}, more than {of}: lower {lower}")
    if needed > there / 4:
        print(f"note: {what} will take {takes} of {of}; less with a lower {lower}", file=sys.stderr)
