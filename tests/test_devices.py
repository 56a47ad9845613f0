"""Every part on a device that this machine need not have.

``Elsewhere`` pretends that there is an MPS: what is made or moved there is computed on the CPU, and
known to be there. A call that mixes tensors of both places, makes float64 there, draws there with a
generator of the CPU, or turns what is there into an array, fails as it would on an MPS.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MPS, CPU = torch.device("mps"), torch.device("cpu")
HOME = {Tensor.cpu, Tensor.item, Tensor.tolist, Tensor.copy_, Tensor.__reduce_ex__}
FREE = {"__get__", "__set__", "__repr__", "__bool__", "__int__", "__float__", "__index__"}


class Elsewhere(TorchFunctionMode):
    """See the module; calls counts what was computed there."""

    calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = list(tensors((args, kwargs)))
        there = [x for x in given if is_there(x)]
        if func is Tensor.device.__get__:
            return MPS if there else CPU
        if func in (Tensor.__reduce_ex__, Tensor.__array__, Tensor.numpy) and there:
            assert func is not Tensor.__array__, "an array of what is on the device"
            assert func is not Tensor.numpy or kwargs.get("force"), "numpy() of what is there"
            return func(at_home(args[0]), *args[1:], **kwargs)
        if func is Tensor.cpu and there:
            return args[0].clone()
        wanted, args, kwargs = place_wanted(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in (Tensor.copy_, Tensor.data.__set__, Tensor.requires_grad_):
            if func is Tensor.data.__set__ and is_there(args[1]):
                mark(args[0])
            return result
        if func is Tensor.to and wanted is not None:
            result = result.clone() if result is args[0] else result
        self.check(func, given, there, wanted, kwargs)
        goes = bool(there) if wanted is None else wanted == MPS
        for made in tensors(result) if goes else ():
            assert made.dtype not in (torch.float64, torch.complex128), f"{name(func)}: float64"
            mark(made)
        Elsewhere.calls += goes
        return result

    def check(self, func: Any, given: list, there: list, wanted: Any, kwargs: Any) -> None:
        if there and wanted is None and func not in HOME and func.__name__ not in FREE:
            apart = [tuple(x.shape) for x in given if not is_there(x) and x.dim()]
            assert not apart, f"{name(func)} mixes the device with {apart} of the CPU"
        draws = kwargs.get("generator")
        if draws is not None:
            place = MPS if wanted == MPS or (there and wanted is None) else CPU
            assert draws.device == place, f"{name(func)} draws with a generator of {draws.device}"


class Generator(torch.Generator):
    """One of the CPU's, which says where it was asked to be."""

    def __new__(cls, device: Any = "cpu") -> "Generator":
        made = super().__new__(cls)
        made.place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return self.place


def name(func: Any) -> str:
    return getattr(func, "__qualname__", str(func))


def tensors(node: Any) -> Iterator[Tensor]:
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, tuple | list):
        for inner in node:
            yield from tensors(inner)
    elif isinstance(node, dict):
        yield from tensors(list(node.values()))


def is_there(x: Tensor) -> bool:
    return getattr(x, "on_mps", False)


def mark(x: Tensor) -> None:
    x.on_mps = True


def at_home(x: Tensor) -> Tensor:
    """The same numbers, on the CPU."""
    return x.detach().clone()


def place_wanted(func: Any, args: tuple, kwargs: dict) -> tuple[Any, tuple, dict]:
    """The device that a call names, None for none; and the call, with the CPU in its place."""
    wanted = None
    if kwargs.get("device") is not None:
        wanted = torch.device(kwargs["device"])
        kwargs = kwargs | {"device": CPU}
    elif func is Tensor.to:
        for at, word in enumerate(args[1:], 1):
            if isinstance(word, torch.device | str):
                wanted = torch.device(word)
                args = (*args[:at], CPU, *args[at + 1 :])
            elif isinstance(word, Tensor):
                wanted = MPS if is_there(word) else CPU
    elif not list(tensors((args, kwargs))) and kwargs.get("generator") is not None:
        wanted = CPU  # a factory that names none
    return wanted, args, kwargs
