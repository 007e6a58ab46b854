"""Scans a corpus: recalls what was judged before, has the rest judged, and puts all of it together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from opcov.cache import Memory
from opcov.corpus import Corpus, Model
from opcov.corpus.health import diagnose
from opcov.coverage import Coverage
from opcov.coverage.bodies import Bodies
from opcov.engine.work import Task, Work, Workers
from opcov.form import Form
from opcov.graphfile import GraphFile, read_body, read_companions
from opcov.judged import JudgedBody, ModelScan
from opcov.loaders.loader import SavedFile
from opcov.loaders.runlog import RunLog
from opcov.problems import Problem, Slug
from opcov.tally import BYTES, GRAPHS, JUDGE, PARSED, QUESTIONS, RECALL, RECALLED, TABLES


def scan_corpus(
    corpus: Corpus,
    workers: Workers,
    progress: Callable[[int, int], None] | None = None,
    memory: Memory | None = None,
) -> Coverage:
    """Judges a corpus.

    Args:
        corpus: what was found on disk.
        workers: those who judge what is not remembered.
        progress: called with the number of bodies done and of all, after each body.
        memory: what was judged before; None to judge everything.

    Returns:
        The coverage. A file that cannot be read or judged is in it with its problem.

    Raises:
        OpcovError: no worker can judge at all.
    """
    memory = memory or Memory()
    grouped = corpus.bodies()
    bodies = Bodies()
    facts: dict[str, _Facts] = {}
    refused: set[str] = set()
    for body in _judged(corpus, [files[0] for files in grouped.values()], workers, memory):
        bodies.add(body)
        facts[body.digest] = _Facts(body.problems, bool(body.graphs), any(graph.crash for graph in body.graphs))
        refused |= _refused(body)
        if progress is not None:
            progress(len(bodies), len(grouped))
    with memory.tally.phase(TABLES):
        ordered = bodies.part(grouped)  # workers answer in any order
        return _put_together(corpus, grouped, workers, memory, ordered, facts, refused)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is needed of a body beside its nodes, which are too many to be held."""

    problems: tuple[Problem, ...]
    has_graphs: bool
    crashes: bool


def _put_together(
    corpus: Corpus,
    grouped: Mapping[str, tuple[GraphFile, ...]],
    workers: Workers,
    memory: Memory,
    bodies: Bodies,
    facts: Mapping[str, _Facts],
    refused: Iterable[str],
) -> Coverage:
    problems = list(corpus.problems)
    for digest, files in grouped.items():
        problems += [replace(problem, file=file.path) for file in files for problem in facts[digest].problems]
    models = {}
    for model in corpus.models:
        run_log, problem = _run_log(corpus, model, memory)
        problems += [problem] if problem else []
        scan = ModelScan(model.name, model.files, diagnose(_as_read(model, facts), run_log), run_log)
        models[model.name] = scan
        problems += _recorded_crashes(scan, facts)
    return Coverage(
        models,
        bodies,
        memory.versions(workers.versions),
        tuple(sorted(set(problems))),
        _known_siblings(refused, lambda ops: memory.siblings(ops, workers.siblings)),
    )


def siblings_of(
    bodies: Iterable[JudgedBody], ask: Callable[[list[str]], Mapping[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]]:
    """For each op that is not supported somewhere, its registered siblings, where it has some."""
    return _known_siblings(set().union(*map(_refused, bodies)), ask)


def _refused(body: JudgedBody) -> set[str]:
    return {node.op for node in body.nodes if node.status.is_refused}


def _known_siblings(
    ops: Iterable[str], ask: Callable[[list[str]], Mapping[str, tuple[str, ...]]]
) -> dict[str, tuple[str, ...]]:
    ordered = sorted(ops)
    found = ask(ordered)
    return {op: found[op] for op in ordered if found[op]}


def _judged(corpus: Corpus, files: Iterable[GraphFile], workers: Workers, memory: Memory) -> Iterator[JudgedBody]:
    """The bodies of files, those that are remembered first."""
    tally = memory.tally
    unknown: dict[str, GraphFile] = {}
    for file in files:
        with tally.phase(RECALL):
            body = memory.body(file)
        tally.count(GRAPHS)
        if body is None:
            unknown[file.digest] = file
        else:
            tally.count(RECALLED)
            yield body
    unread: list[JudgedBody] = []
    waiting = list(unknown.values())

    def read(place: int) -> Task | None:
        file = waiting[place]
        try:
            saved = SavedFile(file.name, read_body(corpus.root, file), read_companions(corpus.root, file))
        except OSError as error:
            message = f"the file cannot be read: {error.strerror or type(error).__name__}"
            unread.append(JudgedBody(file.digest, (), (Problem("", 0, Slug.UNREADABLE, message),)))
            return None
        tally.count(BYTES, len(saved.content))
        parsed = memory.parsed(file)
        tally.count(PARSED, parsed is not None)
        return Task(file.digest, file.claimed_by[0], saved, parsed, memory.keeps_parsed)

    with tally.phase(JUDGE):
        for answer in workers.answers(Work([file.size for file in waiting], read)) if waiting else ():
            memory.keep(corpus.root, unknown[answer.body.digest], answer.body, answer.parsed)
            tally.count(QUESTIONS, answer.questions)
            yield answer.body
    yield from unread


def _as_read(model: Model, facts: Mapping[str, _Facts]) -> Model:
    """The model for its diagnosis: a file in which no graph was found is as good as one that cannot be opened."""
    files = []
    for file in model.files:
        body = facts.get(file.digest)
        if file.problem is None and body is not None and not body.has_graphs:
            why = body.problems[0] if body.problems else Problem("", 0, Slug.EMPTY, "the file holds no graph")
            file = replace(file, problem=replace(why, file=file.path))
        files.append(file)
    return replace(model, files=tuple(files))


def _run_log(corpus: Corpus, model: Model, memory: Memory) -> tuple[RunLog | None, Problem | None]:
    if model.run_log is None or model.log_location is None:
        return None, None
    try:
        return memory.run_log(corpus.root, model), None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return None, Problem(model.run_log, 0, Slug.UNREADABLE, f"the run log cannot be read: {reason}")


def _recorded_crashes(model: ModelScan, facts: Mapping[str, _Facts]) -> list[Problem]:
    """Graphs that were saved before the split because the splitter stopped: the run log tells with what."""
    exception = model.run_log.final_exception if model.run_log else None
    if exception is None:
        return []
    problems = []
    for file in model.files:
        body = facts.get(file.digest)
        if file.form is not Form.UNSPLIT or body is None or not body.has_graphs:
            continue
        today = "" if body.crashes else "; today's check does not raise on it"
        message = f"crash recorded: the run stopped with {exception}{today}"
        problems.append(Problem(file.path, 0, Slug.CRASH, message))
    return problems
