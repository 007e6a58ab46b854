"""A saved FX graph as plain values: nodes, arguments, metadata, provenance. No torch in here.

The vocabulary is torch.fx's: a `Node` has a `kind` (torch.fx calls it `op`), a `target`, `args` and `kwargs`. Its `op`
is opcov's canonical name of the target, the name that tables and reports count under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from types import EllipsisType, NoneType
from typing import TYPE_CHECKING, TypeAlias, Union

from opcov.form import Form
from opcov.problems import Problem

if TYPE_CHECKING:
    import torch

# --- arguments --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of another node of the same graph, by that node's name."""

    name: str


@dataclass(frozen=True, slots=True)
class ListArg:
    """A list. Lists and tuples differ for Thunder, so both are kept apart."""

    items: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class DictArg:
    """A dict, in printed order."""

    items: tuple[tuple[Argument, Argument], ...]


@dataclass(frozen=True, slots=True)
class SliceArg:
    """A slice; its parts may be nodes."""

    start: Argument
    stop: Argument
    step: Argument


@dataclass(frozen=True, slots=True)
class Global:
    """A dotted global name used as a value: `torch.float16`, `torch.strided`, `NoneType`."""

    name: str


@dataclass(frozen=True, slots=True)
class Construct:
    """A value that prints as a constructor call: `device(type='cuda', index=0)`, `range(0, 3)`, a namedtuple."""

    name: str
    args: tuple[Argument, ...]
    kwargs: tuple[tuple[str, Argument], ...]


Argument: TypeAlias = Union[
    Ref, ListArg, DictArg, SliceArg, Global, Construct, "tuple[Argument, ...]",
    None, bool, int, float, complex, str, bytes, EllipsisType,
]  # fmt: skip
"""One argument of a node. Python's own literals stand for themselves."""

LITERALS = frozenset({NoneType, bool, int, float, complex, str, bytes, EllipsisType})
"""Types of arguments without parts."""


def map_refs(argument: Argument, replace: Callable[[Ref], Argument]) -> Argument:
    """The argument with every `Ref` in it replaced, the way `torch.fx.node.map_arg` does it."""
    if type(argument) in LITERALS:
        return argument
    match argument:
        case Ref():
            return replace(argument)
        case tuple():
            return tuple(map_refs(item, replace) for item in argument)
        case ListArg(items):
            return ListArg(tuple(map_refs(item, replace) for item in items))
        case DictArg(items):
            return DictArg(tuple((map_refs(key, replace), map_refs(value, replace)) for key, value in items))
        case SliceArg(start, stop, step):
            return SliceArg(map_refs(start, replace), map_refs(stop, replace), map_refs(step, replace))
        case Construct(name, args, kwargs):
            return Construct(
                name,
                tuple(map_refs(item, replace) for item in args),
                tuple((key, map_refs(value, replace)) for key, value in kwargs),
            )
        case _:
            return argument


def refs_in(argument: Argument) -> Iterator[str]:
    """The names of all nodes that an argument reads, in printed order, repeats included."""
    if type(argument) in LITERALS:
        return
    match argument:
        case Ref(name):
            yield name
        case tuple() | ListArg():
            for item in argument if isinstance(argument, tuple) else argument.items:
                yield from refs_in(item)
        case DictArg(items):
            for key, value in items:
                yield from refs_in(key)
                yield from refs_in(value)
        case SliceArg(start, stop, step):
            yield from refs_in((start, stop, step))
        case Construct(_, args, kwargs):
            yield from refs_in(args)
            for _, value in kwargs:
                yield from refs_in(value)


# --- metadata ---------------------------------------------------------------------------------------------------------

