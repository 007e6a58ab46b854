"""all_ops.py: a report, a review artefact and a baseline, so its bytes matter."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from building import FakeRegistry, body, coverage, graph_text, node, verdict, write_corpus

import opcov
from opcov.baseline import facts_of, parse_baseline
from opcov.capturing.records import FILE, Capture, read
from opcov.corpus import discover
from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.engine import InProcess, scan_corpus
from opcov.loaders import available
from opcov.reports.all_ops import render
from opcov.verdict import Status

PROJECT = Path(__file__).resolve().parent.parent.parent
GOLDEN = PROJECT / "tests" / "golden" / "all_ops.py"

_ENTRY = re.compile(
    r"# (?P<op>\S+): (?P<reason>[A-Z_]+)(: (?P<why>\S.*))?\n"
    r"(#  op: \S.*\n)?"
    r"(#  variant: (?P<variant>\S.*)\n)?"
    r"#  models: (?P<models>\d+): (?P<names>\S.*)\n"
    r"(?P<sources>(?:#  source: \S.*\n){0,3})"
    r"(?P<files>(?:#  - \S.*\n)+)"
    r"(?P<expression>\S.*)"
)


def entries(text: str) -> list[re.Match[str]]:
    """The entries of a file; fails where one is not of the promised form."""
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    header, models, *blocks = text[:-1].split("\n\n")
    assert len(header.splitlines()) == 2
    first, *facts = models.split("\n")
    assert first == "# Models: health, graphs, unknown nodes, lost graphs"
    assert all(re.fullmatch(r"#  (ok|partial|failed), \d+, \d+, \d+: \S.*", line) for line in facts)
    found = [_ENTRY.fullmatch(block) for block in blocks]
    assert all(found), "an entry is not laid out as promised"
    return [match for match in found if match]


def one(**changes: Any) -> Coverage:
    """A model `m` with two ranks of one graph with one unsupported node."""
    return coverage({"m": {"rank0_0.py": "d", "rank1_0.py": "d"}}, body("d", node("torch.bad", **changes)))


def test_whole_file_looks_as_promised() -> None:
    assert render(one()) == (
        "# judge 1.0. 1 of 1 node not supported: 1 op in 1 variant, 0 nodes unknown; 1 distinct graph in 2 files of "
        "1 model\n"
        "# Regenerate: python -m opcov <corpus> --update all_ops.py\n"
        "\n"
        "# Models: health, graphs, unknown nodes, lost graphs\n"
        "#  ok, 1, 0, 0: m\n"
        "\n"
        "# torch.bad: MISSING_OP_SUPPORT: why torch.bad\n"
        "#  models: 1: m\n"
        "#  source: zoo/net.py:7 in forward\n"
        "#  - m/rank{0,1}_0.py\n"
        "torch.bad(x)\n"
    )


def test_nothing_unsupported_leaves_header_and_models_alone() -> None:
    text = render(coverage({"m": {"rank0_0.py": "d"}}, body("d", node("op.f", Status.SUPPORTED))))
    assert len(text.splitlines()) == 5
    assert entries(text) == []


def test_entries_come_with_most_models_first_then_most_nodes_then_by_name() -> None:
    found = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}},
        body("1", node("op.wide"), node("op.z"), *[node("op.deep")] * 2),
        body("2", node("op.wide"), node("op.y")),
    )
    assert [entry["op"] for entry in entries(render(found))] == ["op.wide", "op.deep", "op.y", "op.z"]


def test_each_variant_is_an_entry() -> None:
    calls = [node("torch.bmm", variant="torch.bmm(T, T, out=T)"), node("torch.bmm", variant="torch.bmm(T, T)")]
    assert len(entries(render(coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls))))) == 2


def test_supported_and_unknown_variants_are_not_listed() -> None:
    calls = [node("op.fine", Status.SUPPORTED), node("op.dark", Status.UNKNOWN), node("op.boom", Status.CRASH)]
    found = entries(render(coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls))))
    assert [(entry["op"], entry["reason"]) for entry in found] == [("op.boom", "CRASH")]


def test_unknown_nodes_do_not_change_the_reason_and_the_files_of_an_entry() -> None:
    found = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}},
        body("1", node("op.f")),
        body("2", *[node("op.f", Status.UNKNOWN)] * 5),
    )
    (entry,) = entries(render(found))
    assert (entry["reason"], entry["names"], entry["files"]) == ("MISSING_OP_SUPPORT", "a", "#  - a/rank0_0.py\n")


def test_sources_are_the_three_commonest() -> None:
    calls = [node("op.f", source_line=line) for line in (1, 2, 2, 3, 3, 3, 4, 4, 4, 4)]
    (entry,) = entries(render(coverage({"m": {"rank0_0.py": "d"}}, body("d", *calls))))
    assert re.findall(r":(\d+) in", entry["sources"]) == ["4", "3", "2"]


def test_triton_kernels_are_told_apart_by_the_names_of_their_arguments(tmp_path: Path) -> None:
    def launch(index: int, argument: str) -> str:
        # kernel_idx means nothing outside its process: the first and the last are one kernel.
        return (
            f"t{index} = torch.ops.higher_order.triton_kernel_wrapper_mutation(kernel_idx = {index}, "
            f"constant_args_idx = {index}, grid = [(4, 1, 1)], tma_descriptor_metadata = {{}}, "
            f"kwargs = {{'{argument}': x}})"
        )

    text = graph_text(launch(0, "in_ptr"), launch(1, "loc_ptr"), launch(2, "in_ptr"))
    write_corpus(tmp_path, {"m/graph_module_1.py": text})
    op = "torch.ops.higher_order.triton_kernel_wrapper_mutation"
    judged = scan_corpus(
        discover(tmp_path, available()), InProcess(lambda: FakeRegistry({op: verdict(Status.UNSUPPORTED)}))
    )
    found = entries(render(judged))
    assert [re.findall(r"'(\w+_ptr)'", entry["expression"]) for entry in found] == [["in_ptr"], ["loc_ptr"]]


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "   ",
        "f(x",
        "f(x)\nimport os",
        "f(x)\r\x0cimport os",
        "#",
        "x \\",
        "if x:",
        'f("a\x00b")',
        "f(\x1b[31mx)",
        "\u2028f(x)",
        'f("\\d")',  # an escape that newer Pythons warn about
        "(" * 300 + ")" * 300,
        "f(" + "x, " * 50_000 + ")",
    ],
    ids=lambda expression: repr(expression)[:30],
)
@pytest.mark.filterwarnings("error")
def test_hostile_expression_leaves_the_file_valid_and_its_layout_whole(expression: str) -> None:
    text = render(one(expression=expression))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(text)
    # Header, models and one entry: op, perhaps variant, models, source, files and expression.
    lines = text.splitlines()
    assert [place for place, line in enumerate(lines) if not line] == [2, 5]
    assert len(lines) in (11, 12)


def test_expression_stands_as_printed() -> None:
    expression = "torch.bad(x, 'two  spaces', dim = -1)"
    assert render(one(expression=expression)).splitlines()[-1] == expression


@pytest.mark.parametrize("field", ["op", "detail", "source_file", "source_function"])
def test_line_ends_in_a_text_cannot_break_out_of_the_comment(field: str) -> None:
    hostile = replace(node("torch.bad"), **{field: "a\nimport os\r\nimport sys\u2028b"})  # type: ignore[arg-type]
    lines = render(coverage({"m": {"rank0_0.py": "d"}}, body("d", hostile))).splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["", "", "torch.bad(x)"]


# --- fixtures/gm ---


def test_file_for_the_fixtures_is_the_golden_one(fixtures_scan: opcov.Scan) -> None:
    text, golden = render(fixtures_scan.coverage), GOLDEN.read_text(encoding="utf-8")
    versions = text.partition(". ")[0]
    if versions != golden.partition(". ")[0]:
        pytest.skip(f"the golden file is for other versions than {versions}")
    assert text == golden, "if that is right: python -m opcov fixtures/gm --out tests/golden/all_ops.py"


@pytest.mark.recorded
def test_file_for_the_fixtures_lists_exactly_what_thunder_refused_when_they_were_captured(
    fixtures_scan: opcov.Scan,
) -> None:
    refused = set()
    for path in sorted((PROJECT / "fixtures" / "gm").rglob(FILE)):
        capture = read(path, Capture)
        assert capture is not None
        for saved in (graph for part in capture.parts for graph in part.graphs):
            (graph,) = opcov.load(path.parent / saved.file)
            ops = {call.name: call.op for call in graph.calls}
            # None is an op on which the check itself raised.
            refused |= {ops[found.name] for found in saved.verdicts or [] if found.supported is not True}
    assert refused
    assert {entry["op"] for entry in entries(render(fixtures_scan.coverage))} == refused


def test_file_for_the_fixtures_is_valid_python_of_single_expressions(fixtures_scan: opcov.Scan) -> None:
    text = render(fixtures_scan.coverage)
    assert len(ast.parse(text).body) == len(entries(text))


def test_files_of_an_entry_hold_its_op(fixtures_scan: opcov.Scan) -> None:
    for entry in entries(render(fixtures_scan.coverage)):
        rows = fixtures_scan.nodes.query("op == @entry['op'] and status in ('unsupported', 'crash')")
        listed = re.findall(r"^#  - (.*?)/rank", entry["files"], re.MULTILINE)
        assert set(listed) <= set(rows.model)


def test_file_for_the_fixtures_reads_back_to_what_is_unsupported(fixtures_scan: opcov.Scan) -> None:
    read = parse_baseline(render(fixtures_scan.coverage))
    rows = [row for row in fixtures_scan.coverage.variant_rows if row.counts.not_supported]
    assert [(entry.key, entry.models) for entry in read.entries] == [
        ((row.op, row.variant), row.models) for row in rows
    ]


def test_file_for_the_fixtures_tells_how_each_model_stood(fixtures_scan: opcov.Scan) -> None:
    read = parse_baseline(render(fixtures_scan.coverage)).models
    assert read == facts_of(fixtures_scan.coverage)
    assert {facts.health for facts in read.values()} == set(Health)


def test_expression_of_another_call_comes_with_its_variant() -> None:
    found = one(variant="torch.bad(T, T)")
    assert "\n#  variant: torch.bad(T, T)\n" in render(found)


@pytest.mark.parametrize(
    "expression", ["x = 1", "import os", "x", "f(x)  #: allow", "(f(x))", "f(" + "x, " * 5000 + ")"]
)
def test_expression_that_is_no_call_or_too_long_is_a_comment(expression: str) -> None:
    assert render(one(expression=expression)).splitlines()[-1] == f"# {expression}"
