"""Runs workers on a Dask cluster: one that is there already, or one of this machine's cores."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress

import dask
from distributed import Client, KilledWorker, LocalCluster, Nanny

from opcov.engine.processes import start_method
from opcov.problems import UsageError

AT_ONCE = 2
"""Batches for each thread of a worker: one that is judged, and one that waits or is on its way."""

_LOOKS = 1.0
"""Seconds after which a cluster is asked again who its workers are: it may grow."""

PATIENCE = "8s"
"""How long a scheduler is waited for."""

_NOTHING = logging.CRITICAL + 1
"""A level that no message has."""


class Cluster:
    """A Dask cluster, with an executor for each of its workers."""

    lost = KilledWorker

    def __init__(self, client: Client) -> None:
        """Takes a cluster.

        Args:
            client: is connected to it.
        """
        self._client = client
        # Dask keeps results by name, and equal batches of two scans are two pieces of work.
        self._anyone: Executor = client.get_executor(pure=False, retries=0)
        self._executors: dict[str, Executor] = {}
        self._threads: dict[str, int] = {}
        self._looked: float | None = None

    def free(self, load: Mapping[Executor, int]) -> Executor | None:
        """The worker with the least to do for its threads, while it has a place.

        A cluster without workers gets something to do all the same: some start workers only then.
        """
        self._look()
        if not self._executors:
            return self._anyone if load.get(self._anyone, 0) < AT_ONCE else None
        idlest = min(self._threads, key=lambda worker: load.get(self._executors[worker], 0) / self._threads[worker])
        executor = self._executors[idlest]
        return executor if load.get(executor, 0) < AT_ONCE * self._threads[idlest] else None

    def fresh(self) -> Executor:
        """Any worker: Dask starts another process for one that has died."""
        return self._anyone

    def drop(self, executor: Executor) -> None:
        """Forgets a worker that has died."""
        self._executors = {name: one for name, one in self._executors.items() if one is not executor}
        self._threads = {name: threads for name, threads in self._threads.items() if name in self._executors}
        self._looked = None

    def _look(self) -> None:
        now = time.monotonic()
        if self._looked is not None and now < self._looked + _LOOKS:
            return
        self._looked = now
        self._threads = {worker: max(1, threads) for worker, threads in self._client.nthreads().items()}
        self._executors = {worker: self._executors.get(worker) or self._executor(worker) for worker in self._threads}

    def _executor(self, worker: str) -> Executor:
        # Neighbours ask alike questions, so they are for one worker; should it go, others do its work.
        found: Executor = self._client.get_executor(workers=[worker], allow_other_workers=True, pure=False, retries=0)
        return found


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster of a scheduler.

    Args:
        address: as `tcp://host:8786`.

    Raises:
        UsageError: it cannot be reached.
    """
    with ExitStack() as stack:
        stack.enter_context(_silence())
        try:
            client = Client(address, timeout=PATIENCE, set_as_default=False)
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(f"the scheduler {address} cannot be reached: {why}") from error
        stack.callback(client.close, timeout=1)
        yield Cluster(client)


@contextmanager
def local(size: int) -> Iterator[Cluster]:
    """A cluster of this machine, which ends with the block.

    Args:
        size: how many processes.
    """
    settings = {
        "distributed.worker.multiprocessing-method": start_method(),
        "distributed.scheduler.allowed-failures": 0,  # whose work kills a worker, `Parallel` finds out
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.worker.profile.enabled": False,  # it looks at the stack a hundred times a second
        "distributed.admin.system-monitor.gil.enabled": False,
    }
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        stack.enter_context(dask.config.set({**settings, "temporary-directory": folder}))
        stack.enter_context(_silence())
        cluster = _OwnCluster(
            n_workers=size,
            threads_per_worker=1,
            memory_limit=0,  # the system's: Dask would pause a worker near its own
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=_NOTHING,
            local_directory=folder,
        )
        stack.callback(_end, cluster)
        client = Client(cluster, set_as_default=False)
        stack.callback(client.close, timeout=1)
        yield Cluster(client)


class _OwnCluster(LocalCluster):  # type: ignore[misc] # Dask has no types
    """A cluster that is ended here: Dask would have the end of an interrupted process wait until all workers are up."""

    @property
    def shutdown_on_close(self) -> bool:
        """Whether Dask ends it at the end of the process."""
        return False

    @shutdown_on_close.setter
    def shutdown_on_close(self, _value: bool) -> None:
        """Dask sets it while it makes a cluster."""


def _end(cluster: LocalCluster) -> None:
    """Kills the workers: whatever they have not answered is not wanted any more, and torch takes a second to leave."""
    for nanny in cluster.workers.values():
        if isinstance(nanny, Nanny):
            nanny.auto_restart = False
            pid = nanny.pid
            if pid is not None:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
    cluster.close(timeout=5)


@contextmanager
def _silence() -> Iterator[None]:
    """Dask tells of every process that ends on stderr; what matters of it is raised."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(_NOTHING)
    try:
        yield
    finally:
        logger.setLevel(before)
