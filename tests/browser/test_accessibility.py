"""axe finds nothing on any kind of page, light or dark, wide or narrow."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from browsing import Watched, expect

import opcov
from opcov.reports.html.names import graph_page, model_page, op_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

OPTIONS = {
    "resultTypes": ["violations"],
    # Else axe asks for each stylesheet anew, which a page from a disk may not.
    "preload": False,
    # axe's own choice: WCAG 2.0 to 2.2, A and AA, and best practice; of these it leaves out this one.
    "rules": {"target-size": {"enabled": True}},
}


def page_of(kind: str, scan: opcov.Scan) -> str:
    """Of ops and models those with most to show; of graphs small ones, since axe looks at each word of a text."""
    coverage = scan.coverage
    match kind:
        case "op":
            return op_page(max(coverage.op_rows, key=lambda row: (len(row.reasons), row.counts.not_supported)).op)
        case "model":
            rows = [row for row in coverage.model_rows() if row.counts.nodes]
            return model_page(max(rows, key=lambda row: (row.ranks, row.distinct)).scan.name)
        case "failed model":
            return model_page(next(row for row in coverage.model_rows() if not row.counts.nodes).scan.name)
        case "graph" | "lost graph":
            fitting = [
                (body.counts.nodes, digest)
                for digest, body in coverage.bodies.items()
                if any(graph.crash for graph in body.graphs) == (kind == "lost graph") and body.counts.not_supported > 3
            ]
            return graph_page(min(fitting)[1])
    return "index.html"


@pytest.mark.parametrize("kind", ["index", "op", "model", "failed model", "graph", "lost graph"])
def test_axe_finds_nothing(watched: Watched, scan: opcov.Scan, kind: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = watched.open(page_of(kind, scan))
    for scheme, width in product(("light", "dark"), (1280, 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(axe, page) == [], (scheme, width)


def test_axe_finds_nothing_in_the_help(watched: Watched, scan: opcov.Scan) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = watched.open(page_of("graph", scan))
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert violations(axe, page) == []


def violations(axe: Any, page: Page) -> list[str]:
    found = axe.Axe().run(page, options=OPTIONS).response["violations"]
    return [f"{one['id']}: {node['target']}: {node['failureSummary']}" for one in found for node in one["nodes"]]
