"""Tells calls that would take unbounded time or memory although they are only looked at.

Thunder's check really calls builtins such as `pow` on the numbers that a dump holds, and a fake run of `x.unbind()`
makes as many tensors as the first size says. A number in a file must not decide how long that takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from opcov.graph import Argument, Construct, DictArg, ListArg, Metadata, Node, Ref, SliceArg, TensorMeta

MAX_PARTS = 65_536
"""The most tensors, elements or bits that one call may make of a number in the text."""

_SPLITTING = frozenset("split chunk unbind tensor_split split_with_sizes hsplit vsplit dsplit unsafe_split unsafe_chunk".split())
_GROWING = frozenset("mul imul pow ipow lshift ilshift factorial comb perm".split())


def is_costly(node: Node, known: Mapping[str, Metadata | object]) -> bool:
    """Whether running the node's target, also on proxies or fake tensors, may cost without bound.

    Args:
        node: a call.
        known: metadata of the nodes that it reads, by name.
    """
    name = node.op.rpartition(".")[2]
    arguments = (*node.args, *(value for _, value in node.kwargs))
    if name in _SPLITTING:
        return _parts(arguments, known) > MAX_PARTS
    if any(isinstance(item, Construct) and _elements(item) > MAX_PARTS for item in _flat(arguments)):
        return True
    if name not in _GROWING or any(isinstance(known.get(item.name), TensorMeta) for item in arguments if isinstance(item, Ref)):
        return False
    numbers = [abs(item) for item in _flat(arguments) if isinstance(item, (int, float)) and math.isfinite(item)]
    if not numbers:
        return False
    if name in ("pow", "ipow", "lshift", "ilshift"):
        return max(numbers) > 1 and numbers[-1] * math.log2(max(2, numbers[0])) > MAX_PARTS
    if name in ("mul", "imul") and not any(isinstance(item, (tuple, ListArg, str, bytes)) for item in arguments):
        return False
    return max(numbers) > MAX_PARTS


def _parts(arguments: tuple[Argument, ...], known: Mapping[str, Metadata | object]) -> float:
    """An upper bound of the parts that a splitting call makes."""
    metas = [known.get(item.name) for item in arguments if isinstance(item, Ref)]
    sizes = [size for meta in metas if isinstance(meta, TensorMeta) for size in meta.shape if isinstance(size, int)]
    numbers = [item for item in arguments[1:] if isinstance(item, int) and item > 0]
    largest = max(sizes, default=1)
    return largest / (numbers[0] if numbers else 1) if largest > MAX_PARTS else 1


def _elements(item: Construct) -> float:
    numbers = [abs(part) for part in item.args if isinstance(part, int)]
    return max(numbers, default=0) if item.name in ("range", "torch.Size") else 0


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
        case Construct(_, args, _):
            yield argument
            yield from _flat(args)
        case _:
            yield argument
