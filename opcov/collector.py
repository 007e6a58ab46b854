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
    enabled, mine = gc.isenabled(), gc.get_freeze_count() == 0
    if mine:
        gc.freeze()
    gc.enable()
    try:
        yield
    finally:
        if not enabled:
            gc.disable()
        if mine and not _Process.ends_soon:
            gc.unfreeze()


class _Process:
    """What is known of this process."""

    ends_soon = False


def this_process_ends_soon() -> None:
    """Says that this process is there for one command: nothing is looked at, but where graphs are judged."""
    _Process.ends_soon = True
    gc.disable()


def leave() -> None:
    """Leaves the process to the operating system: a last look at every object takes as long as half of the imports."""
    gc.freeze()
