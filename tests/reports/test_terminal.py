"""The summary: plain in a pipe, tables on a terminal, honest bars on both."""

from __future__ import annotations

import io
import re

import pytest
from building import OK, body, coverage, model, node
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.problems import Problem, Slug
from opcov.reports.terminal import bar, headline, plain_summary, print_rich
from opcov.verdict import Status


def example() -> Coverage:
    """A sound model with one node of two supported, and a failed one."""
    found = coverage({"org/sound": {"rank0_0.py": "d", "rank1_0.py": "d"}}, body("d", OK, node("torch.bad")))
    failed = model("org/failed", {}, Diagnosis(Health.FAILED, ("no graphs", "it\x1b[2J broke")))
    return Coverage({**found.models, "org/failed": failed}, found.bodies, found.versions)


def on_terminal(found: Coverage, width: int, *, no_color: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, no_color=no_color, color_system="standard")
    print_rich(found, console)
    return stream.getvalue()


@given(st.integers(1, 10**6), st.data())
def test_bar_is_full_or_empty_only_when_that_is_exact(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    drawn = bar(part, whole, 6)
    assert len(drawn) == 6
    assert (drawn == "######") == (part == whole)
    assert (drawn == "------") == (part == 0)


def test_headline_counts_unknown_nodes_on_neither_side() -> None:
    found = coverage({"m": {"r.py": "d"}}, body("d", OK, node("op.f"), node("op.g", Status.UNKNOWN)))
    assert headline(found) == (
        "1 of 2 nodes supported (50.0 %), 1 unknown; 0 of 1 distinct graph whole; 1 file of 1 model; judge 1.0"
    )


def test_headline_of_nothing_shows_no_share() -> None:
    assert headline(coverage({"m": {}})).startswith("no nodes judged; 0 of 0 distinct graphs whole; 0 files of 1 model")


def test_plain_summary_is_ascii_without_escape_codes_and_aligned() -> None:
    text = plain_summary(example())
    assert text.isascii()
    assert "\x1b" not in text
    assert text.splitlines()[2:6] == [
        "Models",
        "  model       health  files  graphs whole  nodes supported",
        "  org/failed  failed      0             -  no graphs",
        "  org/sound   ok          2           0/1  ######------  50.0 %",
    ]


def test_plain_summary_lists_what_went_wrong_on_one_line_each() -> None:
    assert plain_summary(example()).splitlines()[-1] == "  org/failed  failed: no graphs; it [2J broke"


def test_columns_for_crash_and_unknown_appear_only_where_there_are_some() -> None:
    assert "unknown" not in plain_summary(example())
    found = coverage({"m": {"r.py": "d"}}, body("d", node("op.f", Status.UNKNOWN)))
    assert plain_summary(found).splitlines()[3].split()[-1] == "unknown"


def test_ten_ops_that_touch_most_are_shown_of_more() -> None:
    found = coverage({"m": {"r.py": "d"}}, body("d", *[node(f"op.f{i:02}") for i in range(12)]))
    text = plain_summary(found)
    assert "Unsupported ops: 12, the 10 that touch most" in text
    assert re.findall(r"op\.f\d\d", text) == [f"op.f{i:02}" for i in range(10)]


def test_one_problem_of_many_files_is_one_line() -> None:
    problems = [Problem(f"m/rank{rank}_0.py", 3, Slug.SYNTAX, "odd") for rank in range(4)]
    text = plain_summary(coverage({"m": {"rank0_0.py": "d"}}, body("d"), problems=problems))
    assert text.splitlines()[-1] == "  m/rank0_0.py:3 and 3 more  odd"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_terminal_summary_fits_the_width(width: int) -> None:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal(example(), width)).splitlines()
    assert max(map(len, lines)) <= width


def test_terminal_summary_keeps_bars_and_reasons_whole_at_80_columns() -> None:
    text = on_terminal(example(), 80)
    assert "###---  50.0 %" in text
    assert "MISSING_OP_SUPPORT" in text


def test_terminal_summary_shows_sources_where_there_is_room() -> None:
    assert "zoo/net.py:7" in on_terminal(example(), 200)
    assert "zoo/net.py:7" not in on_terminal(example(), 80)


def test_terminal_summary_colours_health() -> None:
    assert "\x1b[1;31mfailed" in on_terminal(example(), 120)


def test_terminal_summary_without_colours_has_none() -> None:
    # 30 to 37 and 90 to 97 choose a colour; bold and dim are none.
    assert not re.search(r"\x1b\[[0-9;]*\b[39][0-7]m", on_terminal(example(), 120, no_color=True))


def test_terminal_summary_takes_names_literally() -> None:
    found = coverage({"[red]ok[/red]": {"r.py": "d"}}, body("d", OK))
    assert "[red]ok[/red]" in on_terminal(found, 120)


def test_control_characters_of_a_run_never_reach_the_terminal() -> None:
    assert "\x1b[2J" not in on_terminal(example(), 120)


@pytest.mark.parametrize("command", ["::error file=x::no", " ::add-mask::a", "##[group]x", "a ##vso[task.x]y"])
def test_name_of_a_model_an_op_or_a_file_is_no_command_in_the_log_of_a_ci_system(command: str) -> None:
    problems = [Problem(f"{command}/r.py", 0, Slug.SYNTAX, command)]
    found = coverage({command: {"r.py": "d"}}, body("d", node(command)), problems=problems)
    lines = plain_summary(found).splitlines()
    assert len([line for line in lines if command.strip("#: ")[-4:] in line]) >= 3
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line or "##vso[" in line]
