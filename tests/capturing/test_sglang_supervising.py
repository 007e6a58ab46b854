"""Processes whose exit codes nobody asks for: they are watched, and ended when one of them has failed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opcov.capturing.session import Session, Setting, begin, end
from opcov.capturing.sglang.supervising import supervised

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    yield begin(Setting(str(tmp_path / "model")))
    end()


def run(*works: Callable[[], object], patience: float = 0.1) -> None:
    """Runs one process each, and waits for all, as SGLang's main does."""
    with supervised(patience):
        processes = [FORK.Process(target=work) for work in works]
        for process in processes:
            process.start()
        for process in processes:
            process.join()


def fine() -> None:
    os._exit(0)


def exits_with_3() -> None:
    os._exit(3)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never_answers() -> None:
    time.sleep(600)


def never_listens() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def failures(session: Session) -> dict[int, list[str]]:
    return {rank: part.failures for rank, part in session.parts.items() if part.failures}


def test_processes_that_end_well_are_no_failure(session: Session) -> None:
    run(fine, fine)
    assert failures(session) == {}


def test_an_exit_code_is_told_of_the_rank_that_had_it(session: Session) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(fine, exits_with_3)
    assert stopped.value.code == 1
    assert failures(session) == {1: ["its process exited with 3"]}


def test_a_signal_is_told_by_its_name(session: Session) -> None:
    with pytest.raises(SystemExit):
        run(is_killed, fine)
    assert failures(session) == {0: ["its process was killed by signal 9 (SIGKILL)"]}


def test_a_rank_that_waits_for_a_failed_one_is_ended(session: Session) -> None:
    with pytest.raises(SystemExit):
        run(never_answers, exits_with_3)
    assert failures(session) == {
        0: ["its process was ended, since another rank had failed"],
        1: ["its process exited with 3"],
    }


def test_a_rank_that_does_not_end_when_asked_is_killed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.capturing.sglang.supervising._GRACE", 0.3)
    with pytest.raises(SystemExit):
        run(never_listens, exits_with_3, patience=0.5)
    assert failures(session)[0] == ["its process was ended, since another rank had failed"]


def test_what_failed_stands_in_the_record_of_the_run(session: Session) -> None:
    with pytest.raises(SystemExit):
        run(fine, exits_with_3)
    (left,) = (session.folder / ".capture").glob("rank1.*.json")
    assert b"exited with 3" in left.read_bytes()


def test_an_error_of_the_benchmark_itself_passes(session: Session) -> None:
    with pytest.raises(ValueError, match="no model"), supervised(0.1):
        raise ValueError("no model")
