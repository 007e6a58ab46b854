"""Does many slow things at once, none of which may hold up the others: each has its time, and Ctrl-C stops them all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

TIMEOUT = 60.0
"""Seconds that one file may take, and again for each `STRETCH` bytes of it that have come."""
STRETCH = 16 << 20
"""Bytes."""
REQUESTS = 16
"""Files that are asked for at once, at most."""
RETRIES = 2
"""How often a file is asked for again when the connection was dropped."""
PAUSE = 0.2
"""Seconds before the first of these, twice as long before the next."""
UNANSWERED = 32
"""Files in a row without an answer after which the rest is not asked for: losing them one by one would take hours."""

_POLL = 0.1

T = TypeVar("T")
R = TypeVar("R")


class Refused(OSError):
    """Something that must not be fetched or kept; asking again does not help."""


class NoAnswer(OSError):
    """Nothing came in time."""


class _Stopped(Exception):
    """Nobody waits for the result any more."""


class Watch:
    """What is known of a file on its way, shared by the thread that fetches it and the one that waits for it."""

    def __init__(self, limit: int, timeout: float) -> None:
        self.started = time.monotonic()
        self.abandoned = False
        self._limit = limit
        self._timeout = timeout
        self._all = 0
        self._now = 0

    def begin(self) -> None:
        """Says that the file is asked for, for the first time or again."""
        self._now = 0
        self.add(0)

    def add(self, count: int) -> None:
        """Says that bytes have come.

        Raises:
            Refused: they are more than they may be.
        """
        if self.abandoned:
            raise _Stopped
        self._all += count
        self._now += count
        self.expect(self._now)

    def expect(self, size: int) -> None:
        """Says how many bytes there are.

        Raises:
            Refused: they are more than they may be.
        """
        if size > self._limit:
            raise Refused(f"it is larger than {self._limit / (1 << 20):.4g} MiB")

    def allowed(self) -> float:
        """Seconds that it may take."""
        return self._timeout * (1 + self._all // STRETCH)


def in_parallel(
    tasks: Sequence[T], work: Callable[[T, Watch], R], *, limit: int = 1 << 62, timeout: float | None = None
) -> Generator[tuple[T, R | Exception], None, None]:
    """Does something for each task in up to `REQUESTS` threads, and gives the results as they come.

    Whoever stops to ask for results (an exception, Ctrl-C) must close the iterator: threads end by themselves then, and
    none keeps the process alive.

    Args:
        tasks: what to do.
        work: does one; it tells the watch of bytes that come. What it raises is its result.
        limit: bytes that one task may bring.
        timeout: seconds that one may take, `TIMEOUT` unless told.
    """
    waiting = deque(range(len(tasks)))
    watches: dict[int, Watch] = {}
    done: SimpleQueue[tuple[int, R | Exception]] = SimpleQueue()
    seconds = TIMEOUT if timeout is None else timeout

    def serve() -> None:
        while True:
            try:
                number = waiting.popleft()
            except IndexError:
                return
            watch = watches[number] = Watch(limit, seconds)
            try:
                result: R | Exception = work(tasks[number], watch)
            except Exception as error:  # noqa: BLE001 - libraries of all protocols raise whatever they like
                result = error
            if watch.abandoned:
                return
            done.put((number, result))

    def start(count: int) -> None:
        for _ in range(count):
            threading.Thread(target=serve, name="opcov-fetch", daemon=True).start()

    start(min(REQUESTS, len(tasks)))
    left = set(range(len(tasks)))
    in_a_row = 0
    try:
        while left:
            finished: list[tuple[int, R | Exception]] = []
            try:
                finished.append(done.get(timeout=_POLL))
            except Empty:
                now = time.monotonic()
                for number, watch in list(watches.items()):
                    if number in left and now - watch.started > watch.allowed():
                        watch.abandoned = True
                        finished.append((number, NoAnswer(f"no answer within {watch.allowed():g} s")))
                        start(1)  # in place of the thread that hangs
            for number, result in finished:
                if number not in left:
                    continue
                left.discard(number)
                watches.pop(number, None)
                in_a_row = in_a_row + 1 if _is_silence(result) else 0
                yield tasks[number], result
            if in_a_row >= UNANSWERED and waiting:
                for number in _emptied(waiting):
                    left.discard(number)
                    yield tasks[number], NoAnswer(f"not asked for: the {UNANSWERED} files before it got no answer")
    finally:
        waiting.clear()
        for watch in list(watches.values()):
            watch.abandoned = True


def _emptied(waiting: deque[int]) -> Iterator[int]:
    # Other threads take from it, too.
    with suppress(IndexError):
        while True:
            yield waiting.popleft()


def _is_silence(result: object) -> bool:
    return isinstance(result, Exception) and not isinstance(result, (FileNotFoundError, PermissionError, Refused))


def patiently(ask: Callable[[], R], *, timeout: float | None = None) -> R:
    """The result of one slow thing; Ctrl-C does not wait for it.

    Raises:
        Exception: what it raises, `NoAnswer` where it takes too long.
    """
    with closing(in_parallel([None], lambda _task, watch: persistently(ask, watch), timeout=timeout)) as results:
        ((_, result),) = results
    if isinstance(result, Exception):
        raise result
    return result


def persistently(ask: Callable[[], R], watch: Watch) -> R:
    """The result of asking, where the connection was dropped of asking again.

    Raises:
        Exception: what the last attempt has raised.
    """
    for attempt in range(RETRIES + 1):
        try:
            watch.begin()
            return ask()
        except (FileNotFoundError, PermissionError, ImportError, NotImplementedError, Refused, _Stopped):
            raise
        except Exception:
            if attempt == RETRIES:
                raise
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError("the last attempt has returned or raised")
