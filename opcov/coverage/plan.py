"""What to do first: the ops to support, in the order in which the most fallback regions and lost graphs go for each.

Many regions hold several ops that Thunder does not take, and go only when it takes all of them. So what is planned is
sets of ops, and every step counts on those before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from opcov.coverage import Coverage
from opcov.graph import Compiler
from opcov.verdict import Status

OpSet: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True)
class Step:
    """Ops to support together.

    Attributes:
        ops: names, in alphabetical order; those of earlier steps are not among them.
        regions: fallback regions that go with this step.
        graphs: lost graphs that come back with it.
        regions_gone: fallback regions that are gone with this step and all before it.
    """

    ops: tuple[str, ...]
    regions: int
    graphs: int
    regions_gone: int


def fallback_sets(coverage: Coverage) -> tuple[tuple[OpSet, int], ...]:
    """How many predicted fallback regions hold which ops that Thunder does not take, the commonest set first.

    Regions without such an op (a context that Thunder does not take) are not among them.
    """
    found: Counter[OpSet] = Counter()
    for digest in coverage.files_by_body:
        for graph in coverage.bodies[digest].graphs:
            held: dict[str, set[str]] = {}
            for node in graph.nodes:
                if node.placed is Compiler.INDUCTOR and node.status.is_refused:
                    held.setdefault(node.placed_region, set()).add(node.op)
            found.update(frozenset(ops) for ops in held.values())
    return _ordered(found)


def lost_sets(coverage: Coverage) -> tuple[tuple[OpSet, int], ...]:
    """How many graphs are lost because Thunder's check raises on which ops, the commonest set first."""
    found: Counter[OpSet] = Counter()
    for digest in coverage.files_by_body:
        for graph in coverage.bodies[digest].graphs:
            ops = frozenset(node.op for node in graph.nodes if node.status is Status.CRASH)
            if ops:
                found[ops] += 1
    return _ordered(found)


def _ordered(found: Mapping[OpSet, int]) -> tuple[tuple[OpSet, int], ...]:
    return tuple(sorted(found.items(), key=lambda item: (-item[1], sorted(item[0]))))


def plan(coverage: Coverage) -> tuple[Step, ...]:
    """The steps after which no fallback region has an op to blame and no graph is lost.

    Each step is the set of ops that some region or lost graph still lacks with the greatest gain for each op of it;
    a lost graph weighs as much as a region. Greedy: the best order of all would take exponential time to find.
    """
    regions, lost = dict(fallback_sets(coverage)), dict(lost_sets(coverage))
    done: OpSet = frozenset()
    gone = 0
    steps: list[Step] = []
    while regions or lost:
        candidates = {ops - done for ops in (*regions, *lost)}
        gains = {ops: _gain(regions, done | ops) + _gain(lost, done | ops) for ops in candidates}
        chosen = min(candidates, key=lambda ops: (-gains[ops] / len(ops), len(ops), sorted(ops)))
        done |= chosen
        freed, back = _gain(regions, done), _gain(lost, done)
        gone += freed
        steps.append(Step(tuple(sorted(chosen)), freed, back, gone))
        regions = {ops: number for ops, number in regions.items() if not ops <= done}
        lost = {ops: number for ops, number in lost.items() if not ops <= done}
    return tuple(steps)


def _gain(sets: Mapping[OpSet, int], supported: OpSet) -> int:
    return sum(number for ops, number in sets.items() if ops <= supported)
