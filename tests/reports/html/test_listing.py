"""The listing of a text: no character is lost, what is not supported is marked, what is hostile stays text."""

from __future__ import annotations

import html
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from building import OK, node
from hypothesis import given
from hypothesis import strategies as st

from opcov.reports.html import listing as module
from opcov.reports.html.environment import visible
from opcov.reports.html.listing import coloured, make_listing, render_listing, split_lines
from opcov.verdict import Status

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "gm"
TAG = re.compile(r"</?(?:i|u|b)>")


def plain(markup: str) -> str:
    return html.unescape(TAG.sub("", markup))


def spelled(line: str) -> str:
    return "".join(char if char == "\t" else visible(char) for char in line)


@pytest.mark.parametrize("path", sorted(FIXTURES.rglob("*.py")), ids=lambda path: "/".join(path.parts[-2:]))
def test_colours_lose_no_character_of_a_graph(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [plain(line) for line in coloured(text)] == text.split("\n")


@given(st.text() | st.text(alphabet="\"'\\\n\r#abf(){}<>&;\t \x1b\u202e0.e"))
def test_colours_lose_no_character_of_any_text(text: str) -> None:
    assert [plain(line) for line in coloured(text)] == [spelled(line) for line in split_lines(text)]


def test_a_string_over_several_lines_is_a_string_on_each_of_them() -> None:
    assert coloured('x = """a\nclass b\n"""') == ['x = <u>"""a</u>', "<u>class b</u>", '<u>"""</u>']


def test_comments_literals_and_keywords_have_colours() -> None:
    assert coloured('return f("a", 1)  # b') == ['<b>return</b> f(<u>"a"</u>, <u>1</u>)  <i># b</i>']


def test_none_has_no_colour_since_every_line_ends_with_it() -> None:
    assert coloured("y = relu(x);  x = None") == ["y = relu(x);  x = None"]


def test_lines_end_where_the_parser_ends_them() -> None:
    assert split_lines("a\r\nb\rc\nd\x0ce") == ["a", "b", "c", "d\x0ce"]


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(Status)), max_size=8))
def test_marked_lines_are_exactly_those_of_nodes_that_are_not_supported(places: list[tuple[int, Status]]) -> None:
    nodes = [node("torch.bmm", status, line=line) for line, status in places]
    found = make_listing("\n".join(["x"] * 10), nodes)
    expected = {line for line, status in places if status is not Status.SUPPORTED and 1 <= line <= 10}
    assert {line.number for line in found.lines if line.nodes} == expected
    marked = re.findall(r"<li id=L(\d+) class=", render_listing(found, "../"))
    assert sorted(map(int, marked)) == sorted(expected)


def test_a_marked_line_tells_status_reason_and_detail_and_links_to_the_op() -> None:
    page = render_listing(make_listing("a\nb", [node("torch.bmm", line=2, detail="no mapping")]), "../")
    assert '<li id=L2 class=unsupported><code>b</code><div class="note"><b>unsupported</b>' in page
    assert '<a href="../op/torch.bmm.html">torch.bmm</a> MISSING_OP_SUPPORT <q>no mapping</q>' in page


def test_a_line_of_two_nodes_tells_both_and_looks_like_the_graver() -> None:
    nodes = [node("torch.bmm", line=1), node("wait", Status.CRASH, line=1)]
    page = render_listing(make_listing("a", nodes), "")
    assert "<li id=L1 class=crash>" in page
    assert page.count('class="note"') == 2


def test_every_line_has_an_anchor() -> None:
    page = render_listing(make_listing("a\n\nb", [OK]), "")
    assert re.findall(r"<li id=(L\d+)>", page) == ["L1", "L2", "L3"]


def test_hostile_text_and_details_are_escaped() -> None:
    evil = "</li><script>alert(1)</script>\x1b[31m\u202e"
    page = render_listing(make_listing(evil, [node(evil, line=1, detail=evil)]), "")
    assert "<script" not in page
    assert page.count("</li>") == 0
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\x1b[31m\\u202e" in page


def test_tabs_stay_and_other_control_characters_are_spelled_out() -> None:
    assert coloured("\ta\x00\x0b") == ["\ta\\x00\\x0b"]


def test_of_a_very_long_text_only_the_surroundings_of_marked_lines_are_shown() -> None:
    text = "\n".join(["x"] * (module.MOST_LINES + 1))
    found = make_listing(text, [node("torch.bmm", line=100), node("torch.bmm", line=9000)])
    around = module.NEIGHBOURHOOD
    assert found.numbers == {
        *range(100 - around, 101 + around),
        *range(9000 - around, 9001 + around),
    }
    assert found.left_out == found.total - 2 * (2 * around + 1)
    page = render_listing(found, "")
    assert f'<p class="gap">{100 - around - 1} lines left out</p><ol class="listing" start="{100 - around}">' in page
    assert page.endswith(f'<p class="gap">{found.total - 9000 - around} lines left out</p>')


def test_a_long_text_without_marks_shows_how_many_lines_there_are() -> None:
    assert render_listing(make_listing("\n" * 30_000, []), "") == '<p class="gap">30001 lines left out</p>'


def test_a_very_long_line_is_shown_without_colours_and_at_once() -> None:
    started = time.process_time()
    (line,) = coloured("x = '" + "a" * 500_000)
    assert len(line) == 500_005
    assert time.process_time() - started < 1


def test_a_supported_node_marks_nothing() -> None:
    assert "class=" not in render_listing(make_listing("a", [replace(OK, line=1)]), "").removeprefix(
        '<ol class="listing">'
    )
