"""A real browser and the sites that it looks at: `make test-browser` runs these tests, all others skip them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import Watched, watch

import opcov

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures"

CHROMIUM = os.environ.get("OPCOV_CHROMIUM")
"""Path of the browser; `make test-browser` sets it."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: make test-browser")
    playwright_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make test-browser")

    with playwright_api.sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as which containers run.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def scan(browser: Browser) -> opcov.Scan:
    """A scan of fixtures/gm, made where there is a browser only."""
    return opcov.scan(FIXTURES / "gm")


@pytest.fixture(scope="session")
def site(scan: opcov.Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of fixtures/gm."""
    folder = tmp_path_factory.mktemp("site")
    scan.write(html=folder)
    return folder


@pytest.fixture
def watched(browser: Browser, site: Path) -> Iterator[Watched]:
    """A page of a desktop window on the site of fixtures/gm; whatever the test does, nothing bad may happen."""
    yield from watch(browser, site)
