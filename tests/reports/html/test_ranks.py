"""Differences between the ranks of a model in words: each kind on a small case of its own, then the large corpus."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from building import coverage
from hypothesis import given
from hypothesis import strategies as st

import opcov
from opcov.corpus.health import Diagnosis, Health
from opcov.graph import Form
from opcov.graphfile import GraphFile
from opcov.judged import ModelScan
from opcov.reports.html.ranks import MOST_EXAMPLES, Change, RankDifference, rank_differences
from opcov.reports.report import Findings


def differences(texts: Mapping[tuple[int, int], str | None]) -> tuple[RankDifference, ...]:
    """The differences of a model with texts by rank and index; equal texts have equal digests."""
    digests = {key: f"{key}" if text is None else f"text {text}" for key, text in texts.items()}
    known = {digests[key]: text for key, text in texts.items()}
    files = tuple(
        GraphFile(f"m/rank{rank}_{index}.py", rank, index, Form.SPLIT, digests[rank, index], 9) for rank, index in texts
    )
    return rank_differences(ModelScan("m", files, Diagnosis(Health.OK)), Findings(coverage({}), known.get))


def compare(one: str, two: str) -> RankDifference:
    (found,) = differences({(0, 0): one, (1, 0): two})
    return found


def test_equal_graphs_are_no_difference() -> None:
    assert differences({(0, 0): "x = a", (1, 0): "x = a"}) == ()


def test_ranks_with_equal_graphs_are_one_group() -> None:
    (found,) = differences({(0, 3): "x = f(1)", (1, 3): "x = f(2)", (2, 3): "x = f(1)"})
    assert [ranks for ranks, _ in found.groups] == [(0, 2), (1,)]
    assert found.index == 3


@pytest.mark.parametrize(
    ("one", "two", "change"),
    [
        ("x = y >= 0", "x = y >= 128", Change.INTEGERS),
        ('x: "f32[4, 8]" = f(y)', 'x: "f32[4, 16]" = f(y)', Change.INTEGERS),
        ("x = f(y, 0.5)", "x = f(y, 0.25)", Change.FLOATS),
        ("x = f(y, mode = 'a')", "x = f(y, mode = 'b')", Change.TEXTS),
        ("x = f(device(type='cuda', index=0))", "x = f(device(type='cuda', index=1))", Change.DEVICES),
        ("x = torch.cuda.get_device_capability(0)", "x = torch.cuda.get_device_capability(1)", Change.DEVICES),
        ("x = f(y, device_index = 0)", "x = f(y, device_index = 1)", Change.DEVICES),
        ('x: "f32[4]cuda:0" = f(y)', 'x: "f32[4]cuda:1" = f(y)', Change.DEVICES),
        ("x = f(y, 'cuda:0')", "x = f(y, 'cuda:1')", Change.DEVICES),
        ("x = f(y, stream_id = 35)", "x = f(y, stream_id = 67)", Change.IDENTIFIERS),
        ("x = f(y, group_name = 'tp:0')", "x = f(y, group_name = 'tp:1')", Change.IDENTIFIERS),
        ("x = f(y, num_groups = 1)", "x = f(y, num_groups = 2)", Change.INTEGERS),
        ("x = f(y)\nz = g(x)", "x_1 = f(y)\nz = g(x_1)", Change.NAMES),
        ("# File: a.py:1\nx = y", "# File: a.py:2\nx = y", Change.COMMENTS),
        ("x = f(y)", "x = g.f(y)", Change.STATEMENTS),
        ("x = torch.relu(y)", "x = torch.silu(y)", Change.STATEMENTS),
        ("x = f(y)\nz = g(x)", "x = f(y)", Change.STATEMENTS),
    ],
)
def test_what_differs_is_told_by_its_kind(one: str, two: str, change: Change) -> None:
    found = compare(one, two)
    assert found.changes == (change,)
    assert found.words.startswith(f"only {change.value} differ")


def test_values_are_told_by_rank() -> None:
    (found,) = differences({(rank, 0): f"x = y >= {rank * 128}" for rank in range(3)})
    assert found.words == "only integers differ (rank 0: 0, rank 1: 128, rank 2: 256)"


def test_several_kinds_are_told_with_the_gravest_first() -> None:
    found = compare("x = f(device(index=0))\ny = x + 1", "x = f(device(index=1))\ny = x + 2")
    assert found.words == "integers differ (rank 0: 1, rank 1: 2); devices differ (rank 0: 0, rank 1: 1)"


def test_a_name_that_stands_for_two_is_no_renaming() -> None:
    assert Change.STATEMENTS in compare("x = f(a)\ny = f(a)", "x = f(b)\ny = f(c)").changes


def test_statements_that_only_one_rank_has_are_counted() -> None:
    found = compare("a = f(x)\nb = g(a)\nc = h(b)", "a = f(x)\nc = h(b)")
    assert found.words == "only statements differ: 1 line only on rank 0"


def test_lines_around_a_statement_that_only_one_rank_has_are_still_compared() -> None:
    found = compare("a = f(x, 1)\nb = g(a)\nc = h(b)", "a = f(x, 2)\nc = h(b)")
    assert found.changes == (Change.STATEMENTS, Change.INTEGERS)


def test_the_comment_that_names_the_rank_is_no_difference() -> None:
    found = compare("# Rank: 0, Graph 0\nx = f(1)", "# Rank: 1, Graph 0\nx = f(2)")
    assert found.changes == (Change.INTEGERS,)


def test_an_index_that_only_some_ranks_have_says_so() -> None:
    found = differences({(0, 0): "a", (1, 0): "a", (2, 0): "a", (0, 1): "a", (2, 1): "a"})
    assert [(one.index, one.missing, one.words) for one in found] == [(1, (1,), "only ranks 0 and 2 have it")]


def test_texts_that_are_not_to_be_had_are_said_not_to_be_compared() -> None:
    (found,) = differences({(0, 0): "x", (1, 0): None})
    assert found.words == "some texts cannot be compared"


def test_texts_that_differ_in_blank_lines_only_say_so() -> None:
    assert compare("a\n", "a\n\n").words == "line ends or blank lines differ"


def test_examples_are_few_and_show_each_kind_first() -> None:
    one = "\n".join([f"a{n} = f({n})" for n in range(5)] + ["z = f('cuda:0')"])
    two = "\n".join([f"a{n} = f({n + 9})" for n in range(5)] + ["z = f('cuda:1')"])
    found = compare(one, two)
    assert len(found.examples) == MOST_EXAMPLES
    assert (found.examples[0].line, found.examples[0].text, found.examples[0].other_text) == (
        1,
        "a0 = f(0)",
        "a0 = f(9)",
    )
    assert found.examples[1].text == "z = f('cuda:0')"


def test_a_long_example_shows_what_differs() -> None:
    found = compare(f"x = f({'a, ' * 300}1)", f"x = f({'a, ' * 300}2)")
    assert found.examples[0].text.endswith("1)")
    assert len(found.examples[0].text) < 210


@given(st.text(alphabet="ab =f(1.)'\"#\n"), st.text(alphabet="ab =f(1.)'\"#\n"))
def test_any_two_texts_can_be_compared(one: str, two: str) -> None:
    for found in differences({(0, 0): one, (1, 0): two}):
        assert found.words


def test_long_texts_that_have_nothing_in_common_take_no_time() -> None:
    started = time.process_time()
    found = compare("\n".join(f"a{n} = f(b)" for n in range(9_000)), "\n".join(f"c = {n}.g" for n in range(8_000)))
    assert found.words == "only statements differ: 9000 lines only on rank 0, 8000 lines only on rank 1"
    assert time.process_time() - started < 2


def test_the_ranks_of_a_fixture_differ_in_where_their_shards_start(fixtures_scan: opcov.Scan) -> None:
    scan = fixtures_scan
    found = rank_differences(scan.coverage.models["Qwen/Qwen3-tiny"], scan._findings)
    assert [one.index for one in found] == [0, 3]


@pytest.mark.recorded
def test_one_model_of_the_large_corpus_has_a_bias_on_its_first_rank_only(shared: Path) -> None:
    folder = shared / "gm" / "openai" / "gpt-oss-20b"
    texts = {(rank, 13): (folder / f"rank{rank}_13.py").read_text() for rank in range(4)}
    texts = {key: text.partition("\n")[2] for key, text in texts.items()}
    (found,) = differences(texts)
    assert [ranks for ranks, _ in found.groups] == [(0,), (1, 2, 3)]
    assert found.changes == (Change.STATEMENTS,)
