"""Reads graphs that live in this process: a torch.fx.GraphModule or a torch.export.ExportedProgram, as plain values.

What it gives is what `readable` gives for the text that `print_readable` prints, without the way over the text: the
names, targets and arguments follow `torch.fx.graph.CodeGen._gen_python_code` step by step.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from opcov.form import Form
from opcov.graph import (
    Argument,
    Construct,
    DictArg,
    Dimension,
    Global,
    Graph,
    Kind,
    ListArg,
    Metadata,
    Node,
    Ref,
    SliceArg,
    Source,
    SymbolMeta,
    TensorMeta,
)
from opcov.loaders.readable import with_output
from opcov.loaders.text.annotations import DTYPES
from opcov.loaders.text.expressions import Expressions, NotPrinted
from opcov.loaders.text.provenance import read_source
from opcov.loaders.text.targets import attribute_op, function_op, method_op, module_op
from opcov.problems import UsageError

if TYPE_CHECKING:
    import torch

_LITERALS = (type(None), type(...), bool, int, float, complex, str, bytes)
"""Types whose values stand for themselves; a subclass prints as something else."""

_NAMELESS = "_unnamed"
"""The class of a lambda's graph, for `class <lambda>` is no Python."""


def graph_of(module: Any) -> Graph:
    """The graph of a live module, before any split.

    Metadata is what `print_readable` would print: of `val`, else of `tensor_meta`, else of `example_value`. Unlike
    text, it also tells whether a tensor requires grad.

    Args:
        module: a `torch.fx.GraphModule` or a `torch.export.ExportedProgram`, whose lifted graph is read.

    Raises:
        UsageError: it is neither.
    """
    found = graph_module_of(module)
    if found is None:
        raise UsageError(f"a {type(module).__name__} is no torch.fx.GraphModule and no torch.export.ExportedProgram")
    return _read(found, class_name(found))


def graph_module_of(module: Any) -> torch.fx.GraphModule | None:
    """The GraphModule that a live value is or holds; None for a value that has no graph."""
    import torch

    found = module.graph_module if isinstance(module, torch.export.ExportedProgram) else module
    return found if isinstance(found, torch.fx.GraphModule) else None


def class_name(module: torch.fx.GraphModule) -> str:
    """The name under which a module prints."""
    name = type(module).__name__
    return name if name.isidentifier() else _NAMELESS


def _read(module: torch.fx.GraphModule, name: str) -> Graph:
    names = _Names()
    nodes = [_node(node, names) for node in module.graph.nodes if node.op != "output"]
    nodes.sort(key=lambda node: node.kind is not Kind.PLACEHOLDER)  # an exported graph may read attributes before
    output = next((_output(node, names) for node in module.graph.nodes if node.op == "output"), None)
    bodies = {}
    for node in nodes:
        if node.kind in (Kind.GET_ATTR, Kind.CALL_MODULE) and node.target not in bodies:
            body = _body(module, node.target)
            if body is not None:
                bodies[node.target] = _read(body, node.target.replace(".", "_"))
    annotated = any(node.meta is not None for node in nodes)
    return Graph(name, Form.UNSPLIT, with_output(nodes, output, 0), (), bodies, annotated, hints=_hints(module.graph))


def _body(module: torch.fx.GraphModule, path: str) -> torch.fx.GraphModule | None:
    """The module at a path, if it has a graph."""
    import torch

    found: Any = module
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, torch.fx.GraphModule) else None


# --- names and arguments ----------------------------------------------------------------------------------------------


class _Printed(NamedTuple):
    """An argument with the text that torch.fx prints for it."""

    value: Argument
    text: str


