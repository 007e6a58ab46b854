"""What a scan costs: phases do not overlap, and the numbers are those of what was done."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import write_corpus
from remembered import RELU, TANH, Remembered, aged, refusing

import opcov
from opcov import tally as names
from opcov.cache.files import GRAIN
from opcov.tally import Tally


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr("opcov.tally.time.perf_counter", lambda: now[0])
    return now


def test_phase_inside_another_is_no_part_of_it(clock: list[float]) -> None:
    tally = Tally()
    with tally.phase("outer"):
        clock[0] += 1
        with tally.phase("inner"):
            clock[0] += 10
            with tally.phase("innermost"):
                clock[0] += 100
        clock[0] += 2
    with tally.phase("outer"):
        clock[0] += 4
    assert tally.seconds == {"innermost": 100, "inner": 10, "outer": 7}


def test_time_of_a_phase_that_fails_is_counted(clock: list[float]) -> None:
    tally = Tally()
    with pytest.raises(ValueError, match="no"), tally.phase("all"):
        clock[0] += 3
        raise ValueError("no")
    assert tally.seconds == {"all": 3}


@pytest.fixture
def gm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("opcov.cache.files.GRAIN", GRAIN // 50)
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")
    return aged(write_corpus(tmp_path / "gm", {"m/rank0_0.py": RELU, "m/rank1_0.py": RELU, "m/rank0_1.py": TANH}))


def test_cold_scan_reads_and_judges_everything(gm: Path, tmp_path: Path) -> None:
    found = opcov.scan(gm, registry=refusing(), cache=tmp_path / "cache").tally.numbers
    once, both = 2 * len(RELU) + len(TANH), len(RELU) + len(TANH)
    assert (found[names.FILES], found[names.KNOWN_FILES], found[names.BYTES]) == (3, 0, once + both)
    assert (found[names.GRAPHS], found.get(names.RECALLED), found[names.PARSED]) == (2, None, 0)


def test_scan_with_another_judge_reads_what_it_judges_and_parses_nothing(gm: Path, tmp_path: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=tmp_path / "cache")
    found = opcov.scan(gm, registry=refusing(fingerprint="fake 2"), cache=tmp_path / "cache").tally.numbers
    assert (found[names.KNOWN_FILES], found[names.BYTES]) == (3, len(RELU) + len(TANH))
    assert (found[names.GRAPHS], found.get(names.RECALLED), found[names.PARSED]) == (2, None, 2)


def test_questions_are_those_that_the_judge_counts(gm: Path) -> None:
    class Asked(Remembered):
        @property
        def questions(self) -> int:
            return 5 * len(self.judged)

    assert opcov.scan(gm, registry=Asked({}), cache=False).tally.numbers[names.QUESTIONS] == 10


def test_lines_tell_of_what_was_told_before_and_of_no_phase_that_was_left_out(gm: Path, tmp_path: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=tmp_path / "cache").render("all_ops")
    scan = opcov.scan(gm, registry=refusing(), cache=tmp_path / "cache")
    scan.render("all_ops")
    lines = scan.tally.lines()
    assert [line.partition(":")[0] for line in lines] == ["find", "reports"]
    assert "3 graph files, 3 of them unchanged by their status; 0 bytes read in all" in lines[0]
    assert lines[1].endswith("told before: all_ops")


def test_verbose_scan_tells_what_it_cost(
    gm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opcov import api
    from opcov.cli import main

    monkeypatch.setattr(api, "_thunder", lambda **_: refusing())
    assert main([str(gm), "--no-cache", "--quiet", "--verbose"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split()[1].rstrip(":") for line in printed.err.splitlines()] == ["find", "recall", "judge", "tables"]
