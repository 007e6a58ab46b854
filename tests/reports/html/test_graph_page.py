"""The page of a graph: its regions, text, data flow and nodes; whole also where texts are gone or hostile."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from building import OK, body, coverage, node

import opcov
from opcov.coverage import Coverage
from opcov.graph import Compiler, Form
from opcov.judged import JudgedBody, JudgedGraph
from opcov.problems import Problem, Slug
from opcov.reports.html.graph_page import render_graph
from opcov.reports.report import Findings
from opcov.verdict import Status

TEXT = "def forward(self, x):\n    a = relu(x)\n    b = bmm(a)\n    return (b,)\n"
NODES = (replace(OK, name="a", line=2, reads=("x",)), node("torch.bmm", name="b", line=3, reads=("a",)))


def found(one: JudgedBody | None = None, text: str | None = TEXT, files: tuple[str, ...] = ("rank0_1.py",)) -> Findings:
    one = one or body("d1", *NODES)
    scan: Coverage = coverage({"org/m": dict.fromkeys(files, one.digest)}, one)
    return Findings(scan, lambda _: text)


def page(one: JudgedBody | None = None, text: str | None = TEXT) -> str:
    return render_graph(found(one, text), "d1")


class _Reader(HTMLParser):
    """Gathers ids, links and what a content security policy forbids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.forbidden: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")
            if name == "style" or name.startswith("on"):
                self.forbidden.append(f"{tag} {name}")
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.forbidden.append(tag)


def check(text: str) -> _Reader:
    """Reads a page, of which each local link has a target, each id is the only one, and nothing is inline."""
    reader = _Reader(text)
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert reader.forbidden == []
    return reader


def test_pages_of_the_fixtures_are_whole(fixtures_scan: opcov.Scan) -> None:
    for digest in fixtures_scan.coverage.files_by_body:
        check(render_graph(fixtures_scan._findings, digest))


def test_the_same_findings_give_the_same_bytes(fixtures_scan: opcov.Scan) -> None:
    findings = fixtures_scan._findings
    for digest in findings.coverage.files_by_body:
        assert render_graph(findings, digest) == render_graph(findings, digest)


def test_the_heading_folds_the_files_and_links_their_model() -> None:
    text = render_graph(found(files=("rank0_1.py", "rank1_1.py")), "d1")
    assert "<code>org/m/rank{0,1}_1.py</code>" in text
    assert any(link.startswith("../model/") for link in check(text).links)


def test_a_segment_and_a_box_lead_to_the_line_of_a_node() -> None:
    assert "<a href=#L2 class=thunder>" in page()
    assert '<a href=#L3 class="unsupported">' in page()


def test_regions_that_differ_from_the_recorded_ones_are_shown_beside_them() -> None:
    moved = replace(NODES[1], placed=Compiler.INDUCTOR, placed_region="inductor_1")
    text = page(body("d1", NODES[0], moved))
    assert text.count('class="strip"') == 2
    assert "recorded in the file" in text


def test_regions_that_are_recorded_so_are_shown_once() -> None:
    assert page().count('class="strip"') == 1
    assert "predicted, and recorded so" in page()


def test_a_crash_tells_its_exception_in_full_and_the_node_at_which_it_is_raised() -> None:
    crash = node("wait", Status.CRASH, name="w", line=3, placed=None, placed_region="")
    text = page(body("d1", replace(NODES[0], placed=None), crash, crash="AssertionError: " + "long " * 200))
    assert "AssertionError: " + "long " * 200 in text
    assert 'stops at <a href="#L3">w</a>' in text
    assert "The graph is lost." in text


def test_problems_are_told_with_links_to_their_lines() -> None:
    text = page(body("d1", *NODES, problems=[Problem("", 2, Slug.SYNTAX, "it does not parse")]))
    assert '<a href="#L2">line 2</a>: it does not parse' in text


def test_without_a_text_the_table_has_the_expressions_and_is_what_links_lead_to() -> None:
    text = page(text=None)
    assert "cannot be shown" in text
    assert "<code>torch.bmm(x)</code>" in text
    assert "#n1-1" in check(text).links


def test_a_node_without_a_line_is_linked_to_its_row() -> None:
    assert "#n1-0" in check(page(body("d1", replace(OK, line=0)))).links


def test_a_body_of_two_graphs_shows_both() -> None:
    graphs = tuple(JudgedGraph(Form.UNSPLIT, NODES, None, 1, "") for _ in range(2))
    text = page(JudgedBody("d1", graphs))
    assert check(text).ids.count("nodes-2") == 1
    assert text.count('class="dataflow"') == 2


def test_the_table_holds_every_node_in_order() -> None:
    assert re.findall(r"<th scope=row>(\w+)", page()) == ["a", "b"]


def test_a_body_without_graphs_still_has_a_page() -> None:
    problem = Problem("", 0, Slug.NOT_TEXT, "it is binary")
    assert "it is binary" in page(JudgedBody("d1", (), (problem,)), None)


def test_a_digest_that_nothing_has_gives_a_page() -> None:
    check(render_graph(found(), "elsewhere"))


EVIL = "</li></title></svg></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'\x1b[31m\u202e"


@pytest.mark.parametrize("text", [EVIL, None])
def test_nothing_hostile_gets_through(text: str | None) -> None:
    evil = node(
        EVIL, name=EVIL, line=1, expression=EVIL, detail=EVIL, reads=(EVIL, "x"), inputs=(EVIL,), output=EVIL,
        placed_region=EVIL, recorded_region=EVIL,
    )  # fmt: skip
    graph = JudgedGraph(Form.SPLIT, (evil,), 1, 1, EVIL, ((EVIL, EVIL),), (EVIL,))
    one = JudgedBody("d1", (graph,), (Problem("", 1, Slug.SYNTAX, EVIL),))
    findings = Findings(coverage({EVIL: {EVIL: "d1"}}, one), lambda _: text)
    made = render_graph(findings, "d1")
    check(made)
    assert "<script>" not in made
    assert "<img" not in made
    assert "\x1b" not in made
    assert "\u202e" not in made
