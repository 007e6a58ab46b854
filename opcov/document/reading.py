"""The way back: the coverage that a saved document tells of, as far as it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opcov.corpus.health import Diagnosis
from opcov.coverage import Coverage
from opcov.coverage.agreement import Agreement
from opcov.document.entries import Document, GraphEntry, NodeEntry
from opcov.form import Form
from opcov.graph import Compiler
from opcov.graphfile import GraphFile
from opcov.judged import Compared, JudgedBody, JudgedGraph, JudgedNode, ModelScan
from opcov.problems import Problem, Slug
from opcov.registries.families import Route


def coverage_of(found: Document) -> Coverage:
    """The coverage that a document was made of, so that a saved scan can be compared like any other.

    What a document does not hold is not in it: sizes of files, run logs, which nodes read which. The graphs of a file
    that held several are one.

    Args:
        found: a document, such as `opcov.reports.json_document.read_document` gives.
    """
    nodes: dict[str, list[NodeEntry]] = {}
    for node in found.nodes:
        nodes.setdefault(node.digest, []).append(node)
    problems: dict[str, list[Problem]] = {}
    for problem in found.problems:
        problems.setdefault(problem.file, []).append(problem)
    bodies: dict[str, JudgedBody] = {}
    files: dict[str, list[GraphFile]] = {}
    for graph in found.graphs:
        unreadable = None if graph.digest else next(iter(problems.get(graph.file, ())), None)
        file = GraphFile(graph.file, graph.rank, graph.index, graph.form, graph.digest, 0, unreadable, graph.file)
        files.setdefault(graph.model, []).append(file)
        if graph.digest and graph.digest not in bodies:
            # A crash may be that of the run that saved this file: other files with the same body know nothing of it.
            own = (problem for problem in problems.get(graph.file, ()) if problem.slug is not Slug.CRASH)
            told = tuple(replace(problem, file="") for problem in own)
            bodies[graph.digest] = JudgedBody(graph.digest, _saved_graphs(graph, nodes.get(graph.digest, ())), told)
    models = {
        entry.model: ModelScan(
            entry.model, tuple(files.get(entry.model, ())), Diagnosis(entry.health, entry.health_reasons)
        )
        for entry in found.models
    }
    siblings = {entry.op: entry.siblings for entry in found.ops if entry.siblings}
    return Coverage(models, bodies, dict(found.versions), found.problems, siblings)


def _saved_graphs(graph: GraphEntry, nodes: Sequence[NodeEntry]) -> tuple[JudgedGraph, ...]:
    if graph.problem and not nodes and not graph.exception:
        return ()
    judged = tuple(map(_saved_node, nodes))
    form = graph.form or Form.UNSPLIT
    return (JudgedGraph(form, judged, graph.recorded_regions, graph.placed_regions, graph.exception),)


_COMPARED = {
    None: Compared.NOT_RECORDED,
    Agreement.SAME: Compared.SAME,
    Agreement.PINNED: Compared.PINNED,
    Agreement.CONTEXT: Compared.CONTEXT,
    Agreement.DRIFT: Compared.VERDICT,
    Agreement.UNEXPLAINED: Compared.VERDICT,
}


def _saved_node(node: NodeEntry) -> JudgedNode:
    return JudgedNode(
        line=node.line,
        name=node.node,
        kind=node.kind,
        op=node.op,
        variant=node.variant,
        expression=node.expression,
        status=node.status,
        reason=node.reason,
        detail=node.detail,
        evidence=node.evidence,
        recorded=_COMPILERS.get(node.recorded),
        recorded_region=node.recorded_region,
        placed=_COMPILERS.get(node.placed),
        placed_region=node.placed_region,
        source_file=node.source_file,
        source_line=node.source_line or 0,
        source_function=node.source_function,
        source_code=node.source_code,
        compared=_COMPARED[node.agreement],
        inputs=node.inputs,
        output=node.output,
        input_dtypes=node.input_dtypes,
        output_dtypes=node.output_dtypes,
        family=node.family,
        route=node.route or Route.UPSTREAM,
        kernel=node.kernel,
    )


_COMPILERS = {compiler.value: compiler for compiler in Compiler}
