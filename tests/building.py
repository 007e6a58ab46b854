"""Builds judged graphs, coverages and small corpora for tests, and a judge that is not Thunder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.graph import Compiler, Form, Graph, Kind
from opcov.graphfile import GraphFile, natural_key
from opcov.judged import JudgedBody, JudgedGraph, JudgedNode, ModelScan
from opcov.problems import Problem
from opcov.registries import SplitterRules
from opcov.verdict import SUPPORTED, Evidence, Reason, Status, Verdict

REASONS = {
    Status.SUPPORTED: None,
    Status.UNSUPPORTED: Reason.MISSING_OP_SUPPORT,
    Status.CRASH: Reason.CRASH,
    Status.UNKNOWN: Reason.NO_METADATA,
}

OK = JudgedNode(
    line=5, name="a", kind=Kind.CALL_FUNCTION, op="torch.relu", variant="torch.relu(T)", expression="torch.relu(x)",
    status=Status.SUPPORTED, reason=None, detail="", evidence=Evidence.META, recorded=Compiler.THUNDER,
    recorded_region="thunder_0", placed=Compiler.THUNDER, placed_region="thunder_0",
    source_file="/lib/site-packages/zoo/net.py", source_line=7, source_function="forward", source_code="relu(x)",
)  # fmt: skip


def node(op: str, status: Status = Status.UNSUPPORTED, **changes: Any) -> JudgedNode:
    """A judged call of an op with one tensor argument."""
    default: dict[str, Any] = {"variant": f"{op}(T)", "expression": f"{op}(x)", "detail": f"why {op}"}
    return replace(OK, op=op, status=status, reason=REASONS[status], **{**default, **changes})


def body(digest: str, *nodes: JudgedNode, problems: Sequence[Problem] = (), crash: str = "") -> JudgedBody:
    """A body of one split graph with one region recorded and one placed."""
    return JudgedBody(digest, (JudgedGraph(Form.SPLIT, nodes, 1, 0 if crash else 1, crash),), tuple(problems))


def graph_file(path: str, digest: str) -> GraphFile:
    """A file of `rank0_1.py`'s kind, whatever its name."""
    return GraphFile(path, 0, 1, Form.SPLIT, digest, 100, location=path)


def model(name: str, files: Mapping[str, str], diagnosis: Diagnosis = Diagnosis(Health.OK)) -> ModelScan:  # noqa: B008
    """A model with the digests of its files by their names."""
    found = [graph_file(f"{name}/{file}", digest) for file, digest in files.items()]
    return ModelScan(name, tuple(sorted(found, key=lambda file: natural_key(file.path))), diagnosis)


def coverage(
    models: Mapping[str, Mapping[str, str]], *bodies: JudgedBody, problems: Sequence[Problem] = ()
) -> Coverage:
    """A coverage of models, each with the digests of its files by their names."""
    return Coverage(
        {name: model(name, files) for name, files in models.items()},
        {one.digest: one for one in bodies},
        {"judge": "1.0"},
        tuple(problems),
    )


def graph_text(*statements: str, result: str = "x") -> str:
    """An unsplit print_readable text with a placeholder `x`; the first statement is in line 3."""
    lines = ["class GraphModule(torch.nn.Module):", '    def forward(self, x: "f32[4]"):']
    lines += [f"        {statement}" for statement in statements]
    return "\n".join([*lines, f"        return ({result},)", ""])


def write_corpus(root: Path, texts: Mapping[str, str | bytes]) -> Path:
    """Writes files below a folder and returns it."""
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return root


class FakeRegistry:
    """Judges by the name of the op alone; all that is not listed is supported."""

    def __init__(
        self,
        verdicts: Mapping[str, Verdict | Exception] | None = None,
        relatives: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.verdicts = dict(verdicts or {})
        self.relatives = dict(relatives or {})
        self.judged: list[Graph] = []

    @property
    def versions(self) -> Mapping[str, str]:
        return {"judge": "1.0"}

    @property
    def splitter(self) -> SplitterRules:
        return SplitterRules()

    def has_own(self, op: str) -> bool:
        return op not in self.verdicts

    def siblings(self, op: str) -> tuple[str, ...]:
        return self.relatives.get(op, ())

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        self.judged.append(graph)
        answers = {}
        for call in graph.calls:
            answer = self.verdicts.get(call.op, SUPPORTED)
            if isinstance(answer, Exception):
                raise answer
            answers[call.name] = answer
        return answers, {}


def verdict(status: Status, detail: str = "because") -> Verdict:
    """A verdict that is not `supported`."""
    return Verdict(status, REASONS[status], detail)
