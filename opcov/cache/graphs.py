"""Turns what a loader read into bytes and back, exactly, so that a cache can keep it apart from what was judged of it.

The bytes are msgpack behind a mark and a digest. An argument's literal stands for itself, everything else is an array
with a small tag. Names, regions, sources and metadata, which repeat, stand once in tables that nodes point into.
"""

from __future__ import annotations

import hashlib
from types import EllipsisType, NoneType
from typing import Any, TypeVar, cast

import msgspec

from opcov.cache import rows as stored
from opcov.graph import (
    Argument,
    ConstantMeta,
    Construct,
    DictArg,
    Global,
    Graph,
    Kind,
    ListArg,
    Metadata,
    Node,
    Ref,
    Region,
    SequenceMeta,
    SliceArg,
    Source,
    SymbolMeta,
    TensorMeta,
)
from opcov.loaders.loader import Loaded
from opcov.problems import Problem

MARK = b"opcov graphs 1\n"
"""What the bytes begin with. The number is raised with every change of their layout."""

DEEPEST = 100
"""How deep arguments, metadata and bodies may nest: torch.fx prints single digits, Python's stack ends at 1,000."""

_DIGEST_SIZE = 8
_INTEGERS = range(-(1 << 63), 1 << 64)
"""What msgpack holds as an integer."""
_KINDS = tuple(Kind)
_KIND_PLACES = {kind: place for place, kind in enumerate(_KINDS)}

_Value = TypeVar("_Value")


class _NotKept(ValueError):
    """What the bytes cannot hold, or what they should not."""


def encoded(loaded: Loaded) -> bytes | None:
    """What a loader read, as bytes.

    Args:
        loaded: as a loader gave it. Values cached on the graphs are left out.

    Returns:
        The bytes, the same for the same graphs. None for what cannot be kept exactly: text with lone surrogates,
        nesting deeper than `DEEPEST`, sizes and line numbers beyond 64 bits (arguments may be of any size), values of
        types that `opcov.graph` does not know.
    """
    try:
        payload = _Writer().written(loaded)
        stored.decoder().decode(payload)  # encoding checks no types, and another package's loader may have given any
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
        return None
    return MARK + _digest(payload) + payload


def decoded(content: bytes) -> Loaded | None:
    """What `encoded` made bytes of; no content makes this raise, and what it takes is in proportion to the content.

    Args:
        content: any bytes.

    Returns:
        The same graphs and problems, None for bytes that `encoded` has not made.
    """
    start = len(MARK) + _DIGEST_SIZE
    payload = content[start:]
    if content[:start] != MARK + _digest(payload):
        return None
    try:
        return _read(payload)
    except (msgspec.MsgspecError, ValueError, IndexError, RecursionError, MemoryError):
        return None


def _digest(payload: bytes) -> bytes:
    # One changed bit of a name would be another graph, and the disk's own checks are not ours to rely on.
    return hashlib.blake2b(payload, digest_size=_DIGEST_SIZE).digest()


# --- writing ----------------------------------------------------------------------------------------------------------


