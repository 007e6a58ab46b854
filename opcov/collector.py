"""Keeps Python's garbage collector from looking again and again at what lives as long as the process does."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses the collector where all that is made stays: a syntax tree, what an import brings. It halves such work."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def all_else_frozen() -> Iterator[None]:
    """Has the collector look only at what is made inside: torch and Thunder alone are a million objects.

    What somebody else has frozen stays so.
    """
    mine = gc.get_freeze_count() == 0
    if mine:
        gc.freeze()
    try:
        yield
    finally:
        if mine and not _Process.ends_soon:
            gc.unfreeze()


class _Process:
    """What is known of this process."""

    ends_soon = False


def this_process_ends_soon() -> None:
    """Says that this process is there for one command, so that nothing has to be thawed for what comes after it."""
    _Process.ends_soon = True


def leave() -> None:
    """Leaves the process to the operating system: a last look at every object takes as long as half of the imports."""
    gc.freeze()
