"""Rewriting an all_ops.py: what people wrote survives at its entry, and what was not scanned stays as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from building import body, coverage, graph_file, node
from hypothesis import given, settings
from hypothesis import strategies as st

import opcov
from opcov.baseline import BaselineError, parse_baseline
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.judged import JudgedNode, ModelScan
from opcov.problems import OutputError
from opcov.reports.all_ops import render, update
from opcov.reports.files import write_files
from opcov.verdict import Status


def corpus(**models: Sequence[JudgedNode]) -> Coverage:
    """Models of an organisation `org`, each with one graph of these nodes."""
    return coverage(
        {f"org/{name}": {"rank0_0.py": name} for name in models},
        *[body(name, *nodes) for name, nodes in models.items()],
    )


def alone(name: str, *nodes: JudgedNode) -> Coverage:
    """A model's folder that was scanned by itself: its files are directly there."""
    model = ModelScan(name, (graph_file("rank0_0.py", name),), Diagnosis(Health.OK))
    return Coverage({name: model}, {name: body(name, *nodes)}, {"judge": "1.0"})


def updated(text: str, found: Coverage, *, partial: bool = False) -> str:
    return update(parse_baseline(text), found, partial=partial)


def with_line(text: str, line: str, above: str) -> str:
    """The text with a person's line above another line."""
    assert text.count(f"\n{above}\n") == 1
    return text.replace(f"\n{above}\n", f"\n{line}\n{above}\n")


BAD, WORSE = node("torch.bad"), node("torch.worse")


# --- people's lines ---


def test_line_at_an_entry_stays_right_above_its_expression() -> None:
    found = corpus(a=[BAD, WORSE])
    text = with_line(
        render(found), "#: allow until 2027-03-01, #2600 ", "# torch.bad: MISSING_OP_SUPPORT: why torch.bad"
    )
    assert "\n#: allow until 2027-03-01, #2600 \ntorch.bad(x)\n" in updated(text, found)


def test_line_behind_an_expression_moves_above_it() -> None:
    found = corpus(a=[BAD])
    assert "\n#: ours\ntorch.bad(x)\n" in updated(render(found).replace("bad(x)", "bad(x)  #: ours"), found)


def test_lines_of_no_entry_stay_below_the_header() -> None:
    found = corpus(a=[BAD])
    text = updated("#: first\n" + render(found) + "\n#: last\n", found)
    assert text == render(found).replace("\n\n# torch.bad", "\n\n#: first\n#: last\n\n# torch.bad")


def test_lines_of_a_fixed_entry_stay_at_the_end_under_its_name() -> None:
    text = with_line(render(corpus(a=[BAD])), "#: ours", "torch.bad(x)")
    assert updated(text, corpus(a=[])).endswith("\n\n# Fixed: torch.bad(T)\n#: ours\n")


def test_lines_of_a_fixed_entry_are_back_when_it_is_unsupported_again() -> None:
    text = with_line(render(corpus(a=[BAD])), "#: ours", "torch.bad(x)")
    assert updated(updated(text, corpus(a=[])), corpus(a=[BAD])) == text


def test_fixed_entry_without_lines_leaves_nothing() -> None:
    assert updated(render(corpus(a=[BAD])), corpus(a=[])) == render(corpus(a=[]))


def test_several_entries_of_one_key_become_one_with_all_their_lines() -> None:
    text = updated("#: one\ntorch.bad(y)\n\n#: two\ntorch.bad(z)  #: three\n", corpus(a=[BAD]))
    assert text.count("torch.bad(x)") == 1
    assert parse_baseline(text).entries[0].notes == ("#: one", "#: two", "#: three")


def test_list_made_by_hand_becomes_a_whole_file_with_its_lines() -> None:
    found = corpus(a=[BAD, WORSE])
    text = updated("#  - org/a/rank0_0.py, org/a/rank0_0.py\n#: ours\ntorch.worse(y)\n", found)
    assert text == with_line(render(found), "#: ours", "torch.worse(x)")


NOTES = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.integers(0, 10_000),
        st.booleans(),
        st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), max_size=20),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(NOTES)
