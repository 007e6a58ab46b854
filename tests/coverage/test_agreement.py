"""How predicted placements are held against recorded ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import FakeRegistry, body, coverage, node, verdict, write_corpus

from opcov import api
from opcov.cli import main
from opcov.coverage.agreement import Agreement, check_itself
from opcov.graph import Compiler
from opcov.judged import Compared, JudgedNode
from opcov.verdict import Evidence, Status

# A split file in which Thunder took torch.relu and Inductor got torch.bad, twice each.
SPLIT = """class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[4]"):
        thunder_0 = self.thunder_0(x)
        inductor_1 = self.inductor_1(thunder_0)
        return (inductor_1,)

    class thunder_0(torch.nn.Module):
        def forward(self, x: "f32[4]"):
            a: "f32[4]" = torch.relu(x)
            b: "f32[4]" = torch.relu(a)
            return b

    class inductor_1(torch.nn.Module):
        def forward(self, b: "f32[4]"):
            c: "f32[4]" = torch.bad(b)
            d: "f32[4]" = torch.bad(c)
            return d
"""


def changed(op: str, **changes: object) -> JudgedNode:
    """A node that Inductor got when it was saved and that Thunder would get now."""
    default = {"recorded": Compiler.INDUCTOR, "placed": Compiler.THUNDER, "compared": Compared.VERDICT}
    return node(op, Status.SUPPORTED, **{**default, **changes})


def kinds(*nodes: JudgedNode) -> list[Agreement]:
    found = check_itself(coverage({"m": {"rank0_0.py": "d"}}, body("d", *nodes)))
    return [disagreement.kind for disagreement in found.disagreements]


def test_answer_that_changed_everywhere_in_a_model_is_drift() -> None:
    assert kinds(changed("torch.new"), changed("torch.new", name="b")) == [Agreement.DRIFT, Agreement.DRIFT]


def test_question_with_both_answers_recorded_is_unexplained() -> None:
    # One Thunder made all files of a model, so it answers equal questions alike.
    same = node(
        "torch.new", Status.SUPPORTED, recorded=Compiler.THUNDER, compared=Compared.SAME, detail="why torch.new"
    )
    assert kinds(changed("torch.new"), same) == [Agreement.UNEXPLAINED]


def test_other_inputs_are_another_question() -> None:
    same = node(
        "torch.new", Status.SUPPORTED, recorded=Compiler.THUNDER, compared=Compared.SAME, inputs=("i64[4]",),
        detail="why torch.new",
    )  # fmt: skip
    assert kinds(changed("torch.new", inputs=("f32[4]",)), same) == [Agreement.DRIFT]


@pytest.mark.parametrize("changes", [{"evidence": Evidence.ASSUMED}, {"status": Status.UNKNOWN}])
def test_verdict_that_is_no_certainty_explains_nothing(changes: dict[str, object]) -> None:
    status = changes.pop("status", Status.SUPPORTED)
    assert isinstance(status, Status)
    different = node("torch.new", status, recorded=Compiler.INDUCTOR, compared=Compared.VERDICT, **changes)
    assert kinds(different) == [Agreement.UNEXPLAINED]


def test_pinned_and_context_are_named_as_such() -> None:
    assert kinds(changed("a", compared=Compared.PINNED), changed("b", compared=Compared.CONTEXT)) == [
        Agreement.PINNED,
        Agreement.CONTEXT,
    ]


def scan(tmp_path: Path, refused: str) -> api.Scan:
    registry = FakeRegistry({refused: verdict(Status.UNSUPPORTED)})
    return api.scan(write_corpus(tmp_path, {"m/rank0_0.py": SPLIT}), registry=registry)


def test_graph_placed_as_recorded_agrees(tmp_path: Path) -> None:
    check = scan(tmp_path, "torch.bad").self_check
    assert (check.nodes, check.graphs, check.agreeing_graphs, check.disagreements) == (4, 1, 1, ())


def test_op_that_gained_support_is_drift_of_its_nodes_alone(tmp_path: Path) -> None:
    check = scan(tmp_path, "torch.other").self_check
    assert [(found.row.node.name, found.kind) for found in check.disagreements] == [
        ("c", Agreement.DRIFT),
        ("d", Agreement.DRIFT),
    ]
    assert check.agreeing_graphs == 0


def test_unsplit_graphs_have_nothing_to_compare(tmp_path: Path) -> None:
    text = 'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[4]"):\n        return (torch.relu(x),)\n'
    check = api.scan(write_corpus(tmp_path, {"m/a.py": text}), registry=FakeRegistry()).self_check
    assert (check.nodes, check.graphs) == (0, 0)


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Status, *options: str) -> int:
    monkeypatch.setattr(api, "_thunder", lambda **_: FakeRegistry({"torch.relu": verdict(status)}))
    return main([str(write_corpus(tmp_path, {"m/rank0_0.py": SPLIT})), "-q", *options])


def test_strict_fails_on_an_unexplained_placement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An unknown node is placed as unsupported, where the file has it in Thunder's region: that explains nothing.
    assert run(tmp_path, monkeypatch, Status.UNKNOWN, "--strict") == 1


def test_without_strict_an_unexplained_placement_is_only_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, Status.UNKNOWN) == 0
    assert "m/rank0_0.py:9: a: recorded thunder, placed inductor: the verdict is unknown" in capsys.readouterr().err


def test_strict_lets_drift_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, Status.UNSUPPORTED, "--strict") == 0


def test_verbose_names_and_explains_every_disagreement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, Status.UNSUPPORTED, "-v") == 0
    assert [line for line in capsys.readouterr().err.splitlines() if "[drift]" in line] == [
        f"opcov: m/rank0_0.py:{line}: {name}: recorded {was}, placed {now}: "
        "Thunder's answer to this question changed since [drift]"
        for line, name, was, now in (
            (9, "a", "thunder", "inductor"),
            (10, "b", "thunder", "inductor"),
            (15, "c", "inductor", "thunder"),
            (16, "d", "inductor", "thunder"),
        )
    ]
