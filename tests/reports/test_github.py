"""The workflow commands: read back as the runner reads them, within GitHub's limits, safe whatever a dump holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from judgements import FILE, HOSTILE, every_change, facts, hostile, judged, scanned

from opcov.gate.changes import BelowThreshold, Known, NewOp, NewVariant, OpFixed, Style, Waived
from opcov.problems import OutputError
from opcov.reports import github
from opcov.reports.github import MOST, add_step_summary, render, step_summary
from opcov.reports.report import Findings


@dataclass(frozen=True)
class Command:
    level: str
    properties: dict[str, str]
    message: str


def unescaped(text: str, *marks: tuple[str, str]) -> str:
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), *marks, ("%25", "%")):
        text = text.replace(escaped, plain)
    return text


def read(log: str) -> list[Command]:
    """The commands of a log as the runner's ActionCommand.TryParseV2 reads them; a line that is none fails."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log)[:-1]:
        line = line.lstrip()
        assert line.startswith("::")
        head, separator, data = line[2:].partition("::")
        assert separator
        level, _, rest = head.partition(" ")
        properties = {}
        for part in filter(None, rest.split(",")):
            name, _, value = part.partition("=")
            properties[name] = unescaped(value, ("%3A", ":"), ("%2C", ","))
        found.append(Command(level, properties, unescaped(data)))
    return found


def many(number: int) -> list[NewOp]:
    return [NewOp(facts(f"op.n{place}")) for place in range(number)]


def test_failure_is_an_error_at_its_line() -> None:
    (found,) = read(render(judged([NewOp(facts("torch.sinc"))])))
    assert found.level == "error"
    assert found.properties == {
        "file": f"gm/{FILE}", "line": "5", "endLine": "5", "title": "opcov: new op: torch.sinc",
    }  # fmt: skip
    assert "torch.sinc(x)" in found.message
    assert "why torch.sinc" in found.message


def test_errors_come_first_then_warnings_then_one_notice() -> None:
    changes = every_change()
    levels = [command.level for command in read(render(judged(changes[:4], changes[4:])))]
    assert levels == sorted(levels, key=["error", "warning", "notice"].index)
    assert set(levels) == {"error", "warning", "notice"}
    assert levels.count("notice") == 1


def test_changes_of_one_op_are_one_annotation() -> None:
    changes = [NewOp(facts("op.a")), NewOp(facts("op.b")), NewVariant(facts("op.a", variant="op.a(T, 2)"))]
    found = read(render(judged(changes)))
    assert [command.properties["title"] for command in found] == [
        "opcov: new op: op.a and 1 more of this op",
        "opcov: new op: op.b",
    ]
    assert "op.a(T)" in found[0].message
    assert "op.a(T, 2)" in found[0].message


def test_changes_that_are_about_no_op_stand_alone() -> None:
    changes = [BelowThreshold("node coverage", "1 %", "2 %"), BelowThreshold("unsupported ops", "9", "3")]
    assert len(read(render(judged(changes)))) == 2


def test_what_is_beyond_ten_of_a_level_is_counted_in_the_notice() -> None:
    found = read(render(judged(many(MOST + 5), [NewVariant(facts(f"op.w{place}")) for place in range(MOST + 1)])))
    levels = [command.level for command in found]
    assert (levels.count("error"), levels.count("warning"), levels.count("notice")) == (10, 10, 1)
    assert "5 errors more" in found[-1].message
    assert "1 warning more" in found[-1].message


def test_notice_tells_good_news_and_waivers() -> None:
    waived = [change for change in every_change() if isinstance(change, Waived)]
    (found,) = read(render(judged(notes=[OpFixed("op.f", "op.f(T)", ("m",), 3)], known=waived)))
    assert found.level == "notice"
    assert "op.f(T)" in found.message
    assert "1 unsupported call shape allowed by waivers" in found.message


def test_notice_with_many_notes_says_how_many_more_there_are() -> None:
    notes = [OpFixed(f"op.f{place}", f"op.f{place}(T)", ("m",), 3) for place in range(25)]
    (found,) = read(render(judged(notes=notes)))
    assert "and 15 notes more" in found.message


def test_check_that_finds_only_what_is_known_says_nothing() -> None:
    assert render(judged(known=[Known(facts())])) == ""


def test_without_a_judgement_ops_that_are_not_supported_are_warnings() -> None:
    found = read(render(Findings(scanned(), corpus="gm")))
    assert [(command.level, command.properties["line"]) for command in found] == [("warning", "5"), ("warning", "6")]


def test_percent_signs_commas_and_colons_come_back_as_they_were() -> None:
    (found,) = read(render(judged([NewOp(facts("aten::mul%25,b=c;d"))])))
    assert found.properties["title"] == "opcov: new op: aten::mul%25,b=c;d"
    assert "aten::mul%25,b=c;d" in found.message


def test_message_keeps_its_lines() -> None:
    change = NewOp(facts())
    (found,) = read(render(judged([change])))
    assert found.message == change.explain(Style.GITHUB)
    assert found.message.count("\n") > 2


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("build", [hostile, lambda text: Findings(scanned(text), corpus=f"gm{text}")])
def test_no_text_makes_another_command(text: str, build) -> None:
    plain, attacked = read(render(build(""))), read(render(build(text)))
    assert [command.level for command in attacked] == [command.level for command in plain]
    for command in attacked:
        assert set(command.properties) <= {"file", "line", "endLine", "title"}
        assert command.properties.get("line", "1").isdigit()


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_acts_on_a_terminal_or_in_the_older_kind_of_command(text: str) -> None:
    log = render(hostile(text))
    assert all(character.isprintable() or character == "\n" for character in log)
    assert "##[" not in log
    log.encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_lines_are_of_bounded_length(text: str) -> None:
    # 200 of a title, 3,000 of a message, each character escaped at worst, and the path as it is.
    assert max(map(len, render(hostile(text)).splitlines())) < 2 * 10_000 + 3 * 3_300


# --- the summary of the job ---


def test_summary_begins_with_the_judgement() -> None:
    assert step_summary(judged([NewOp(facts())])).startswith("## The check failed: 1 change against `ci/all_ops.py`\n")


def test_summary_is_added_after_what_the_step_has_told_already(tmp_path: Path) -> None:
    place = tmp_path / "summary.md"
    place.write_text("# before\n", encoding="utf-8")
    findings = judged([NewOp(facts())])
    assert add_step_summary(findings, place)
    assert place.read_text(encoding="utf-8") == f"# before\n{step_summary(findings)}\n"


def test_summary_that_would_make_github_refuse_the_whole_file_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "summary.md"
    place.write_text("# before\n", encoding="utf-8")
    monkeypatch.setattr(github, "SUMMARY_LIMIT", 20)
    assert not add_step_summary(judged(), place)
    assert place.read_text(encoding="utf-8") == "# before\n"


def test_summary_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot add to the job summary"):
        add_step_summary(judged(), tmp_path)
