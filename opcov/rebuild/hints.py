"""Chooses what a graph's symbols stand for, so that every size in its text is one that a tensor can have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from opcov.graph import Graph, Metadata, SequenceMeta, SymbolMeta, TensorMeta
from opcov.rebuild.symbols import DEFAULT_HINT, DEFAULT_HINTS, Hints, evaluate, is_unbacked, symbols_in

_COMMON = tuple(8 * 2**step for step in range(11))
"""Common hints that are tried. All are multiples of the default: what divides it divides them."""

_LARGEST = 2**24
"""No symbol stands for more, whatever number the text compares it to."""

_MAX_CONDITIONS = 300
_MAX_MOVED = 16
"""Bounds of the search: a captured graph has far fewer sizes, and a hostile text must not decide how long it takes."""

_INTEGER = re.compile(r"(?<![\w.])[0-9]{1,9}(?![\w.])")


def hints_of(graph: Graph) -> Hints:
    """The hints for a graph and its bodies.

    All symbols are equal, so that sizes which meet agree: where Dynamo found two sizes to be different symbols and
    they met all the same, it would have printed one. The value is the smallest common one under which each size is
    positive and each order that the text states (`Sym(s27 > 3)`) holds, and the default where none is stated. Only
    what no common value satisfies (`s0 - s1` as a size) moves a single symbol. What a source states of a symbol wins.
    """
    conditions = [text for text in dict.fromkeys(_expressions(graph)) if _is_condition(text)][:_MAX_CONDITIONS]
    stated = tuple(sorted((name, value) for name, value in graph.hints.items()))
    start = Hints(DEFAULT_HINT, stated) if stated else DEFAULT_HINTS
    broken = _broken(conditions, start)
    if not broken:
        return start
    values = _candidates(conditions)
    best = _best(conditions, [Hints(value, stated) for value in values])
    return _moved(conditions, best, values, frozenset(graph.hints))


def _moved(conditions: list[str], hints: Hints, values: tuple[int, ...], fixed: frozenset[str]) -> Hints:
    """The hints with single symbols moved wherever that leaves fewer conditions broken."""
    broken = _broken(conditions, hints)
    for symbol in list(dict.fromkeys(name for text in broken for name in symbols_in(text)))[:_MAX_MOVED]:
        own = [text for text in conditions if symbol in symbols_in(text)]
        before = len(_broken(own, hints))
        if symbol in fixed or not before:
            continue
        others = tuple(pair for pair in hints.others if pair[0] != symbol)
        tried = [Hints(hints.default, tuple(sorted((*others, (symbol, value))))) for value in values]
        best = _best(own, tried)
        if len(_broken(own, best)) < before:
            hints = best
    return hints


def _best(conditions: list[str], tried: list[Hints]) -> Hints:
    """The first of those that leave the fewest conditions broken."""
    return min(tried, key=lambda hints: len(_broken(conditions, hints)))


def _candidates(conditions: list[str]) -> tuple[int, ...]:
    """Common hints in rising order: powers of two, and what is just beyond each number in the text."""
    numbers = {int(number) for text in conditions for number in _INTEGER.findall(text)}
    beyond = {(number // DEFAULT_HINT + 1) * DEFAULT_HINT for number in numbers if number < _LARGEST}
    return tuple(sorted({*_COMMON, *sorted(beyond)[:32]}))


def _is_condition(text: str) -> bool:
    """Whether it is a size or an order of backed symbols. `Eq` and `Ne` are none: either answer is as likely."""
    names = symbols_in(text)
    return bool(names) and not any(map(is_unbacked, names)) and "Eq(" not in text and "Ne(" not in text


def _broken(conditions: list[str], hints: Hints) -> list[str]:
    return [text for text in conditions if not _holds(evaluate(text, hints))]


def _holds(value: int | float | bool | None) -> bool:
    return value is None or value > 0  # True for an order that holds, and for what cannot be told


def _expressions(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if node.meta is not None:
            yield from _in_metadata(node.meta)
    for body in graph.bodies.values():
        yield from _expressions(body)


def _in_metadata(meta: Metadata) -> Iterator[str]:
    match meta:
        case TensorMeta(shape=shape):
            for size in shape:
                if isinstance(size, str):
                    yield size
        case SymbolMeta(expression):
            yield expression
        case SequenceMeta(items=items):
            for item in items:
                if item is not None:
                    yield from _in_metadata(item)
