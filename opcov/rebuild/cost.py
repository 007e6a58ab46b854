"""Tells calls that would take unbounded time or memory although they are only looked at.

Thunder's check really calls builtins such as `pow` on the numbers that a dump holds, and a fake run of `x.unbind()`
makes as many tensors as the first size says. A number in a file must not decide how long that takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from opcov.graph import (
    LITERALS,
    Argument,
    ConstantMeta,
    Construct,
    DictArg,
    Dimension,
    ListArg,
    Node,
    Ref,
    SequenceMeta,
    SliceArg,
    SymbolMeta,
    TensorMeta,
)
from opcov.rebuild.symbols import evaluate

MAX_TENSORS = 4096
"""The most tensors that one call may make of a size in the text."""

MAX_PARTS = 65_536
"""The most elements or bits that one call may make of a number in the text."""

_BY_SIZE = frozenset("split unsafe_split unbind split_with_sizes".split())
"""Splits into a part for every so many elements of a dimension."""

_BY_NUMBER = frozenset("chunk unsafe_chunk tensor_split array_split hsplit vsplit dsplit".split())
"""Splits into a given number of parts."""

_RECURRENT = frozenset("lstm gru rnn_tanh rnn_relu".split())
_LOOPING = _RECURRENT | frozenset(
    "sum all any max min sorted reversed contains countOf indexOf concat iconcat zip".split()
)
"""Loops over the first dimensions, where it is Python or a decomposition that does it."""

_POWERS = frozenset("pow ipow lshift ilshift".split())
_GROWING = _POWERS | frozenset("mul imul factorial comb perm round".split())
_FORMATTING = frozenset("mod imod".split())

_WATCHED = _BY_SIZE | _BY_NUMBER | _LOOPING | _GROWING | _FORMATTING
"""All names that are looked at closely."""

_SEQUENCES = (tuple, ListArg, str, bytes)


def is_costly(node: Node, known: Mapping[str, object]) -> bool:
    """Whether running the node's target, also on proxies or fake tensors, may cost without bound.

    Args:
        node: a call.
        known: metadata of the nodes that it reads, by name.
    """
    name = _function_name(node)
    arguments = (*node.args, *[value for _, value in node.kwargs])
    parts = [argument for argument in arguments if type(argument) is not Ref and type(argument) not in LITERALS]
    if parts and any(isinstance(item, Construct) and _elements(item) > MAX_PARTS for item in _flat(tuple(parts))):
        return True
    if name not in _WATCHED:
        return False
    if name in _BY_SIZE or name in _BY_NUMBER:
        return _parts(node, known) > MAX_TENSORS
    tensors = [meta for meta in _metas(arguments, known) if isinstance(meta, TensorMeta)]
    if name in _LOOPING:
        return not node.op.startswith("torch.Tensor.") and _looping(node, tensors)
    if tensors:
        return False
    if name in _FORMATTING:
        return isinstance(_resolved(node.args[:1], known), (str, bytes))
    return name in _GROWING and _grows(name, arguments, known)


def _function_name(node: Node) -> str:
    """The last part of an op's name, the overload left out."""
    parts = node.op.split(".")
    return parts[3] if len(parts) == 5 and parts[1] == "ops" else parts[-1]


def _parts(node: Node, known: Mapping[str, object]) -> float:
    """An upper bound of the parts that a splitting call makes."""
    name = _function_name(node)
    named = dict(node.kwargs)
    meta = next((meta for meta in _metas(node.args[:1], known) if isinstance(meta, TensorMeta)), None)
    by_number = name in _BY_NUMBER
    number = _resolved(node.args[1:2], known) if name != "unbind" else None
    for keyword in ("split_size", "split_size_or_sections", "chunks", "indices_or_sections", "sections"):
        number = _resolved((named[keyword],), known) if keyword in named else number
    if by_number and name not in ("chunk", "unsafe_chunk"):
        return abs(number) if isinstance(number, (int, float)) else 1
    if meta is None:
        return 1
    position = 1 if name == "unbind" else 2
    axis = named.get("dim", node.args[position] if len(node.args) > position else 0)
    try:
        size = _size(meta.shape[axis]) if isinstance(axis, int) else max(map(_size, meta.shape), default=1)
    except IndexError:
        return 1  # torch refuses it
    if not isinstance(number, (int, float)) or number < 1:
        return size if name == "unbind" else 1
    return min(size, number) if by_number else size / number


def _looping(node: Node, tensors: list[TensorMeta]) -> bool:
    """Builtins and recurrent layers; `torch.sum` and its like are one operation however large the tensor."""
    is_torch = node.op.startswith("torch.")
    if is_torch and _function_name(node) not in _RECURRENT:
        return False
    leading = 2 if is_torch else 1
    return any(_size(size) > MAX_TENSORS for meta in tensors for size in meta.shape[:leading])


def _grows(name: str, arguments: tuple[Argument, ...], known: Mapping[str, object]) -> bool:
    """Whether a result on plain numbers has too many digits or elements."""
    values = [_resolved((item,), known) for item in arguments]
    numbers = [abs(value) for value in values if isinstance(value, (int, float)) and math.isfinite(value)]
    if not numbers:
        return False
    if name in _POWERS:
        return max(numbers) > 1 and numbers[-1] * math.log2(max(2, numbers[0])) > MAX_PARTS
    if name in ("mul", "imul") and not any(isinstance(value, (*_SEQUENCES, SequenceMeta)) for value in values):
        return False
    return max(numbers) > MAX_PARTS


def _resolved(arguments: tuple[Argument, ...], known: Mapping[str, object]) -> object:
    """The first argument, a node in it replaced by the number that it holds, else by its metadata; None for none."""
    if not arguments:
        return None
    argument = arguments[0]
    if not isinstance(argument, Ref):
        return argument
    match known.get(argument.name):
        case ConstantMeta(value):
            return value
        case SymbolMeta(expression):
            return evaluate(expression)
        case meta:
            return meta


def _size(dimension: Dimension) -> float:
    if isinstance(dimension, int):
        return dimension
    value = evaluate(dimension)
    return value if value is not None else 1


def _elements(item: Construct) -> float:
    if item.name not in ("range", "torch.Size", "torch.Tensor"):
        return 0
    return max((abs(part) for part in item.args if isinstance(part, int)), default=0)


def _metas(arguments: tuple[Argument, ...], known: Mapping[str, object]) -> Iterator[object]:
    for item in _flat(arguments):
        if isinstance(item, Ref):
            yield known.get(item.name)


def _flat(argument: Argument) -> Iterator[Argument]:
    match argument:
        case tuple() | ListArg():
            for item in argument if isinstance(argument, tuple) else argument.items:
                yield from _flat(item)
        case DictArg(items):
            for pair in items:
                yield from _flat(pair)
        case SliceArg(start, stop, step):
            yield from _flat((start, stop, step))
        case Construct(_, args, kwargs):
            yield argument
            yield from _flat(args)
            for _, value in kwargs:
                yield from _flat(value)
        case _:
            yield argument