class _Names:
    """Gives nodes and globals the names that torch.fx prints, which have to be asked for in the order of printing."""

    def __init__(self) -> None:
        from torch.fx.graph import _custom_builtins, _Namespace

        self._space = _Namespace()
        for name, (_, value) in _custom_builtins.items():
            self.of_global(name, value)

    def of_node(self, node: torch.fx.Node) -> str:
        return self._space.create_name(node.name, node)

    def of_global(self, hint: str, value: Any) -> str:
        """The name of a function or class: dotted below torch, else with underscores for dots."""
        import torch
        from torch.fx.graph import _is_from_torch

        if _is_from_torch(value) and value is not torch.device:
            return qualified_name(value)
        return self._space.create_name(hint, value)

    def of_function(self, function: Callable[..., Any]) -> str:
        return self.of_global(qualified_name(function), function)

    def printed(self, value: Any) -> _Printed:
        """An argument as `torch.fx.graph.CodeGen._gen_python_code._get_repr` prints it."""
        import torch

        if isinstance(value, torch.fx.Node):
            name = self.of_node(value)
            return _Printed(Ref(name), name)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            name = self.of_function(type(value))
            items = tuple([self.printed(item).value for item in value])
            return _Printed(Construct(name, items, ()), f"{name}{self._sequence(tuple(value)).text}")
        if isinstance(value, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)):
            name = self.of_function(value)
            return _Printed(Global(name), name)
        if isinstance(value, enum.Enum):
            name = f"{self.of_global(type(value).__name__, type(value))}.{value.name}"
            return _Printed(Global(name), name)
        if isinstance(value, torch.Tensor):
            return _constant_tensor(value)
        if isinstance(value, tuple):
            return self._sequence(value)
        if isinstance(value, list):
            pairs = [self.printed(item) for item in value]
            return _Printed(ListArg(tuple([item for item, _ in pairs])), f"[{', '.join([text for _, text in pairs])}]")
        if isinstance(value, slice):
            parts = [self.printed(part) for part in (value.start, value.stop, value.step)]
            return _Printed(SliceArg(*[part for part, _ in parts]), f"slice({', '.join([text for _, text in parts])})")
        if isinstance(value, dict):
            entries = [(self.printed(key), self.printed(item)) for key, item in value.items()]
            text = ", ".join([f"{key.text}: {item.text}" for key, item in entries])
            return _Printed(DictArg(tuple([(key.value, item.value) for key, item in entries])), f"{{{text}}}")
        return _literal(value)

    def _sequence(self, items: tuple[Any, ...]) -> _Printed:
        pairs = [self.printed(item) for item in items]
        text = ", ".join([text for _, text in pairs])
        return _Printed(tuple([item for item, _ in pairs]), f"({text}{',' if len(pairs) == 1 else ''})")


def qualified_name(function: Any) -> str:
    """The dotted name that torch.fx gives a function; its bare name where torch.fx finds none."""
    from torch.fx.node import _get_qualified_name

    try:
        return str(_get_qualified_name(function))
    except Exception:  # noqa: BLE001 - a lambda without source, a callable without module: torch.fx raises many things
        return str(getattr(function, "__name__", type(function).__name__))


def _constant_tensor(value: torch.Tensor) -> _Printed:
    size, dtype = list(value.size()), str(value.dtype)
    keywords = (("size", ListArg(tuple(map(_dimension, size)))), ("dtype", Global(dtype)))
    text = f"torch.Tensor(size={size}, dtype={dtype.rpartition('.')[2]})"
    return _Printed(Construct("torch.Tensor", (), keywords), text)


def _literal(value: Any) -> _Printed:
    """A value that prints as its repr. One that does not print as Python is told by its name: no addresses."""
    text = repr(value)
    if type(value) in _LITERALS:
        return _Printed(value, text)
    try:
        return _Printed(Expressions({}, "", ()).argument(ast.parse(text, mode="eval").body), text)
    except (SyntaxError, ValueError, RecursionError, NotPrinted):
        name = qualified_name(value if callable(value) else type(value))
        return _Printed(Global(name), name)


# --- nodes ------------------------------------------------------------------------------------------------------------


class _Call(NamedTuple):
    """What a node calls or reads: the fields of `opcov.graph.Node` that say so."""

    target: str
    op: str = ""
    args: tuple[Argument, ...] = ()
    kwargs: tuple[tuple[str, Argument], ...] = ()
    expression: str = ""


def _node(node: torch.fx.Node, names: _Names) -> Node:
    kind = Kind(node.op)
    call = _READ[kind](node, names)
    source = None if kind is Kind.PLACEHOLDER else _source(node.stack_trace)
    return Node(
        names.of_node(node),
        kind,
        call.target,
        call.op,
        call.args,
        call.kwargs,
        _metadata(node),
        expression=call.expression,
        source=source,
    )


def _output(node: torch.fx.Node, names: _Names) -> Argument:
    from torch.fx import graph as printer

    shuffled = getattr(printer, "_ExportCodeGen", None)  # newer than the oldest torch
    if shuffled is not None and isinstance(node.graph._codegen, shuffled):
        return tuple([names.printed(result).value for result in node.args[0]])  # type: ignore[union-attr]
    return names.printed(node.args[0]).value


def _attribute(node: torch.fx.Node, names: _Names) -> _Call:
    return _Call(str(node.target))


def _method(node: torch.fx.Node, names: _Names) -> _Call:
    method = str(node.target)
    receiver = names.printed(node.args[0])
    args, kwargs, text = _arguments(node.args[1:], node.kwargs, names)
    expression = f"{_path(receiver.text, method)}({text})"
    return _Call(method, method_op(method), (receiver.value, *args), kwargs, expression)


def _submodule(node: torch.fx.Node, names: _Names) -> _Call:
    path = str(node.target)
    args, kwargs, text = _arguments(node.args, node.kwargs, names)
    return _Call(path, module_op(path), args, kwargs, f"{_path('self', path)}({text})")


