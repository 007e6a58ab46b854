"""Does something beside the thread that scans, which can be interrupted meanwhile."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from opcov.engine.processes import without_interrupts

_PATIENCE = 0.5
"""Seconds after which a wait begins anew: on some platforms Ctrl-C is seen only between waits."""

_Result = TypeVar("_Result")


def begun(make: Callable[[], _Result]) -> Future[_Result]:
    """Begins something in a thread of its own; neither it nor what it starts ever sees Ctrl-C.

    Args:
        make: what to do.

    Returns:
        What becomes of it. Nobody has to wait for it: the thread does not keep the process alive.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        with without_interrupts():
            try:
                future.set_result(make())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def waited(future: Future[_Result]) -> Future[_Result]:
    """The future once it is done; Ctrl-C is seen meanwhile.

    Args:
        future: of work that somebody does.
    """
    finished([future])
    return future


def finished(running: Iterable[Future[Any]]) -> list[Future[Any]]:
    """Those that are done, at least one unless there is none, in the order in which they were given.

    Args:
        running: futures of work that others do.
    """
    futures = list(running)
    done: set[Future[Any]] = set()
    if not futures:
        return []
    while not done:
        done = concurrent.futures.wait(futures, _PATIENCE, concurrent.futures.FIRST_COMPLETED).done
    return [future for future in futures if future in done]
