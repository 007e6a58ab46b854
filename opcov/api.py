"""What a notebook or a script calls: scan a corpus, judge a live model, load a graph. Never prints or exits."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from opcov.cache import Options, Outline, mirrors_of, remembering
from opcov.corpus import Corpus, Scope, discover, path_below, scope_of, selected
from opcov.corpus.selection import nothing_selected
from opcov.loaders import available, by_name
from opcov.problems import UsageError
from opcov.registries.fingerprint import fingerprint, prepare, settle
from opcov.reports.files import check_outputs
from opcov.tally import BYTES, FETCH, FETCHED, FILES, FIND, KNOWN_FILES, Tally
from opcov.views.scan import Scan, StrPath

if TYPE_CHECKING:
    from opcov.cache import Memory
    from opcov.coverage import Coverage
    from opcov.graph import Graph
    from opcov.loaders.loader import Loader
    from opcov.registries import Registry
    from opcov.registries.thunder import ThunderRegistry

__all__ = [
    "Scan",
    "StrPath",
    "add_step_summary",
    "check",
    "check_outputs",
    "is_supported",
    "load",
    "saved_scan",
    "scan",
]


def scan(
    path: StrPath,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    requires_grad: bool = False,
    registry: Registry | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: bool | StrPath | Options = True,
    jobs: int | Literal["auto"] = 1,
    engine: str = "process",
    scheduler: str = "",
) -> Scan:
    """Judges every graph below a folder with the installed lightning-thunder.

    Args:
        path: a corpus (`gm/`), one model of it, or one graph file; an archive of one (`gm.zip`), or a URL
            (`s3://bucket/gm`), of which a copy is made that the cache keeps.
        include: patterns of model names (`Qwen/*`); only models that match one are scanned. All where there is none.
        exclude: patterns of model names to leave out.
        requires_grad: whether Parameters require grad, which the text does not tell: False is inference.
        registry: another judge than the installed lightning-thunder.
        progress: called with the number of distinct graphs done and of all, after each. Without it a notebook shows a
            bar until the scan is done, and nothing else shows anything; `lambda done, whole: None` shows none there.
        cache: where verdicts are remembered, so that a second scan judges only what is new: True for the folder that
            `OPCOV_CACHE_DIR` names, else the platform's, or a folder. False judges everything. The result is the same.
            Verdicts of another `registry` are remembered only if it has a `fingerprint`.
        jobs: how many processes judge; "auto" for as many as there are cores to use. 1 is this process. The result is
            the same.
        engine: "process" for processes of this machine, "dask" for workers of Dask (`pip install opcov[dask]`).
        scheduler: address of a running Dask cluster, `tcp://host:8786`.

    Raises:
        UsageError: the path does not exist, cannot be fetched, or holds no graph and no run log.
        RegistryError: lightning-thunder cannot be imported.

    >>> import opcov
    >>> scan = opcov.scan("fixtures/gm", include=["odd/stream-overlap"])
    >>> sorted(scan.ops.query("status == 'unsupported'").op)[:2]
    ['torch.Tensor.is_cpu', 'torch.cuda.current_stream']
    """
    job = _Job(_cache_options(cache), available(), registry, requires_grad, progress, jobs, engine, scheduler)
    return job.scan(path, include, exclude)


@dataclass(frozen=True, slots=True)
class _Job:
    """How a corpus is judged: by whom, and what is remembered."""

    options: Options | None
    formats: Sequence[Loader]
    registry: Registry | None
    requires_grad: bool
    progress: Callable[[int, int], None] | None
    jobs: int | Literal["auto"]
    engine: str
    scheduler: str

    def scan(self, path: StrPath, include: Sequence[str], exclude: Sequence[str]) -> Scan:
        """Finds what is to be judged. Where the very same was told before, nothing is judged until it is looked at."""
        tally = Tally()
        judge = _fingerprint(self.registry, requires_grad=self.requires_grad)
        with remembering(self.options, self.formats, judge, tally) as memory:
            with tally.phase(FIND):
                found, shown = self.found(path, memory)
                scope = scope_of(found, include, exclude)
                corpus = selected(found, scope)
                told = memory.told(corpus, shown)
                sizes = [file.size for file in found.files]
                tally.count(FILES, len(sizes))
                tally.count(KNOWN_FILES, len(memory.unread))
                tally.count(BYTES, sum(sizes) - sum(memory.unread.values()))
            coverage: Coverage | Callable[[], Coverage]
            if told is not None and told.outline is not None:
                coverage = partial(self.again, corpus, judge, tally)
            else:
                coverage = self.coverage(corpus, memory)
            scan = Scan(coverage, corpus.text_of, corpus=shown, scope=scope, told=told, tally=tally)
            if told is not None and told.outline is None:
                memory.keep_told(told, Outline(scan.problems, scan.agrees))
            return scan

    def found(self, path: StrPath, memory: Memory) -> tuple[Corpus, str]:
        """The corpus and its path from the working directory, "" where it lies elsewhere."""
        if Path(path).is_dir() or not _is_remote(path):
            corpus = discover(path, self.formats, memory.seen)
            return corpus, path_below(corpus.root)
        from opcov.corpus import remote

        mirrors, temporary = mirrors_of(self.options), None
        if mirrors is None:
            from tempfile import TemporaryDirectory

            temporary = TemporaryDirectory(prefix="opcov-")
            mirrors = Path(temporary.name)
        with memory.tally.phase(FETCH):
            fetched = remote.fetched(path, mirrors, self.formats)
        memory.tally.count(FETCHED, fetched.bytes_read)
        corpus = remote.with_lost(discover(fetched.root, self.formats, memory.seen), fetched.lost)
        if temporary is not None:
            weakref.finalize(corpus, temporary.cleanup)  # reports may show the texts of its graphs
        return corpus, ""

    def again(self, corpus: Corpus, judge: str | None, tally: Tally) -> Coverage:
        """Recalls what was judged; what the cache has lost meanwhile is judged once more."""
        with remembering(self.options, self.formats, judge, tally) as memory:
            return self.coverage(corpus, memory)

    def coverage(self, corpus: Corpus, memory: Memory) -> Coverage:
        """Judges what is not remembered."""
        from opcov.engine import Judge, scan_corpus, workers_for
        from opcov.views.notebook import progress_bar

        if self.registry is not None:
            judge = Judge.given(self.registry)
        else:
            here = partial(_thunder, requires_grad=self.requires_grad)
            judge = Judge.thunder(requires_grad=self.requires_grad, here=here)
        with (
            workers_for(judge, jobs=self.jobs, engine=self.engine, scheduler=self.scheduler) as workers,
            progress_bar() if self.progress is None else nullcontext(self.progress) as update,
        ):
            return scan_corpus(corpus, workers, update, memory)


def saved_scan(path: StrPath, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Scan:
    """The scan that a JSON report holds (`--format json:FILE`), for comparing it: nothing is judged.

    Args:
        path: of the file.
        include: patterns of model names; only models that match one are in it. All where there is none.
        exclude: patterns of model names to leave out.

    Raises:
        UsageError: the file cannot be read, or is no JSON report.
    """
    from opcov.coverage import Coverage
    from opcov.document import coverage_of
    from opcov.graphfile import reason_of
    from opcov.reports.json_document import read_document

    try:
        coverage = coverage_of(read_document(Path(path).read_bytes()))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    scope = Scope(tuple(include), tuple(exclude))
    if scope.partial:
        parts = [coverage.of_model(name) for name in coverage.models if scope.selects(name)]
        if not parts:
            raise nothing_selected(list(coverage.models))
        coverage = reduce(Coverage.merge, parts)
    return Scan(coverage, scope=scope)


def check(function: Any, /, *inputs: Any, registry: Registry | None = None, **kwargs: Any) -> Scan:
    """Judges the graphs of a live module or callable with the installed lightning-thunder.

    A `torch.fx.GraphModule` or `torch.export.ExportedProgram` is judged as it is. Any other callable runs once, in this
    process and as it is called here (devices, grad mode), under a torch.compile that keeps the graphs and compiles
    nothing; graph breaks give several graphs. Dynamo's caches are empty afterwards: what was compiled before is
    compiled again when it is next called.

    Args:
        function: a function, an nn.Module, a GraphModule or an ExportedProgram.
        inputs: example inputs of a callable.
        registry: another judge than the installed lightning-thunder.
        kwargs: more example inputs. One that is named `registry` itself has to go through functools.partial.

    Returns:
        A scan of one model, named after the callable, each of its graphs as if it had been saved before any split.

    Raises:
        UsageError: it is no callable, it raises, or torch.compile finds no graph in it.
        RegistryError: lightning-thunder cannot be imported.

    >>> import opcov, torch
    >>> found = opcov.check(lambda x: torch.sinc(x) + 1, torch.ones(2, 4))
    >>> found.ops[["op", "status"]].to_dict("split", index=False)["data"]
    [['torch.sinc', 'unsupported'], ['operator.add', 'supported']]
    """
    from opcov.engine.live import judge_live
    from opcov.loaders.captured import captured

    registry = _thunder(requires_grad=False) if registry is None else registry
    coverage, texts = judge_live(*captured(function, inputs, kwargs), registry)
    return Scan(coverage, texts.get, scope=Scope(one_model=True))


def load(path: StrPath) -> tuple[Graph, ...]:
    """Reads the graphs of one file, without judging them and without importing torch.

    Args:
        path: a saved graph in any form that a loader reads.

    Raises:
        UsageError: the file cannot be read, or holds no graph.

    >>> import opcov
    >>> (graph,) = opcov.load("fixtures/gm/odd/stream-overlap/rank0_0.py")
    >>> [call.op for call in graph.calls][-2:]
    ['torch.Tensor.is_cpu', 'torch.ops.fixture.inplace_all_reduce']
    """
    from opcov.graphfile import read_body, read_companions
    from opcov.loaders.loader import SavedFile

    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; name one graph file, or use opcov.scan")
    try:
        Path(path).stat()
        corpus = discover(path, available())
        (file,) = corpus.files
        saved = SavedFile(file.name, read_body(corpus.root, file), read_companions(corpus.root, file))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    graphs, problems = by_name(file.claimed_by[0]).load(saved)
    if not graphs:
        raise UsageError(f"{path} holds no graph: {problems[0].message if problems else 'no GraphModule class in it'}")
    return graphs


def is_supported(target: Callable[..., Any] | str) -> bool:
    """Whether the installed lightning-thunder has an operation of its own for a function or method of torch.

    An automatic fallback to torch is not one: Thunder's splitter leaves such calls to Inductor. True does not mean that
    every call is supported: that depends on its arguments, as `torch.bmm(a, b, out=c)` shows. `check` judges calls.

    Args:
        target: `torch.sinc`, `torch.Tensor.view`, `torch.ops.aten.add.Tensor`, `operator.add`, or such a name as text.

    Raises:
        UsageError: it is no function, or nothing that is allowed to be looked up has that name.
        RegistryError: lightning-thunder cannot be imported.

    >>> import opcov, torch
    >>> opcov.is_supported(torch.nn.functional.silu), opcov.is_supported("torch.sinc")
    (True, False)
    """
    return _thunder(requires_grad=False).registers(target)


def add_step_summary(scan: Scan, place: StrPath) -> bool:
    """Shows a scan, and what the gate found, on the page of a job of GitHub Actions.

    Args:
        scan: what to show.
        place: the file that `GITHUB_STEP_SUMMARY` names.

    Returns:
        Whether there was room for it.

    Raises:
        OutputError: the file cannot be written.
    """
    from opcov.reports import github

    return github.add_step_summary(scan._findings, Path(place))


def _is_remote(path: StrPath) -> bool:
    from opcov.corpus import remote

    return remote.is_remote(path)


def _cache_options(cache: bool | StrPath | Options) -> Options | None:
    if isinstance(cache, Options):
        return cache
    if isinstance(cache, bool):
        return Options() if cache else None
    return Options(Path(cache))


def _fingerprint(registry: Registry | None, *, requires_grad: bool) -> str | None:
    """All that the verdicts of a scan depend on; the installed Thunder is not loaded for that."""
    if registry is not None:
        told = getattr(registry, "fingerprint", None)  # one that has none is asked every time
        return told if isinstance(told, str) else None
    return _thunder.fingerprint(requires_grad=requires_grad) if isinstance(_thunder, _InstalledThunder) else None


class _InstalledThunder:
    """Makes the registry of the installed Thunder, and knows before what its verdicts depend on."""

    def fingerprint(self, *, requires_grad: bool) -> str | None:
        return fingerprint(requires_grad=requires_grad)

    def __call__(self, *, requires_grad: bool) -> ThunderRegistry:
        before = prepare()
        from opcov.registries.thunder import ThunderRegistry

        registry = ThunderRegistry(requires_grad=requires_grad)
        settle(before)
        return registry


_thunder: Callable[..., ThunderRegistry] = _InstalledThunder()
