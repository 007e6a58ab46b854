"""Records of a capture: whole, readable, and one line a node."""

from __future__ import annotations

from pathlib import Path

from opcov.capturing.records import Capture, GraphRecord, Launch, NodeVerdict, Part, encoded, read, write

CAPTURE = Capture(
    "1.0", 'say "so"', ["opcov"], {"torch": "2.13.0"}, {}, "ok", [Launch(0, "it exited with 0", is_ok=True)], 1,
    [Part(0, graphs=[GraphRecord("rank0_0.py", 0, 0, 2, verdicts=[
        NodeVerdict('odd "name", with \n and },', "thunder_0", supported=True),
        NodeVerdict("b", None, supported=None, reason="MISSING"),
    ])])],
)  # fmt: skip


def test_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "capture.json", CAPTURE)
    assert read(tmp_path / "capture.json", Capture) == CAPTURE
    assert [path.name for path in tmp_path.iterdir()] == ["capture.json"]


def test_answer_for_a_node_takes_a_line() -> None:
    lines = [line.strip() for line in encoded(CAPTURE).decode().splitlines()]
    assert '{"name": "b", "partition": null, "supported": null, "reason": "MISSING"}' in lines


def test_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "capture.json").write_text('{"schema": 1}')
    assert read(tmp_path / "capture.json", Capture) is None
    assert read(tmp_path / "absent.json", Capture) is None
