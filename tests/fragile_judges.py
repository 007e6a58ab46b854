"""Judges for other processes: some kill the process that they are in, some wait, some tell where they were."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from building import FakeRegistry, verdict

from opcov.graph import Graph
from opcov.verdict import Status, Verdict


def judge_of_tests() -> FakeRegistry:
    """Does not support torch.tanh, which has a sibling."""
    return FakeRegistry({"torch.tanh": verdict(Status.UNSUPPORTED)}, {"torch.tanh": ("torch.tanh_",)})


class Dying(FakeRegistry):
    """Is killed with its process when it judges a graph that calls torch.sin."""

    def __init__(self, once: Path | None = None) -> None:
        """Dies every time, or only while a file is not there: it leaves it behind."""
        super().__init__()
        self.once = once

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        if any(call.op == "torch.sin" for call in graph.calls) and (self.once is None or not self.once.exists()):
            if self.once is not None:
                self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().judge(graph)


class Noting(FakeRegistry):
    """Leaves a file with the number of its process behind for each graph; waits on one that calls torch.sin."""

    fingerprint = "noting"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        (self.folder / str(os.getpid())).touch()
        if any(call.op == "torch.sin" for call in graph.calls):
            time.sleep(60)
        return super().judge(graph)


class Unpicklable(FakeRegistry):
    """Is at home in its process."""

    def __reduce__(self) -> str:
        raise TypeError("it holds a lock")


class Lost(FakeRegistry):
    """Can be pickled, and not made of that anywhere."""

    def __reduce__(self) -> tuple[object, ...]:
        return _raise, ("no such file",)


def _raise(text: str) -> None:
    raise FileNotFoundError(text)


def die() -> FakeRegistry:
    """Ends the process that asks for a judge."""
    os._exit(3)


def fail() -> FakeRegistry:
    """Stands for Thunder where it cannot be imported."""
    from opcov.problems import RegistryError

    raise RegistryError("lightning-thunder is not installed")