class _Table:
    """Distinct rows in the order of their first use.

    They are told apart by their bytes: `1`, `1.0` and `True` are equal in Python, and so are rows that hold them.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def place(self, row: stored.Region | stored.Source | stored.Metadata) -> int:
        """Where a row stands, from now on if it is new."""
        return self._places.setdefault(msgspec.msgpack.encode(row), len(self._places))

    @property
    def rows(self) -> Any:
        """The rows, each as its bytes."""
        return tuple(map(msgspec.Raw, self._places))


class _Writer:
    """Makes the bytes of one file."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._regions = _Table()
        self._sources = _Table()
        self._metas = _Table()

    def written(self, loaded: Loaded) -> bytes:
        """The bytes of a file, without what stands before them.

        Raises:
            ValueError: it holds what cannot be kept. Other types too, where it holds what it should not.
        """
        graphs, problems = loaded
        rows = tuple([self._graph(graph, 0) for graph in _exactly(tuple, graphs)])
        tables = tuple(self._names), self._regions.rows, self._sources.rows, self._metas.rows
        return msgspec.msgpack.encode(stored.File(*tables, rows, _problems(problems)))

    def _graph(self, graph: Graph, depth: int) -> stored.Graph:
        if depth > DEEPEST:
            raise _NotKept
        return stored.Graph(
            graph.name,
            graph.form,
            tuple([self._node(node) for node in _exactly(tuple, graph.nodes)]),
            tuple([self._region(region) for region in _exactly(tuple, graph.regions)]),
            tuple([(path, self._graph(body, depth + 1)) for path, body in graph.bodies.items()]),
            graph.annotated,
            _problems(graph.problems),
            tuple([(symbol, _number(value)) for symbol, value in graph.hints.items()]),
        )

    def _node(self, node: Node) -> stored.Node:
        return stored.Node(
            self._name(node.name),
            _KIND_PLACES[node.kind],
            self._name(node.target),
            self._name(node.op),
            self._arguments(node.args, 0),
            self._keywords(node.kwargs, 0),
            None if node.meta is None else self._metas.place(self._meta(node.meta, 0)),
            node.line,
            node.expression,
            None if node.region is None else self._region(node.region),
            None if node.source is None else self._source(node.source),
        )

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))

    def _region(self, region: Region) -> int:
        return self._regions.place((region.index, region.compiler))

    def _source(self, source: Source) -> int:
        return self._sources.place((self._name(source.file), source.line, self._name(source.function), source.code))

    def _meta(self, meta: Metadata, depth: int) -> stored.Metadata:
        if depth > DEEPEST:
            raise _NotKept
        match meta:
            case TensorMeta(dtype, shape, stride, device, wrapper, requires_grad, value):
                strides = None if stride is None else _exactly(tuple, stride)
                return stored.Tensor(dtype, _exactly(tuple, shape), strides, device, wrapper, requires_grad, value)
            case SymbolMeta(expression):
                return stored.Symbol(expression)
            case SequenceMeta(kind, items, inferred):
                rows = [None if item is None else self._meta(item, depth + 1) for item in _exactly(tuple, items)]
                return stored.Sequence(kind, tuple(rows), inferred)
            case ConstantMeta(value):
                return stored.Constant(self._argument(value, depth + 1))
        raise _NotKept

    def _arguments(self, items: tuple[Argument, ...], depth: int) -> tuple[stored.Argument, ...]:
        return tuple([self._argument(item, depth) for item in _exactly(tuple, items)])

    def _keywords(self, items: tuple[tuple[str, Argument], ...], depth: int) -> tuple[tuple[int, stored.Argument], ...]:
        return tuple([(self._name(key), self._argument(value, depth)) for key, value in _exactly(tuple, items)])

    def _argument(self, argument: Argument, depth: int) -> stored.Argument:
        if type(argument) in _PLAIN:
            return cast("stored.Argument", argument)
        if depth > DEEPEST:
            raise _NotKept
        deeper = depth + 1
        match argument:
            case int():
                return _integer(argument)
            case Ref(name):
                return stored.Ref(self._name(name))
            case tuple():
                return stored.Tuple(self._arguments(argument, deeper))
            case ListArg(items):
                return stored.List(self._arguments(items, deeper))
            case SliceArg(start, stop, step):
                return stored.Slice(*self._arguments((start, stop, step), deeper))
            case DictArg(pairs):
                rows = [
                    (self._argument(key, deeper), self._argument(value, deeper))
                    for key, value in _exactly(tuple, pairs)
                ]
                return stored.Dict(tuple(rows))
            case Global(name):
                return stored.Global(self._name(name))
            case Construct(name, args, kwargs):
                return stored.Construct(self._name(name), self._arguments(args, deeper), self._keywords(kwargs, deeper))
            case EllipsisType():
                return stored.Ellipsis()
            case bytes():
                return stored.Bytes(_exactly(bytes, argument))
            case complex():
                return stored.Complex(argument.real, argument.imag)
        raise _NotKept


_PLAIN = frozenset({NoneType, bool, float, str})
"""The arguments that stand for themselves, but for integers, which may be too large to."""


def _exactly(shape: type[_Value], value: _Value) -> _Value:
    """The value itself; another type's would come back as this one's."""
    if type(value) is not shape:
        raise _NotKept
    return value


