"""The garbage collector looks at less while opcov works, and is afterwards as it was."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest
from command_line import PROJECT, environment

from opcov import collector
from opcov.collector import all_else_frozen, collector_paused


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("enabled", [True, False])
def test_collector_is_paused_and_then_as_it_was(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    with pytest.raises(ValueError, match="no"), collector_paused():
        assert not gc.isenabled()
        raise ValueError("no")
    assert gc.isenabled() is enabled


def test_what_lived_before_is_not_looked_at_and_then_is_again() -> None:
    with pytest.raises(ValueError, match="no"), all_else_frozen():
        assert gc.get_freeze_count() > 1000
        raise ValueError("no")
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_has_frozen_stays_so() -> None:
    gc.freeze()
    with all_else_frozen():
        pass
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_made_inside_is_looked_at(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    with all_else_frozen():
        assert gc.isenabled()
    assert gc.isenabled() is enabled


def test_process_that_ends_soon_thaws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector._Process, "ends_soon", True)
    with all_else_frozen():
        pass
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["no/such/corpus"], 2)])
def test_command_leaves_with_its_code_whatever_is_left(arguments: list[str], code: int) -> None:
    command = [sys.executable, "-m", "opcov", *arguments]
    result = subprocess.run(command, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert "Traceback" not in result.stderr
