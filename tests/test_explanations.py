"""Explanations: complete, in one form, with examples that opcov really prints."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import get_args

import pytest
from building import FakeRegistry, body, coverage, graph_text, node, write_corpus

import opcov
from opcov import api, plugins
from opcov.cli import main
from opcov.commands.gate_text import lines_of
from opcov.corpus.health import Health
from opcov.coverage.agreement import Agreement, check_itself
from opcov.explanations import Explanation, explain, explanations, names, plain, summary
from opcov.gate import Judgement, changes
from opcov.gate.changes import Change, OpFacts, Place
from opcov.graph import Compiler, Node
from opcov.graph import Kind as NodeKind
from opcov.judged import Compared
from opcov.loaders import available
from opcov.loaders.loader import Loader
from opcov.problems import Slug, UsageError
from opcov.registries.families import Family, Route, classify
from opcov.registries.thunder import ThunderRegistry
from opcov.reports.all_ops import render
from opcov.reports.terminal import plain_summary
from opcov.verdict import Evidence, Reason, Status

PROJECT = Path(__file__).resolve().parent.parent

KINDS: dict[str, type[Enum]] = {
    "Status": Status,
    "Reason": Reason,
    "Evidence": Evidence,
    "Problem": Slug,
    "Health": Health,
    "Agreement": Agreement,
    "Family": Family,
    "Route": Route,
}

CHANGES: tuple[type[Change], ...] = get_args(Change)

EVERY = pytest.mark.parametrize("one", explanations(), ids=lambda one: one.anchor)


def examples_of(kind: str) -> list[str]:
    """The lines of the examples of a kind, blanks made one."""
    found = [one.text for one in explanations() if one.kind == kind]
    return [" ".join(line.split()) for text in found for line in text.splitlines() if line.startswith("    ")]


# --- completeness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_that_a_report_shows_is_explained_and_nothing_else(kind: str) -> None:
    assert sorted(names()[kind]) == sorted(member.value for member in KINDS[kind])


def test_every_change_that_a_gate_tells_is_explained_and_nothing_else() -> None:
    assert sorted(names()["Change"]) == sorted(change.slug for change in CHANGES)


def test_words_that_are_no_values_are_terms() -> None:
    assert set(names()) == {*KINDS, "Change", "Term"}
    assert {"region", "variant", "impact", "sole regions", "recorded", "placed"} <= set(names()["Term"])


def test_no_two_explanations_share_an_address() -> None:
    anchors = [one.anchor for one in explanations()]
    assert len(set(anchors)) == len(anchors)


@EVERY
def test_explanation_has_a_meaning_an_example_a_cause_an_advice_and_a_rule(one: Explanation) -> None:
    assert re.findall(r"^\*\*(.+?):\*\*", one.text, re.MULTILINE) == ["Example", "Why", "What to do", "Rule"]
    meaning, label, example, *_ = one.text.split("\n\n")
    assert meaning.endswith(".")
    assert label == "**Example:**"
    assert all(line.startswith("    ") for line in example.splitlines())


# --- examples ---------------------------------------------------------------------------------------------------------


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def fixtures_scan() -> opcov.Scan:
    return opcov.scan(PROJECT / "fixtures" / "gm")


@pytest.mark.recorded
@pytest.mark.parametrize("line", examples_of("Health") + examples_of("Status")[:3])
def test_examples_of_health_and_status_are_what_a_scan_of_the_fixtures_prints(
    line: str, fixtures_scan: opcov.Scan
) -> None:
    printed = plain_summary(fixtures_scan.coverage) + render(fixtures_scan.coverage)
    assert line in flat(printed)


@pytest.mark.recorded
@pytest.mark.parametrize("line", [line for line in examples_of("Reason") if line.startswith("#")])
def test_examples_of_reasons_are_what_a_scan_of_the_fixtures_writes(line: str, fixtures_scan: opcov.Scan) -> None:
    assert line in [flat(written) for written in render(fixtures_scan.coverage).splitlines()]


@pytest.mark.recorded
def test_examples_of_evidence_are_rows_of_the_fixtures(fixtures_scan: opcov.Scan) -> None:
    nodes = fixtures_scan.nodes
    rows = {flat(" ".join(row)) for row in nodes[["op", "status", "evidence", "inputs"]].itertuples(index=False)}
    assert set(examples_of("Evidence")) <= rows


@pytest.mark.recorded
def test_example_of_sole_regions_is_a_row_of_the_fixtures(fixtures_scan: opcov.Scan) -> None:
    (row,) = fixtures_scan.ops.query("op == 'torch.cat'").itertuples()
    assert f"torch.cat {row.sole_regions} of {row.fallback_regions}" in examples_of("Term")


@pytest.mark.recorded
def test_example_of_siblings_is_what_the_installed_thunder_has() -> None:
    siblings = ThunderRegistry().siblings("torch.absolute")
    assert f"torch.absolute {'; '.join(siblings)}" in examples_of("Term")


@pytest.mark.recorded
def test_examples_of_what_is_unknown_are_rows_of_the_corrupted_fixture() -> None:
    nodes = opcov.scan(PROJECT / "fixtures" / "folder" / "corrupted").nodes
    columns = [nodes[column].astype(str) for column in ("line", "op", "status", "detail")]
    rows = {f"folder/corrupted/module.py {flat(' '.join(row))}" for row in zip(*columns, strict=True)}
    assert {line for line in examples_of("Status") + examples_of("Reason") if " unknown " in line} <= rows


@pytest.fixture
def greedy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A plug-in that claims what is another loader's."""
    loader = Loader("greedy", lambda name, head: name == "saved.py", lambda file: ((), ()))

    class Point(EntryPoint):
        def load(self) -> object:
            return loader

    monkeypatch.setattr(plugins, "offered", lambda group: [Point("greedy", "package:LOADER", group)])
    available.cache_clear()
    yield
    available.cache_clear()


