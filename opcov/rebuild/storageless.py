"""Runs plain tensor ops on torch's meta device: the same shape rules as fake tensors, without their cost in Python."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch.utils._device import _device_constructors

from opcov.graph import ConstantMeta, Metadata, Node, SequenceMeta, SymbolMeta, TensorMeta
from opcov.rebuild.arguments import NoValue, on_device, plain_value
from opcov.rebuild.running import changes_first_argument, runnable
from opcov.rebuild.symbols import Hints
from opcov.rebuild.values import metadata_of, plain_size, torch_dtype


class Storageless:
    """Answers what a tensor op returns where sizes are known and the device does not matter."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._tensors: dict[TensorMeta, torch.Tensor] = {}

    def run(self, node: Node, inputs: Mapping[str, Metadata]) -> Metadata | None:
        """What a node returns; None where a fake tensor has to tell, or nobody can."""
        target = runnable(node)
        if target is None:
            return None
        if node.op not in _FACTORIES and not any(isinstance(meta, TensorMeta) for meta in inputs.values()):
            return None  # some other factory function might make a real tensor
        try:
            fresh = changes_first_argument(node)
            values = {name: self._value(meta, fresh=fresh) for name, meta in inputs.items()}
            args = [plain_value(on_device(argument, "meta"), values) for argument in node.args]
            kwargs = {name: plain_value(on_device(argument, "meta"), values) for name, argument in node.kwargs}
            if _reads_default_device(target):
                with _META:
                    returned = target(*args, **kwargs)
            else:
                returned = target(*args, **kwargs)
        except Exception:  # noqa: BLE001 - some ops have no rule for the meta device: fake tensors know more
            return None
        found = metadata_of(returned)
        return found if _is_of_tensors(found) else None  # a constant may tell the device

    def _value(self, meta: Metadata, *, fresh: bool) -> Any:
        match meta:
            case TensorMeta() if fresh:
                return self._tensor(meta)
            case TensorMeta():
                if meta not in self._tensors:
                    self._tensors[meta] = self._tensor(meta)
                return self._tensors[meta]
            case SymbolMeta(expression):
                return plain_size(expression, self._hints)
            case SequenceMeta(kind, items) if kind != "size":
                values = [self._value(item, fresh=fresh) for item in items if item is not None]
                if len(values) == len(items):
                    return values if kind == "list" else tuple(values)
            case ConstantMeta(bool() | int() | float() | None as value):
                return value
        raise NoValue("only tensors and numbers")

    def _tensor(self, meta: TensorMeta) -> torch.Tensor:
        shape = [int(plain_size(size, self._hints)) for size in meta.shape]
        if meta.stride is None:
            return torch.empty(shape, dtype=torch_dtype(meta), device="meta")
        strides = [int(plain_size(step, self._hints)) for step in meta.stride]
        return torch.empty_strided(shape, strides, dtype=torch_dtype(meta), device="meta")


_META = torch.device("meta")

_FACTORIES = frozenset({"torch.arange", "torch.empty", "torch.full", "torch.ones", "torch.zeros"})
"""Functions that make a tensor on the device that they are told."""


@cache
def _reads_default_device(target: Callable[..., Any]) -> bool:
    """Whether the device mode may matter to a function: it is for factories, and for what calls them in Python."""
    if isinstance(target, types.FunctionType):
        return True
    return target in _device_constructors()


def _is_of_tensors(meta: Metadata | None) -> bool:
    if isinstance(meta, SequenceMeta):
        return meta.kind != "size" and all(map(_is_of_tensors, meta.items))
    return isinstance(meta, TensorMeta) or (isinstance(meta, ConstantMeta) and meta.value is None)
