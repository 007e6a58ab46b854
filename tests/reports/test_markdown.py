"""The Markdown: what GitHub would show of it, however hostile the dump, and never more than a comment holds."""

from __future__ import annotations

import re

import pytest
from building import OK, body, coverage, model, node
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rendered_tables import outside_code, tables_in

import opcov
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.graph import Compiler
from opcov.problems import Problem, Slug
from opcov.reports.markdown import LIMIT, code, render
from opcov.verdict import Status
from opcov.wording import one_line

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = [
    "a | b",
    "a \\| b",
    "a \\\\| b \\",
    "`x`",
    "``",
    "a`b``c```d",
    "|`|``|",
    "<script>alert(1)</script>",
    "</details><img src=x onerror=alert(1)>",
    "<!-- --> &amp; &lt;",
    "@octocat and @org/team",
    "#123 GH-123 owner/repo#1 deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    "https://evil.example www.evil.example me@evil.example",
    "[text](https://evil.example) ![i](x) [x]: y",
    "<https://evil.example>",
    "**bold** _it_ ~~gone~~ :tada: $x$ $`x`$",
    "line\n\n# heading\r\n- item\n| --- |",
    "\x1b[31mred\x1b[0m\x07\x00",
    "\u202eevil\u2066\u200b\ufeff",
    "\udc80half",
    "- [ ] 1. > # ```",
    "ünï 日本 😀",
]


def table(text: str, first_heading: str) -> list[dict[str, str]]:
    """The rows of the table with a first heading, by their headings."""
    (rows,) = [rows for rows in tables_in(MARKDOWN.render(text)) if rows[0][0] == first_heading]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def markup(text: str) -> set[str]:
    """The kinds of tokens in a text, and its HTML as it stands there."""
    found = set()
    for token in MARKDOWN.parse(text):
        for one in (token, *(token.children or ())):
            found.add(one.content.strip() if one.type.startswith("html") else one.type)
    return found


def with_text(text: str) -> Coverage:
    """A coverage of which every text that a dump can choose is this."""
    calls = [node(text, status, source_file=text, source_function=text, detail=text) for status in Status]
    problems = [Problem(text, 1, Slug.SYNTAX, text)]
    found = coverage({text: {"rank0_0.py": "d"}}, body("d", *calls, OK), problems=problems)
    failed = model(f"{text} failed", {}, Diagnosis(Health.FAILED, (text, text)))
    return Coverage({**found.models, failed.name: failed}, found.bodies, {"judge": text}, found.problems)


def sound() -> Coverage:
    """Two ops: one alone in its region and in two files, the other one in three nodes but never alone."""
    bodies = [
        body("1", node("op.alone", placed_region="inductor_0", placed=Compiler.INDUCTOR)),
        body(
            "2",
            OK,
            *[node(name, placed_region="inductor_0", placed=Compiler.INDUCTOR) for name in ("op.a", "op.a", "op.b")],
        ),
    ]
    return coverage({"org/m": {"rank0_0.py": "1", "rank1_0.py": "1", "rank0_1.py": "2"}}, *bodies)


# --- what it tells ---


def test_headline_tells_the_share_of_nodes() -> None:
    assert render(sound()).startswith("## Thunder supports 20.0 % of nodes\n")


def test_numbers_of_the_corpus_stand_on_top() -> None:
    rows = tables_in(MARKDOWN.render(render(sound())))[0]
    assert rows[1] == ["nodes supported", "1", "5", "20.0 %"]
    assert rows[2] == ["distinct graphs that Thunder takes whole", "0", "2", "0.0 %"]
    assert "3 files of 1 model; 4 unsupported, 0 crash, 0 unknown; `judge 1.0`" in render(sound())


def test_ops_come_with_the_greatest_impact_first() -> None:
    rows = table(render(sound()), "op")
    assert [row["op"] for row in rows] == ["op.alone", "op.a", "op.b"]
    assert rows[0] == {
        "op": "op.alone", "reason": "MISSING_OP_SUPPORT", "route": "fix upstream", "commonest source":
        "zoo/net.py:7 in forward", "models": "1", "graphs": "1", "nodes": "1", "regions": "1", "of its own": "1",
    }  # fmt: skip
    assert (rows[1]["nodes"], rows[1]["of its own"]) == ("2", "0")


def test_lost_graphs_have_columns_only_where_there_are_some() -> None:
    assert "graphs lost" not in render(sound())
    lost = coverage({"m": {"rank0_0.py": "d"}}, body("d", node("op.bad", Status.CRASH), crash="E: x"))
    (row,) = table(render(lost), "op")
    assert (row["graphs lost"], row["to it alone"]) == ("1", "1")


def test_what_to_do_first_names_the_op_that_brings_most() -> None:
    text = render(sound())
    assert "1. `op.alone` (fix upstream): 1 fallback region less." in text.partition("### What to do first")[2]


def test_failed_and_partial_models_are_named_with_their_reasons_failed_ones_first() -> None:
    found = sound()
    partial = model("a", {}, Diagnosis(Health.PARTIAL, ("a traceback",)))
    failed = model("b", {}, Diagnosis(Health.FAILED, ("no graphs", "boom")))
    text = render(Coverage({**found.models, "a": partial, "b": failed}, found.bodies))
    assert (
        "### Models that failed or are partial: 2\n\n- `b`: failed: `no graphs; boom`\n- `a`: partial: `a traceback`\n"
        in text
    )