def _integer(value: int) -> int | stored.Large:
    if _exactly(int, value) in _INTEGERS:
        return value
    return stored.Large(value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _number(value: int | float) -> int | float | stored.Large:
    return value if type(value) is float else _integer(cast("int", value))


def _problems(problems: tuple[Problem, ...]) -> tuple[stored.Problem, ...]:
    return tuple([(one.file, one.line, one.slug, one.message) for one in _exactly(tuple, problems)])


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(payload: bytes) -> Loaded:
    """What stands behind the digest.

    Raises:
        MsgspecError: a row is not of its type, or the bytes are no msgpack.
        ValueError: what they hold could not have been written.
        IndexError: a row points behind the end of a table.
    """
    file = stored.decoder().decode(payload)
    reader = _Reader(file)
    return tuple([reader.graph(row, 0) for row in file.graphs]), _read_problems(file.problems)


class _Reader:
    """Makes values of rows."""

    def __init__(self, file: stored.File) -> None:
        self._names = names = file.names
        self._refs: dict[int, Ref] = {}
        self._regions = [Region(*row) for row in file.regions]
        self._sources = [Source(names[path], line, names[name], code) for path, line, name, code in file.sources]
        self._metas = [self._meta(row, 0) for row in file.metas]

    def graph(self, row: stored.Graph, depth: int) -> Graph:
        """The graph of a row."""
        if depth > DEEPEST:
            raise _NotKept
        bodies = {path: self.graph(body, depth + 1) for path, body in row.bodies}
        hints = {symbol: _large(value) if type(value) is stored.Large else value for symbol, value in row.hints}
        if len(bodies) != len(row.bodies) or len(hints) != len(row.hints):
            raise _NotKept
        return Graph(
            row.name,
            row.form,
            tuple([self._node(node) for node in row.nodes]),
            tuple([self._regions[place] for place in row.regions]),
            bodies,
            row.annotated,
            _read_problems(row.problems),
            cast("dict[str, int | float]", hints),
        )

    def _node(self, row: stored.Node) -> Node:
        names = self._names
        return Node(
            names[row.name],
            _KINDS[row.kind],
            names[row.target],
            names[row.op],
            self._arguments(row.args, 0) if row.args else (),
            self._keywords(row.kwargs, 0) if row.kwargs else (),
            None if row.meta is None else self._metas[row.meta],
            row.line,
            row.expression,
            None if row.region is None else self._regions[row.region],
            None if row.source is None else self._sources[row.source],
        )

    def _meta(self, row: stored.Metadata, depth: int) -> Metadata:
        if depth > DEEPEST:
            raise _NotKept
        match row:
            case stored.Tensor():
                return TensorMeta(*msgspec.structs.astuple(row))
            case stored.Symbol(expression):
                return SymbolMeta(expression)
            case stored.Sequence(kind, items, inferred):
                metas = [None if item is None else self._meta(item, depth + 1) for item in items]
                return SequenceMeta(kind, tuple(metas), inferred)
            case stored.Constant(value):
                return ConstantMeta(self._argument(value, depth + 1))

    def _arguments(self, rows: tuple[stored.Argument, ...], depth: int) -> tuple[Argument, ...]:
        return tuple([self._argument(row, depth) for row in rows])

    def _keywords(self, rows: tuple[tuple[int, stored.Argument], ...], depth: int) -> tuple[tuple[str, Argument], ...]:
        return tuple([(self._names[key], self._argument(value, depth)) for key, value in rows])

    def _argument(self, row: stored.Argument, depth: int) -> Argument:
        if not isinstance(row, stored.Row):
            return row
        if isinstance(row, stored.Ref):
            # Most arguments are one; many nodes read the same value.
            known = self._refs.get(row.name)
            if known is None:
                known = self._refs[row.name] = Ref(self._names[row.name])
            return known
        if depth > DEEPEST:
            raise _NotKept
        deeper = depth + 1
        match row:
            case stored.Tuple(items):
                return self._arguments(items, deeper)
            case stored.List(items):
                return ListArg(self._arguments(items, deeper))
            case stored.Slice(start, stop, step):
                return SliceArg(*self._arguments((start, stop, step), deeper))
            case stored.Dict(pairs):
                return DictArg(
                    tuple([(self._argument(key, deeper), self._argument(value, deeper)) for key, value in pairs])
                )
            case stored.Global(name):
                return Global(self._names[name])
            case stored.Construct(name, args, kwargs):
                return Construct(self._names[name], self._arguments(args, deeper), self._keywords(kwargs, deeper))
            case stored.Ellipsis():
                return ...
            case stored.Bytes(value):
                return value
            case stored.Complex(real, imaginary):
                return complex(real, imaginary)
            case stored.Large():
                return _large(row)


def _large(row: stored.Large) -> int:
    value = int.from_bytes(row.value, "big", signed=True)
    if value in _INTEGERS:
        raise _NotKept
    return value


def _read_problems(rows: tuple[stored.Problem, ...]) -> tuple[Problem, ...]:
    return tuple([Problem(*row) for row in rows])
