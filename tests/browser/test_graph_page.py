"""The page of a graph in a browser: marks, strip, picture and text lead to each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browsing import Watched, expect, is_free

import opcov
from opcov.graph import Compiler
from opcov.judged import JudgedGraph, JudgedNode
from opcov.reports.html.names import graph_page, op_page
from opcov.verdict import Status

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@pytest.fixture(scope="module")
def chosen(scan: opcov.Scan) -> tuple[str, JudgedGraph]:
    """The page of the smallest graph that is long enough to scroll and has several regions that fall back."""
    fitting = [
        (len(body.graphs[0].nodes), digest)
        for digest, body in scan.coverage.bodies.items()
        if len(body.graphs) == 1 and body.graphs[0].fallback_regions > 2 and len(body.graphs[0].nodes) > 100
    ]
    _, digest = min(fitting)
    return graph_page(digest), scan.coverage.bodies[digest].graphs[0]


@pytest.fixture
def path(chosen: tuple[str, JudgedGraph]) -> str:
    return chosen[0]


@pytest.fixture
def graph(chosen: tuple[str, JudgedGraph]) -> JudgedGraph:
    return chosen[1]


def refused(graph: JudgedGraph) -> list[JudgedNode]:
    return [node for node in graph.nodes if node.status is not Status.SUPPORTED]


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_lines_of_nodes_that_are_not_supported_are_marked(watched: Watched, path: str, graph: JudgedGraph) -> None:
    page = watched.open(path)
    marked = page.locator(".listing li.unsupported")
    assert [line.get_attribute("id") for line in marked.all()] == [f"L{node.line}" for node in refused(graph)]


def test_a_marked_line_tells_why_and_links_to_the_page_of_its_op(
    watched: Watched, path: str, graph: JudgedGraph
) -> None:
    page = watched.open(path)
    node = refused(graph)[0]
    note = page.locator(f"#L{node.line} .note")
    expect(note).to_contain_text(node.detail)
    note.get_by_role("link").click()
    page.wait_for_url(f"**/{op_page(node.op)}")
    expect(page.locator("h1")).to_have_text(node.op)


def test_a_link_to_a_line_shows_the_line(watched: Watched, path: str, graph: JudgedGraph) -> None:
    line = graph.nodes[-1].line
    page = watched.open(path, f"#L{line}")
    expect(page.locator("li:target")).to_have_id(f"L{line}")
    is_free(page, f"#L{line}")


def test_next_and_previous_go_from_mark_to_mark_and_round(watched: Watched, path: str, graph: JudgedGraph) -> None:
    page = watched.open(path)
    marks = refused(graph)
    told = page.locator(".jumps output")
    for button, place in [("Next", 0), ("Next", 1), ("Previous", 0), ("Previous", len(marks) - 1), ("Next", 0)]:
        page.get_by_role("button", name=f"{button} mark").click()
        expect(told).to_have_text(f"{place + 1} of {len(marks)}")
        expect(page.locator(f"#L{marks[place].line} .note a")).to_be_focused()
        is_free(page, f"#L{marks[place].line}")


def test_braces_go_from_mark_to_mark(watched: Watched, path: str, graph: JudgedGraph) -> None:
    page = watched.open(path)
    marks = refused(graph)
    for key, place in [("}", 0), ("}", 1), ("{", 0)]:
        page.keyboard.press(key)
        expect(page.locator(f"#L{marks[place].line} .note a")).to_be_focused()


def test_the_next_mark_after_a_line_that_was_linked_to_is_the_one_behind_it(
    watched: Watched, path: str, graph: JudgedGraph
) -> None:
    marks = refused(graph)
    page = watched.open(path, f"#L{marks[1].line}")
    page.keyboard.press("}")
    expect(page.locator(f"#L{marks[2].line} .note a")).to_be_focused()


# --- strip ------------------------------------------------------------------------------------------------------------


def test_the_parts_of_the_strip_lead_to_the_first_lines_of_their_regions(
    watched: Watched, path: str, graph: JudgedGraph
) -> None:
    page = watched.open(path)
    parts = page.locator(".strip").first.locator("a.fallback")
    regions: dict[str, int] = {}
    for node in graph.nodes:
        if node.placed is Compiler.INDUCTOR:
            regions.setdefault(node.placed_region, node.line)
    assert parts.count() == len(regions) > 2
    for place, (region, line) in enumerate(regions.items()):
        assert parts.nth(place).locator("title").text_content().startswith(f"{region}:")
        parts.nth(place).click()
        expect(page.locator("li:target")).to_have_id(f"L{line}")
        is_free(page, f"#L{line}")


# --- picture ----------------------------------------------------------------------------------------------------------


def box_of(page: Page, line: int) -> Locator:
    return page.locator(f'.dataflow .boxes a[href="#L{line}"]')


def test_the_boxes_of_the_picture_are_the_nodes_and_lead_to_their_lines(
    watched: Watched, path: str, graph: JudgedGraph
) -> None:
    page = watched.open(path)
    boxes = page.locator(".dataflow .boxes a")
    found = boxes.evaluate_all(
        "all => all.map(box => [box.querySelector('title').textContent, box.getAttribute('href')])"
    )
    assert sorted((title.split(" = ")[0], where) for title, where in found) == sorted(
        (node.name, f"#L{node.line}") for node in graph.nodes
    )
    node = refused(graph)[-1]
    box_of(page, node.line).click()
    expect(page.locator("li:target")).to_have_id(f"L{node.line}")
    is_free(page, f"#L{node.line}")


def test_buttons_make_the_picture_larger_and_smaller(watched: Watched, path: str) -> None:
    page = watched.open(path)
    picture = page.locator(".dataflow")
    full = picture.bounding_box()["width"]

    def press(name: str) -> float:
        page.get_by_role("button", name=name, exact=True).click()
        return picture.bounding_box()["width"] / full

    assert press("Larger") == pytest.approx(1.25, abs=0.01)
    expect(page.locator(".zoom output")).to_have_text("125 %")
    assert press("Larger") == pytest.approx(1.5625, abs=0.01)
    assert press("Actual size") == pytest.approx(1)
    assert press("Smaller") == pytest.approx(0.8, abs=0.01)


def test_the_picture_can_be_made_to_fit(watched: Watched, path: str) -> None:
    watched.page.set_viewport_size({"width": 500, "height": 900})
    page = watched.open(path)
    is_too_wide = "() => { const flow = document.querySelector('.flow'); return flow.scrollWidth > flow.clientWidth; }"
    assert page.evaluate(is_too_wide)
    page.get_by_role("button", name="Fit the width").click()
    assert not page.evaluate(is_too_wide)


def neighbours(graph: JudgedGraph, name: str) -> set[str]:
    (node,) = [node for node in graph.nodes if node.name == name]
    return {name, *node.reads, *(other.name for other in graph.nodes if name in other.reads)}


def lit(page: Page) -> set[str]:
    titles = page.locator(".dataflow.lit .boxes .near > title").all_text_contents()
    return {re.split(r" = |: ", title)[0] for title in titles}


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_a_box_lights_what_it_reads_and_what_reads_it(
    watched: Watched, path: str, graph: JudgedGraph, how: str
) -> None:
    page = watched.open(path)
    node = refused(graph)[0]
    box = box_of(page, node.line)
    if how == "hover":
        box.hover()
    else:
        box.focus()
    assert lit(page) == neighbours(graph, node.name)
    assert len(lit(page)) > 2
    assert page.locator(".dataflow .edges .near").count() >= len(lit(page)) - 1


def test_the_light_goes_out_when_the_picture_is_left(watched: Watched, path: str, graph: JudgedGraph) -> None:
    page = watched.open(path)
    box_of(page, refused(graph)[0].line).hover()
    assert page.locator(".dataflow.lit").count() == 1
    page.locator("h1").hover()
    expect(page.locator(".dataflow.lit")).to_have_count(0)


def test_the_arrow_down_leads_to_a_reader_and_up_to_what_is_read(
    watched: Watched, path: str, graph: JudgedGraph
) -> None:
    page = watched.open(path)
    node = refused(graph)[0]
    focused = "() => document.activeElement.querySelector('title').textContent.split(' = ')[0]"
    box_of(page, node.line).focus()
    page.keyboard.press("ArrowDown")
    below = page.evaluate(focused)
    assert node.name in next(other.reads for other in graph.nodes if other.name == below)
    page.keyboard.press("ArrowUp")
    above = page.evaluate(focused)
    assert above in next(other.reads for other in graph.nodes if other.name == below)


def test_the_picture_is_one_stop_of_the_tab_key(watched: Watched, path: str) -> None:
    page = watched.open(path)
    assert page.locator('.dataflow a[tabindex="0"]').count() == 1
    assert page.locator(".dataflow a:not([tabindex])").count() == 0


def test_the_help_tells_of_the_keys_of_the_picture(watched: Watched, path: str) -> None:
    page = watched.open(path)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("in the picture")
