"""Turns arguments, which are plain data, into the Python values that torch.fx and Thunder work on."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import torch

from opcov.graph import Argument, Construct, DictArg, Global, ListArg, Ref, SliceArg
from opcov.rebuild.names import is_dotted_name, resolve_torch


class NoValue(ValueError):
    """No value can be made: an unknown node, a dtype that this torch lacks, a size beyond what torch can count."""


class Opaque:
    """A global that stands for itself: an enum's member, an object of the model's code, a function as an argument.

    It prints as the graph printed it. It cannot be called: some of what Thunder tries (`max(..., key=f)`) would run it.
    """

    def __init__(self, name: str, arguments: str = "") -> None:
        self._text = (name if is_dotted_name(name) else "unprintable") + arguments

    def __repr__(self) -> str:
        return self._text


def plain_value(argument: Argument, refs: Mapping[str, Any] | None = None) -> Any:
    """The Python value of an argument.

    Args:
        argument: nodes in it are looked up in `refs`.
        refs: what stands for each node's name: an fx node, or a fake tensor.

    Raises:
        NoValue: it names a node that `refs` does not have, or is a constructor call that its type refuses.
    """
    match argument:
        case Ref(name):
            if refs is None or name not in refs:
                raise NoValue(f"nothing is known of {name}")
            return refs[name]
        case tuple():
            return tuple([plain_value(item, refs) for item in argument])
        case ListArg(items):
            return [plain_value(item, refs) for item in items]
        case DictArg(items):
            return {_hashable(plain_value(key, refs)): plain_value(value, refs) for key, value in items}
        case SliceArg(start, stop, step):
            return slice(plain_value(start, refs), plain_value(stop, refs), plain_value(step, refs))
        case Global(name):
            return _global_value(name)
        case Construct(name, args, kwargs):
            positional = [plain_value(item, refs) for item in args]
            return _constructed(name, positional, {key: plain_value(value, refs) for key, value in kwargs})
        case _:
            return argument


def on_device(argument: Argument, device: str) -> Argument:
    """The argument with a device in it replaced, whether it is written as a constructor call or as a text."""
    match argument:
        case Construct(name="device" | "torch.device"):
            return Construct("device", (device,), ())
        case str() if argument.partition(":")[0] in _DEVICES:
            return device
        case str() if argument.startswith("torch.") and argument.endswith("Tensor"):
            return f"torch.{argument.rpartition('.')[2]}"  # `x.type("torch.cuda.HalfTensor")`
    return argument


_DEVICES = frozenset({"cpu", "cuda", "xpu", "hpu", "mps", "meta"})


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _global_value(name: str) -> Any:
    if name == "NoneType":
        return type(None)
    found = resolve_torch(name)
    if found is None or callable(found) or isinstance(found, types.ModuleType):
        return Opaque(name)  # functions must not be called, and torch.fx prints neither types nor modules as Python
    return found


def _constructed(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        match name:
            case "device" | "torch.device":
                return torch.device(*args, **kwargs)
            case "range":
                return range(*args)
            case "torch.Size":
                return torch.Size(*args)
            case "set":
                return set(args)
            case "frozenset":
                return frozenset(*args)
            case "torch.Tensor":
                return torch.empty(kwargs.get("size", [0]), dtype=kwargs.get("dtype"), device="meta")
            case "torch.finfo":
                return torch.finfo(*args)
            case "float":
                return float(*args)
    except Exception as error:
        raise NoValue(f"{name}(...) is no valid value: {error}") from error
    if "___" in name and not kwargs:
        return tuple(args)  # a namedtuple of the model's code
    printed = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
    return Opaque(name, f"({', '.join(printed)})")
