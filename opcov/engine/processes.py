"""Starts processes that have imported Thunder already and never see Ctrl-C, which is for the one that scans."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker


def start_method() -> str:
    """How multiprocessing is to start a worker.

    On Linux it is forked from a process that has imported Thunder, which takes hundredths of a second instead of the
    seconds of the import. Other platforms cannot be trusted to fork what has loaded torch.
    """
    return "forkserver" if sys.platform == "linux" else "spawn"


def start_forkserver(preload: tuple[str, ...]) -> None:
    """Starts the process that workers are forked from, where there is to be one and none is.

    Args:
        preload: modules that it imports, while this process goes on.
    """
    if start_method() == "forkserver":
        multiprocessing.get_context("forkserver").set_forkserver_preload(["opcov.engine.worker", *preload])
        _start_tracker()
        with without_interrupts():
            forkserver.ensure_running()


def _start_tracker() -> None:
    """Starts the process that removes what an interrupted scan leaves, and that need not tell of it.

    multiprocessing does so by itself, but then lets interrupts through again, whoever has blocked them.
    """
    unsaid = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(unsaid)  # the tracker gets the same
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(unsaid)


@contextmanager
def stops_forkserver() -> Iterator[None]:
    """Stops it if the block is interrupted, since it may be importing torch for seconds; another one can be started."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
        if pid is not None:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        raise


@contextmanager
def without_interrupts() -> Iterator[None]:
    """What is started in the block never sees Ctrl-C: a terminal sends it to all, and one is there to handle it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
