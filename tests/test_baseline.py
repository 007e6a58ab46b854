"""A committed all_ops.py, read: what it says, what people wrote into it, and where it cannot be understood."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from building import body, coverage, node
from hypothesis import given, settings
from hypothesis import strategies as st

import opcov
from opcov.baseline import BaselineError, Entry, Waiver, facts_of, parse_baseline, read_baseline, resolve_models
from opcov.baseline.comments import COMMAND
from opcov.reports.all_ops import render
from opcov.verdict import Status


def only_entry(text: str) -> Entry:
    (entry,) = parse_baseline(text).entries
    return entry


def refusal(text: str | bytes) -> str:
    with pytest.raises(BaselineError) as caught:
        parse_baseline(text, "team/all_ops.py")
    return str(caught.value)


# --- entries ---


def test_entry_that_opcov_wrote_reads_back_as_a_whole() -> None:
    found = coverage({"m": {"rank0_0.py": "d", "rank1_0.py": "d"}}, body("d", node("torch.bad")))
    entry = only_entry(render(found))
    assert entry.key == ("torch.bad", "torch.bad(T)")
    assert (entry.reason, entry.detail, entry.models) == ("MISSING_OP_SUPPORT", "why torch.bad", ("m",))
    assert entry.files == ("m/rank0_0.py", "m/rank1_0.py")
    assert entry.sources == ("zoo/net.py:7 in forward",)


def test_line_of_an_entry_is_that_of_its_expression() -> None:
    text = render(coverage({"m": {"rank0_0.py": "d"}}, body("d", node("torch.bad"))))
    assert text.splitlines()[only_entry(text).line - 1] == "torch.bad(x)"


def test_versions_come_from_the_header() -> None:
    text = "# lightning-thunder 0.2.6, torch 2.13.0+cpu. 1 of 2 nodes.\n# Regenerate: python -m opcov <corpus>\n"
    assert parse_baseline(text).versions == {"lightning-thunder": "0.2.6", "torch": "2.13.0+cpu"}


def test_versions_of_two_merged_scans_stay_together() -> None:
    text = "# a 1.0, 1.1, b 2. 1 of 2 nodes.\n# Regenerate: python -m opcov <corpus>\n"
    assert parse_baseline(text).versions == {"a": "1.0, 1.1", "b": "2"}


def test_file_without_a_word_on_models_does_not_know_them() -> None:
    assert parse_baseline("f(x)\n").models is None


def test_list_made_by_hand_names_models_by_the_folders_of_its_files() -> None:
    text = "#  - b/c/rank0_1.py, b/c/rank0_1.py, a/rank0_0.py\nf(x)\n\n#  - a/rank0_0.py\ng(x)\n"
    first, second = parse_baseline(text).entries
    assert (first.models, second.models) == (("b/c", "a"), ("a",))
    assert first.files == ("b/c/rank0_1.py", "a/rank0_0.py")


def test_folded_and_quoted_files_are_unfolded() -> None:
    entry = only_entry("#  - 'my {1,2} model/'rank{0,1}_{2,30}.py\nf(x)\n")
    assert entry.models == ("my {1,2} model",)
    assert entry.files == tuple(f"my {{1,2}} model/rank{rank}_{index}.py" for rank in (0, 1) for index in (2, 30))


def test_expression_on_several_lines_is_one_entry() -> None:
    assert only_entry("torch.bmm(\n    a,\n    b,\n    out=c,\n)\n").variant == "torch.bmm(T, T, out=T)"


def test_large_list_made_by_hand_is_read(shared: Path) -> None:
    baseline = read_baseline(shared / "gm" / "all_ops.py")
    models = {path.parent.relative_to(shared / "gm").as_posix() for path in (shared / "gm").rglob("rank*.py")}
    assert len(baseline.entries) == 29
    assert all(entry.models and set(entry.models) <= models for entry in baseline.entries)


# --- people's lines ---


def test_lines_above_between_and_behind_an_expression_are_its_notes_in_order() -> None:
    text = "#: one\n# torch.f: CRASH\n#: two \n#  models: 1: m\ntorch.f(  #: three\n    x)  #: four\n"
    assert only_entry(text).notes == ("#: one", "#: two ", "#: three", "#: four")


def test_lines_of_no_entry_are_notes_of_the_file() -> None:
    assert parse_baseline("#: top\n\nf(x)\n#: below\n\n#: end\n").notes == ("#: top", "#: below", "#: end")


def test_indented_line_below_a_fixed_entry_is_not_its_own() -> None:
    read = parse_baseline("f(x)\n\n# Fixed: g(T)\n#: g\n\n  #: end\n")
    assert (read.fixed, read.notes) == ({("g", "g(T)"): ("#: g",)}, ("#: end",))


def test_text_in_a_string_is_no_note() -> None:
    assert only_entry("f(x, '#: allow until never')\n").notes == ()


def test_lines_at_fixed_entries_are_kept_by_key() -> None:
    text = "# Fixed: torch.f(T, [N])\n#: was bad\n\n# Fixed: getitem(T)\n#  op: operator.getitem\n#: too\n"
    assert parse_baseline(text).fixed == {
        ("torch.f", "torch.f(T, [N])"): ("#: was bad",),
        ("operator.getitem", "getitem(T)"): ("#: too",),
    }


@pytest.mark.parametrize(
    ("line", "until", "models", "reason"),
    [
        ("#: allow", None, (), ""),
        ("#:allow", None, (), ""),
        ("#: allow, since #2600 waits", None, (), "since #2600 waits"),
        ("#: allow until 2027-03-01", dt.date(2027, 3, 1), (), ""),
        ("#: allow until 2027-03-01, a, b", dt.date(2027, 3, 1), (), "a, b"),
        ("#: allow org/m other, why", None, ("org/m", "other"), "why"),
        ("#: allow until 2027-03-01 org/m", dt.date(2027, 3, 1), ("org/m",), ""),
        ("#: allow org/m until 2027-03-01", dt.date(2027, 3, 1), ("org/m",), ""),
        ("#: allow 'my, model' \"it's\"", None, ("my, model", "it's"), ""),
    ],
)
def test_waiver_says_until_when_for_whom_and_why(
    line: str, until: dt.date | None, models: tuple[str, ...], reason: str
) -> None:
    assert only_entry(f"{line}\nf(x)\n").waivers == (Waiver(until, models, reason, 1),)


@pytest.mark.parametrize(
    "line", ["#: allowed", "#: we allow it", "#: see #2600", "#:", "#: all until 2027-03-01", "#: not until 2027-03-01"]
)
def test_other_lines_allow_nothing(line: str) -> None:
    entry = only_entry(f"{line}\nf(x)\n")
    assert (entry.waivers, entry.notes) == ((), (line,))


# --- names of models ---


def test_models_of_a_scan_from_the_root_keep_their_names() -> None:
    names = ["org/a", "b"]
    assert resolve_models(names, ["org/a", "org/b"]) == {"org/a": "org/a", "b": "b"}


def test_models_of_a_folder_are_known_by_the_ends_of_their_names_and_new_ones_lie_beside_them() -> None:
    assert resolve_models(["a", "new"], ["org/a", "org/b", "other/c"]) == {"a": "org/a", "new": "org/new"}


def test_name_that_two_known_models_end_in_means_none_of_them() -> None:
    assert resolve_models(["a"], ["one/a", "two/a"]) == {"a": "a"}


def test_name_that_two_known_models_end_in_means_the_one_beside_the_others() -> None:
    known = ["one/a", "two/a", "two/b"]
    assert resolve_models(["a", "b"], known) == {"a": "two/a", "b": "two/b"}
    assert resolve_models(["a", "b"], [*known[:1], "three/a", "two/b"]) == {"a": "a", "b": "two/b"}


def test_models_that_would_get_one_name_keep_theirs() -> None:
    assert resolve_models(["a", "x/a"], ["y/x/a"]) == {"a": "a", "x/a": "x/a"}


# --- what cannot be understood ---


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("f(x)\n\ng(x\n", "3:2", "does not parse"),
        ("f(x)\n<<<<<<< HEAD\ng(x)\n=======\n", "2:1", "git conflict"),
        ("f(x)\n=======\n", "2:1", "git conflict"),
        ("f(x)\nx\n", "2:1", "no call"),
        ("'words'\n", "1:1", "no call"),
        ("f(x)\ny = f(x)\n", "2:1", "assignment"),
        ("import os\n", "1:1", "no call"),
        ("if x:\n    f(x)\n", "1:1", "no call"),
        ("f(x); g(x)\n", "1:7", "two calls"),
        ("f(x)\n\n#: allow until\ng(x)\n", "3:15", "no day"),
        ("#: allow until tomorrow\nf(x)\n", "1:16", "no day"),
        ("#: allow until 2027-02-30\nf(x)\n", "1:16", "no day"),
        ("#: allow 2027-03-01\nf(x)\n", "1:10", "until"),
        ("f(x)  #: allow until\n", "1:21", "no day"),
        ("#: Allow until 2027-03-01\nf(x)\n", "1:1", "'Allow' is no waiver"),
        ("#: allowed org/m until 2027-03-01\nf(x)\n", "1:1", "no waiver"),
        ("f(x)  #: alow: until 2027-03-01, #2600\n", "1:7", "no waiver"),
        ("#: allow\n\nf(x)\n", "1:1", "no entry"),
        ("f(x)\n\n#: note\n#: allow\n", "4:1", "no entry"),
        ("f(x)\n\n  #: allow", "3:3", "no entry"),
        ("\n# words\n#: allow\n", "3:1", "no entry"),
        ("#: note\n#: allow until\n\n\nf(x)\n", "2:1", "no entry"),
        ("f(x)\n\n#  models: 1: m\n\ng(x)\n", "3:1", "without its expression"),
        ("# f: CRASH\n#  models: 1: m\n#  models: 1: m\nf(x)\n", "3:1", "run together"),
        (f"# a 1. 2\n# Regenerate: {COMMAND}\nf(x)\n", "2:1", "header"),
        ("# Models: health, graphs, unknown nodes, lost graphs\n#  fine: m\n", "2:1", "how a model stood"),
        ("f(x)\r\n", "1:5", "CRLF"),
        (b"\xef\xbb\xbff(x)\n", "1:1", "byte order mark"),
        (b"f(x)\n# \xc3\xa4\xff\n", "2:4", "UTF-8"),
        ("f(x)\ng('\0')\n", "2:4", "NUL"),
        ("x" + ".a" * 100_000, "1:1", "too deep"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_cannot_be_understood_is_told_with_its_place(text: str | bytes, place: str, what: str) -> None:
    message = refusal(text)
    assert message.startswith(f"team/all_ops.py:{place}: ")
    assert what in message
    assert "\n" not in message


def test_missing_file_is_told_with_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"no such baseline; write one: python -m opcov <corpus> --out"):
        read_baseline(tmp_path / "all_ops.py")


def test_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="it is a folder"):
        read_baseline(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "x" * 300])
def test_path_that_no_disk_has_is_told(path: str) -> None:
    with pytest.raises(BaselineError, match="cannot be read"):
        read_baseline(Path(path))


@pytest.mark.parametrize("data", [b"f(x)\r\n", b"\xef\xbb\xbff(x)\n", b"\xff"])
def test_file_that_is_refused_stays_as_it_is(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "all_ops.py"
    path.write_bytes(data)
    with pytest.raises(BaselineError):
        read_baseline(path)
    assert path.read_bytes() == data


@given(st.text(), st.sampled_from(["{}", "#: {}\nf(x)\n", "#: allow {}\nf(x)\n", "#  - {}\nf(x)\n", "f('{}')\n"]))
def test_whatever_stands_in_a_file_it_is_read_or_refused(text: str, around: str) -> None:
    whole = around.replace("{}", text)
    try:
        parse_baseline(whole)
    except BaselineError as error:
        assert str(error).startswith("all_ops.py:")


# --- reading back ---


@pytest.mark.parametrize("corpus", ["gm", "oracle/split", "oracle/unsplit"])
def test_files_of_recorded_corpora_read_back_to_what_is_unsupported(shared: Path, corpus: str) -> None:
    found = opcov.scan(shared / corpus).coverage
    read = parse_baseline(render(found))
    assert {(entry.key, entry.models, entry.files) for entry in read.entries} == {
        ((row.op, row.variant), row.models, row.files) for row in found.variant_rows if row.counts.not_supported
    }
    assert read.models == facts_of(found)


HOSTILE = st.text(max_size=12) | st.text("#: -'\"\\,(){}\n\r\0\u2028allowmdesfxTN0_.", max_size=30) | st.sampled_from(
    ["Fixed", "Models", "Models: health, graphs, unknown nodes, lost graphs", " models: 1: m",
     f"Regenerate: {COMMAND}", "Regenerate", "\ud800",
     "a: CRASH", "", " ", "#:", "f(x)  #: allow", "x = 1", "torch.f(x)", "torch.f(T)"]
)  # fmt: skip
CALLS = st.builds(
    lambda op, variant, expression, detail, status: node(
        op, status, variant=variant, expression=expression, detail=detail
    ),
    HOSTILE, HOSTILE, HOSTILE, HOSTILE, st.sampled_from(Status),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(CALLS, max_size=5), st.lists(CALLS, max_size=3), st.lists(HOSTILE, min_size=2, max_size=2, unique=True))
def test_whatever_a_dump_is_called_its_file_reads_back(one: list, other: list, names: list[str]) -> None:  # type: ignore[type-arg]
    found = coverage({names[0]: {"rank0_0.py": "1"}, names[1]: {"rank0_0.py": "2"}}, body("1", *one), body("2", *other))
    read = parse_baseline(render(found).encode())
    assert [(entry.key, entry.models) for entry in read.entries] == [
        ((row.op, row.variant), row.models) for row in found.variant_rows if row.counts.not_supported
    ]
    assert read.models == facts_of(found)
    assert not read.notes
    assert not any(entry.notes for entry in read.entries)