def test_problems_are_told_once_with_all_their_places() -> None:
    problems = [Problem(f"m/rank{rank}_0.py", 3, Slug.SYNTAX, "odd") for rank in range(4)]
    text = render(coverage({"m": {"rank0_0.py": "d"}}, body("d"), problems=problems))
    assert "### Problems: 1\n\n- `m/rank0_0.py:3 and 3 more`: syntax: `odd`\n" in text


def test_sound_corpus_has_no_lists_of_faults() -> None:
    text = render(coverage({"m": {"rank0_0.py": "d"}}, body("d", OK)))
    assert re.findall("^#+ .*", text, re.MULTILINE) == ["## Thunder supports 100.0 % of nodes"]


@pytest.mark.parametrize("found", [coverage({}), coverage({"m": {}})], ids=["nothing", "no graphs"])
def test_nothing_judged_is_said(found: Coverage) -> None:
    assert render(found).startswith("## Thunder was asked about no node\n")


def test_models_stand_folded_in_details() -> None:
    text = render(sound())
    assert {"<details><summary>Models: 1</summary>", "</details>"} <= markup(text)
    (row,) = table(text, "model")
    assert row == {
        "model": "org/m", "health": "ok", "files": "3", "distinct graphs": "2", "whole": "0", "nodes": "5",
        "supported": "1", "unsupported": "4", "crash": "0", "unknown": "0", "share": "20.0 %",
    }  # fmt: skip


# --- hostile text ---


@given(st.text())
def test_code_span_shows_its_text(text: str) -> None:
    tokens = MARKDOWN.parseInline(f"x {code(text, 10**6)} x")[0].children or []
    codes = [token.content for token in tokens if token.type == "code_inline"]
    assert codes == ([one_line(text)] if one_line(text) else [])
    assert [token.content for token in tokens if token.type != "code_inline"] in (["x ", " x"], ["x  x"])


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_cell_shows_the_text_of_a_dump(text: str) -> None:
    found = render(with_text(text))
    (op,) = table(found, "op")
    assert op["op"] == one_line(text)
    assert [row["model"] for row in table(found, "model")] == [one_line(text), one_line(f"{text} failed")]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_text_of_a_dump_is_in_code_only_where_github_looks_for_nothing(text: str) -> None:
    tame = outside_code(MARKDOWN.render(render(with_text("x"))))
    assert outside_code(MARKDOWN.render(render(with_text(text)))) == tame


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_text_of_a_dump_adds_no_markup(text: str) -> None:
    found = markup(render(with_text(text)))
    assert found == markup(render(with_text("x")))
    assert not found & {"link_open", "image", "em_open", "strong_open", "s_open", "fence", "code_block"}


@given(st.text(st.characters(categories=["L", "P", "S", "Z", "C"]), min_size=1, max_size=60))
def test_any_text_of_a_dump_stays_in_its_cell(text: str) -> None:
    found = render(with_text(text))
    (op,) = table(found, "op")
    assert op["op"] == one_line(text)
    assert op["nodes"] == "2"


def test_what_it_says_itself_mentions_and_references_nothing(fixtures_scan: opcov.Scan) -> None:
    outside = outside_code(MARKDOWN.render(render(fixtures_scan.coverage)))
    assert not re.search(r"@\w|#\d|://|www\.|GH-\d|:\w+:", outside)


# --- limits ---


def huge(name: str) -> Coverage:
    """300 models, ops and problems with names of 2,000 characters."""
    numbers = range(300)
    models = {f"{number}{name}": model(f"{number}{name}", {} if number else {"r.py": "d"}) for number in numbers}
    failed = {
        f"f{number}{name}": model(f"f{number}{name}", {}, Diagnosis(Health.FAILED, (name, name))) for number in numbers
    }
    calls = [node(f"{number}{name}", source_file=name, source_function=name) for number in numbers]
    problems = tuple(Problem(f"{number}{name}", 1, Slug.SYNTAX, f"{number}{name}") for number in numbers)
    return Coverage({**models, **failed}, {"d": body("d", *calls)}, {"judge": name}, problems)


@pytest.mark.parametrize("character", ["x", "|", "`", "` ", "😀", "日", "<"], ids=repr)
def test_text_fits_a_comment_whatever_the_corpus(character: str) -> None:
    text = render(huge(character * (2000 // len(character))))
    assert len(text.encode("utf-16-le")) // 2 <= 58_000 < LIMIT  # the rest is left to the bot that posts it
    assert len(text.encode()) < 1 << 20  # the limit of a job's summary


def test_rows_without_room_are_counted_and_markup_stays_whole() -> None:
    text = render(huge("|`" * 1000))
    ops, models = table(text, "op"), table(text, "model")
    assert 10 < len(ops) < 300
    assert 10 < len(models) < 600
    assert f"\n\nand {300 - len(ops)} more\n" in text
    assert f"\n\nand {600 - len(models)} more\n\n</details>" in text
    for section in ("### Models that failed or are partial: 300", "### Problems: 300"):
        lines = text.partition(section)[2].partition("\n###")[0].strip().splitlines()
        assert lines[-1] == f"- and {300 - len(lines) + 1} more"
    assert text.count("<details>") == text.count("</details>") == 1


def test_name_that_is_cut_says_so() -> None:
    (op,) = table(render(with_text("x" * 1000)), "op")
    assert op["op"] == "x" * 159 + "…"


def test_same_coverage_gives_the_same_text() -> None:
    assert render(sound()) == render(sound())
