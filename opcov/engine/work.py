"""The work on one distinct body as plain values, so that any process or machine can do it: a task and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from opcov.cache.graphs import decoded, encoded
from opcov.collector import all_else_frozen, collector_paused
from opcov.engine.judging import judge_loaded, load
from opcov.interrupts import insisting
from opcov.judged import JudgedBody
from opcov.loaders import by_name
from opcov.loaders.loader import Loaded, SavedFile
from opcov.registries import Registry


@dataclass(frozen=True, slots=True)
class Task:
    """A body that is to be judged.

    Attributes:
        digest: of the body.
        loader: the name of the one that reads it.
        saved: the file that stands for it.
        parsed: what the loader has read of it before, as `opcov.cache.graphs` encodes it; None where it has to read.
        keeps_parsed: whether the answer is to hold what the loader reads.
    """

    digest: str
    loader: str
    saved: SavedFile
    parsed: bytes | None = None
    keeps_parsed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What was judged of a body.

    Attributes:
        body: the result.
        parsed: what the loader read, where that was to be kept and can be.
        questions: how many the judge was asked; equal ones are asked once by each worker.
    """

    body: JudgedBody
    parsed: bytes | None = None
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """Bodies that are to be judged. Each is read when it is its turn, so that only few are held at a time.

    Attributes:
        sizes: bytes of each, as far as known: neighbours are alike, so a worker gets a stretch of them.
        read: makes the task of the body at a place; None for one that cannot be read.
    """

    sizes: Sequence[int]
    read: Callable[[int], Task | None]


class Workers(Protocol):
    """Those who judge: this process, a pool of processes, a cluster."""

    def answers(self, work: Work) -> Iterator[Answer]:
        """Judges bodies.

        Args:
            work: taken as workers become free, not all at once.

        Returns:
            An answer for each body that could be read, in any order.

        Raises:
            OpcovError: no worker can judge at all.
        """

    def versions(self) -> Mapping[str, str]:
        """What the verdicts hold for, as of a `Registry`."""

    def siblings(self, ops: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Other names that the judge has registered, of each op."""


class InProcess:
    """This process does the work, one body after the other."""

    def __init__(self, make: Callable[[], Registry]) -> None:
        """Keeps the way to the judge.

        Args:
            make: makes it, when something has to be asked.
        """
        self._make = make
        self._made: Registry | None = None

    def answers(self, work: Work) -> Iterator[Answer]:
        """Judges bodies in their order."""
        with collector_paused():
            registry = self._registry
        with all_else_frozen():
            for place in range(len(work.sizes)):
                task = work.read(place)
                if task is not None:
                    yield answer(task, registry)

    def versions(self) -> Mapping[str, str]:
        """What the verdicts hold for."""
        return self._registry.versions

    def siblings(self, ops: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Other names that the judge has registered, of each op."""
        return {op: self._registry.siblings(op) for op in ops}

    @property
    def _registry(self) -> Registry:
        if self._made is None:
            with insisting():
                self._made = self._make()
        return self._made


def answer(task: Task, registry: Registry) -> Answer:
    """Does one task; no content of a file makes this raise.

    Args:
        task: what to judge.
        registry: the judge.

    """
    before = asked(registry)
    with collector_paused():
        loaded: Loaded | None = None if task.parsed is None else decoded(task.parsed)
        fresh = loaded is None
        if loaded is None:
            loaded = load(task.saved, by_name(task.loader))
        body = judge_loaded(task.digest, loaded, registry)
    return Answer(body, encoded(loaded) if fresh and task.keeps_parsed else None, asked(registry) - before)


def asked(registry: Registry) -> int:
    """How many questions a registry was asked so far, as far as it counts them."""
    questions = getattr(registry, "questions", 0)
    return questions if isinstance(questions, int) else 0
