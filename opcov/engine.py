"""Scans a corpus: reads, judges and places each distinct body once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from opcov.corpus import Corpus, GraphFile, Model, read_body
from opcov.coverage import Coverage, JudgedBody, JudgedGraph, JudgedNode, ModelScan
from opcov.graph import Form, Graph, Source
from opcov.health import diagnose
from opcov.loaders import load_text
from opcov.loaders.runlog import RunLog, read_run_log
from opcov.loaders.syntax import collector_paused
from opcov.placement import Placement, place
from opcov.problems import Problem, Slug
from opcov.registries import Registry
from opcov.verdict import Reason, Status, Verdict


def scan_corpus(corpus: Corpus, registry: Registry, progress: Callable[[int, int], None] | None = None) -> Coverage:
    """Judges a corpus.

    Args:
        corpus: what was found on disk.
        registry: the judge.
        progress: called with the number of bodies done and of all, after each body.

    Returns:
        The coverage. A file that cannot be read or judged is in it with its problem.
    """
    bodies: dict[str, JudgedBody] = {}
    problems = list(corpus.problems)
    grouped = corpus.bodies()
    for done, (digest, files) in enumerate(grouped.items(), 1):
        body = _judge_file(corpus, files[0], registry)
        bodies[digest] = body
        problems += [replace(problem, file=file.path) for file in files for problem in body.problems]
        if progress is not None:
            progress(done, len(grouped))
    models = {}
    for model in corpus.models:
        run_log, problem = _run_log(corpus, model)
        problems += [problem] if problem else []
        scan = ModelScan(model.name, model.files, diagnose(model, run_log), run_log)
        models[model.name] = scan
        problems += _recorded_crashes(scan, bodies)
    return Coverage(models, bodies, dict(registry.versions), tuple(sorted(set(problems))))


def _judge_file(corpus: Corpus, file: GraphFile, registry: Registry) -> JudgedBody:
    try:
        content = read_body(corpus.root, file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return JudgedBody(file.digest, (), (Problem("", 0, Slug.UNREADABLE, f"the file cannot be read: {reason}"),))
    return judge_body(file.digest, content, registry)


def judge_body(digest: str, content: bytes, registry: Registry) -> JudgedBody:
    """Reads, judges and places the graphs of one body; no content makes this raise.

    Args:
        digest: of the body.
        content: of the file that stands for it.
        registry: the judge.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the file is no UTF-8 text (byte {error.start}), so it is not a printed GraphModule"
        return JudgedBody(digest, (), (Problem("", 0, Slug.NOT_TEXT, message),))
    with collector_paused():
        graphs, problems = load_text(text)
        judged = []
        found = list(problems)
        for graph in graphs:
            result, more = _judge_graph(graph, registry)
            judged.append(result)
            found += [*graph.problems, *more]
    return JudgedBody(digest, tuple(judged), tuple(sorted(set(found))))


def _judge_graph(graph: Graph, registry: Registry) -> tuple[JudgedGraph, list[Problem]]:
    problems = []
    try:
        verdicts, known = registry.judge(graph)
        placement = place(graph, verdicts, known)
    except Exception as error:  # noqa: BLE001 - a graph that breaks the judge must not take the others with it
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        message = f"the graph could not be judged ({what}); its nodes are unknown"
        problems.append(Problem("", 0, Slug.JUDGE_FAILED, message))
        verdicts = {
            node.name: Verdict(Status.UNKNOWN, Reason.NO_METADATA, "the graph could not be judged")
            for node in graph.calls
        }
        placement = Placement((), {}, {})
    crash, crash_node = _crash(graph, verdicts, placement)
    if crash:
        line = next((node.line for node in graph.nodes if node.name == crash_node), 0)
        outcome = "the splitter that saved it went on" if graph.form is Form.SPLIT else "the whole graph is lost"
        problems.append(Problem("", line, Slug.CRASH, f"crash: Thunder's splitter raises {crash}; {outcome}"))
    nodes = tuple(
        [_judged_node(graph, node_verdict, placement, index) for index, node_verdict in enumerate(verdicts.values())]
    )
    recorded = len(graph.regions) if graph.regions else None
    return JudgedGraph(graph.form, nodes, recorded, len(placement.regions), crash), problems


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


_NO_SOURCE = Source("", 0, "", "")


def _judged_node(graph: Graph, verdict: Verdict, placement: Placement, index: int) -> JudgedNode:
    node = graph.calls[index]
    placed = placement.region_of.get(node.name)
    source = node.source or _NO_SOURCE
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
    )


def _run_log(corpus: Corpus, model: Model) -> tuple[RunLog | None, Problem | None]:
    if model.run_log is None or model.log_location is None:
        return None, None
    try:
        return read_run_log(corpus.root / model.log_location), None
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
        if not file.name.startswith("graph_module_") or body is None or not body.graphs:
            continue
        today = "" if any(graph.crash for graph in body.graphs) else "; today's check does not raise on it"
        message = f"crash recorded: the run stopped with {exception}{today}"
        problems.append(Problem(file.path, 0, Slug.CRASH, message))
    return problems
