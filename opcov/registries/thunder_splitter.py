"""Finds out how the installed Thunder's splitter places nodes, by letting it split a graph of four nodes.

The splitter changed from release to release without saying so, and a source checkout may have changed again. What it is
made of (names in its code, parameters, a version number) would have to be followed with each of them; what it does with
a graph is what placement has to know, and asking takes some milliseconds.
"""

from __future__ import annotations

import operator
import warnings
from types import ModuleType
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from opcov.registries import SplitterRules


def rules_of(dynamo: ModuleType) -> SplitterRules:
    """Describes the splitter of a Thunder.

    Args:
        dynamo: the package `thunder.dynamo`, with `splitter` and `utils` loaded.

    Returns:
        Its rules; those of the newest release where it cannot be asked in the way that all tested releases can.
    """
    newest = SplitterRules()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prim, producer, reader = _split(dynamo.splitter)
            in_context = bool(dynamo.utils.get_nodes_in_unsupported_ctx_regions(_after_vmap()))
    except Exception:  # noqa: BLE001 - a splitter that cannot be asked this way is newer than all that are known
        return newest
    if producer != "inductor":
        return newest
    return SplitterRules(
        pins_tuples=reader == "inductor", takes_dtensor_prims=prim == "thunder", avoids_vmap=in_context
    )


def _split(splitter: ModuleType) -> tuple[str, str, str]:
    """The compilers that get a prim of Dynamo's for DTensors, a producer of a tuple, and a `getitem` of that tuple.

    Thunder supports `torch.sin` and a `getitem` of a tuple of tensors, and cannot know a function of this module.
    """
    with FakeTensorMode():
        tensor = torch.empty(1)
    graph = torch.fx.Graph()
    nodes = [graph.placeholder("x")]
    for target, more in ((_prim_to_local, ()), (_pair, ()), (operator.getitem, (0,)), (torch.sin, ())):
        nodes[-1].meta["example_value"] = (tensor, tensor) if nodes[-1].target is _pair else tensor
        nodes.append(graph.call_function(target, (nodes[-1], *more)))
    nodes[-1].meta["example_value"] = tensor
    graph.output((nodes[-1],))
    split, _ = splitter._splitter(torch.fx.GraphModule(torch.nn.Module(), graph), _left_alone, _left_alone, [])
    names = [node.name for node in nodes[1:4]]
    return tuple(_compiler_of(name, split) for name in names)  # type: ignore[return-value]


def _left_alone(region: torch.fx.GraphModule, *_args: Any, **_options: Any) -> torch.fx.GraphModule:
    """Stands for both compilers."""
    return region


def _compiler_of(name: str, split: torch.fx.GraphModule) -> str:
    """The compiler of a node: the regions' names say it, `thunder_0` or `inductor_1`."""
    for region, module in split.named_children():
        graph = getattr(module, "graph", None)
        if graph is not None and any(node.name == name for node in graph.nodes if node.op == "call_function"):
            return region.partition("_")[0]
    raise LookupError(name)


def _after_vmap() -> torch.fx.GraphModule:
    graph = torch.fx.Graph()
    graph.call_function(torch._C._functorch._vmap_increment_nesting, (2, "error"))
    graph.output((graph.call_function(torch.sin, (graph.placeholder("x"),)),))
    return torch.fx.GraphModule(torch.nn.Module(), graph)


def _prim_to_local(x: torch.Tensor) -> torch.Tensor:
    """Named like the closures that Dynamo makes for `parallelize_module`: the splitter knows them by their names."""
    return x


def _pair(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x, x
