"""How work is shared: all of it, once, neighbours together."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcov.engine.stretches import LEAST_BYTES, MOST_BODIES, MOST_BYTES, Stretches


@given(
    st.lists(st.integers(0, 3 * LEAST_BYTES), max_size=200),
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


@given(st.lists(st.integers(0, 3 * LEAST_BYTES), min_size=1, max_size=100), st.integers(1, 8))
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
    left = Stretches([LEAST_BYTES] * 1_000)
    places: dict[int, list[int]] = {0: [], 1: []}
    while sum(map(len, places.values())) < 1_000:
        for worker, found in places.items():
            found += left.take(worker)
    for found in places.values():
        assert 490 <= len(found) <= 510
        # All but what the faster one took from the other in the end.
        assert sum(after != before + 1 for before, after in pairwise(found)) < 10


@pytest.mark.parametrize(
    ("size", "bodies"), [(1, MOST_BODIES), (MOST_BYTES // 4, 4), (2 * MOST_BYTES, 1)], ids=["tiny", "usual", "huge"]
)
def test_batch_is_as_large_as_its_bodies_allow(size: int, bodies: int) -> None:
    assert len(Stretches([size] * 1_000).take("any")) == bodies


def test_batches_get_smaller_while_less_is_left() -> None:
    left = Stretches([LEAST_BYTES // 4] * 1_000)
    sizes = []
    while places := left.take("any"):
        sizes.append(len(places))
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-2]) == (MOST_BYTES // (LEAST_BYTES // 4), 4)