def test_lines_put_anywhere_survive_at_their_entry(
    fixtures_scan: opcov.Scan, notes: list[tuple[int, int, bool, str]]
) -> None:
    plain = render(fixtures_scan.coverage)
    blocks = [block.split("\n") for block in plain[:-1].split("\n\n")]
    expected: dict[str, list[str]] = {}
    for number, (place, row, behind, words) in enumerate(notes):
        block = blocks[place % len(blocks)]
        line = f"#: {number} {words}"
        is_entry = not block[-1].startswith("#")
        if is_entry and behind and "  #: " not in block[-1]:
            block[-1] += f"  {line}"
        else:
            block.insert(row % len(block), line)
        if is_entry:
            expected.setdefault(block[-1].partition("  #: ")[0], []).append(line)
        else:
            expected.setdefault("", []).append(line)
    text = "\n\n".join("\n".join(block) for block in blocks) + "\n"

    once = updated(text, fixtures_scan.coverage)

    read = parse_baseline(once)
    assert sorted(read.notes) == sorted(expected.pop("", []))
    found = {entry.expression: sorted(entry.notes) for entry in read.entries if entry.notes}
    assert found == {expression: sorted(lines) for expression, lines in expected.items()}
    rest = "\n".join(line for line in once.split("\n") if not line.startswith("#:"))
    assert rest.replace("\n\n\n", "\n\n") == plain
    assert updated(once, fixtures_scan.coverage) == once


# --- some models only ---


def test_scan_of_one_model_that_finds_nothing_new_changes_nothing(fixtures_scan: opcov.Scan) -> None:
    text = with_line(render(fixtures_scan.coverage), "#: ours", "torch.histc(histc_input, bins = 4, min = 0, max = 3)")
    for name in fixtures_scan.coverage.models:
        assert updated(text, fixtures_scan.coverage.of_model(name), partial=True) == text, name


def test_recorded_models_scanned_one_by_one_change_nothing(shared: Path) -> None:
    whole = opcov.scan(shared / "gm").coverage
    text = render(whole)
    for name in whole.models:
        assert updated(text, whole.of_model(name), partial=True) == text, name


def test_model_scanned_by_itself_is_known_by_its_full_name() -> None:
    text = render(corpus(a=[BAD], b=[BAD]))
    read = parse_baseline(updated(text, alone("b", BAD, WORSE), partial=True))
    assert [(entry.op, entry.models, entry.files) for entry in read.entries] == [
        ("torch.bad", ("org/a", "org/b"), ("org/a/rank0_0.py", "org/b/rank0_0.py")),
        ("torch.worse", ("org/b",), ("org/b/rank0_0.py",)),
    ]
    assert read.models is not None
    assert set(read.models) == {"org/a", "org/b"}


def test_model_that_has_an_op_no_more_leaves_the_entry_to_the_others() -> None:
    text = render(corpus(a=[BAD], b=[BAD]))
    (entry,) = parse_baseline(updated(text, alone("b"), partial=True)).entries
    assert (entry.models, entry.files) == (("org/a",), ("org/a/rank0_0.py",))


def test_entry_that_no_other_model_has_goes_and_its_lines_stay() -> None:
    text = with_line(render(corpus(a=[WORSE], b=[BAD])), "#: ours", "torch.bad(x)")
    read = parse_baseline(updated(text, alone("b"), partial=True))
    assert [entry.op for entry in read.entries] == ["torch.worse"]
    assert read.fixed == {("torch.bad", "torch.bad(T)"): ("#: ours",)}


def test_entry_of_unknown_models_stays() -> None:
    text = render(corpus(a=[BAD])) + "\ntorch.other(y)\n"
    assert "\ntorch.other(y)\n" in updated(text, alone("a", BAD), partial=True)


def test_facts_of_other_models_stay() -> None:
    text = render(corpus(a=[BAD], b=[BAD])).replace("#  ok, 1, 0, 0: org/a", "#  partial, 7, 3, 2: org/a")
    dark = node("torch.dark", Status.UNKNOWN)
    after = updated(text, alone("b", BAD, dark), partial=True)
    assert "\n#  partial, 7, 3, 2: org/a\n#  ok, 1, 1, 0: org/b\n" in after


def test_counts_of_the_header_that_nobody_counted_are_not_told() -> None:
    text = render(corpus(a=[BAD], b=[BAD]))
    first = updated(text, alone("b", BAD, WORSE), partial=True).splitlines()[0]
    assert first == "# judge 1.0. 2 ops in 2 variants not supported; 2 models, not all scanned at once"


