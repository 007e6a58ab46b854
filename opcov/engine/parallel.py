"""Has the work done by executors: batches go out in a bounded window, answers come back, lost work is done again."""

from __future__ import annotations

import concurrent.futures
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import cache
from typing import Any, Protocol, TypeVar

from opcov.engine.ahead import Ahead
from opcov.engine.beside import begun, finished, waited
from opcov.engine.stretches import Stretches
from opcov.engine.work import Answer, Task, Work
from opcov.engine.worker import Answers, Post, judge_batch, tell_siblings, tell_versions
from opcov.judged import JudgedBody
from opcov.problems import OpcovError, Problem, RegistryError, Slug

_Batch = tuple[Task, ...]
_Result = TypeVar("_Result")


class Crew(Protocol):
    """Executors and the processes behind them."""

    @property
    def lost(self) -> type[Exception]:
        """What a future raises whose process has died."""

    def free(self, load: Mapping[Executor, int]) -> Executor | None:
        """An executor that can take one more batch; None while all are busy.

        Args:
            load: how many batches each has.
        """

    def fresh(self) -> Executor:
        """An executor whose process has no work, for what may kill it."""

    def drop(self, executor: Executor) -> None:
        """Is told that a process of an executor has died."""


class Parallel:
    """Workers in other processes."""

    def __init__(self, post: Post, gather: Callable[[], Crew]) -> None:
        """Starts nothing yet.

        Args:
            post: what the workers are told of their registry.
            gather: gets those ready who do the work, which may take seconds; it is called once at most.
        """
        self._post = post
        self._gather = gather
        self._gathered: Crew | None = None
        self._is_proven = False

    def answers(self, work: Work) -> Iterator[Answer]:
        """Judges bodies, and yields them as they are done.

        Work that is lost with its process is done once more at the end, one body at a time and nothing beside it: a
        body that kills its process again is the culprit. It alone gets a problem.

        Raises:
            OpcovError: no worker can judge.
        """
        doubtful: list[Task] = []
        ahead = Ahead(work)
        self._get_ready(ahead)
        for batch, future in self._done(work, ahead):
            found = self._taken(future)
            if found is None:
                doubtful += batch
            else:
                yield from map(ahead.with_parsed, found)
        for task in doubtful:
            yield ahead.with_parsed(self._alone(task))

    def versions(self) -> Mapping[str, str]:
        """What the verdicts hold for."""
        return self._asked(tell_versions)

    def siblings(self, ops: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Other names that the judge has registered, of each op."""
        return self._asked(tell_siblings, tuple(ops))

    def _done(self, work: Work, ahead: Ahead) -> Iterator[tuple[_Batch, Future[Answers]]]:
        """Batches whose futures are done; only so many are out at a time as the executors take."""
        left = Stretches(work.sizes)
        running: dict[Future[Answers], tuple[Executor, _Batch]] = {}
        load: Counter[Executor] = Counter()
        number = len(work.sizes)
        while number or running:
            while number and (executor := self._crew.free(load)) is not None:
                places = left.take(executor)
                number -= len(places)
                batch = ahead.take(places)
                if batch:
                    running[self._submit(executor, judge_batch, batch)] = executor, batch
                    load[executor] += 1
            for future in finished(running):
                executor, done = running.pop(future)
                load[executor] -= 1
                if isinstance(future.exception(), self._crew.lost):
                    self._crew.drop(executor)
                    left.leave(executor)
                yield done, future

    def _get_ready(self, ahead: Ahead | None = None) -> Crew:
        """Waits until there is a crew; meanwhile there is time to parse what it will be asked."""
        if self._gathered is None:
            coming = begun(self._gather)
            while ahead is not None and not coming.done() and ahead.parse_one():
                pass
            self._gathered = waited(coming).result()
        return self._gathered

    @property
    def _crew(self) -> Crew:
        return self._get_ready()

    def _taken(self, future: Future[Answers]) -> list[Answer] | None:
        """The answers of a batch; None where its process died."""
        try:
            result = self._result(future)
        except self._crew.lost as error:
            if not self._is_proven:
                self._prove(error)
            return None
        self._is_proven = True
        return _decoder().decode(result) if isinstance(result, bytes) else result

    def _alone(self, task: Task) -> Answer:
        executor = self._crew.fresh()
        future = self._submit(executor, judge_batch, (task,))
        found = self._taken(waited(future))
        if found is not None:
            return found[0]
        self._crew.drop(executor)
        message = (
            "the process that judged the file died, and so did another one (out of memory, or a crash below Python)"
        )
        return Answer(JudgedBody(task.digest, (), (Problem("", 0, Slug.JUDGE_FAILED, message),)))

    def _asked(self, question: Callable[..., _Result], *arguments: object) -> _Result:
        for _ in range(2):
            executor = self._crew.free({}) or self._crew.fresh()
            try:
                result = self._result(waited(self._submit(executor, question, *arguments)))
            except self._crew.lost:
                self._crew.drop(executor)
                continue
            self._is_proven = True
            return result
        raise RegistryError(_DIES)

    def _prove(self, error: Exception) -> None:
        """Makes sure that it was the work that killed a process, where none has ever answered.

        Raises:
            RegistryError: one without work dies as well.
        """
        executor = self._crew.fresh()
        try:
            self._result(waited(self._submit(executor, tell_versions)))
        except self._crew.lost:
            self._crew.drop(executor)
            raise RegistryError(_DIES) from error
        self._is_proven = True

    def _submit(self, executor: Executor, function: Callable[..., _Result], *arguments: object) -> Future[_Result]:
        try:
            return executor.submit(function, self._post, *arguments)
        except self._crew.lost as error:  # it died while it had nothing to do
            future: Future[_Result] = Future()
            future.set_exception(error)
            return future

    def _result(self, future: Future[_Result]) -> _Result:
        try:
            return future.result()
        except (OpcovError, self._crew.lost):
            raise
        except concurrent.futures.CancelledError as error:
            raise RegistryError("the workers have gone away: their work was cancelled") from error
        except Exception as error:
            raise RegistryError(f"the workers cannot judge ({type(error).__name__}: {error})") from error


_DIES = (
    "the worker processes die before they judge anything; jobs=1 judges in this process. A script that scans with more "
    'jobs has to do so below `if __name__ == "__main__":`, since each worker imports the script'
)


@cache
def _decoder() -> Any:
    import msgspec

    return msgspec.msgpack.Decoder(list[Answer])
