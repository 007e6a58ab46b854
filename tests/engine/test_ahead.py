"""Bodies are parsed ahead while workers get ready, each once, and what was parsed is kept."""

from __future__ import annotations

import pytest
from building import FakeRegistry, graph_text

from opcov.engine import ahead as module
from opcov.engine.ahead import Ahead
from opcov.engine.work import Task, Work, answer
from opcov.loaders.loader import SavedFile

TEXTS = [graph_text(f'a: "f32[{size}]" = torch.relu(x);  x = None', result="a") for size in (4, 5, 6)]


class Bodies:
    """Some bodies, and how often each was read."""

    def __init__(self, *, keeps: bool = True, unread: int | None = None) -> None:
        self.read = [0] * len(TEXTS)
        self.keeps = keeps
        self.unread = unread
        self.work = Work([len(text) for text in TEXTS], self.task)

    def task(self, place: int) -> Task | None:
        self.read[place] += 1
        if place == self.unread:
            return None
        return Task(f"d{place}", "readable", SavedFile("rank0_0.py", TEXTS[place].encode()), None, self.keeps)


def test_body_is_read_once_whether_it_is_parsed_ahead_or_not() -> None:
    bodies = Bodies()
    ahead = Ahead(bodies.work)
    assert ahead.parse_one()
    assert ahead.parse_one()
    assert [task.parsed is not None for task in ahead.take([0, 1, 2])] == [True, True, False]
    assert bodies.read == [1, 1, 1]


def test_parsed_body_is_judged_like_its_text_and_what_was_parsed_is_kept() -> None:
    bodies = Bodies()
    ahead = Ahead(bodies.work)
    assert [ahead.parse_one(), ahead.parse_one()] == [True, True]
    (parsed,) = ahead.take([1])
    plain = bodies.task(1)
    assert plain is not None
    expected = answer(plain, FakeRegistry())
    found = ahead.with_parsed(answer(parsed, FakeRegistry()))
    assert (found.body, found.parsed) == (expected.body, expected.parsed)
    assert found.parsed is not None


def test_what_is_not_to_be_kept_is_not() -> None:
    ahead = Ahead(Bodies(keeps=False).work)
    assert ahead.parse_one()
    (task,) = ahead.take([0])
    assert task.parsed is not None
    assert ahead.with_parsed(answer(task, FakeRegistry())).parsed is None


def test_body_that_cannot_be_read_is_no_task() -> None:
    bodies = Bodies(unread=1)
    ahead = Ahead(bodies.work)
    while ahead.parse_one():
        pass
    assert [task.digest for task in ahead.take([0, 1, 2])] == ["d0", "d2"]


def test_no_more_is_held_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", len(TEXTS[0]))
    ahead = Ahead(Bodies().work)
    assert [ahead.parse_one(), ahead.parse_one()] == [True, False]
