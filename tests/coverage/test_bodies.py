"""Bodies on disk: a mapping like any other."""

from __future__ import annotations

import copy
import gc
import os
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from building import body, model, node

from opcov.coverage import Coverage
from opcov.coverage import bodies as bodies_module
from opcov.coverage.bodies import Bodies, copy_of, part_of
from opcov.judged import JudgedBody
from opcov.problems import Problem, Slug
from opcov.verdict import Status


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten nodes are many."""
    monkeypatch.setattr(bodies_module, "PLAIN_NODES", 10)
    monkeypatch.setattr(bodies_module, "RECENT_NODES", 6)


def made(numbers: Iterable[int]) -> list[JudgedBody]:
    """Bodies of three nodes each."""
    statuses = list(Status)
    return [
        body(
            f"d{number}",
            *(node(f"torch.op{number % 5}", statuses[(number + place) % 4], line=place) for place in range(3)),
            problems=[Problem("", number, Slug.SYNTAX, "broken")],
        )
        for number in numbers
    ]


def test_few_nodes_stay_plain_objects() -> None:
    given = made(range(3))
    found = Bodies(given)
    assert found.on_disk == 0
    assert all(found[one.digest] is one for one in given)


def test_bodies_on_disk_are_those_that_were_added_in_their_order() -> None:
    given = made(range(40))
    found = Bodies(given)
    assert found.on_disk == 37
    assert list(found.values()) == given
    assert list(found) == [one.digest for one in given]
    assert found["d39"] == given[39]
    assert "d40" not in found
    assert found.get("d40") is None


def test_bodies_equal_a_dict_of_them_both_ways() -> None:
    given = {one.digest: one for one in made(range(40))}
    found = Bodies(given.values())
    assert found == given
    assert given == found
    assert found == Bodies(given.values())
    assert found != {**given, "d39": given["d38"]}
    assert found != dict(list(given.items())[1:])


def test_part_has_the_order_that_it_is_asked_for_and_copies_nothing() -> None:
    found = Bodies(made(range(40)))
    part = found.part(["d30", "absent", "d2"])
    assert list(part) == ["d30", "d2"]
    assert part["d30"] == found["d30"]
    assert part.on_disk == 1


def test_copy_can_grow_without_the_original() -> None:
    found = Bodies(made(range(40)))
    more = copy_of(found)
    more.add(made([50])[0])
    more.add(replace(found["d0"], problems=()))
    assert (len(found), len(more)) == (40, 41)
    assert found["d0"].problems != ()
    assert more["d0"].problems == ()


def test_body_that_cannot_be_encoded_is_held() -> None:
    hostile = body("bad", node("torch.\ud800"), node("torch.b"))
    found = Bodies([*made(range(10)), hostile, *made(range(10, 20))])
    assert found["bad"] is hostile
    assert found.on_disk == 17


def test_full_disk_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    given = made(range(40))
    found = Bodies(given[:20])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    class Full:
        seek = staticmethod(lambda *_: 0)
        write = staticmethod(full)

    file = found._shelf._file
    monkeypatch.setattr(found._shelf, "_file", Full())
    for one in given[20:]:
        found.add(one)
    monkeypatch.setattr(found._shelf, "_file", file)
    assert list(found.values()) == given


def test_file_goes_with_the_last_part(monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[Any] = []

    def opened(**options: Any) -> Any:
        files.append(TemporaryFile(**options))  # noqa: SIM115
        return files[-1]

    monkeypatch.setattr("tempfile.TemporaryFile", opened)
    found = Bodies(made(range(40)))
    number = files[0].fileno()
    part = found.part(["d30"])
    files.clear()
    del found
    gc.collect()
    assert os.fstat(number).st_nlink == 0  # nobody else finds it
    assert part["d30"].digest == "d30"
    del part
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_bodies_can_be_copied_and_sent() -> None:
    found = Bodies(made(range(40)))
    make, arguments = found.__reduce__()  # as pickle does
    assert make(*arguments) == found
    assert copy.deepcopy(found) == found


def test_coverage_of_bodies_on_disk_has_the_rows_of_plain_ones(tmp_path: Path) -> None:
    given = made(range(40))
    models = {
        name: model(name, {f"rank0_{n}.py": f"d{n}" for n in range(start, 40, 2)}) for start, name in enumerate("ab")
    }
    plain = Coverage(models, {one.digest: one for one in given})
    spooled = Coverage(models, Bodies(given))
    assert spooled == plain
    assert spooled.op_rows == plain.op_rows
    assert spooled.variant_rows == plain.variant_rows
    assert list(spooled.node_rows()) == list(plain.node_rows())
    assert list(spooled.file_rows()) == list(plain.file_rows())
    assert list(spooled.model_rows()) == list(plain.model_rows())
    assert spooled.of_model("a").merge(spooled.of_model("b")).bodies == plain.bodies


def test_part_of_a_dict_is_a_dict() -> None:
    given = {one.digest: one for one in made(range(3))}
    assert part_of(given, ["d2", "absent", "d0"]) == {"d2": given["d2"], "d0": given["d0"]}


def test_what_is_held_does_not_grow_with_the_bodies() -> None:
    def held(count: int) -> int:
        tracemalloc.start()
        found = Bodies(one for number in range(count) for one in made([number]))
        size = sum(len(one.graphs) for one in found.values()) and tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    held(10)  # imports
    few, many = held(500), held(2_000)
    # Only the index grows: a body of three nodes takes 4 kB.
    assert many - few < 1_500 * 600
