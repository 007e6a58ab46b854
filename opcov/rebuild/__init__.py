"""Rebuilds a graph as a real torch.fx.GraphModule whose nodes carry `example_value` metadata."""

from __future__ import annotations

from typing import Any

import torch

from opcov.graph import Graph, Kind, Metadata, Node
from opcov.rebuild.names import fx_target
from opcov.rebuild.propagate import Gap, Propagator
from opcov.rebuild.values import NoValue, Values, plain_value


def rebuild(graph: Graph, values: Values | None = None) -> torch.fx.GraphModule:
    """Rebuilds a graph.

    Metadata comes from annotations (fake tensors on CPU) and, where there is none, from a fake run; a node of which
    nothing is known has no `example_value`. No global state of the process changes.

    Args:
        graph: what a loader read.
        values: makes the example values; a new one if None.

    Returns:
        A GraphModule with the same nodes, names, targets and arguments. A target that this process does not have is a
        placeholder of the same name; bodies of higher-order ops are GraphModules below it.
    """
    values = values or Values()
    known = Propagator(values).known(graph)
    root = torch.nn.Module()
    for path, body in graph.bodies.items():
        _set_attribute(root, path, rebuild(body, values))
    fx_graph = torch.fx.Graph()
    nodes: dict[str, Any] = {}
    for node in graph.nodes:
        meta = known.get(node.name, Gap.ABSENT)
        if node.kind is Kind.GET_ATTR and node.target not in graph.bodies:
            _set_attribute(root, node.target, _parameter(meta))
        fx_node = _create(fx_graph, node, nodes)
        if not isinstance(meta, Gap):
            try:
                fx_node.meta["example_value"] = values.fresh(meta)
            except NoValue:
                pass
        nodes[node.name] = fx_node
    module = torch.fx.GraphModule(root, fx_graph, class_name=graph.name if graph.name.isidentifier() else "GraphModule")
    return module


def _create(fx_graph: torch.fx.Graph, node: Node, nodes: dict[str, Any]) -> torch.fx.Node:
    args = tuple(_argument(argument, nodes) for argument in node.args)
    kwargs = {name: _argument(argument, nodes) for name, argument in node.kwargs}
    fx_node = fx_graph.create_node(node.kind.value, fx_target(node), args, kwargs, name=node.name)
    if node.source is not None:
        source = node.source
        frame = f'  File "{source.file}", line {source.line}, in {source.function}\n    {source.code}\n'
        fx_node.meta["stack_trace"] = frame
    return fx_node


def _argument(argument: Any, nodes: dict[str, Any]) -> Any:
    try:
        return plain_value(argument, nodes)
    except NoValue:
        return None


def _parameter(meta: Metadata | Gap) -> torch.Tensor:
    """A stand-in for an attribute that the dump does not hold: no memory, the right dtype and shape where they are known."""
    try:
        if not isinstance(meta, Gap):
            value = Values().fresh(meta)
            if isinstance(value, torch.Tensor):
                return torch.empty([int(size) for size in value.shape], dtype=value.dtype, device="meta")
    except (NoValue, RuntimeError):
        pass
    return torch.empty(0, device="meta")


def _set_attribute(root: torch.nn.Module, path: str, value: torch.Tensor | torch.nn.Module) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        child = getattr(root, parent, None)
        if not isinstance(child, torch.nn.Module):
            child = torch.nn.Module()
            root.add_module(parent, child)
        root = child
    if isinstance(value, torch.nn.Module):
        root.add_module(name, value)
    else:
        root.register_buffer(name, value, persistent=False)