OUTER_ONLY = """class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[4]"):
        # No stacktrace found for following nodes
        thunder_0 = self.thunder_0(x);  x = None
        return (thunder_0,)
"""
NO_ANNOTATION = """class GraphModule(torch.nn.Module):
    def forward(self, L_x_ : torch.Tensor):
        y = torch.relu(L_x_)
        return (y,)
"""


def test_examples_of_problems_are_what_a_damaged_corpus_gives(greedy: None, tmp_path: Path) -> None:
    bodies = {
        "org/model/exported.pt2": "PK nothing",
        "org/model/rank0_0.py": b"\xff\xfe",
        "org/model/rank0_1.py": "",
        "org/model/rank0_2.py": graph_text("a = torch.relu(x)", "b = = torch.relu(a)"),
        "org/model/rank0_3.py": graph_text(f"a = torch.relu({'-' * 3000}x)"),
        "org/model/rank0_4.py": graph_text("while x: pass"),
        "org/model/rank0_5.py": graph_text('a: "q99[4]" = torch.relu(x)'),
        "org/model/rank0_6.py": OUTER_ONLY,
        "org/model/rank0_8.py": graph_text("a = torch.broken(x)"),
        "org/model/saved.py": graph_text("a = torch.relu(x)"),
        "graphnet/model.py": NO_ANNOTATION,
    }
    root = write_corpus(tmp_path / "gm", bodies)
    (root / "org" / "model" / "again").symlink_to(root / "org")
    registry = FakeRegistry({"torch.broken": RuntimeError("boom")})
    printed = {str(problem) for problem in api.scan(root, registry=registry).problems}
    crashes = {line for line in examples_of("Problem") if line.endswith("[crash]")}
    assert set(examples_of("Problem")) - crashes <= printed


@pytest.mark.recorded
def test_examples_of_a_crash_are_problems_of_the_fixtures(fixtures_scan: opcov.Scan) -> None:
    printed = {str(problem) for problem in fixtures_scan.problems}
    assert {line for line in examples_of("Problem") if line.endswith("[crash]")} <= printed


@pytest.mark.parametrize("kind", [kind for kind in Agreement if kind is not Agreement.SAME])
def test_examples_of_agreements_are_what_the_self_check_says(kind: Agreement) -> None:
    status = Status.UNKNOWN if kind is Agreement.UNEXPLAINED else Status.UNSUPPORTED
    compared = Compared(kind.value) if kind in (Agreement.PINNED, Agreement.CONTEXT) else Compared.VERDICT
    judged = node("torch.relu", status, line=9, detail="because", placed=Compiler.INDUCTOR, compared=compared)
    (found,) = check_itself(coverage({"m": {"rank0_0.py": "d"}}, body("d", judged))).disagreements
    line = f"{found.row.file}:{found.row.node.line}: {found.row.node.name}: {found.explanation} [{found.kind.value}]"
    assert line in examples_of("Agreement")


@pytest.mark.parametrize(
    "one", [one for one in explanations() if one.kind in ("Family", "Route")], ids=lambda one: one.anchor
)
def test_examples_of_families_and_routes_are_of_that_family_or_route(one: Explanation) -> None:
    (op,) = (line.strip() for line in one.text.splitlines() if line.startswith("    "))
    call = Node("call", NodeKind.CALL_FUNCTION, op, op)
    if one.kind == "Family":
        assert classify(call).family.value == one.name
    elif one.name != Route.ALIAS.value:  # which the registry finds, not the name
        assert classify(call, registered=one.name == Route.ARGUMENTS.value).route.value == one.name


