from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from opcov.corpus.health import Health
from opcov.judged import Counts
from opcov.problems import Slug
from opcov.registries.families import Family, Route
from opcov.reports.html.environment import bar, breakable, environment, meaning, static_files, underlined, visible
from opcov.verdict import Reason, Status


def rendered(source: str, **values: object) -> str:
    return environment().from_string(source).render(**values)


def test_every_printed_value_is_escaped() -> None:
    assert rendered("{{ text }}", text="<b a='1' b=\"2\">&") == "&lt;b a=&#39;1&#39; b=&#34;2&#34;&gt;&amp;"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("a\u00a0b", "a\\xa0b"),
        ("caf\u00e9 \U0001f600 \\n", "caf\u00e9 \U0001f600 \\n"),
    ],
)
def test_characters_that_cannot_be_seen_are_spelled_out_everywhere(text, shown) -> None:
    assert visible(text) == shown
    assert rendered("{{ text }}", text=text) == shown
    assert breakable(text).replace("<wbr>", "") == shown


def test_names_that_may_wrap_are_escaped_first() -> None:
    assert breakable("a.<i>/b_c") == "a.<wbr>&lt;i&gt;/<wbr>b_<wbr>c"


def test_members_of_enums_are_printed_as_their_texts() -> None:
    assert rendered("{{ one }} {{ other|breakable }}", one=Status.CRASH, other=Reason.CRASH) == "crash CRASH"


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        rendered("{{ missing }}")


def test_parts_of_a_bar_fill_it_in_the_order_of_the_statuses() -> None:
    assert bar(Counts(supported=3, unsupported=1)) == [
        ("supported", "0.00", "75.00"),
        ("unsupported", "75.00", "25.00"),
    ]


def test_a_single_node_among_many_can_be_seen_in_a_bar() -> None:
    parts = bar(Counts(supported=100_000, crash=1))
    assert [name for name, _, _ in parts] == ["supported", "crash"]
    assert float(parts[1][2]) > 0.9
    assert sum(float(width) for _, _, width in parts) == pytest.approx(100, abs=0.02)


def test_a_bar_of_nothing_is_empty() -> None:
    assert bar(Counts()) == []


def test_headings_underline_the_letter_that_sorts_by_them() -> None:
    assert underlined("nodes", "d") == "no<u>d</u>es"
    assert underlined("a<b", "") == "a&lt;b"


@pytest.mark.parametrize("kind", [Status, Reason, Family, Route, Health, Slug])
def test_every_word_of_a_table_is_explained(kind) -> None:
    assert all(meaning(word) for word in kind)


def test_words_of_two_kinds_keep_their_meanings_apart() -> None:
    assert meaning(Status.CRASH) != meaning(Slug.CRASH)


def test_static_files_are_style_sheets_and_scripts() -> None:
    assert {"static/style.css", "static/script.js"} <= set(static_files())
    assert all(name.endswith((".css", ".js")) for name in static_files())
