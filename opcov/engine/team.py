"""Starts the workers of an engine when the first of them is needed, and ends them with the scan."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property

from opcov.engine.judge import Judge
from opcov.engine.parallel import Crew, Parallel
from opcov.engine.processes import start_forkserver
from opcov.engine.work import Answer, Work
from opcov.engine.worker import Post, versions


class Team:
    """Workers of an engine; there are none until something has to be judged."""

    def __init__(self, judge: Judge, jobs: int, engine: str, scheduler: str) -> None:
        """Makes sure that the judge can be sent.

        Args:
            judge: makes the registry.
            jobs: how many processes.
            engine: as `workers_for` takes it.
            scheduler: as `workers_for` takes it.

        Raises:
            UsageError: the registry cannot be pickled.
        """
        self._judge = judge
        self._packed = judge.packed()
        self._jobs = jobs
        self._engine = engine
        self._scheduler = scheduler
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._is_gathering = False
        self._is_over = False

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *error: object) -> bool | None:
        with self._lock:
            self._is_over = True
            if self._is_gathering:  # interrupted: the thread that gathers finds out, and ends them
                return None
        return self._stack.__exit__(*error)  # type: ignore[arg-type]

    def answers(self, work: Work) -> Iterator[Answer]:
        """Judges bodies, and yields them as they are done."""
        return self._workers.answers(work)

    def versions(self) -> Mapping[str, str]:
        """What the verdicts hold for."""
        return self._workers.versions()

    def siblings(self, ops: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Other names that the judge has registered, of each op."""
        return self._workers.siblings(ops)

    @cached_property
    def _workers(self) -> Parallel:
        expected = versions(("python", "opcov", *self._judge.packages)) if self._scheduler else None
        if not self._scheduler:
            # Dask takes half a second to import, which another process can do at the same time.
            more = ("opcov.engine.cluster",) if self._engine == "dask" else ()
            start_forkserver((*self._judge.preload, *more))
        return Parallel(Post(self._packed, expected), self._gather)

    def _gather(self) -> Crew:
        """Gets the workers ready; `Parallel` has it done beside the thread that scans, which may leave meanwhile.

        Raises:
            UsageError: a scheduler cannot be reached.
        """
        with self._lock:
            self._is_gathering = not self._is_over
        try:
            return self._stack.enter_context(self._crew())
        finally:
            with self._lock:
                self._is_gathering = False
            if self._is_over:
                self._stack.close()

    def _crew(self) -> AbstractContextManager[Crew]:
        if self._engine == "process":
            from opcov.engine.pool import pool

            return pool(self._jobs, self._judge.preload)
        from opcov.engine.cluster import connected, local

        return connected(self._scheduler) if self._scheduler else local(self._jobs)