def _function(node: torch.fx.Node, names: _Names) -> _Call:
    from torch.fx.graph import inplace_methods, magic_methods

    function: Any = node.target
    if getattr(function, "__module__", "") == "_operator":
        name = function.__name__
        form = magic_methods.get(name) or inplace_methods.get(name)
        if form is not None:
            operands = [names.printed(argument) for argument in node.args]
            expression = form.format(*[operand.text for operand in operands])
            op = f"operator.{name}"
            return _Call(op, op, tuple([operand.value for operand in operands]), (), expression)
    printed = names.of_function(function)
    names.of_node(node)  # named after its function, before its arguments
    args, kwargs, text = _arguments(node.args, node.kwargs, names)
    expression = f"{printed}({text})"
    op = function_op(printed)
    if function is getattr and len(args) == 2 and isinstance(args[1], str):
        op = attribute_op(args[1])
        if args[1].isidentifier():
            expression = f"{names.printed(node.args[0]).text}.{args[1]}"
    return _Call(printed, op, args, kwargs, expression)


_READ: dict[Kind, Callable[[torch.fx.Node, _Names], _Call]] = {
    Kind.PLACEHOLDER: _attribute,
    Kind.GET_ATTR: _attribute,
    Kind.CALL_METHOD: _method,
    Kind.CALL_MODULE: _submodule,
    Kind.CALL_FUNCTION: _function,
}


def _arguments(
    args: Any, kwargs: Any, names: _Names
) -> tuple[tuple[Argument, ...], tuple[tuple[str, Argument], ...], str]:
    positional = [names.printed(argument) for argument in args]
    named = [(name, names.printed(argument)) for name, argument in kwargs.items()]
    text = ", ".join([argument.text for argument in positional] + [f"{name} = {value.text}" for name, value in named])
    return tuple([value for value, _ in positional]), tuple([(name, pair.value) for name, pair in named]), text


def _path(base: str, path: str) -> str:
    """`self.layers` or `getattr(self.layers, "0")`: `torch.fx.graph._format_target`."""
    for part in path.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


# --- metadata ---------------------------------------------------------------------------------------------------------


def _metadata(node: torch.fx.Node) -> Metadata | None:
    """What the annotation of a node would say."""
    import torch
    from torch.fx.experimental.proxy_tensor import py_sym_types
    from torch.fx.passes.shape_prop import TensorMetadata

    value = _value(node)
    if isinstance(value, torch.Tensor):
        if value.layout in (torch.sparse_csc, torch.sparse_csr):
            return None
        is_plain = type(value) is torch.Tensor or isinstance(value, torch._subclasses.FakeTensor)
        return _tensor(value, None if is_plain else type(value).__name__)
    if isinstance(value, py_sym_types):
        return SymbolMeta(repr(value))
    return _tensor(value, None) if isinstance(value, TensorMetadata) else None


def _value(node: torch.fx.Node) -> Any:
    return node.meta.get("val", node.meta.get("tensor_meta", node.meta.get("example_value")))


def _tensor(value: Any, wrapper: str | None) -> TensorMeta | None:
    from torch.fx.graph import dtype_abbrs  # type: ignore[attr-defined]  # here in every torch

    dtype = dtype_abbrs.get(value.dtype)
    if dtype not in DTYPES:
        return None
    shape = tuple(map(_dimension, value.shape))
    return TensorMeta(dtype, shape, wrapper=wrapper, requires_grad=bool(value.requires_grad))


def _dimension(size: Any) -> Dimension:
    text = str(size)
    return int(text) if text.removeprefix("-").isdecimal() else text


def _hints(graph: torch.fx.Graph) -> dict[str, int | float]:
    """What the symbols of a graph stood for when it was captured."""
    import torch

    found: dict[str, int | float] = {}
    for node in graph.nodes:
        value = _value(node)
        parts: tuple[Any, ...] = tuple(value.shape) if isinstance(value, torch.Tensor) else (value,)
        for symbolic in parts:
            symbols = getattr(getattr(symbolic, "node", None), "shape_env", None)
            # torch.fx.experimental.symbolic_shapes.ShapeEnv: of every symbol that a size of the inputs is.
            name = "backed_var_to_val" if hasattr(symbols, "backed_var_to_val") else "var_to_val"  # its older name
            known = getattr(symbols, name, {})
            for symbol in symbolic.node.expr.free_symbols if known else ():
                if symbol in known:
                    found[str(symbol)] = _number(known[symbol])
    return found


def _number(value: Any) -> int | float:
    """A number of sympy's as Python's."""
    return int(value) if value.is_integer else float(value)


def _source(stack_trace: str | None) -> Source | None:
    from torch.fx.graph import _parse_stack_trace

    frame = _parse_stack_trace(stack_trace) if stack_trace else None
    return None if frame is None else read_source(frame.get_summary_str())
