"""Fixtures that more than one test module uses."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout, with the large recorded corpus; a clone does not have it."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the large recorded corpus (../shared) is not beside this checkout")
    return folder
