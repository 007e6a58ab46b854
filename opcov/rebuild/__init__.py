"""Rebuilds a graph as a real torch.fx.GraphModule whose nodes carry `example_value` metadata."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch.fx.graph import inplace_methods, magic_methods

from opcov.graph import Argument, Graph, Kind, Node, Ref, Source
from opcov.rebuild.arguments import NoValue, plain_value
from opcov.rebuild.hints import hints_of
from opcov.rebuild.names import fx_target, is_dotted_name, missing_function
from opcov.rebuild.propagate import Gap, Known, Propagator
from opcov.rebuild.running import is_operator
from opcov.rebuild.symbols import Hints
from opcov.rebuild.values import Values


def rebuild(graph: Graph, *, requires_grad: bool = False) -> torch.fx.GraphModule:
    """Rebuilds a graph.

    Metadata comes from annotations (fake tensors on CPU, symbolic sizes as the text has them) and, where there is none,
    from a fake run; a node of which nothing is known has no `example_value`. No global state of the process changes.

    Args:
        graph: what a loader read.
        requires_grad: whether parameters require grad, and all that is computed from them and from inputs of which the
            graph states that they do.

    Returns:
        A GraphModule with the same nodes, names, targets and arguments. A target that this process does not have is a
        placeholder of the same name; bodies of higher-order ops are GraphModules below it.
    """
    return _Builder(hints_of(graph), requires_grad=requires_grad).build(graph)


_OPERATOR_FORMS = {**magic_methods, **inplace_methods}
"""How torch.fx writes operators: `{} + {}`. It fails on a call with fewer operands."""


class _Builder:
    """Makes a graph and its bodies with one source of values, so that equal symbols are the same symbol."""

    def __init__(self, hints: Hints, *, requires_grad: bool) -> None:
        self._values = Values(hints, symbolic=True)
        self._propagator = Propagator(Values(hints), requires_grad=requires_grad)

    def build(self, graph: Graph) -> torch.fx.GraphModule:
        known = self._propagator.known(graph)
        root = torch.nn.Module()
        for path, body in graph.bodies.items():
            _place(root, path, self.build(body))
        fx_graph = torch.fx.Graph()
        nodes: dict[str, torch.fx.Node] = {}
        parameters = {"self"}
        for node in graph.nodes:
            meta = known.get(node.name, Gap.ABSENT)
            target = _target(node, nodes)
            if node.kind is Kind.PLACEHOLDER:
                while target in parameters:  # Python takes no two of one name
                    target = f"{target}_"
                parameters.add(str(target))
            elif node.kind is Kind.GET_ATTR and target not in graph.bodies:
                _place(root, str(target), _stand_in(meta))
            elif node.kind is Kind.CALL_MODULE:
                _place(root, str(target), torch.nn.Module())
            nodes[node.name] = self._node(fx_graph, node, target, nodes, meta)
        class_name = graph.name if graph.name.isidentifier() else "GraphModule"
        return torch.fx.GraphModule(root, fx_graph, class_name=class_name)

    def _node(
        self,
        fx_graph: torch.fx.Graph,
        node: Node,
        target: str | Callable[..., Any],
        nodes: dict[str, torch.fx.Node],
        meta: Known,
    ) -> torch.fx.Node:
        args = tuple(_argument(argument, nodes) for argument in node.args)
        kwargs = {name: _argument(argument, nodes) for name, argument in node.kwargs}
        if (node.kind is Kind.CALL_METHOD or target is getattr) and args and type(args[0]) is int:
            args = (None, *args[1:])  # `3.view` is no Python
        fx_node = fx_graph.create_node(node.kind.value, target, args, kwargs, name=node.name)
        if node.source is not None:
            fx_node.meta["stack_trace"] = _stack_trace(node.source)
        if not isinstance(meta, Gap):
            with suppress(NoValue):
                fx_node.meta["example_value"] = self._values.fresh(meta)
        return fx_node


def _target(node: Node, nodes: dict[str, torch.fx.Node]) -> str | Callable[..., Any]:
    """The target of a node, replaced where torch.fx could not write code of it."""
    target = fx_target(node)
    if isinstance(target, str):
        return target if _is_printable(target, node.kind) else "unprintable"
    form = _OPERATOR_FORMS.get(node.op.rpartition(".")[2]) if is_operator(target) else None
    operands = 2 if target is getattr else form.count("{}") if form is not None else 0
    assigns = form is not None and form in inplace_methods.values()
    if len(node.args) < operands or (assigns and not _is_node(node.args[0], nodes)):
        return missing_function(node.op)  # Python assigns to names and to parts of them only
    return target


def _is_node(argument: Argument, nodes: dict[str, torch.fx.Node]) -> bool:
    return isinstance(argument, Ref) and argument.name in nodes


def _is_printable(target: str, kind: Kind) -> bool:
    """Whether a target is a path of names, and as an attribute none of Python's or torch.nn.Module's own."""
    if kind is Kind.PLACEHOLDER:
        return is_dotted_name(target.removeprefix("*").removeprefix("*")) and "." not in target  # `*args`, `**kwargs`
    parts = target.split(".")
    if kind in (Kind.GET_ATTR, Kind.CALL_MODULE) and any(
        part.startswith("__") or hasattr(torch.nn.Module, part) for part in parts
    ):
        return False
    return all(part.isdecimal() or is_dotted_name(part) for part in parts)  # numbers: children of a ModuleList


def _stack_trace(source: Source) -> str:
    """What `torch.fx` reads a `# File:` comment from: the last frame of a traceback."""
    code = source.code.replace("\r", " ").replace("\n", " ")
    return f'  File "{source.file}", line {source.line}, in {source.function}\n    {code}\n'


def _argument(argument: Argument, nodes: dict[str, torch.fx.Node]) -> Any:
    try:
        return plain_value(argument, nodes)
    except NoValue:
        return None


def _stand_in(meta: Known) -> torch.Tensor:
    """An attribute that the dump does not hold: no memory, the right dtype and shape where they are known."""
    with suppress(NoValue, RuntimeError):
        if not isinstance(meta, Gap):
            value = Values().fresh(meta)
            if isinstance(value, torch.Tensor):
                return torch.empty(value.shape, dtype=value.dtype, device="meta")
    return torch.empty(0, device="meta")


def _place(root: torch.nn.Module, path: str, value: torch.Tensor | torch.nn.Module) -> None:
    """Puts a value where a get_attr or call_module node looks for it, unless torch.nn.Module refuses the path."""
    *parents, name = path.split(".")
    with suppress(KeyError, TypeError):
        for parent in parents:
            child = getattr(root, parent, None)
            if not isinstance(child, torch.nn.Module):
                child = torch.nn.Module()
                root.add_module(parent, child)
            root = child
        if isinstance(value, torch.nn.Module):
            if not isinstance(getattr(root, name, None), torch.nn.Module):  # it may hold what another node reads
                root.add_module(name, value)
        else:
            root.register_buffer(name, value, persistent=False)
