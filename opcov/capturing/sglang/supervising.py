"""Watches the processes that SGLang's benchmark starts: its own main waits for them, and never asks how they ended."""

from __future__ import annotations

import multiprocessing.process
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from opcov.capturing.session import current

_GRACE = 5.0
"""Seconds that a process gets to end once it was asked to."""
_TURN = 0.2


class Children:
    """The processes that were started, in their order: one a rank."""

    def __init__(self, patience: float) -> None:
        """Begins without any.

        Args:
            patience: seconds that the others get once one has failed: a rank that waits for it would wait forever.
        """
        self._patience = patience
        self._started: list[multiprocessing.process.BaseProcess] = []
        self._is_over = threading.Event()
        self._ended: set[int] = set()

    def add(self, process: multiprocessing.process.BaseProcess) -> None:
        """Takes note of one that has been started."""
        self._started.append(process)

    def watch(self) -> None:
        """Ends all, a while after one has failed. Runs in a thread until `leave`."""
        while not self._is_over.wait(_TURN):
            if any(process.exitcode not in (None, 0) for process in self._started):
                break
        else:
            return
        end = time.monotonic() + self._patience
        while time.monotonic() < end and not self._is_over.wait(_TURN):
            if all(process.exitcode is not None for process in self._started):
                return
        for rank, process in enumerate(self._started):
            if process.exitcode is None:
                self._ended.add(rank)
                process.terminate()
        self._is_over.wait(_GRACE)
        for process in self._started:
            if process.exitcode is None:
                process.kill()

    def leave(self) -> None:
        """Ends the watch."""
        self._is_over.set()

    def failures(self) -> dict[int, str]:
        """How ranks ended that did not end well, in plain words."""
        found = {}
        for rank, process in enumerate(self._started):
            process.join(_GRACE)
            code = process.exitcode
            if code != 0:
                found[rank] = self._how(rank, code)
        return found

    def _how(self, rank: int, code: int | None) -> str:
        if rank in self._ended:
            return "its process was ended, since another rank had failed"
        if code is None:
            return "its process did not end"
        if code < 0:
            return f"its process was killed by signal {-code} ({_signal(-code)})"
        return f"its process exited with {code}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a signal without a name"


@contextmanager
def supervised(patience: float) -> Iterator[Children]:
    """Until it ends, processes that multiprocessing starts here are watched.

    Args:
        patience: seconds that the others get once one has failed.

    Raises:
        SystemExit: one of them failed; the record of the run tells which.
    """
    children = Children(patience)
    start = multiprocessing.process.BaseProcess.start

    def started(process: multiprocessing.process.BaseProcess) -> None:
        start(process)
        children.add(process)

    watch = threading.Thread(target=children.watch, daemon=True)
    with mock.patch.object(multiprocessing.process.BaseProcess, "start", started):
        watch.start()
        try:
            yield children
        finally:
            children.leave()
            watch.join()
    failures = children.failures()
    for rank, failure in failures.items():
        _note(rank, failure)
    if failures:
        sys.exit(1)


def _note(rank: int, failure: str) -> None:
    session = current()
    part = session.part(rank)
    part.failures.append(failure)
    session.flush(part)
