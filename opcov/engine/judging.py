"""Judges one distinct body: reads, judges and places its graphs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from opcov.form import Form
from opcov.graph import (
    Compiler,
    ConstantMeta,
    Graph,
    Kind,
    Node,
    SequenceMeta,
    Source,
    SymbolMeta,
    TensorMeta,
)
from opcov.judged import Compared, JudgedBody, JudgedGraph, JudgedNode
from opcov.loaders.loader import Loaded, Loader, SavedFile
from opcov.placement import PlacedBy, Placement, place
from opcov.problems import Problem, Slug
from opcov.registries import Registry
from opcov.registries.families import classify
from opcov.verdict import Reason, Status, Verdict


def load(saved: SavedFile, loader: Loader) -> Loaded:
    """What a loader reads of a file; one that breaks the loader gives its problem and takes no other file with it."""
    try:
        return loader.load(saved)
    except Exception as error:  # noqa: BLE001 - another package's loader may raise anything
        message = f"the file could not be read as a graph ({_told(error)})"
        return (), (Problem("", 0, Slug.UNREADABLE, message),)


def judge_loaded(digest: str, loaded: Loaded, registry: Registry) -> JudgedBody:
    """Judges and places the graphs that were read of one body.

    Args:
        digest: of the body.
        loaded: its graphs, and the problems that belong to none.
        registry: the judge.
    """
    graphs, problems = loaded
    judged = []
    found = list(problems)
    for graph in graphs:
        result, more = _judge_graph(graph, registry)
        judged.append(result)
        found += [*graph.problems, *more]
    return JudgedBody(digest, tuple(judged), tuple(sorted(set(found))))


def _judge_graph(graph: Graph, registry: Registry) -> tuple[JudgedGraph, list[Problem]]:
    problems = []
    verdicts: Mapping[str, Verdict]
    known: Mapping[str, object]
    try:
        answers, known = registry.judge(graph)
        verdicts = {node.name: answers[node.name] for node in graph.calls}
        placement = place(graph, verdicts, known, registry.splitter)
    except Exception as error:  # noqa: BLE001 - a graph that breaks the judge must not take the others with it
        message = f"the graph could not be judged ({_told(error)}); its nodes are unknown"
        problems.append(Problem("", 0, Slug.JUDGE_FAILED, message))
        verdicts = dict.fromkeys((node.name for node in graph.calls), _NOT_JUDGED)
        placement, known = Placement((), {}, {}), {}
    crash, crash_node = _crash(graph, verdicts, placement)
    if crash:
        line = next((node.line for node in graph.nodes if node.name == crash_node), 0)
        outcome = "the splitter that saved it went on" if graph.form is Form.SPLIT else "the whole graph is lost"
        problems.append(Problem("", line, Slug.CRASH, f"crash: Thunder's splitter raises {crash}; {outcome}"))
    nodes = tuple([_judged_node(graph, node, verdicts[node.name], placement, known, registry) for node in graph.calls])
    recorded = len(graph.regions) if graph.regions else None
    inputs = tuple([(node.name, _described(known.get(node.name))) for node in graph.nodes if node.kind in _INPUTS])
    results = tuple([name for node in graph.nodes if node.kind is Kind.OUTPUT for name in node.inputs])
    return JudgedGraph(graph.form, nodes, recorded, len(placement.regions), crash, inputs, results), problems


_INPUTS = frozenset({Kind.PLACEHOLDER, Kind.GET_ATTR})


def _crash(graph: Graph, verdicts: Mapping[str, Verdict], placement: Placement) -> tuple[str, str]:
    """The exception with which today's splitter would stop, and the node at which it does.

    Placement goes on where a split file proves that the splitter of its time did.
    """
    if placement.crash or graph.form is Form.UNSPLIT:
        return placement.crash, placement.crash_node
    for name, verdict in verdicts.items():
        if verdict.status is Status.CRASH:
            return verdict.detail, name
    return "", ""


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def _told(error: Exception) -> str:
    """An exception on one line, the same in every run."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[:_LONGEST_MESSAGE]}..."
    return f"{type(error).__name__}: {_ADDRESS.sub('0x...', text)}" if text else type(error).__name__


_LONGEST_MESSAGE = 300
_NOT_JUDGED = Verdict(Status.UNKNOWN, Reason.NO_METADATA, "the graph could not be judged")
_NO_SOURCE = Source("", 0, "", "")


def _judged_node(
    graph: Graph, node: Node, verdict: Verdict, placement: Placement, known: Mapping[str, object], registry: Registry
) -> JudgedNode:
    placed = placement.region_of.get(node.name)
    source = node.source or _NO_SOURCE
    reads = node.inputs
    values = [known.get(name) for name in reads]
    kind = classify(node, registered=verdict.status is not Status.SUPPORTED and registry.has_own(node.op))
    return JudgedNode(
        node.line,
        node.name,
        node.kind,
        node.op,
        node.variant,
        node.expression,
        verdict.status,
        verdict.reason,
        verdict.detail,
        verdict.evidence,
        node.region.compiler if node.region else None,
        node.region.name if node.region else "",
        placed.compiler if placed else None,
        placed.name if placed else "",
        source.file,
        source.line,
        source.function,
        source.code,
        _compared(graph, node, placement),
        reads,
        tuple(map(_described, values)),
        _described(known.get(node.name)),
        tuple(dict.fromkeys(dtype for value in values for dtype in _dtypes(value))),
        tuple(dict.fromkeys(_dtypes(known.get(node.name)))),
        kind.family,
        kind.route,
        kind.kernel,
    )


def _described(value: object) -> str:
    return str(value) if isinstance(value, (TensorMeta, SymbolMeta, SequenceMeta, ConstantMeta)) else "?"


def _dtypes(value: object) -> Iterator[str]:
    if isinstance(value, TensorMeta):
        yield value.dtype
    elif isinstance(value, SequenceMeta):
        for item in value.items:
            yield from _dtypes(item)


def _compared(graph: Graph, node: Node, placement: Placement) -> Compared:
    placed, recorded = placement.region_of.get(node.name), node.region
    if recorded is None or placed is None:
        return Compared.NOT_RECORDED
    if recorded.compiler is placed.compiler:
        return Compared.SAME
    by = placement.placed_by[node.name]
    if by is PlacedBy.PINNED or _was_pinned(graph, node):
        return Compared.PINNED
    return Compared.CONTEXT if by is PlacedBy.CONTEXT else Compared.VERDICT


def _was_pinned(graph: Graph, node: Node) -> bool:
    """Whether the recorded splitter kept a `getitem` in the fallback region of the node that it reads."""
    if node.op != "operator.getitem" or node.region is None or node.region.compiler is not Compiler.INDUCTOR:
        return False
    source = node.inputs[0] if node.inputs else ""
    return any(other.name == source and other.meta is None and other.region == node.region for other in graph.calls)
