"""Sees to it that Ctrl-C is not lost where Python, or torch while it is imported, drops an exception."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SOON = 0.05
"""Seconds after which a lost interrupt comes again: what has dropped it is over by then."""


def never_dropped() -> None:
    """Has an interrupt come again that met a callback or a finalizer; for a process that is there for one command.

    Python can raise nothing there: it would tell of an ignored exception on stderr and go on. The import
    system has such callbacks.
    """
    before = sys.unraisablehook

    def hook(unraisable: UnraisableHookArgs, /) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            from threading import Timer

            again = Timer(_SOON, _interrupt)
            again.daemon = True
            again.start()
        else:
            before(unraisable)

    sys.unraisablehook = hook


@contextmanager
def insisting() -> Iterator[None]:
    """Repeats an interrupt until it ends the block, of which nothing may be lost when it is interrupted twice.

    torch's initialization imports numpy and clears whatever that raises (`torch/csrc/utils/tensor_numpy.cpp`).

    Raises:
        KeyboardInterrupt: there was one, at the end of the block at the latest.
    """
    import signal
    import threading

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else sees to interrupts
        return
    came: list[int] = []
    over = threading.Event()

    def note(number: int, _frame: object) -> None:
        came.append(number)
        if not over.is_set():
            raise KeyboardInterrupt

    def repeat() -> None:
        while not over.wait(_SOON):
            if came:
                _interrupt()

    repeating = threading.Thread(target=repeat, daemon=True)
    signal.signal(signal.SIGINT, note)
    repeating.start()
    try:
        yield
    finally:
        over.set()
        repeating.join()
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _interrupt() -> None:
    import signal
    import threading

    main = threading.main_thread().ident
    if sys.platform == "win32" or main is None:
        signal.raise_signal(signal.SIGINT)
    else:
        signal.pthread_kill(main, signal.SIGINT)  # so that a wait of it ends
