"""The work of a rank: whose it is, and how its phases are marked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from opcov.capturing.session import Session, Setting, begin, end
from opcov.capturing.sglang import working
from opcov.capturing.sglang.wishes import VARIABLE, Wishes, encoded
from opcov.capturing.sglang.working import rank_of, replace_work


@pytest.mark.parametrize(
    ("arguments", "options", "rank"),
    [
        (("server", "port", "bench", 3), {}, 3),
        (("server", "port", "bench", 7, 3), {}, 3),
        (("server", "port", "bench"), {"tp_rank": 2}, 2),
        ((), {}, 0),
        (("server",), {}, 0),
    ],
)
def test_the_rank_is_found_in_every_version(arguments: Any, options: Any, rank: int) -> None:
    assert rank_of(arguments, options) == rank


def test_the_work_is_replaced_by_functions_that_other_processes_can_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "_ORIGINALS", {})
    bench = SimpleNamespace(latency_test=len)
    replace_work(bench)
    assert bench.latency_test is working.latency_test
    assert bench.latency_test.__module__ == "opcov.capturing.sglang.working"
    assert not hasattr(bench, "correctness_test")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(working._Prepared, "once", True)
    monkeypatch.setattr(working, "_ORIGINALS", {})
    yield begin(Setting(str(tmp_path / "model")))
    end()


def runs_out_of_memory(*_: object) -> None:
    raise MemoryError("12 GiB are missing\nPossible solutions:")


def test_why_a_rank_failed_stands_in_its_own_record(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "benchmark", lambda: SimpleNamespace(latency_test=runs_out_of_memory))
    with pytest.raises(MemoryError):
        working.latency_test("server", "port", "bench", 2)
    assert session.parts[2].failures == ["MemoryError: 12 GiB are missing"]


def test_a_rank_without_a_tokenizer_does_not_look_for_one(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = SimpleNamespace(get_tokenizer=runs_out_of_memory)
    bench.latency_test = lambda *_: bench.get_tokenizer("path", tokenizer_mode="auto")
    monkeypatch.setattr(working, "benchmark", lambda: bench)
    monkeypatch.setenv(VARIABLE, encoded(Wishes(without_tokenizer=True))[VARIABLE])
    working.latency_test("server", "port", "bench", 1)
    assert "the tokenizer: there is none, and random tokens are the input" in session.parts[1].replaced


class Marks:
    """What NVTX was told."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.seen: list[str] = []

    @contextmanager
    def range(self, name: str) -> Iterator[None]:
        self.open.append(name)
        yield
        self.open.remove(name)

    def see(self, *_: object) -> str:
        self.seen += self.open
        return "tokens"


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> Marks:
    found = Marks()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "nvtx", found)
    return found


def test_prefill_and_decode_are_marked_where_they_are_functions(marks: Marks) -> None:
    bench = SimpleNamespace(__name__="sglang.bench_one_batch", extend=marks.see, decode=marks.see)
    working._mark_phases(bench)
    assert bench.extend() == bench.decode() == "tokens"
    assert marks.seen == ["prefill", "decode"]


def test_they_are_marked_where_they_are_methods(marks: Marks) -> None:
    runner = type("Runner", (), {"extend": marks.see, "decode": marks.see, "__module__": "sglang.benchmark.one_batch"})
    working._mark_phases(SimpleNamespace(__name__="sglang.benchmark.one_batch", Runner=runner))
    assert runner().decode() == "tokens"
    assert marks.seen == ["decode"]


def test_a_phase_is_marked_once(marks: Marks) -> None:
    bench = SimpleNamespace(__name__="sglang.bench_one_batch", extend=marks.see)
    working._mark_phases(bench)
    working._mark_phases(bench)
    bench.extend()
    assert marks.seen == ["prefill"]


def test_without_cuda_nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    bench = SimpleNamespace(__name__="sglang.bench_one_batch", extend=len)
    working._mark_phases(bench)
    assert bench.extend is len
