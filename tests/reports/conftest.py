"""The project's own small corpus, judged by the installed Thunder once for all tests of reports."""

from __future__ import annotations

from pathlib import Path

import pytest

import opcov

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures"


@pytest.fixture(scope="session")
def fixtures_scan() -> opcov.Scan:
    """A scan of fixtures/gm."""
    return opcov.scan(FIXTURES / "gm")