Dimension: TypeAlias = Union[int, str]
"""A size: an integer, or the sympy text of a symbolic one (`s27 + 1`)."""


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """What the text states of a tensor.

    Attributes:
        dtype: torch's abbreviation (`torch.utils._dtype_abbrs`): `bf16`, `f32`, `i64`, `b8`, `f8e4m3fn`.
        shape: sizes, outermost first.
        stride: in elements; None where the text does not print it (taken as contiguous).
        device: as printed (`cuda:0`); None where the text does not print it.
        wrapper: the tensor subclass as printed (`Parameter`, `DTensor`), None for a plain tensor.
        requires_grad: False unless a source states otherwise; print_readable does not print it.
        value: the Python number that a 0-d tensor stands for, where a source states that it does: Dynamo passes a
            float argument so and reads it back with `.item()`. None for every other tensor.
    """

    dtype: str
    shape: tuple[Dimension, ...]
    stride: tuple[Dimension, ...] | None = None
    device: str | None = None
    wrapper: str | None = None
    requires_grad: bool = False
    value: int | float | None = None
    _text: str | None = field(default=None, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        if self._text is None:  # asked for at every node that reads the value
            object.__setattr__(self, "_text", self._printed())
        return self._text or ""

    def _printed(self) -> str:
        text = f"{self.dtype}[{', '.join(map(str, self.shape))}]"
        if self.stride is not None:
            text += f"[{', '.join(map(str, self.stride))}]"
        text += self.device or ""
        if self.requires_grad:
            text += "+grad"
        if self.value is not None:
            text += f"={self.value!r}"
        return f"{self.wrapper}({text})" if self.wrapper else text


@dataclass(frozen=True, slots=True)
class SymbolMeta:
    """A symbolic int, float or bool: the sympy text inside `Sym(...)`."""

    expression: str

    def __str__(self) -> str:
        return f"Sym({self.expression})"


@dataclass(frozen=True, slots=True)
class SequenceMeta:
    """A tuple, list or torch.Size of values. Never printed: it is propagated.

    Attributes:
        kind: `tuple`, `list` or `size`.
        items: metadata of the elements; None for an element of which nothing is known.
        inferred: whether it was inferred from the nodes that take it apart, since nothing is known of the op itself.
    """

    kind: str
    items: tuple[Metadata | None, ...]
    inferred: bool = False

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.items))})"


@dataclass(frozen=True, slots=True)
class ConstantMeta:
    """A Python constant held by a node (`x.is_cpu`): for Thunder not the same as a literal argument."""

    value: Argument

    def __str__(self) -> str:
        return f"const({self.value!r})"


Metadata: TypeAlias = Union[TensorMeta, SymbolMeta, SequenceMeta, ConstantMeta]

# --- provenance and graph ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Where a node comes from in the model's code: the last frame that Dynamo recorded.

    Attributes:
        file: path as recorded on the capturing machine.
        line: 1-based, 0 where the comment does not give one.
        function: name of the function, "" where not given.
        code: the source line, "" where not given.
    """

    file: str
    line: int
    function: str
    code: str


class Kind(str, Enum):
    """`torch.fx.Node.op`."""

    PLACEHOLDER = "placeholder"
    GET_ATTR = "get_attr"
    CALL_FUNCTION = "call_function"
    CALL_METHOD = "call_method"
    CALL_MODULE = "call_module"
    OUTPUT = "output"

    @property
    def is_call(self) -> bool:
        """Whether the splitter judges such nodes; the others are structure and are in no percentage."""
        return self in _CALLS


_CALLS = frozenset({Kind.CALL_FUNCTION, Kind.CALL_METHOD, Kind.CALL_MODULE})


class Compiler(str, Enum):
    """Who gets a region: `thunder.dynamo.utils.CompilerType`, in the words of the saved files."""

    THUNDER = "thunder"
    INDUCTOR = "inductor"


@dataclass(frozen=True, slots=True)
class Region:
    """A contiguous run of nodes that one compiler gets.

    Attributes:
        index: N of thunder_N or inductor_N; regions are counted in order from 0.
        compiler: who gets it.
    """

    index: int
    compiler: Compiler

    @property
    def name(self) -> str:
        """As the saved files print it: `thunder_0`."""
        return f"{self.compiler.value}_{self.index}"


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a graph.

    Attributes:
        name: as printed.
        kind: torch.fx's `op`.
        target: for a call_method the bare method, for get_attr and call_module the attribute path, for a placeholder
            the parameter's name, else the function as printed, operators as `operator.add`.
        op: the canonical name of the target: `torch.nn.functional.silu`, `torch.Tensor.view`, `torch.Tensor.is_cpu`,
            `operator.add`; "" for a node that is no call.
        args: positional arguments, the receiver of a method first.
        kwargs: keyword arguments in printed order.
        meta: what the annotation states; None where there is none.
        line: 1-based line in the file, 0 where there is no file.
        expression: the call as printed, without name, annotation and deletions; "" for a node that is no call.
        region: the region that the file records for it; None in an unsplit graph and outside of regions.
        source: provenance, where a comment gives it.

    >>> import opcov
    >>> (graph,) = opcov.load("fixtures/gm/odd/stream-overlap/rank0_0.py")
    >>> node = graph.calls[-1]
    >>> node.variant, node.inputs, node.region.name, node.source.line
    ("torch.ops.fixture.inplace_all_reduce(T, group_name='tp:0')", ('output_parallel',), 'inductor_1', 163)
    """

    name: str
    kind: Kind
    target: str
    op: str
    args: tuple[Argument, ...] = ()
    kwargs: tuple[tuple[str, Argument], ...] = ()
    meta: Metadata | None = None
    line: int = 0
    expression: str = ""
    region: Region | None = None
    source: Source | None = None
    _inputs: tuple[str, ...] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the nodes it reads, each once, in printed order."""
        found = self._inputs
        if found is None:  # asked for by each step of a scan
            names: dict[str, None] = {}
            for argument in (*self.args, *[value for _, value in self.kwargs]):
                if type(argument) is Ref:
                    names[argument.name] = None
                elif type(argument) not in LITERALS:
                    names.update(dict.fromkeys(refs_in(argument)))
            found = tuple(names)
            object.__setattr__(self, "_inputs", found)
        return found

    @property
    def variant(self) -> str:
        """The call's shape with names and numbers erased and constants kept: `torch.bmm(T, T, out=T)`."""
        if self.op == "":
            return ""
        args = self.args
        if self.target == "getattr" and self.op != "getattr":
            args = args[:1]
        parts = [_shape(argument) for argument in args]
        parts += [f"{name}={_shape(value)}" for name, value in self.kwargs]
        return f"{self.op}({', '.join(parts)})"


