"""How work is shared: all of it, once, neighbours together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcov.engine.stretches import BATCH_BODIES, BATCH_BYTES, Stretches


@given(
    st.lists(st.integers(0, 3 * BATCH_BYTES), max_size=200),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=60),
)
def test_every_body_is_taken_once_whoever_takes_and_leaves(sizes: list[int], turns: list[tuple[int, int]]) -> None:
    left = Stretches(sizes)
    taken: list[int] = []
    for worker, chance in turns:
        if chance == 0:
            left.leave(worker)
        taken += left.take(worker)
    while places := left.take("the last"):
        taken += places
    assert sorted(taken) == list(range(len(sizes)))


@given(st.lists(st.integers(0, 3 * BATCH_BYTES), min_size=1, max_size=100), st.integers(1, 8))
def test_worker_gets_something_while_anything_is_left(sizes: list[int], workers: int) -> None:
    left = Stretches(sizes)
    number = len(sizes)
    turn = 0
    while number:
        places = left.take(turn % workers)
        assert places
        number -= len(places)
        turn += 1
    assert not left.take("any")


def test_two_workers_get_a_half_each_of_neighbours() -> None:
    left = Stretches([BATCH_BYTES] * 100)
    places: dict[int, list[int]] = {0: [], 1: []}
    for turn in range(100):
        places[turn % 2] += left.take(turn % 2)
    assert places[0][:49] == list(range(49))
    assert places[1][:49] == list(range(51, 100))


@pytest.mark.parametrize(("size", "bodies"), [(1, BATCH_BODIES), (BATCH_BYTES // 4, 4), (10 * BATCH_BYTES, 1)])
def test_batch_is_as_large_as_its_bodies_allow(size: int, bodies: int) -> None:
    assert len(Stretches([size] * 100).take("any")) == bodies