def test_scan_of_some_models_by_other_versions_is_refused() -> None:
    text = render(corpus(a=[BAD], b=[BAD]))
    newer = replace(alone("b", BAD), versions={"judge": "1.1"})
    with pytest.raises(BaselineError, match=r"written with judge 1\.0, and this is judge 1\.1; scan the whole corpus"):
        updated(text, newer, partial=True)


def test_scan_of_some_models_of_a_list_made_by_hand_is_refused() -> None:
    with pytest.raises(BaselineError, match="scan the whole corpus"):
        updated("#  - org/a/rank0_0.py\ntorch.bad(x)\n", alone("a", BAD), partial=True)


def test_scan_of_all_models_by_other_versions_rewrites_the_header() -> None:
    text = updated(render(corpus(a=[BAD])), replace(corpus(a=[BAD]), versions={"judge": "2.0"}))
    assert parse_baseline(text).versions == {"judge": "2.0"}


def test_first_scan_of_some_models_makes_a_file_of_them() -> None:
    read = parse_baseline(updated("", alone("a", BAD), partial=True))
    assert [(entry.op, entry.models) for entry in read.entries] == [("torch.bad", ("a",))]
    assert read.models is not None


NAMES = st.sampled_from(["torch.a", "torch.b", "zoo.c", "torch.Tensor.d"])
GRAPHS = st.dictionaries(st.sampled_from(["a", "c", "a/b", "x, y", "it's {1,2}"]), st.lists(NAMES, max_size=4))


@given(GRAPHS, GRAPHS, st.booleans())
def test_second_update_changes_nothing(
    before: Mapping[str, list[str]], after: Mapping[str, list[str]], partial: bool
) -> None:
    def found(models: Mapping[str, list[str]]) -> Coverage:
        files = {name: {"rank0_0.py": name, "rank1_0.py": name} for name in models}
        return coverage(files, *[body(name, *map(node, ops)) for name, ops in models.items()])

    text = render(found(before)).replace("(x)\n", "(x)  #: ours\n")
    once = updated(text, found(after), partial=partial)
    assert updated(once, found(after), partial=partial) == once
    listed = {entry.key for entry in parse_baseline(once).entries}
    assert {(op, f"{op}(T)") for ops in after.values() for op in ops} <= listed
    if partial:
        kept = {(op, f"{op}(T)") for name, ops in before.items() if name not in after for op in ops}
        assert kept <= listed


# --- writing ---


def run(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)])


WRITER = """
import sys
from pathlib import Path
from opcov.reports.files import write_files
for _ in range(200):
    write_files({Path(sys.argv[1]): sys.argv[2] * 5000})
"""


def test_two_processes_that_write_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "all_ops.py"
    writers = [run(WRITER, path, f"# {name}\n") for name in ("one", "two")]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            seen.add(path.read_text())
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen | {path.read_text()} <= {"# one\n" * 5000, "# two\n" * 5000}
    assert list(tmp_path.iterdir()) == [path]


STUCK = """
import sys, time
from pathlib import Path
from opcov.reports.files import write_files
def pieces():
    for _ in range(100_000):
        yield "# half of the new file\\n"
    Path(sys.argv[2]).touch()
    time.sleep(60)
write_files({Path(sys.argv[1]): pieces()})
"""


def test_process_killed_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path, half = tmp_path / "all_ops.py", tmp_path / "half"
    path.write_text(render(corpus(a=[BAD])))
    writer = run(STUCK, path, half)
    try:
        for _ in range(600):
            if half.exists():
                break
            time.sleep(0.05)
        assert half.exists()
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    assert path.read_text() == render(corpus(a=[BAD]))


def refused(*_: object) -> None:
    raise OSError("no space left on device")


@pytest.mark.parametrize("broken", ["os.fdopen", "pathlib.Path.replace"])
def test_disk_that_fails_in_the_middle_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "all_ops.py"
    path.write_text("# old\n")
    failing: Callable[..., None] = refused
    monkeypatch.setattr(broken, failing)
    with pytest.raises(OutputError):
        write_files({path: "# new\n"})
    monkeypatch.undo()
    assert path.read_text() == "# old\n"
    assert list(tmp_path.iterdir()) == [path]
