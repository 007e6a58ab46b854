"""The rows in which parsed graphs are stored: arrays of a fixed number of typed values, which msgspec checks."""

from __future__ import annotations

from functools import cache
from typing import Annotated, TypeAlias, Union

import msgspec

from opcov.form import Form
from opcov.graph import Compiler, Dimension
from opcov.problems import Slug

Place: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""Where a row stands in a table. A negative one would count from the end."""


class Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """An array of a fixed number of values."""


class Ref(Row, tag=0):
    """A reference to a node."""

    name: Place


class Tuple(Row, tag=1):
    """A tuple."""

    items: tuple[Argument, ...]


class List(Row, tag=2):
    """A `ListArg`."""

    items: tuple[Argument, ...]


class Slice(Row, tag=3):
    """A `SliceArg`."""

    start: Argument
    stop: Argument
    step: Argument


class Dict(Row, tag=4):
    """A `DictArg`."""

    items: tuple[tuple[Argument, Argument], ...]


class Global(Row, tag=5):
    """A `Global`."""

    name: Place


class Construct(Row, tag=6):
    """A `Construct`."""

    name: Place
    args: tuple[Argument, ...]
    kwargs: tuple[tuple[Place, Argument], ...]


class Ellipsis(Row, tag=7):
    """An ellipsis."""


class Bytes(Row, tag=8):
    """Bytes, which a text could not be told from."""

    value: bytes


class Complex(Row, tag=9):
    """A complex number."""

    real: float
    imaginary: float


class Large(Row, tag=10):
    """An integer beyond 64 bits, in two's complement, its highest byte first."""

    value: bytes


Argument: TypeAlias = Union[
    None, bool, int, float, str,
    Ref, Tuple, List, Slice, Dict, Global, Construct, Ellipsis, Bytes, Complex, Large,
]  # fmt: skip


class Tensor(Row, tag=0):
    """A `TensorMeta`."""

    dtype: str
    shape: tuple[Dimension, ...]
    stride: tuple[Dimension, ...] | None
    device: str | None
    wrapper: str | None
    requires_grad: bool
    value: int | float | None


class Symbol(Row, tag=1):
    """A `SymbolMeta`."""

    expression: str


class Sequence(Row, tag=2):
    """A `SequenceMeta`."""

    kind: str
    items: tuple[Metadata | None, ...]
    inferred: bool


class Constant(Row, tag=3):
    """A `ConstantMeta`."""

    value: Argument


Metadata: TypeAlias = Union[Tensor, Symbol, Sequence, Constant]


Region: TypeAlias = tuple[int, Compiler]
Source: TypeAlias = tuple[Place, int, Place, str]
Problem: TypeAlias = tuple[str, int, Slug, str]


class Node(Row):
    """A node; what repeats points into the tables of the file."""

    name: Place
    kind: Place
    target: Place
    op: Place
    args: tuple[Argument, ...]
    kwargs: tuple[tuple[Place, Argument], ...]
    meta: Place | None
    line: int
    expression: str
    region: Place | None
    source: Place | None


class Graph(Row):
    """A graph and, by their paths, the bodies of its higher-order ops."""

    name: str
    form: Form
    nodes: tuple[Node, ...]
    regions: tuple[Place, ...]
    bodies: tuple[tuple[str, Graph], ...]
    annotated: bool
    problems: tuple[Problem, ...]
    hints: tuple[tuple[str, int | float | Large], ...]


class File(Row):
    """Tables, and what points into them.

    In a file that is read the rows are typed; in one that is written regions, sources and metas are bytes already.
    """

    names: tuple[str, ...]
    regions: tuple[Region, ...]
    sources: tuple[Source, ...]
    metas: tuple[Metadata, ...]
    graphs: tuple[Graph, ...]
    problems: tuple[Problem, ...]


@cache
def decoder() -> msgspec.msgpack.Decoder[File]:
    """What reads a file and checks all its rows."""
    return msgspec.msgpack.Decoder(File)
