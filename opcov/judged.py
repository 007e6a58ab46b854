"""What was judged, as plain values: counts of nodes by status, judged nodes, graphs, bodies and models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from opcov.corpus.health import Diagnosis
from opcov.form import Form
from opcov.graph import Compiler, Kind
from opcov.graphfile import GraphFile
from opcov.loaders.runlog import RunLog
from opcov.problems import Problem
from opcov.registries.families import Family, Route
from opcov.verdict import Evidence, Reason, Status


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of nodes by status; counts add up with `+`.

    >>> Counts(supported=2) + Counts(supported=1, unknown=1)
    Counts(supported=3, unsupported=0, crash=0, unknown=1)
    """

    supported: int = 0
    unsupported: int = 0
    crash: int = 0
    unknown: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.supported + other.supported,
            self.unsupported + other.unsupported,
            self.crash + other.crash,
            self.unknown + other.unknown,
        )

    @property
    def nodes(self) -> int:
        """All judged nodes."""
        return self.supported + self.unsupported + self.crash + self.unknown

    @property
    def not_supported(self) -> int:
        """Nodes that Thunder does not take: unsupported and crash. Unknown ones are on neither side."""
        return self.unsupported + self.crash

    @property
    def gravest(self) -> Status:
        """The gravest status that one of the nodes has; supported where there is none."""
        for status in (Status.CRASH, Status.UNSUPPORTED, Status.UNKNOWN):
            if getattr(self, status.value):
                return status
        return Status.SUPPORTED

    @classmethod
    def of(cls, statuses: Iterable[Status]) -> Counts:
        """Counts statuses."""
        found = Counter(statuses)
        return cls(found[Status.SUPPORTED], found[Status.UNSUPPORTED], found[Status.CRASH], found[Status.UNKNOWN])


def percentage(part: int, whole: int) -> str:
    """A share in percent with one decimal that is 0.0 or 100.0 only when it is exactly that; "" of nothing.

    >>> percentage(1999, 2000), percentage(2000, 2000), percentage(1, 100000), percentage(0, 0)
    ('99.9', '100.0', '0.1', '')
    """
    if whole == 0:
        return ""
    if part in (0, whole):
        return "100.0" if part else "0.0"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f}"


class Compared(str, Enum):
    """How the placement of one node compares with the recorded one."""

    NOT_RECORDED = "not recorded"
    """The file does not tell who got the node."""
    SAME = "same"
    PINNED = "pinned"
    """Only one of the two splitters kept a `getitem` with the unsupported node whose tuple it takes apart."""
    CONTEXT = "context"
    """Only one of the two splitters took the node's context for one that Thunder does not take."""
    VERDICT = "verdict"
    """Thunder's check answered otherwise when the file was saved."""


@dataclass(frozen=True, slots=True)
class JudgedNode:
    """One judged call.

    Attributes:
        line: 1-based line in the file.
        name: as printed.
        kind: torch.fx's `op`.
        op: canonical target.
        variant: call shape.
        expression: as printed.
        status: the node's own verdict.
        reason: None for a supported node.
        detail: one line why.
        evidence: what the verdict rests on.
        recorded: who got the node when the file was saved; None in an unsplit graph.
        recorded_region: `thunder_0`; "" where none.
        placed: who would get it now; None where the splitter would stop, and for a node that it erases.
        placed_region: `thunder_0`; "" where none.
        source_file: provenance as recorded, "" where none.
        source_line: 0 where none.
        source_function: "" where none.
        source_code: "" where none.
        compared: how its placement compares with the recorded one.
        reads: names of the nodes that it reads, each once, in printed order.
        inputs: what is known of the value of each of them: `bf16[1, 1024]`; "?" where nothing is.
        output: what is known of its own value.
        input_dtypes: of the tensors that it reads, each once, in torch's abbreviations: `bf16`, `f8e4m3fn`.
        output_dtypes: of the tensors that it makes.
        family: what kind of op it is.
        route: what usually leads to its support.
        kernel: the name of the Triton kernel that it launches, "" where none or not known.
    """

    line: int
    name: str
    kind: Kind
    op: str
    variant: str
    expression: str
    status: Status
    reason: Reason | None
    detail: str
    evidence: Evidence
    recorded: Compiler | None
    recorded_region: str
    placed: Compiler | None
    placed_region: str
    source_file: str
    source_line: int
    source_function: str
    source_code: str
    compared: Compared = Compared.NOT_RECORDED
    reads: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    output: str = "?"
    input_dtypes: tuple[str, ...] = ()
    output_dtypes: tuple[str, ...] = ()
    family: Family = Family.OTHER
    route: Route = Route.UPSTREAM
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class JudgedGraph:
    """One judged graph.

    Attributes:
        form: how the file holds it.
        nodes: its calls, in pre-split order.
        recorded_regions: number of regions in the file; None for an unsplit graph.
        placed_regions: number of regions predicted; 0 where the splitter would stop.
        crash: the exception with which the splitter would stop, "" if it would not.
        inputs: names of its placeholders and attributes with what is known of their values, in order.
        results: names of the nodes that it returns, in order.
    """

    form: Form
    nodes: tuple[JudgedNode, ...]
    recorded_regions: int | None
    placed_regions: int
    crash: str
    inputs: tuple[tuple[str, str], ...] = ()
    results: tuple[str, ...] = ()

    @property
    def counts(self) -> Counts:
        """Its nodes by status."""
        return Counts.of(node.status for node in self.nodes)

    @property
    def fallback_regions(self) -> int:
        """Number of predicted regions that fall back to Inductor."""
        return len({node.placed_region for node in self.nodes if node.placed is Compiler.INDUCTOR})

    @property
    def is_covered(self) -> bool:
        """Whether Thunder takes the whole graph: it does not crash and every node is supported."""
        return not self.crash and all(node.status is Status.SUPPORTED for node in self.nodes)


@dataclass(frozen=True, slots=True)
class JudgedBody:
    """What was read and judged of one distinct body.

    Attributes:
        digest: of the body.
        graphs: usually one.
        problems: what could not be read or judged; without file names, since many files may share the body.
    """

    digest: str
    graphs: tuple[JudgedGraph, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def nodes(self) -> Iterator[JudgedNode]:
        """The judged calls of all its graphs."""
        for graph in self.graphs:
            yield from graph.nodes

    @property
    def counts(self) -> Counts:
        """Its nodes by status."""
        return Counts.of(node.status for node in self.nodes)

    @property
    def is_covered(self) -> bool:
        """Whether Thunder takes all of it: it holds a graph, all of it was read, and each graph is covered."""
        return bool(self.graphs) and not self.problems and all(graph.is_covered for graph in self.graphs)


@dataclass(frozen=True, slots=True)
class ModelScan:
    """One model of the corpus.

    Attributes:
        name: path from the corpus root.
        files: its graph files, in natural order.
        diagnosis: its health.
        run_log: what its log tells; None where it has none that can be read.
    """

    name: str
    files: tuple[GraphFile, ...]
    diagnosis: Diagnosis
    run_log: RunLog | None = None
