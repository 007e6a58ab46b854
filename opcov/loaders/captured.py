"""Captures the graphs of a callable with torch.compile, as Thunder's backend would be handed them; compiles nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opcov.graph import Graph
from opcov.loaders.live import class_name, graph_module_of, graph_of
from opcov.problems import UsageError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Captured:
    """A live graph.

    Attributes:
        graph: as plain values.
        text: what `print_readable` prints of it.
    """

    graph: Graph
    text: str


def captured(function: Any, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[str, tuple[Captured, ...]]:
    """The graphs of a GraphModule, an ExportedProgram, or of a callable that is run once on example inputs.

    A callable runs in this process, on the devices and in the grad mode that it is called in; graph breaks give several
    graphs. Dynamo forgets what it compiled before, so that the graphs do not depend on the past, and afterwards what it
    captured here: functions compiled elsewhere in the process are compiled again when they are next called.

    Returns:
        A name for it, and its graphs in the order of capture.

    Raises:
        UsageError: it is no callable, it raises, or there is no graph in it.
    """
    module = graph_module_of(function)
    if module is not None:
        if inputs or keywords:
            raise UsageError(f"a {type(function).__name__} is judged as it is: give it no inputs")
        return class_name(module), (_keep(module),)
    if not callable(function):
        raise UsageError(f"a {type(function).__name__} is no callable, no GraphModule and no ExportedProgram")
    function = _innermost(function)
    name = _name(function)
    return name, _run(function, name, inputs, keywords)


def _run(function: Any, name: str, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[Captured, ...]:
    import torch

    found: list[Captured] = []

    def backend(module: torch.fx.GraphModule, _inputs: Sequence[torch.Tensor]) -> Callable[..., Any]:
        found.append(_keep(module))  # at once: Dynamo takes the example values away when it has its answer
        return module.forward

    reset: Callable[[], None] = torch._dynamo.reset
    reset()
    try:
        compiled: Callable[..., Any] = torch.compile(function, backend=backend)
        with torch._dynamo.config.patch(suppress_errors=False):
            compiled(*inputs, **keywords)
    except Exception as error:
        after = f" after {len(found)} of its graphs" if found else ""
        message = " ".join(str(error).split())[:_LONGEST_MESSAGE]
        raise UsageError(f"{name} raised {type(error).__name__}{after}: {message}") from error
    finally:
        reset()
    if not found:
        raise UsageError(f"torch.compile captured no graph of {name}: it calls no torch op on these inputs")
    return tuple(found)


_LONGEST_MESSAGE = 300


def _keep(module: torch.fx.GraphModule) -> Captured:
    return Captured(graph_of(module), module.print_readable(print_output=False))


def _innermost(function: Any) -> Any:
    """What torch.compile has wrapped: the graphs are those of the callable itself."""
    while True:
        inner = getattr(function, "_orig_mod", None) or getattr(function, "_torchdynamo_orig_callable", None)
        if inner is None:
            return function
        function = inner


def _name(function: Any) -> str:
    name = getattr(function, "__name__", None) or type(function).__name__
    return str(name)
