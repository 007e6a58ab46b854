"""Say how far a model's graphs can be trusted to be all of them.

A crashed capture saves fewer graphs and so shows fewer unsupported ops: a model must not look better covered for that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from opcov.corpus import Model
from opcov.graphfile import GraphFile, is_graph_name, natural_key, rank_and_index
from opcov.loaders.runlog import RunLog

_MOST_NAMED = 3


class Health(str, Enum):
    """Whether the graphs of a model are all that its run has."""

    OK = "ok"
    """Nothing speaks against it."""
    PARTIAL = "partial"
    """There are graphs, and signs that some are missing."""
    FAILED = "failed"
    """There are no graphs."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The health of a model and what it rests upon.

    Attributes:
        health: the result.
        reasons: short clauses, the gravest first; none for a model that is ok.
        only_ranks: whether all that speaks against it is that ranks are missing. They are copies: fewer show the
            same ops.
    """

    health: Health
    reasons: tuple[str, ...] = ()
    only_ranks: bool = False

    @property
    def regardless_of_ranks(self) -> Health:
        """The health that it would have if every rank was there."""
        return Health.OK if self.only_ranks else self.health


def diagnose(model: Model, run_log: RunLog | None) -> Diagnosis:
    """Judges a model by its files and, where there is one, by its run log.

    A model is partial when its log shows a traceback, a failed capture or an unfinished run, when a rank or a graph
    index is missing, when the log lists graphs that are not there, and when none of the graphs is in the log's list,
    for then nothing is known of the run that they come from. Where only one file of a model was asked for, missing
    ones mean nothing.
    """
    readable = [file for file in model.files if file.problem is None]
    reasons = [*_run_reasons(run_log), *_file_reasons(model, run_log)]
    if not readable:
        return Diagnosis(Health.FAILED, ("no graphs", *reasons))
    if not reasons:
        return Diagnosis(Health.OK)
    return Diagnosis(Health.PARTIAL, tuple(reasons), _lacks_only_ranks(model, run_log, reasons))


def _lacks_only_ranks(model: Model, run_log: RunLog | None, reasons: Collection[str]) -> bool:
    """Whether the reasons would be none if each missing rank had the graphs that the others have."""
    present = {file.index for file in model.files if file.rank is not None}
    ranks = {file.rank for file in model.files if file.rank is not None}
    of_ranks = set(_missing_ranks(_indices_by_rank(model.files), run_log))
    names = {file.name for file in model.files}
    listed = (run_log.listed_files or ()) if run_log is not None else ()
    for name in listed:
        rank, index = rank_and_index(name)
        if is_graph_name(name) and name not in names and (rank is None or rank in ranks or index not in present):
            return False
    return all(reason in of_ranks or reason.startswith(_NOT_THERE) for reason in reasons)


_NOT_THERE = "listed in the run log, but not there"


def _run_reasons(run_log: RunLog | None) -> Iterator[str]:
    if run_log is None:
        return
    if run_log.tracebacks:
        last = f", the last: {run_log.final_exception}" if run_log.final_exception else ""
        yield f"{_count(run_log.tracebacks, 'traceback')} in the run log{last}"
    for failure in run_log.capture_failures[:_MOST_NAMED]:
        # Which ranks have no graphs is told of the files, and a traceback tells more than an exit code does.
        if not failure.endswith(_SAVED_NOTHING) and not (run_log.tracebacks and failure.startswith(_EXITED)):
            yield f"the capture failed: {failure}"
    if run_log.finished is False and not run_log.tracebacks and not run_log.capture_failures:
        yield "the run did not finish"


_SAVED_NOTHING = " saved no graph"
_EXITED = "it exited with "
"""What `opcov.capturing` says."""


def _file_reasons(model: Model, run_log: RunLog | None) -> Iterator[str]:
    unreadable = [file.name for file in model.files if file.problem is not None]
    if unreadable:
        yield f"cannot be read: {_some(unreadable)}"
    if not model.whole:
        return
    by_rank = _indices_by_rank(model.files)
    yield from _missing_ranks(by_rank, run_log)
    yield from _missing_indices(by_rank)
    if run_log is None or run_log.listed_files is None:
        return
    present = {file.name for file in model.files}
    listed = {name for name in run_log.listed_files if is_graph_name(name)}
    if lost := sorted(listed - present, key=natural_key):
        yield f"{_NOT_THERE}: {_some(lost)}"
    if present and not listed & present:
        yield "no graph is in the list of the run log: they come from another run"


def _indices_by_rank(files: Collection[GraphFile]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for file in files:
        if file.rank is not None and file.index is not None:
            found.setdefault(file.rank, set()).add(file.index)
    return dict(sorted(found.items()))


def _missing_ranks(by_rank: Mapping[int, set[int]], run_log: RunLog | None) -> Iterator[str]:
    if not by_rank:
        # Graphs that were saved before the split have no rank in their names.
        return
    size = max(by_rank) + 1
    if run_log is not None:
        size = max(size, run_log.expected_ranks or 0, *(rank + 1 for rank in run_log.ranks_seen))
    if gaps := list(_gaps(by_rank, size)):
        yield f"no graphs of {_numbers('rank', gaps)} of {size}"


def _missing_indices(by_rank: Mapping[int, set[int]]) -> Iterator[str]:
    if not by_rank:
        return
    size = max(max(indices) for indices in by_rank.values()) + 1
    gaps = {rank: list(_gaps(indices, size)) for rank, indices in by_rank.items()}
    lacking = {rank: found for rank, found in gaps.items() if found}
    if not lacking:
        return
    first = next(iter(lacking.values()))
    if len(lacking) == len(by_rank) and all(found == first for found in lacking.values()):
        yield f"{_numbers('graph', first)} missing"
    else:
        yield _some([f"rank {rank} lacks {_numbers('graph', found)}" for rank, found in lacking.items()])


def _gaps(present: Collection[int], size: int) -> Iterator[tuple[int, int]]:
    """First and last of each run of numbers below size that is not present, without counting them one by one."""
    expected = 0
    for number in [*sorted(present), size]:
        if number > expected:
            yield expected, number - 1
        expected = number + 1


def _numbers(noun: str, gaps: list[tuple[int, int]]) -> str:
    plural = "" if len(gaps) == 1 and gaps[0][0] == gaps[0][1] else "s"
    return f"{noun}{plural} {_some([str(first) if first == last else f'{first}-{last}' for first, last in gaps])}"


def _some(names: list[str]) -> str:
    """The first few of them, and how many more."""
    text = ", ".join(names[:_MOST_NAMED])
    return f"{text} and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
