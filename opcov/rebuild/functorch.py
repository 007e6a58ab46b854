"""Follows which values functorch wraps between a transform's enter and exit, and the shapes that they have there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opcov.graph import Argument, ConstantMeta, Metadata, Node, Ref, SequenceMeta, SymbolMeta, TensorMeta
from opcov.rebuild.values import FUNCTORCH_WRAPPER

_WRAPS = frozenset({"_add_batch_dim", "_wrap_for_grad", "_make_dual"})
_UNWRAPS = frozenset({"_remove_batch_dim", "_unwrap_for_grad", "_unpack_dual"})
_NAMESPACES = ("torch._functorch.", "torch._C._functorch.")


class Levels:
    """The functorch levels that wrap each value of a graph."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[object]] = {}

    def visit(self, node: Node) -> bool:
        """Whether the value of a node is wrapped: by the levels of its inputs and what it enters or leaves itself."""
        wrapped: frozenset[object] = frozenset()
        for name in node.inputs if self._of else ():
            wrapped |= self._of.get(name, frozenset())
        function = node.op.rpartition(".")[2]
        if function in _WRAPS:
            wrapped |= {_level(node)}
        elif function in _UNWRAPS:
            wrapped -= {_level(node)}
        if wrapped:
            self._of[node.name] = wrapped
        return bool(wrapped)


def wrapped(meta: Metadata) -> Metadata:
    """The metadata of a value as the code inside the transform sees it: the shape of one sample, no strides."""
    match meta:
        case TensorMeta():
            return replace(meta, wrapper=FUNCTORCH_WRAPPER, stride=None)
        case SequenceMeta(items=items):
            return replace(meta, items=tuple(None if item is None else wrapped(item) for item in items))
    return meta


def unwrapped(meta: Metadata) -> Metadata:
    """The metadata of the one sample alone, which a fake run can take."""
    match meta:
        case TensorMeta(wrapper=wrapper) if wrapper == FUNCTORCH_WRAPPER:
            return replace(meta, wrapper=None)
        case SequenceMeta(items=items):
            return replace(meta, items=tuple(None if item is None else unwrapped(item) for item in items))
    return meta


def crossed(node: Node, inputs: Mapping[str, Metadata]) -> Metadata | None:
    """What a node that enters or leaves a transform returns; None for every other node."""
    if not node.op.startswith(_NAMESPACES) or not node.args or not isinstance(first := node.args[0], Ref):
        return None
    tensor = inputs.get(first.name)
    if not isinstance(tensor, TensorMeta):
        return None
    tensor = replace(tensor, wrapper=None, stride=None)
    match node.op.rpartition(".")[2], [_integer(argument, inputs) for argument in node.args[1:]]:
        case "_add_batch_dim", [int(dimension), *_] if -len(tensor.shape) <= dimension < len(tensor.shape):
            shape = list(tensor.shape)
            del shape[dimension]
        case "_remove_batch_dim", [_, int(size), int(dimension)] if -len(tensor.shape) - 1 <= dimension:
            shape = list(tensor.shape)
            shape.insert(dimension if dimension >= 0 else len(shape) + 1 + dimension, size)
        case (("_wrap_for_grad" | "_unwrap_for_grad"), _):
            shape = list(tensor.shape)
        case _:
            return None
    return replace(tensor, shape=tuple(shape))


def _integer(argument: Argument, inputs: Mapping[str, Metadata]) -> object:
    if not isinstance(argument, Ref):
        return argument
    match inputs.get(argument.name):
        case ConstantMeta(value):
            return value
        case SymbolMeta(expression) if expression.isdecimal():
            return int(expression)
    return None


def _level(node: Node) -> object:
    """`_add_batch_dim(x, dim, level)`, the others `(x, level, ...)`; dual numbers have a level of their own."""
    if node.op.endswith("_dual"):
        return "dual"
    position = 2 if node.op.endswith("_add_batch_dim") else 1
    return node.args[position] if len(node.args) > position else None
