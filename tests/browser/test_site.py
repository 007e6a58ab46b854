"""What a reader of the site relies on: pages open, answers are near, also without scripts, on a phone and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from browsing import Watched, column, expect, watch

import opcov
from opcov.coverage import OpRow
from opcov.reports.html.names import graph_page, model_page, op_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = re.compile(r"\bundefined\b|\bNaN\b|\[object |\{\{|\{%")
"""What a page says where a template or a script went wrong."""


def pages_of(watched: Watched) -> list[str]:
    return sorted(path.relative_to(watched.site).as_posix() for path in watched.site.rglob("*.html"))


def row_of(scan: opcov.Scan, op: str) -> OpRow:
    return next(row for row in scan.coverage.op_rows if row.op == op)


def kinds_of_pages(scan: opcov.Scan) -> dict[str, str]:
    """One page of each kind, of the graphs the one with most nodes."""
    rows = scan.coverage.op_rows
    largest = max(scan.coverage.bodies.values(), key=lambda body: (body.counts.nodes, body.digest))
    return {
        "index": "index.html",
        "op": op_page(rows[0].op),
        "model": model_page(rows[0].models[0]),
        "graph": graph_page(largest.digest),
    }


@pytest.fixture
def plain(browser: Browser, site: Path) -> Iterator[Watched]:
    """A page whose browser runs no script."""
    yield from watch(browser, site, java_script_enabled=False)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_every_page_opens_from_the_disk_without_an_error(watched: Watched) -> None:
    found = pages_of(watched)
    assert {PurePosixPath(path).parts[0] for path in found} == {"index.html", "op", "model", "graph"}
    for path in found:
        # By then the scripts have run; a picture of each page would cost more than all the rest.
        page = watched.open(path, wait_until="domcontentloaded")
        assert page.evaluate("() => document.querySelectorAll('h1').length") == 1, path
        assert page.evaluate("() => document.querySelector('.controls').hidden") is False, path
        assert watched.errors == [], path
        assert watched.requests == [], path


@pytest.mark.parametrize("op", ["torch.Tensor.is_cpu", "torch.cuda.Stream.wait_stream", "operator.getitem"])
def test_why_an_op_falls_back_is_one_click_from_the_start(watched: Watched, scan: opcov.Scan, op: str) -> None:
    page = watched.open("index.html")
    page.locator("#ops-table").get_by_role("link", name=op, exact=True).click()
    expect(page.locator("h1")).to_have_text(op)
    assert_tells_why(page, row_of(scan, op))


def test_why_an_op_of_a_model_falls_back_is_two_clicks_from_the_start(watched: Watched, scan: opcov.Scan) -> None:
    row = row_of(scan, "torch.Tensor.is_cpu")
    page = watched.open("index.html")
    page.locator("#models-table").get_by_role("link", name=row.models[0], exact=True).click()
    page.locator("#ops-table").get_by_role("link", name=row.op, exact=True).click()
    expect(page.locator("h1")).to_have_text(row.op)
    assert_tells_why(page, row)


def assert_tells_why(page: Page, row: OpRow) -> None:
    assert row.detail in page.locator("blockquote").all_inner_texts()
    assert {reason.value for reason in row.reasons} == {*page.locator("figure .reason").all_inner_texts()}
    places = column(page, "sources-table", "place")
    shown = [
        (PurePosixPath(place).name, function, code)
        for place, function, code in zip(
            places, column(page, "sources-table", "function"), column(page, "sources-table", "code"), strict=True
        )
    ]
    assert shown == [
        (f"{PurePosixPath(source.file).name}:{source.line}", source.function, source.code) for source in row.sources
    ]
    assert shown
    assert {*row.models} <= {*column(page, "models-table", "model")}
    models = dict(
        zip(column(page, "models-table", "model"), column(page, "models-table", "not supported"), strict=True)
    )
    assert {name for name, number in models.items() if number != "0"} == {*row.models}


# --- without scripts --------------------------------------------------------------------------------------------------


def test_without_scripts_the_ops_that_fall_back_can_be_read(plain: Watched, scan: opcov.Scan) -> None:
    page = plain.open("index.html")
    refused = {row.op for row in scan.coverage.op_rows if row.counts.not_supported or row.counts.unknown}
    assert {*column(page, "ops-table", "op")} == refused
    assert column(page, "models-table", "model") == [model.name for model in scan.coverage.ordered_models]


def test_without_scripts_the_supported_ops_can_be_shown_too(plain: Watched, scan: opcov.Scan) -> None:
    page = plain.open("index.html")
    page.get_by_label("hide supported").uncheck()
    assert {*column(page, "ops-table", "op")} == {row.op for row in scan.coverage.op_rows}


def test_without_scripts_the_page_of_an_op_answers(plain: Watched, scan: opcov.Scan) -> None:
    row = row_of(scan, "torch.Tensor.is_cpu")
    page = plain.open(op_page(row.op))
    assert_tells_why(page, row)


def test_without_scripts_the_text_and_the_picture_of_a_graph_are_shown(plain: Watched, scan: opcov.Scan) -> None:
    page = plain.open(kinds_of_pages(scan)["graph"])
    assert page.locator(".listing li").first.is_visible()
    assert page.locator(".listing li.unsupported .note").first.is_visible()
    assert page.locator(".dataflow .boxes a").first.is_visible()


@pytest.mark.parametrize("kind", ["index", "op", "model", "graph"])
def test_without_scripts_no_control_is_shown_that_needs_them(plain: Watched, scan: opcov.Scan, kind: str) -> None:
    page = plain.open(kinds_of_pages(scan)[kind])
    assert page.locator("button, #filter").filter(visible=True).count() == 0


@pytest.mark.parametrize("kind", ["index", "op", "model", "graph"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_no_page_says_what_templates_and_scripts_say_by_mistake(
    watched: Watched, plain: Watched, scan: opcov.Scan, kind: str, scripts: bool
) -> None:
    page = (watched if scripts else plain).open(kinds_of_pages(scan)[kind])
    assert EVIL.findall(page.locator("body").inner_text()) == []


# --- phone ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["index", "op", "model", "graph"])
def test_on_a_phone_no_page_scrolls_sideways(browser: Browser, site: Path, scan: opcov.Scan, kind: str) -> None:
    for phone in watch(browser, site, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True):
        page = phone.open(kinds_of_pages(scan)[kind])
        # A phone widens its window to what does not fit, so the width itself is part of the answer.
        wide, window = page.evaluate("() => [document.scrollingElement.scrollWidth, innerWidth]")
        assert (wide, window) == (390, 390)


# --- paper ------------------------------------------------------------------------------------------------------------

PAPER = 703
"""Width of A4 without margins of 12 mm, in CSS pixels."""


@pytest.fixture
def paper(browser: Browser, site: Path) -> Iterator[Watched]:
    for watched in watch(browser, site, viewport={"width": PAPER, "height": 1_000}):
        watched.page.emulate_media(media="print")
        yield watched


@pytest.mark.parametrize("kind", ["index", "op", "model", "graph"])
def test_on_paper_the_controls_are_left_out(paper: Watched, scan: opcov.Scan, kind: str) -> None:
    page = paper.open(kinds_of_pages(scan)[kind])
    # The headings of columns are buttons too, and needed on paper.
    shown = page.locator("button, input").filter(visible=True)
    assert [
        control.inner_text() for control in shown.all() if not control.locator("xpath=ancestor::thead").count()
    ] == []


@pytest.mark.parametrize("kind", ["index", "op", "model", "graph"])
def test_on_paper_nothing_is_clipped(paper: Watched, scan: opcov.Scan, kind: str) -> None:
    page = paper.open(kinds_of_pages(scan)[kind])
    clipped = page.evaluate("""() => [...document.querySelectorAll('.box, .listing-box, .strip-box, .flow')]
        .filter(box => getComputedStyle(box).overflow !== 'visible').map(box => box.className)""")
    assert clipped == []
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= PAPER
