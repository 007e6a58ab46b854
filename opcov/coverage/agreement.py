"""Measures how well placement is predicted: a corpus of split graphs carries its own truth.

Each split file records who got each node when it was saved. A disagreement is named by what explains it; one that
nothing explains is opcov's own mistake until shown otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from opcov.coverage import Coverage, NodeRow
from opcov.graph import Compiler
from opcov.judged import Compared
from opcov.verdict import Evidence, Status


class Agreement(str, Enum):
    """How a node's predicted placement relates to the recorded one."""

    SAME = "same"
    DRIFT = "drift"
    """Thunder's support changed since: the file records the other answer for every node that asks the same question."""
    PINNED = "pinned"
    """The splitters differ in whether a `getitem` stays with the unsupported node whose tuple it takes apart."""
    CONTEXT = "context"
    """The splitters differ in what contexts Thunder takes."""
    UNEXPLAINED = "unexplained"
    """Nothing explains it: the verdict rests on something assumed or unknown, or the file records both answers."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A node that is placed otherwise than recorded.

    Attributes:
        row: the node with its model and file.
        kind: what explains it.
        explanation: one sentence.
    """

    row: NodeRow
    kind: Agreement
    explanation: str


@dataclass(frozen=True)
class SelfCheck:
    """The agreement of a scan with what its files record.

    Attributes:
        nodes: of distinct split bodies that are placed by both.
        graphs: distinct split graphs.
        agreeing_graphs: those with the recorded number of regions and every node placed as recorded.
        disagreements: the others' nodes, in the order of the node rows.
    """

    nodes: int
    graphs: int
    agreeing_graphs: int
    disagreements: tuple[Disagreement, ...]

    @property
    def counts(self) -> Mapping[Agreement, int]:
        """Disagreements by kind."""
        return Counter(disagreement.kind for disagreement in self.disagreements)

    @property
    def unexplained(self) -> tuple[Disagreement, ...]:
        """The disagreements that nothing explains."""
        return tuple(found for found in self.disagreements if found.kind is Agreement.UNEXPLAINED)


def check_itself(coverage: Coverage) -> SelfCheck:
    """Compares predicted with recorded placements over a whole corpus.

    One Thunder recorded the graphs of one model, so it answered equal questions alike: where a model's files record
    both answers to a question, the question as opcov reads it lacks something that the answer depends on.
    """
    answers: dict[_Question, set[Compiler]] = {}
    rows = [row for row in coverage.node_rows() if row.node.compared is not Compared.NOT_RECORDED]
    for row in rows:
        if row.node.recorded is not None and row.node.compared in (Compared.SAME, Compared.VERDICT):
            answers.setdefault(_question(row), set()).add(row.node.recorded)
    disagreements = tuple(_explained(row, answers) for row in rows if row.node.compared is not Compared.SAME)
    graphs = [
        graph
        for digest in coverage.files_by_body
        for graph in coverage.bodies[digest].graphs
        if graph.recorded_regions is not None
    ]
    agreeing = sum(
        graph.recorded_regions == graph.placed_regions
        and all(node.compared in (Compared.SAME, Compared.NOT_RECORDED) for node in graph.nodes)
        for graph in graphs
    )
    return SelfCheck(len(rows), len(graphs), agreeing, disagreements)


_Question: TypeAlias = tuple[str, str, str, tuple[str, ...], str]


def _question(row: NodeRow) -> _Question:
    return (row.model, row.node.op, row.node.variant, row.node.inputs, row.node.detail)


def _explained(row: NodeRow, answers: Mapping[_Question, set[Compiler]]) -> Disagreement:
    node = row.node
    was, now = (compiler.value if compiler else "none" for compiler in (node.recorded, node.placed))
    match node.compared:
        case Compared.PINNED:
            kind, why = Agreement.PINNED, "the splitters differ in keeping a getitem with the node that it takes apart"
        case Compared.CONTEXT:
            kind, why = Agreement.CONTEXT, "the splitters differ in the contexts that Thunder takes"
        case _ if node.status is Status.UNKNOWN:
            kind, why = Agreement.UNEXPLAINED, f"the verdict is unknown: {node.detail}"
        case _ if node.evidence is Evidence.ASSUMED:
            kind, why = Agreement.UNEXPLAINED, "the verdict rests on something that the text does not state"
        case _ if len(answers[_question(row)]) > 1:
            kind, why = Agreement.UNEXPLAINED, "the model's files record both answers to this question"
        case _:
            kind, why = Agreement.DRIFT, "Thunder's answer to this question changed since"
    return Disagreement(row, kind, f"recorded {was}, placed {now}: {why}")
