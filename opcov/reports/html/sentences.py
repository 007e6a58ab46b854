"""The sentences of the site: what to do about an op, what routes and words mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opcov.coverage import Coverage, OpRow
from opcov.coverage.plan import Step, plan
from opcov.explanations import explanations
from opcov.registries.families import Route
from opcov.reports.html.groupings import Grouping
from opcov.wording import counted

_MOST_STEPS = 8


@dataclass(frozen=True, slots=True)
class Task:
    """What to do about one op.

    Attributes:
        verb: `Constant-fold the query`.
        row: the op.
        alias: the relative that Thunder knows, where that is the way.
    """

    verb: str
    row: OpRow
    alias: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Ops to see to together.

    Attributes:
        tasks: one an op.
        gains: clauses that say what they bring.
        gone: fallback regions that are gone with these and all before.
    """

    tasks: tuple[Task, ...]
    gains: tuple[str, ...]
    gone: int


def advice(coverage: Coverage, grouping: Grouping) -> list[Advice]:
    """What to do first; a few steps at most."""
    found = []
    for number, step in enumerate(plan(coverage)[:_MOST_STEPS]):
        rows = [grouping.ops[op].row for op in step.ops]
        tasks = [Task(verb(row), row, row.siblings[0] if row.route is Route.ALIAS else "") for row in rows]
        found.append(Advice(tuple(tasks), tuple(brings(step, rows, first=number == 0)), step.regions_gone))
    return found


def brings(step: Step, rows: Sequence[OpRow], *, first: bool) -> Iterator[str]:
    """What a step brings, as clauses.

    Args:
        step: the ops and what goes with them.
        rows: the numbers of those ops.
        first: whether no other step comes before it.
    """
    yield counted(len({name for row in rows for name in row.models}), "model")
    if step.graphs:
        yield f"{counted(step.graphs, 'lost graph')} {'comes' if step.graphs == 1 else 'come'} back"
    if step.regions:
        more = "" if first else "more "
        yield f"{step.regions} {more}fallback {'region goes' if step.regions == 1 else 'regions go'}"


def verb(row: OpRow) -> str:
    """What to do about an op, to be followed by its name."""
    return _VERBS.get(row.route, row.route.value.capitalize())


def gains(row: OpRow) -> Iterator[str]:
    """What the support of an op brings, as clauses."""
    yield counted(len(row.models), "model")
    if row.lost_graphs:
        yield _vanishing(row.sole_lost_graphs, row.lost_graphs, "lost graph", "come back", "comes back")
    if row.fallback_regions:
        yield _vanishing(row.sole_regions, row.fallback_regions, "fallback region", "vanish", "vanishes")


def _vanishing(alone: int, of: int, noun: str, verb: str, verb_of_one: str) -> str:
    if alone == of:
        return f"{counted(of, noun)} {verb if of > 1 else verb_of_one} with it alone"
    if alone:
        return f"{alone} of {counted(of, noun)} {verb if alone > 1 else verb_of_one} with it alone"
    return f"in {counted(of, noun)}, none of which {verb_of_one} with it alone"


def only_together(grouping: Grouping) -> Sequence[tuple[tuple[str, ...], int]]:
    """Sets of several ops that share fallback regions, which go only when all of them are supported."""
    return [(tuple(sorted(ops)), number) for ops, number in grouping.regions if len(ops) > 1]


_VERBS = {
    Route.REGISTER: "Register a custom op for",
    Route.TRANSLATE: "Translate the collective",
    Route.ALIAS: "Alias",
    Route.ADD: "Add to Thunder",
    Route.ARGUMENTS: "Fix the arguments of",
    Route.FOLD: "Constant-fold the query",
    Route.BODY: "Fix the body of",
    Route.UPSTREAM: "Fix upstream, in the code that calls",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the site with what it means."""

    name: str
    kind: str
    meaning: str


def words() -> list[Word]:
    """The words of the site, first those that only its tables have."""
    return [*_COLUMNS, *(Word(found.name, found.kind, found.summary) for found in explanations())]


_COLUMNS = [
    Word(name, "Column", meaning)
    for name, meaning in (
        ("nodes", "Calls in distinct graphs; placeholders, outputs and attribute reads are not counted."),
        ("distinct", "Graphs counted once, however many ranks and models saved them."),
        ("whole", "Graphs of which Thunder takes every node."),
        ("fallback", "Regions that the installed Thunder would hand to Inductor."),
        ("alone", "Fallback regions in which no other op is at fault: they vanish with this op's support."),
        ("lost", "Distinct graphs that Thunder loses altogether since its check raises."),
        ("transitions", "Changes from one region to the next."),
    )
]
