from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opcov.reports.html.names import anchor, graph_page, model_page, op_page

HOSTILE = [
    "<script>alert(1)</script>", "javascript:alert(1)", "../../etc/passwd", "..", ".", "", " ", "a b", "a/b", "a\\b",
    "con", "CON.x", "nul", "com1.html", "\x1b[31m", "\u202eexe", "\ud800", "x" * 5000, "%2e%2e", "a?b#c", "\u0130",
    "--", "-rf",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", [op_page, model_page, graph_page])
def test_names_of_hostile_texts_are_plain_short_paths(name, text) -> None:
    assert re.fullmatch(r"(op|model|graph)/[a-z0-9][a-z0-9._-]*\.html", name(text))
    assert ".." not in name(text)
    assert len(name(text)) <= 120


def test_a_name_that_is_safe_as_it_is_stays_readable() -> None:
    assert op_page("torch.nn.functional.silu") == "op/torch.nn.functional.silu.html"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_name_is_a_device_of_windows(text) -> None:
    assert anchor(text).partition(".")[0] not in {"con", "prn", "aux", "nul", "com1", "lpt1"}


@given(st.text(), st.text())
@example("torch.Tensor.view", "torch.tensor.view")
@example("a/b", "a-b")
@example("a", "A")
@example("", "x")
@example("a.", "a")
@example("\u017f", "s")
def test_different_texts_have_different_names_where_case_does_not_count(one, other) -> None:
    assert (anchor(one).casefold() == anchor(other).casefold()) == (one == other)


def test_a_text_that_is_the_name_of_another_has_another_name() -> None:
    taken = anchor("torch.Tensor.view")
    assert anchor(taken) != taken


def test_long_texts_that_begin_alike_have_different_names() -> None:
    assert anchor("x" * 500 + "a") != anchor("x" * 500 + "b")
