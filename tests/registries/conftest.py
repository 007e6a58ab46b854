"""Fixtures of the tests of judges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from process_state import read_process_state


@pytest.fixture
def process_state() -> Callable[[], dict[str, object]]:
    return read_process_state
