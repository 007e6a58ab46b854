"""Fixtures that more than one test module uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opcov.registries.thunder_import import import_thunder

PROJECT = Path(__file__).resolve().parent.parent

RECORDED_WITH = "0.2.6"
"""The lightning-thunder whose answers the recordings hold: fixtures, golden files, the large recorded corpus."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"recorded: holds what lightning-thunder {RECORDED_WITH} answered; skipped under another version"
    )


@pytest.hookimpl(tryfirst=True)  # before fixtures that judge much are made in vain
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("recorded") is None:
        return
    installed = import_thunder().__version__
    if installed != RECORDED_WITH:
        pytest.skip(f"recorded with lightning-thunder {RECORDED_WITH}, and this is {installed}")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test uses what the user's own scans have remembered, nor adds to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPCOV_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout, with the large recorded corpus; a clone does not have it."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the large recorded corpus (../shared) is not beside this checkout")
    return folder
