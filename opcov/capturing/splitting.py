"""Splits a live graph with Thunder's own splitter, and asks Thunder about each of its nodes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch

from opcov.capturing.records import NodeVerdict
from opcov.registries.thunder_import import import_thunder

OPTIONS = {"fusion_type": "dataflow", "thunderfx_disable_split_autograd": True}
"""What `thunder.dynamo.ThunderCompiler` hands its splitter where its user gives no options."""

_CALLS = ("call_function", "call_method", "call_module")


def prepared(graph_module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A graph as `ThunderCompiler` hands it to its splitter."""
    import_thunder()
    from thunder.dynamo.utils import recompile_graph, remove_empty_autocast

    graph_module = remove_empty_autocast(graph_module)  # up to 0.2.4 it works on a copy
    recompile_graph(graph_module)
    return graph_module


def verdicts(graph_module: torch.fx.GraphModule) -> list[NodeVerdict]:
    """Asks Thunder about every call node of a graph, in the graph's order; `partition` is left open."""
    import_thunder()
    from thunder.dynamo.utils import is_node_supported_by_thunder

    found = []
    for node in graph_module.graph.nodes:
        if node.op not in _CALLS:
            continue
        verdict = NodeVerdict(node.name)
        try:
            verdict.supported, why = is_node_supported_by_thunder(node, *_options(is_node_supported_by_thunder))
        except Exception:  # noqa: BLE001 - Thunder's check raises, of all things, on methods that torch.Tensor lacks
            why = None
        verdict.reason = why.reason_type.name if why is not None else None
        found.append(verdict)
    return found


class _ThunderRegion(torch.nn.Module):
    """Stands where `thunder.jit` would put its ThunderModule, which prints its graph once more, as `_model`."""

    def __init__(self, region: torch.fx.GraphModule, **_options: Any) -> None:
        super().__init__()
        self._model = region


class _InductorRegion(torch.nn.Module):
    """Stands where torch.compile would put its OptimizedModule, which prints its graph once more, as `_orig_mod`."""

    def __init__(self, region: torch.fx.GraphModule, *_fake_args: Any) -> None:
        super().__init__()
        self._orig_mod = region


def split(
    graph_module: torch.fx.GraphModule, sample_args: Sequence[Any]
) -> tuple[torch.fx.GraphModule, dict[str, str]]:
    """Splits a graph with `thunder.dynamo.splitter._splitter`; nothing is compiled, stand-ins take the regions.

    Args:
        graph_module: what `prepared` gave.
        sample_args: what Dynamo hands a backend.

    Returns:
        The split module, and the region name for each call node's name.

    Raises:
        Exception: whatever the splitter raises.
    """
    import_thunder()
    from thunder.dynamo.splitter import _splitter

    with recorded_partitions() as numbers:
        parts, info = _splitter(graph_module, _ThunderRegion, _InductorRegion, sample_args, *_options(_splitter))
    return parts, _places(numbers, info.original_split_graph_module.supported_indexes)


def compiled_by_thunderfx(
    graph_module: torch.fx.GraphModule, sample_args: Sequence[Any]
) -> tuple[torch.fx.GraphModule, dict[str, str], Callable[..., Any]]:
    """Splits and compiles a graph with `thunder.dynamo.ThunderCompiler`.

    Returns:
        As `split`, and what runs the compiled graph.

    Raises:
        Exception: whatever ThunderFX raises.
    """
    import_thunder()
    from thunder.dynamo import ThunderCompiler
    from thunder.dynamo.utils import recompile_graph

    compiler = ThunderCompiler()
    with recorded_partitions() as numbers:
        parts = compiler(graph_module, list(sample_args))
    for module in parts.modules():
        if isinstance(module, torch.fx.GraphModule):
            recompile_graph(module)  # torch makes its code on demand, and Thunder cannot trace through that
    (info,) = compiler.subgraph_infos
    return parts, _places(numbers, info.original_split_graph_module.supported_indexes), parts


def _places(numbers: Mapping[str, int], taken: Container[int]) -> dict[str, str]:
    return {name: f"{'thunder' if number in taken else 'inductor'}_{number}" for name, number in numbers.items()}


@contextmanager
def recorded_partitions() -> Iterator[dict[str, int]]:
    """Listens in on the callback that Thunder hands to `torch.fx`'s `split_module`.

    Where a graph sets global state (autocast, no_grad), `split_module` asks about its nodes once more, to check their
    order, and the callback counts on from where it was: the first answer is the one that places the node.
    """
    from thunder.dynamo import splitter

    numbers: dict[str, int] = {}
    split_module = splitter.split_module

    def listening(
        graph_module: torch.fx.GraphModule, *, split_callback: Callable[[torch.fx.Node], int], **options: Any
    ) -> Any:
        def callback(node: torch.fx.Node) -> int:
            number = split_callback(node)
            numbers.setdefault(node.name, number)
            return number

        return split_module(graph_module, split_callback=callback, **options)

    with mock.patch.object(splitter, "split_module", listening):
        yield numbers


def _options(function: Callable[..., Any]) -> tuple[dict[str, Any], ...]:
    """The last argument of Thunder's functions since 0.2.6; those before take none."""
    return (OPTIONS,) if "thunder_options" in inspect.signature(function).parameters else ()
