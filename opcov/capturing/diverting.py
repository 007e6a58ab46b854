"""Diverts what this process compiles with torch.compile, and what its children do, to the backend that saves graphs."""

from __future__ import annotations

import atexit
import functools
import multiprocessing.spawn
import multiprocessing.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from torch._dynamo.output_graph import OutputGraph

from opcov.capturing.backend import Backend, opcov
from opcov.capturing.session import Session, current

_WRAPPERS = ("_torchdynamo_orig_backend", "_torchdynamo_orig_callable", "_compiler_fn", "__wrapped__")
"""Where Dynamo's own wrappers keep the backend that they wrap."""
_KEPT = ExitStack()
"""What lasts until the process ends."""
_BEFORE = "import opcov.capturing.diverting as d; d.for_good(); "


@contextmanager
def diverted() -> Iterator[None]:
    """Until it ends, every graph that Dynamo hands to a backend goes to the one that saves it.

    Whatever backend, mode and options `torch.compile` was given: a graph is saved, and then runs as the session says. A
    backend that saves by itself is left alone.
    """
    original = OutputGraph.call_user_compiler
    with (
        mock.patch.object(OutputGraph, "call_user_compiler", functools.partialmethod(_call_user_compiler, original)),
        mock.patch.object(multiprocessing.spawn, "get_command_line", _command_line),
    ):
        yield


def for_good() -> None:
    """Diverts until this process ends, and writes the record then: for processes that were started to be captured."""
    session = current()
    _KEPT.enter_context(diverted())
    atexit.register(session.flush)
    # The children of multiprocessing leave without what was registered to be done at the end.
    multiprocessing.util.Finalize(None, session.flush, exitpriority=10)


def _call_user_compiler(
    graph: OutputGraph, original: Callable[..., Any], module: Any, example_inputs: Any, *rest: Any, **more: Any
) -> Any:
    given = graph.compiler_fn
    if _saves(given):
        return original(graph, module, example_inputs, *rest, **more)
    graph.compiler_fn = Backend()
    _note(current(), given)
    try:
        return original(graph, module, example_inputs, *rest, **more)
    finally:
        graph.compiler_fn = given


def _saves(backend: object) -> bool:
    """Whether a backend saves graphs by itself, below what Dynamo has wrapped around it."""
    seen = 0
    while backend is not None and seen < 10:
        if backend is opcov or getattr(backend, "saves_graphs", False):
            return True
        backend = next((getattr(backend, name) for name in _WRAPPERS if getattr(backend, name, None) is not None), None)
        seen += 1
    return False


def _note(session: Session, given: object) -> None:
    name = getattr(given, "__name__", None) or getattr(given, "compiler_name", None) or type(given).__name__
    session.note_replaced(f"torch.compile's backend {name}: graphs are saved and run {session.setting.run}")


_command_line_of_spawn = multiprocessing.spawn.get_command_line


def _command_line(**options: Any) -> list[str]:
    """The command line of a child that multiprocessing spawns, with the diversion before everything else."""
    command = _command_line_of_spawn(**options)
    return [_BEFORE + word if before == "-c" else word for before, word in zip(["", *command], command, strict=False)]
