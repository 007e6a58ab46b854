"""The site of the project's own small corpus, rendered and read once for all tests of its pages."""

from __future__ import annotations

import pytest
from site_pages import Element, read_page

import opcov
from opcov.reports.html import render
from opcov.reports.report import Findings


@pytest.fixture(scope="session")
def fixtures_findings(fixtures_scan: opcov.Scan) -> Findings:
    """What reports are made from, without the texts of graphs."""
    return Findings(fixtures_scan.coverage)


@pytest.fixture(scope="session")
def site(fixtures_findings: Findings) -> dict[str, str]:
    """The site of fixtures/gm."""
    return render(fixtures_findings)


@pytest.fixture(scope="session")
def pages(site: dict[str, str]) -> dict[str, Element]:
    """Its pages as trees."""
    return {path: read_page(text) for path, text in site.items() if path.endswith(".html")}
