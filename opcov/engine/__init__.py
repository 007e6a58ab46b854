"""Scans a corpus: each distinct body is read, judged and placed once, by this process or by many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from opcov.engine.judge import Judge
from opcov.engine.scanning import scan_corpus, siblings_of
from opcov.engine.work import InProcess, Workers
from opcov.problems import UsageError

__all__ = ["InProcess", "Judge", "Workers", "scan_corpus", "siblings_of", "workers_for"]

ENGINES = ("process", "dask")
"""Who judges beside this process: processes of this machine, or a Dask cluster."""


@contextmanager
def workers_for(
    judge: Judge, *, jobs: int | Literal["auto"] = 1, engine: str = "process", scheduler: str = ""
) -> Iterator[Workers]:
    """Those who judge, until the end of the block. No process starts before something has to be judged.

    Args:
        judge: makes the registry.
        jobs: how many processes judge; 1 for this one, "auto" for as many as there are cores to use.
        engine: one of `ENGINES`.
        scheduler: the address of a running Dask cluster, which then has its own number of processes.

    Raises:
        UsageError: the engine is not known or not installed, the registry cannot be pickled, or `jobs` is no number of
            processes. Where the scheduler cannot be reached, that is raised when the first body is to be judged.
    """
    if engine not in ENGINES:
        raise UsageError(f"no engine is called {engine!r}; there are: {', '.join(ENGINES)}")
    if jobs != "auto" and (type(jobs) is not int or jobs < 1):
        raise UsageError(f"jobs has to be a number from 1, or 'auto', and is {jobs!r}")
    if scheduler and engine != "dask":
        raise UsageError("a scheduler is Dask's: it needs the engine dask")
    if jobs == "auto":
        from opcov.engine.cores import usable_cores

        jobs = usable_cores()
    if jobs == 1 and engine == "process":
        yield InProcess(judge.here)
        return
    if engine == "dask":
        _check_dask()
    from opcov.engine.processes import stops_forkserver
    from opcov.engine.team import Team

    with stops_forkserver(), Team(judge, jobs, engine, scheduler) as team:
        yield team


def _check_dask() -> None:
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise UsageError("the engine dask needs Dask's distributed: pip install opcov[dask]")
