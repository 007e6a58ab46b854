"""Diverts what this process compiles with torch.compile, and what its children do, to the backend that saves graphs."""

from __future__ import annotations

import atexit
import faulthandler
import functools
import multiprocessing.spawn
import multiprocessing.util
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from unittest import mock

from torch._dynamo.output_graph import OutputGraph

from opcov.capturing.backend import Backend, opcov
from opcov.capturing.session import Session, current
from opcov.registries.thunder_import import import_thunder

_WRAPPERS = ("_torchdynamo_orig_backend", "_torchdynamo_orig_callable", "_compiler_fn", "compiler_fn", "__wrapped__")
"""Where Dynamo's own wrappers keep the backend that they wrap."""
_MOST_WRAPPERS = 10
_KEPT = ExitStack()
"""What lasts until the process ends."""


@contextmanager
def diverted() -> Iterator[None]:
    """Until it ends, every graph that Dynamo hands to a backend goes to the one that saves it.

    Whatever backend, mode and options `torch.compile` was given: a graph is saved, and then runs as the session says. A
    backend that saves by itself is left alone.
    """
    original = OutputGraph.call_user_compiler
    with (
        mock.patch.object(OutputGraph, "call_user_compiler", functools.partialmethod(_call_user_compiler, original)),
        mock.patch.object(multiprocessing.spawn, "get_preparation_data", _preparation),
    ):
        yield


def for_good() -> None:
    """Diverts until this process ends, and writes the record then: for processes that were started to be captured."""
    session = current()
    import_thunder()  # before the program does, which may not find it work with this torch
    if session.errors is None:  # a program may close its streams, or turn them elsewhere
        with suppress(OSError):
            session.errors = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    _KEPT.enter_context(diverted())
    if not faulthandler.is_enabled():
        with suppress(OSError, ValueError, AttributeError):
            faulthandler.enable()  # a crash and a timeout show where they found the program
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
    return any(one is opcov or getattr(one, "saves_graphs", False) for one in _unwrapped(backend))


def _unwrapped(backend: object) -> list[object]:
    """A backend, and what it wraps: the innermost comes last."""
    found = [backend]
    while len(found) < _MOST_WRAPPERS:
        inner = (getattr(found[-1], name, None) for name in _WRAPPERS)
        below = next((one for one in inner if one is not None), None)
        if below is None:
            break
        found.append(below)
    return found


def _note(session: Session, given: object) -> None:
    innermost = _unwrapped(given)[-1]
    names = (getattr(innermost, name, None) for name in ("compiler_name", "__name__"))
    name = next((name for name in names if name), type(innermost).__name__)
    session.note_replaced(f"torch.compile's backend {name}: graphs are saved and run {session.setting.run}")


_preparation_of_spawn = multiprocessing.spawn.get_preparation_data


class _Preparation(dict[str, Any]):
    """What a child that multiprocessing starts is told first; reading it diverts what the child compiles."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _read_by_child, (dict(self),)


def _preparation(name: str) -> dict[str, Any]:
    """For children that are spawned, and for those of a server of forks; plain forks are diverted as their parent."""
    return _Preparation(_preparation_of_spawn(name))


def _read_by_child(preparation: dict[str, Any]) -> dict[str, Any]:
    for_good()
    return preparation