def _shape(argument: Argument) -> str:
    match argument:
        case Ref():
            return "T"
        case bool() | None | str() | bytes():
            return repr(argument)
        case int() | float() | complex():
            return "N"
        case EllipsisType():
            return "Ellipsis"
        case tuple():
            return f"({', '.join(map(_shape, argument))}{',' if len(argument) == 1 else ''})"
        case ListArg(items):
            return f"[{', '.join(map(_shape, items))}]"
        case DictArg(items):
            return "{" + ", ".join(f"{_shape(key)}: {_shape(value)}" for key, value in items) + "}"
        case SliceArg(start, stop, step):
            return f"slice({_shape(start)}, {_shape(stop)}, {_shape(step)})"
        case Global(name):
            return name
        case Construct(name, args, kwargs):
            parts = [*map(_shape, args), *(f"{key}={_shape(value)}" for key, value in kwargs)]
            return f"{name}({', '.join(parts)})"
    raise TypeError(f"not an argument: {argument!r}")


@dataclass(frozen=True)
class Graph:
    """One FX graph, in the order it had before the splitter.

    Attributes:
        name: class name of the module, `GraphModule`.
        form: how the file holds it.
        nodes: placeholders, get_attrs, calls and the output, in pre-split order.
        regions: the recorded regions in order; empty for an unsplit graph.
        bodies: graphs of higher-order ops' bodies, by the attribute path under which a get_attr node reads them.
        annotated: whether the text carries annotations at all. Where it does, a tensor without one had no
            `example_value` either.
        hints: the value of a symbol when the graph was captured, by the symbol's name, where a source states it; a
            printed text never does. Not part of equality.
        problems: what could not be read of it; file names are filled in by who knows them.

    >>> import opcov
    >>> (graph,) = opcov.load("fixtures/gm/odd/stream-overlap/rank0_0.py")
    >>> graph.form.value, len(graph.calls), [region.name for region in graph.regions]
    ('split', 12, ['thunder_0', 'inductor_1'])
    """

    name: str
    form: Form
    nodes: tuple[Node, ...]
    regions: tuple[Region, ...] = ()
    bodies: Mapping[str, Graph] = field(default_factory=dict)
    annotated: bool = True
    problems: tuple[Problem, ...] = ()
    hints: Mapping[str, int | float] = field(default_factory=dict, compare=False)

    @cached_property
    def calls(self) -> tuple[Node, ...]:
        """The nodes that the splitter judges: calls of functions, methods and modules."""
        return tuple(node for node in self.nodes if node.kind in _CALLS)

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """For each node's name, the names of the nodes that read it, in order."""
        found: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node.name)
        return {name: tuple(readers) for name, readers in found.items()}

    def to_fx(self) -> torch.fx.GraphModule:
        """Rebuilds the graph as a real torch.fx.GraphModule whose nodes carry `example_value` (fake tensors on CPU).

        Imports torch. Calling the module does not compute anything useful: targets that this process does not have are
        placeholders under the printed name.

        >>> import opcov
        >>> (graph,) = opcov.load("fixtures/gm/odd/stream-overlap/rank0_0.py")
        >>> module = graph.to_fx()
        >>> next(node for node in module.graph.nodes if node.name == "long").meta["example_value"].shape
        torch.Size([4])
        """
        from opcov.rebuild import rebuild

        return rebuild(self)