_FACTS = OpFacts(
    "torch.sinc",
    "torch.sinc(T)",
    "MISSING_OP_SUPPORT",
    "",
    ("org/a",),
    2,
    Place("org/a/rank0_0.py", 31, "torch.sinc(x)", "zoo/net.py:7 in forward"),
)
TOLD: tuple[Change, ...] = (
    changes.NewOp(_FACTS),
    changes.NewVariant(replace(_FACTS, op="torch.bmm", variant="torch.bmm(T, T, out=T)")),
    changes.KnownOpInNewModel(_FACTS),
    changes.NotAllowed(_FACTS, ("org/b",), 12),
    changes.WaiverExpired(_FACTS, dt.date(2026, 3, 1), "#2600", 12),
    changes.Waived(_FACTS, dt.date(2027, 3, 1), "#2600", 12),
    changes.Known(_FACTS),
    changes.OpFixed("torch.sinc", "torch.sinc(T)", ("org/a",), 12),
    changes.ModelLost("org/a"),
    changes.NewModel("org/c"),
    changes.GraphsLost("org/a", 21, 20),
    changes.HealthFell("org/a", Health.OK, Health.PARTIAL, "1 traceback in the run log"),
    changes.UnknownRose("org/a", 0, 3),
    changes.GraphCrashes("org/a", 0, 1, "AssertionError: no method", _FACTS.place),
    changes.VersionChanged("lightning-thunder", "0.2.5", "0.2.6", ("torch.sinc(T)",)),
    changes.NoModelFacts("all_ops.py"),
    changes.BelowThreshold("node coverage", "85.9 % (859 of 1000 nodes)", "90 %"),
)


@pytest.mark.parametrize("change", TOLD, ids=lambda change: change.slug)
def test_example_of_a_change_is_what_the_gate_prints(change: Change) -> None:
    (line,) = lines_of(Judgement("", notes=(change,)))[1:-1]
    (explanation,) = (one for one in explanations() if (one.kind, one.name) == ("Change", change.slug))
    assert f"    {line.text.removeprefix('  - ')}\n" in explanation.text


def test_every_change_has_its_example_tried() -> None:
    assert {type(change) for change in TOLD} == set(CHANGES)


# --- looking up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["MISSING_OP_SUPPORT", "missing_op_support", "missing-op-support", " Missing op support "]
)
def test_word_is_found_in_any_case_and_spelling(name: str) -> None:
    assert [one.name for one in explain(name)] == ["MISSING_OP_SUPPORT"]


def test_word_of_several_kinds_is_explained_for_each() -> None:
    assert [one.kind for one in explain("crash")] == ["Status", "Reason", "Problem"]


def test_unknown_word_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError, match="did you mean MISSING_OP_SUPPORT"):
        explain("MISING_OP_SUPORT")


def test_word_like_no_other_is_refused_with_where_all_are_listed() -> None:
    with pytest.raises(UsageError, match="opcov explain lists all words"):
        explain("0123456789")


def test_summary_is_the_first_sentence_without_marks() -> None:
    assert summary("no-shapes") == (
        "The shapes that verdicts depend on are stated nowhere: what depends on them is unknown."
    )


def test_summary_of_a_word_of_several_kinds_is_that_of_the_kind_asked_for() -> None:
    assert summary("crash", "Problem") != summary("crash", "Status")
    with pytest.raises(UsageError, match="is no Family"):
        summary("crash", "Family")


@EVERY
def test_summary_fits_a_tooltip(one: Explanation) -> None:
    assert 10 < len(one.summary) <= 130
    assert not set("`*\n") & set(one.summary)


def test_plain_text_keeps_underscores_stars_of_globs_and_indented_lines() -> None:
    assert plain("**Why:** `a_b`\n\n    x_y * z\n\nQwen/* and *this*") == "Why: a_b\n\n    x_y * z\n\nQwen/* and this"


def test_explaining_imports_no_heavy_library() -> None:
    code = "import sys; from opcov.explanations import explain; explain('crash'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "thunder", "pandas", "rich", "msgspec"} & set(loaded)


# --- the command ------------------------------------------------------------------------------------------------------


def test_command_prints_the_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "auto_fallback"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("AUTO_FALLBACK (reason)\n\nThunder would only call torch for the op")
    assert "What to do: Write a symbol for it" in out
    assert "`" not in out


def test_command_draws_the_markdown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["explain", "auto_fallback"]) == 0
    out = capsys.readouterr().out
    assert "\x1b[1mWhat to do:\x1b[0m" in out
    assert "AUTO_FALLBACK" in out
    assert "**" not in out


def test_command_takes_a_word_with_blanks_unquoted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Triton", "kernel"]) == 0
    assert capsys.readouterr().out.startswith("Triton kernel (family)\n")


def test_command_without_a_word_lists_all_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in names()] == list(names())
    assert [line.partition(":")[0] for line in lines if line.startswith("- ")] == [
        f"- {word}" for words in names().values() for word in words
    ]


def test_command_fails_for_an_unknown_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "crsh"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "opcov: error: no word of a report is 'crsh'; did you mean crash?\n"


def test_corpus_named_like_the_command_is_reached_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, {"explain/m/rank0_0.py": graph_text("y = torch.relu(x)")})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "_thunder", lambda **_: FakeRegistry())
    assert main(["./explain"]) == 0
    assert capsys.readouterr().out.startswith("1 of 1 node")
