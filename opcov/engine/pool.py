"""Runs workers as processes of this machine, one executor each, so that a death tells whose work was lost."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress

from opcov.engine import worker
from opcov.engine.processes import start_forkserver, start_method

AT_ONCE = 2
"""Batches that a process has: one that it judges and one that waits, so that it need not."""


class Pool:
    """Processes that judge; each but the first starts when all others are busy."""

    lost = BrokenProcessPool

    def __init__(self, size: int, preload: tuple[str, ...] = ()) -> None:
        """Starts nothing yet.

        Args:
            size: how many processes at most.
            preload: modules that each needs.
        """
        self._size = size
        self._preload = preload
        self._executors: list[ProcessPoolExecutor] = []

    def free(self, load: Mapping[Executor, int]) -> Executor | None:
        """The process with the least to do; a new one while there may be more and none is idle."""
        idlest = min(self._executors, key=lambda executor: load.get(executor, 0), default=None)
        if idlest is not None and not load.get(idlest, 0):
            return idlest
        if len(self._executors) < self._size:
            return self.fresh()
        return idlest if idlest is not None and load.get(idlest, 0) < AT_ONCE else None

    def start(self) -> None:
        """Starts a process; the one that it is forked from may have to import torch first."""
        with suppress(BrokenProcessPool):  # who asks it finds out
            self.fresh().submit(int).result()

    def fresh(self) -> Executor:
        """A process that has done nothing yet."""
        start_forkserver(self._preload)
        context = multiprocessing.get_context(start_method())
        executor = ProcessPoolExecutor(1, mp_context=context, initializer=worker.begin)
        self._executors.append(executor)
        return executor

    def drop(self, executor: Executor) -> None:
        """Forgets a process that has died."""
        with suppress(ValueError):
            self._executors.remove(executor)  # type: ignore[arg-type]
        executor.shutdown(wait=False)

    def end(self) -> None:
        """Kills the processes: whatever they have not answered is not wanted any more."""
        while self._executors:
            executor = self._executors.pop()
            # Python 3.14 has kill_workers() for this.
            for process in list((getattr(executor, "_processes", None) or {}).values()):
                process.kill()
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def pool(size: int, preload: tuple[str, ...] = ()) -> Iterator[Pool]:
    """A pool with a first process that is ready; all end with the block.

    Args:
        size: how many processes at most.
        preload: modules that each needs.
    """
    crew = Pool(size, preload)
    try:
        crew.start()
        yield crew
    finally:
        crew.end()
