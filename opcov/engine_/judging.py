"""Scans a corpus: reads, judges and places each distinct body once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from opcov.cache import Memory
from opcov.corpus import Corpus, Model
from opcov.coverage import Coverage
from opcov.graph import (
    Compiler,
    ConstantMeta,
    Form,
    Graph,
    Kind,
    Node,
    SequenceMeta,
    Source,
    SymbolMeta,
    TensorMeta,
)
from opcov.graphfile import GraphFile, read_body, read_companions
from opcov.health import diagnose
from opcov.judged import Compared, JudgedBody, JudgedGraph, JudgedNode, ModelScan
from opcov.loaders import by_name
from opcov.loaders.loader import Loader, SavedFile
from opcov.loaders.runlog import RunLog
from opcov.loaders.text.syntax import collector_paused
from opcov.placement import PlacedBy, Placement, place
from opcov.problems import Problem, Slug
from opcov.registries import Registry
from opcov.registries.families import classify
from opcov.verdict import Reason, Status, Verdict


def scan_corpus(
    corpus: Corpus,
    registry: Registry,
    progress: Callable[[int, int], None] | None = None,
    memory: Memory | None = None,
) -> Coverage:
    """Judges a corpus.

    Args:
        corpus: what was found on disk.
        registry: the judge.
        progress: called with the number of bodies done and of all, after each body.
        memory: what was judged before; None to judge everything.

    Returns:
        The coverage. A file that cannot be read or judged is in it with its problem.
    """
    memory = memory or Memory()
    bodies: dict[str, JudgedBody] = {}
    problems = list(corpus.problems)
    grouped = corpus.bodies()
    for done, (digest, files) in enumerate(grouped.items(), 1):
        body = memory.body(files[0])
        if body is None:
            body = _judge_file(corpus, files[0], registry)
            memory.keep_body(corpus.root, files[0], body)
        bodies[digest] = body
        problems += [replace(problem, file=file.path) for file in files for problem in body.problems]
        if progress is not None:
            progress(done, len(grouped))
    models = {}
    for model in corpus.models:
        run_log, problem = _run_log(corpus, model, memory)
        problems += [problem] if problem else []
        scan = ModelScan(model.name, model.files, diagnose(_as_read(model, bodies), run_log), run_log)
        models[model.name] = scan
        problems += _recorded_crashes(scan, bodies)
    return Coverage(
        models, bodies, dict(registry.versions), tuple(sorted(set(problems))), siblings_of(bodies.values(), registry)
    )


def siblings_of(bodies: Iterable[JudgedBody], registry: Registry) -> dict[str, tuple[str, ...]]:
    """For each op that is not supported somewhere, its registered siblings, where it has some."""
    ops = {node.op for body in bodies for node in body.nodes if node.status.is_refused}
    found = {op: registry.siblings(op) for op in sorted(ops)}
    return {op: names for op, names in found.items() if names}


def _judge_file(corpus: Corpus, file: GraphFile, registry: Registry) -> JudgedBody:
    try:
        saved = SavedFile(file.name, read_body(corpus.root, file), read_companions(corpus.root, file))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return JudgedBody(file.digest, (), (Problem("", 0, Slug.UNREADABLE, f"the file cannot be read: {reason}"),))
    _ = registry.splitter  # one that is made when it is asked is made here, where its errors are no graph's
    return judge_body(file.digest, saved, by_name(file.claimed_by[0]), registry)


def judge_body(digest: str, saved: SavedFile, loader: Loader, registry: Registry) -> JudgedBody:
    """Reads, judges and places the graphs of one body; no content makes this raise.

    Args:
        digest: of the body.
        saved: the file that stands for it.
        loader: reads it.
        registry: the judge.
    """
    with collector_paused():
        try:
            graphs, problems = loader.load(saved)
        except Exception as error:  # noqa: BLE001 - a file that breaks the loader must not take the others with it
            message = f"the file could not be read as a graph ({_told(error)})"
            return JudgedBody(digest, (), (Problem("", 0, Slug.UNREADABLE, message),))
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


def _as_read(model: Model, bodies: Mapping[str, JudgedBody]) -> Model:
    """The model for its diagnosis: a file in which no graph was found is as good as one that cannot be opened."""
    files = []
    for file in model.files:
        body = bodies.get(file.digest)
        if file.problem is None and body is not None and not body.graphs:
            why = body.problems[0] if body.problems else Problem("", 0, Slug.EMPTY, "the file holds no graph")
            file = replace(file, problem=replace(why, file=file.path))
        files.append(file)
    return replace(model, files=tuple(files))


def _run_log(corpus: Corpus, model: Model, memory: Memory) -> tuple[RunLog | None, Problem | None]:
    if model.run_log is None or model.log_location is None:
        return None, None
    try:
        return memory.run_log(corpus.root / model.log_location), None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return None, Problem(model.run_log, 0, Slug.UNREADABLE, f"the run log cannot be read: {reason}")


def _recorded_crashes(model: ModelScan, bodies: Mapping[str, JudgedBody]) -> list[Problem]:
    """Graphs that were saved before the split because the splitter stopped: the run log tells with what."""
    exception = model.run_log.final_exception if model.run_log else None
    if exception is None:
        return []
    problems = []
    for file in model.files:
        body = bodies.get(file.digest)
        if file.form is not Form.UNSPLIT or body is None or not body.graphs:
            continue
        today = "" if any(graph.crash for graph in body.graphs) else "; today's check does not raise on it"
        message = f"crash recorded: the run stopped with {exception}{today}"
        problems.append(Problem(file.path, 0, Slug.CRASH, message))
    return problems
