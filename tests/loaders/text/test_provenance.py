"""Provenance comments: torch.fx.graph._ParsedStackTrace.get_summary_str and what may stand before it."""

from __future__ import annotations

import time

import pytest

from opcov.graph import Source
from opcov.loaders.text.provenance import SourceComments, read_source

PLAIN = "# File: /m/a.py:12 in forward, code: x = f(y)"
EXPECTED = Source("/m/a.py", 12, "forward", "x = f(y)")


def test_a_comment_gives_file_line_function_and_code():
    assert read_source(PLAIN) == EXPECTED


@pytest.mark.parametrize(
    "comment",
    [
        "# seq_nr: 1 # File: /m/a.py:12 in forward, code: x = f(y)",
        "# Annotation: {'stage': 0} File: /m/a.py:12 in forward, code: x = f(y)",
        "# recompute: MUST_SAVE File: /m/a.py:12 in forward, code: x = f(y)",
        "# ac_graph_id: 3 - PREFER_RECOMPUTE File: /m/a.py:12 in forward, code: x = f(y)",
    ],
)
def test_what_stands_before_the_place_is_skipped(comment):
    assert read_source(comment) == EXPECTED


def test_the_function_may_be_missing():
    assert read_source("# File: /m/a.py:12, code: x = f(y)") == Source("/m/a.py", 12, "", "x = f(y)")


def test_a_path_may_hold_a_colon_and_blanks():
    assert read_source(r"# File: C:\my models\a.py:7 in f, code: y") == Source(r"C:\my models\a.py", 7, "f", "y")


def test_code_is_the_rest_of_the_line_whatever_it_holds():
    assert (
        read_source("# File: a.py:1 in f, code: g(', code: ', 'File: b.py:2')").code == "g(', code: ', 'File: b.py:2')"
    )


@pytest.mark.parametrize(
    "comment",
    [
        "# No stacktrace found for following nodes",
        "# Rank: 0, Graph 0",
        "# File: a.py in f",
        "# File: a.py in f, code: x",
    ],
)
def test_a_comment_without_a_place_is_no_source(comment):
    assert read_source(comment) is None


def test_a_comment_holds_until_the_next_one():
    comments = SourceComments(["def f():", PLAIN, "a", "", "b", "# No stacktrace found for following nodes", "c"])
    assert [comments.before(line, 1) for line in (3, 5, 7)] == [EXPECTED, EXPECTED, None]


def test_a_comment_before_the_function_does_not_hold_in_it():
    assert SourceComments([PLAIN, "def f():", "a"]).before(3, 2) is None


def test_a_line_number_that_no_file_has_is_no_source():
    # int() raises on more than 4300 digits.
    assert read_source(f"# File: a.py:{'9' * 5000} in f, code: x") is None


@pytest.mark.parametrize("unit", [":1 in ", "File: :1 in ", "File: a:1 in f, code: "])
def test_a_comment_made_to_backtrack_takes_no_time(unit):
    start = time.perf_counter()
    read_source("# File: " + unit * 20_000)
    assert time.perf_counter() - start < 1
