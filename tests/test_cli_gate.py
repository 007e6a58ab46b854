"""The gate on the command line: what fails, what is told where, and what an update does to a file."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, verdict, write_corpus
from command_line import command, environment, on_a_terminal

from opcov import api
from opcov.cli import main
from opcov.commands.gate_text import closing_line, lines_of
from opcov.corpus import path_below
from opcov.gate import Judgement
from opcov.gate.changes import BelowThreshold, ModelLost, NewModel, NotAllowed, OpFacts, OpFixed, Place
from opcov.verdict import Status
from opcov.views import review

Run = Callable[..., tuple[int, str, str]]

UNSUPPORTED = ("torch.bad", "torch.worse", "torch.worst")


def graph(*ops: str) -> str:
    return graph_text(*(f'a{number}: "f32[4]" = {op}(x)' for number, op in enumerate(ops)))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, with a judge that refuses some ops: code, stdout, stderr."""
    monkeypatch.setattr(
        api, "_thunder", lambda **_: FakeRegistry({op: verdict(Status.UNSUPPORTED) for op in UNSUPPORTED})
    )
    for name in ("SOURCE_DATE_EPOCH", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else -1
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """A working directory with a corpus of two models, and all_ops.py as its baseline."""
    monkeypatch.chdir(tmp_path)
    write_corpus(
        tmp_path / "gm",
        {
            "org/a/rank0_0.py": graph("torch.relu"),
            "org/a/rank0_1.py": graph("torch.bad", "torch.relu"),
            "org/b/rank0_0.py": graph("torch.bad"),
        },
    )
    assert run("gm", "--update", "all_ops.py", "-q") == (0, "", "")
    return tmp_path


def add(project: Path, *ops: str, name: str = "org/b/rank0_1.py") -> None:
    write_corpus(project / "gm", {name: graph(*ops)})


def edit(project: Path, old: str, new: str) -> None:
    path = project / "all_ops.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --- check ------------------------------------------------------------------------------------------------------------


def test_what_is_listed_passes(run: Run, project: Path) -> None:
    assert run("gm", "--check", "all_ops.py") == (0, "opcov: no failures against all_ops.py\n", "")


def test_new_unsupported_op_fails_with_its_name_model_and_line(run: Run, project: Path) -> None:
    add(project, "torch.relu", "torch.worse")
    code, out, err = run("gm", "--check", "all_ops.py")
    first, told, last = out.splitlines()
    assert (code, err, first) == (1, "", "1 failure")
    assert all(part in told for part in ("torch.worse", "org/b/rank0_1.py:4", "[new-op]"))
    assert last == "opcov: 1 failure against all_ops.py; --update all_ops.py accepts it"


def test_new_supported_op_passes(run: Run, project: Path) -> None:
    add(project, "torch.sigmoid")
    assert run("gm", "--check", "all_ops.py")[0] == 0


def test_new_call_shape_fails_at_the_level_of_variants_only(run: Run, project: Path) -> None:
    write_corpus(project / "gm", {"org/b/rank0_1.py": graph_text('a: "f32[4]" = torch.bad(x, out = x)')})
    code, out, _ = run("gm", "--check", "all_ops.py")
    assert (code, "[new-variant]" in out) == (1, True)
    assert run("gm", "--check", "all_ops.py", "--level", "op")[0] == 0


def test_listed_op_in_another_model_is_a_note_and_fails_per_model(run: Run, project: Path) -> None:
    add(project, "torch.bad", name="org/c/rank0_0.py")
    code, out, _ = run("gm", "--check", "all_ops.py")
    assert (code, "[new-model-for-op]" in out) == (0, True)
    assert run("gm", "--check", "all_ops.py", "--per-model")[0] == 1


def test_lost_model_fails_unless_it_may_be_lost(run: Run, project: Path) -> None:
    (project / "gm/org/b/rank0_0.py").unlink()
    code, out, _ = run("gm", "--check", "all_ops.py")
    assert (code, "model org/b" in out, "[model-lost]" in out) == (1, True, True)
    assert run("gm", "--check", "all_ops.py", "--allow-lost")[0] == 0


def test_fixed_entry_is_a_note_that_names_update_and_fails_when_strict(run: Run, project: Path) -> None:
    for name in ("org/a/rank0_1.py", "org/b/rank0_0.py"):
        add(project, "torch.relu", name=name)
    code, out, _ = run("gm", "--check", "all_ops.py")
    assert (code, "[op-fixed]" in out) == (0, True)
    assert out.endswith("opcov: no failures, 1 note against all_ops.py; --update all_ops.py removes what is fixed\n")
    assert run("gm", "--check", "all_ops.py", "--strict")[0] == 1


def test_waiver_holds_to_its_last_day_and_fails_after_it(run: Run, project: Path) -> None:
    edit(project, "\ntorch.bad(x)", "\n#: allow until 2027-03-01, #2600\ntorch.bad(x)")
    assert run("gm", "--check", "all_ops.py", "--today", "2027-03-01")[0] == 0
    code, out, _ = run("gm", "--check", "all_ops.py", "--today", "2027-03-02")
    assert (code, "#2600" in out, "[waiver-expired]" in out) == (1, True, True)
    assert "--update" not in out  # which never changes what people wrote


def test_day_is_that_of_the_build_where_one_is_set(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, "\ntorch.bad(x)", "\n#: allow until 1999-12-31\ntorch.bad(x)")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "946684799")
    assert run("gm", "--check", "all_ops.py")[0] == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "946684800")  # a second later it is the year 2000
    assert run("gm", "--check", "all_ops.py")[0] == 1
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "now")
    code, _, err = run("gm", "--check", "all_ops.py")
    assert (code, "SOURCE_DATE_EPOCH" in err) == (2, True)


def test_day_without_a_choice_is_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    before = dt.datetime.now(dt.timezone.utc).date()
    assert before <= review.day_of_judgement() <= dt.datetime.now(dt.timezone.utc).date()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--fail-under", "50"), 0),
        (("--fail-under", "50.1"), 1),
        (("--fail-under", "100"), 1),
        (("--max-unsupported", "1"), 0),
        (("--max-unsupported", "0"), 1),
        (("--check", "all_ops.py", "--fail-under", "60"), 1),
    ],
    ids=str,
)
def test_numbers_are_asked_for_with_and_without_a_baseline(
    run: Run, project: Path, options: tuple[str, ...], code: int
) -> None:
    assert run("gm", *options)[0] == code  # 2 of 4 nodes, 1 op


def test_numbers_alone_are_told_behind_the_summary(run: Run, project: Path) -> None:
    _, out, _ = run("gm", "--fail-under", "90")
    assert out.startswith("2 of 4 nodes supported")
    assert out.splitlines()[-3:] == [
        "1 failure",
        "  - node coverage is 50.0 % (2 of 4 nodes), and 90 % is asked for [threshold]",
        "opcov: 1 failure",
    ]


# --- could not judge --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--check", "missing.py"),
        ("--check", "gm"),
        ("--check", "damaged.py"),
        ("--check", "loop"),
        ("--update", "loop"),
        ("--update", "damaged.py"),
        ("--update", "gm"),
        ("--check", ""),
        ("--check", "all_ops.py", "--update", "all_ops.py"),
        ("--check", "all_ops.py", "--out", "all_ops.py"),
        ("--check", "all_ops.py", "--format", "all_ops:./all_ops.py"),
        ("--update", "all_ops.py", "--out", "all_ops.py"),
        ("--check", "all_ops.py", "--level", "model"),
        ("--fail-under", "101"),
        ("--fail-under", "nan"),
        ("--fail-under", "-1"),
        ("--max-unsupported", "-1"),
        ("--max-unsupported", "1.5"),
        ("--check", "all_ops.py", "--today", "2027-02-30"),
        ("--config", "missing.toml"),
        ("--config", "pyproject.toml", "--no-config"),
    ],
    ids=" ".join,
)
def test_mistake_is_one_message_before_the_scan_and_changes_no_file(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    (project / "damaged.py").write_text("torch.bad(")
    (project / "loop").symlink_to("loop")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    monkeypatch.setattr(api, "scan", lambda *_, **__: pytest.fail("the scan has begun"))
    code, out, err = run("gm", *options)
    assert (code, out) == (2, "")
    assert "opcov: error: " in err
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_missing_baseline_is_told_with_how_to_make_one(run: Run, project: Path) -> None:
    assert "make it with --update missing.py" in run("gm", "--check", "missing.py")[2]


def test_failures_are_told_also_where_not_all_could_be_judged(run: Run, project: Path) -> None:
    add(project, "torch.worse")
    (project / "gm/org/a/rank0_2.py").write_bytes(b"\xff\xfe")
    code, out, err = run("gm", "--check", "all_ops.py")
    assert (code, "[new-op]" in out) == (2, True)
    assert "rank0_2.py" in err


# --- what is told where -----------------------------------------------------------------------------------------------


def test_quiet_tells_failures_only(run: Run, project: Path) -> None:
    assert run("gm", "--check", "all_ops.py", "-q") == (0, "", "")
    add(project, "torch.worse")
    code, out, _ = run("gm", "--check", "all_ops.py", "-q")
    assert (code, "[new-op]" in out) == (1, True)


def test_printed_report_has_stdout_for_itself_and_failures_go_to_stderr(run: Run, project: Path) -> None:
    add(project, "torch.worse")
    code, out, err = run("gm", "--check", "all_ops.py", "--format", "json")
    assert code == 1
    assert json.loads(out)["totals"]["unsupported"] == 3
    assert "[new-op]" in err
    assert err.splitlines()[-1].startswith("opcov: 1 failure against all_ops.py")


def test_annotations_go_to_stdout_and_one_line_to_stderr(run: Run, project: Path) -> None:
    add(project, "torch.worse")
    code, out, err = run("gm", "--check", "all_ops.py", "--format", "github")
    assert code == 1
    assert out.startswith("::error file=gm/org/b/rank0_1.py,line=3,")
    assert err.splitlines() == ["opcov: 1 failure against all_ops.py; --update all_ops.py accepts it"]


def test_table_is_appended_to_the_summary_of_the_job(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = project / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run("gm", "--check", "all_ops.py", "--format", "json")
    assert summary.read_text() == "before\n"
    run("gm", "--check", "all_ops.py", "--format", "github")
    text = summary.read_text()
    assert text.startswith("before\n")
    assert "torch.bad" in text


def test_summary_that_cannot_be_written_is_told_and_changes_no_exit_code(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project))
    code, _, err = run("gm", "--check", "all_ops.py", "--format", "github")
    assert (code, "summary" in err) == (0, True)


@pytest.mark.parametrize("kind", ["sarif", "junit", "gitlab"])
def test_formats_of_other_systems_are_written_beside_the_text(run: Run, project: Path, kind: str) -> None:
    add(project, "torch.worse")
    code, out, _ = run("gm", "--check", "all_ops.py", "--format", f"{kind}:report")
    assert (code, "[new-op]" in out) == (1, True)
    assert "torch.worse" in (project / "report").read_text()


def test_terminal_gets_colours_and_a_pipe_none(project: Path) -> None:
    code, text = on_a_terminal(command("gm", "--max-unsupported", "0"))
    assert (code, "\x1b[1;31mopcov: 1 failure" in text) == (1, True)
    code, text = on_a_terminal(command("gm", "--fail-under", "50"))
    assert (code, "\x1b[1;32mopcov: no failures" in text) == (0, True)
    result = subprocess.run(
        command("gm", "--fail-under", "50"), check=False, env=environment(), capture_output=True, text=True
    )
    assert (result.returncode, "\x1b" in result.stdout, "opcov: no failures" in result.stdout) == (0, False, True)


def test_many_notes_of_a_kind_are_folded_unless_verbose() -> None:
    judgement = Judgement("b.py", notes=tuple(NewModel(f"org/{number}") for number in range(9)))
    short = [line.text for line in lines_of(judgement)]
    assert short[-2:] == [
        "  - and 6 more; --verbose prints all [new-model]",
        "opcov: no failures, 9 notes against b.py",
    ]
    assert len(lines_of(judgement, verbose=True)) == 1 + 9 + 1


def test_closing_line_says_how_many_failures_an_update_would_accept() -> None:
    found = (ModelLost("org/a"), BelowThreshold("node coverage", "50 %", "90 %"))
    assert closing_line(Judgement("b.py", found)).endswith("2 failures against b.py; --update b.py accepts 1 of them")
    assert closing_line(Judgement("b.py", found[1:])) == "opcov: 1 failure against b.py"
    assert closing_line(Judgement("", found[1:])) == "opcov: 1 failure"
    assert "removes what is fixed" in closing_line(Judgement("b.py", notes=(OpFixed("op", "op(T)", (), 3),)))


def test_text_of_a_dump_is_no_command_to_the_log_of_a_ci_system() -> None:
    place = Place("##[error]/rank0_0.py", 3, "x", "")
    facts = OpFacts("::error::x", "::error::x", "R", "\n::error::x", ("::error::x",), 1, place)
    found = (NotAllowed(facts, ("::error::x",), 3), ModelLost("\r::error::x"))
    told = [line.text for line in lines_of(Judgement("::error::x", found, found))]
    assert [text for text in told if text.lstrip().startswith("::") or "##[" in text or "\n" in text] == []


# --- update -----------------------------------------------------------------------------------------------------------


def test_update_makes_the_file_and_says_so(run: Run, project: Path) -> None:
    code, out, err = run("gm", "--update", "new/known.py")
    assert (code, out, err) == (0, "opcov: new/known.py made: 1 entry added, 0 removed, 0 kept\n", "")
    assert run("gm", "--check", "new/known.py")[0] == 0


def test_update_says_what_it_changed_and_then_the_check_passes(run: Run, project: Path) -> None:
    for name in ("org/a/rank0_1.py", "org/b/rank0_0.py"):
        add(project, "torch.worse", "torch.worst", name=name)
    code, out, _ = run("gm", "--update", "all_ops.py")
    assert (code, out) == (0, "opcov: all_ops.py rewritten: 2 entries added, 1 removed, 0 kept\n")
    assert run("gm", "--check", "all_ops.py")[0] == 0


def test_update_keeps_what_people_wrote(run: Run, project: Path) -> None:
    edit(project, "\ntorch.bad(x)", "\n#: allow until 2999-01-01, #2600\ntorch.bad(x)")
    add(project, "torch.worse")
    run("gm", "--update", "all_ops.py")
    assert "\n#: allow until 2999-01-01, #2600\ntorch.bad(x)" in (project / "all_ops.py").read_text()


def test_second_update_changes_no_byte(run: Run, project: Path) -> None:
    before = (project / "all_ops.py").read_bytes()
    assert run("gm", "--update", "all_ops.py")[0] == 0
    assert (project / "all_ops.py").read_bytes() == before


def test_update_leaves_the_file_where_not_all_could_be_read(run: Run, project: Path) -> None:
    add(project, "torch.worse")
    (project / "gm/org/a/rank0_1.py").write_bytes(b"\xff\xfe")
    before = (project / "all_ops.py").read_bytes()
    code, _, err = run("gm", "--update", "all_ops.py")
    assert code == 2
    assert err.splitlines()[-1].endswith("could not be read or judged completely; all_ops.py is left as it was")
    assert (project / "all_ops.py").read_bytes() == before


def test_update_that_cannot_be_written_leaves_the_file(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (project / "all_ops.py").read_bytes()
    add(project, "torch.worse")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    code, _, err = run("gm", "--update", "all_ops.py")
    assert (code, "no space left" in err) == (2, True)
    assert (project / "all_ops.py").read_bytes() == before
    assert sorted(path.name for path in project.iterdir()) == ["all_ops.py", "gm"]


def test_update_says_which_models_it_forgets(run: Run, project: Path) -> None:
    shutil.rmtree(project / "gm" / "org" / "b")
    told = "opcov: all_ops.py rewritten: 0 entries added, 0 removed, 1 kept; 1 model less: org/b\n"
    assert run("gm", "--update", "all_ops.py") == (0, told, "")


def test_update_with_a_printed_report_tells_on_stderr(run: Run, project: Path) -> None:
    code, out, err = run("gm", "--update", "all_ops.py", "--format", "json")
    assert (code, err) == (0, "opcov: all_ops.py rewritten: 0 entries added, 0 removed, 1 kept\n")
    assert json.loads(out)["totals"]["nodes"] == 4


# --- a part of the corpus ---------------------------------------------------------------------------------------------

PARTS = [
    ("gm/org/b",), ("gm/org",), ("gm", "--include", "org/b"), ("gm", "--exclude", "org/a"), ("gm/org/b/rank0_0.py",)
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
def test_part_of_the_corpus_misses_nothing_of_the_rest(run: Run, project: Path, part: tuple[str, ...]) -> None:
    assert run(*part, "--check", "all_ops.py") == (0, "opcov: no failures against all_ops.py\n", "")


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
def test_part_of_the_corpus_fails_for_what_it_has(run: Run, project: Path, part: tuple[str, ...]) -> None:
    add(project, "torch.worse", name="org/b/rank0_0.py")
    code, out, _ = run(*part, "--check", "all_ops.py")
    assert (code, "torch.worse" in out) == (1, True)


@pytest.mark.parametrize("part", PARTS[:-1], ids=" ".join)
def test_update_from_a_part_keeps_the_rest(run: Run, project: Path, part: tuple[str, ...]) -> None:
    add(project, "torch.worse", name="org/b/rank0_0.py")
    code, out, _ = run(*part, "--update", "all_ops.py")
    assert (code, out) == (0, "opcov: all_ops.py rewritten: 1 entry added, 0 removed, 1 kept\n")
    assert run("gm", "--check", "all_ops.py")[0] == 0


def test_file_of_a_model_that_has_more_is_held_against_its_own_ops_only(run: Run, project: Path) -> None:
    assert run("gm/org/a/rank0_0.py", "--check", "all_ops.py", "--strict")[0] == 0


def test_one_file_updates_nothing(run: Run, project: Path) -> None:
    before = (project / "all_ops.py").read_bytes()
    code, _, err = run("gm/org/a/rank0_0.py", "--update", "all_ops.py")
    assert (code, "scan the folder of its model" in err) == (2, True)
    assert (project / "all_ops.py").read_bytes() == before


def test_model_that_is_always_left_out_is_no_reason_to_lose_another(run: Run, project: Path) -> None:
    add(project, "torch.relu", name="org/c/rank0_0.py")
    chosen = ("--exclude", "org/a")
    assert run("gm", *chosen, "--update", "some.py")[0] == 0
    (project / "gm/org/c/rank0_0.py").unlink()
    code, out, _ = run("gm", *chosen, "--check", "some.py")
    assert (code, "[model-lost]" in out) == (1, True)


# --- where the corpus lies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "below"), [("gm", "gm"), ("./gm/", "gm"), ("gm/org/../org/a", "gm/org/a"), ("..", "")]
)
def test_corpus_is_named_from_the_working_directory(project: Path, place: str, below: str) -> None:
    assert path_below(Path(place)) == below


def test_linked_corpus_keeps_the_name_of_the_link(project: Path) -> None:
    Path("linked").symlink_to("gm")
    assert path_below(Path("linked")) == "linked"


# --- settings ---------------------------------------------------------------------------------------------------------


def test_project_with_settings_needs_no_arguments(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".git").mkdir()
    (project / "pyproject.toml").write_text('[tool.opcov]\ncorpus = "gm"\ncheck = "all_ops.py"\n')
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert run() == (0, "opcov: no failures against ../all_ops.py\n", "")


def test_mistake_in_the_settings_is_exit_code_2(run: Run, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.opcov]\ncorpus = "gm"\nchek = "all_ops.py"\n')
    assert run() == (
        2,
        "",
        "opcov: error: pyproject.toml:3: tool.opcov has no setting 'chek'; did you mean check?\n",
    )


# --- diff -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(project: Path, run: Run) -> Path:
    """The project with a second corpus `later`, in which org/b has a new unsupported op, and both saved."""
    write_corpus(
        project / "later",
        {**{f"org/a/rank0_{n}.py": (project / f"gm/org/a/rank0_{n}.py").read_text() for n in (0, 1)}},
    )
    write_corpus(project / "later", {"org/b/rank0_0.py": graph("torch.bad", "torch.worse")})
    for name in ("gm", "later"):
        assert run(name, "-q", "--format", f"json:{name}.json")[0] == 0
    return project


def test_diff_of_equal_corpora_says_that_nothing_differs(run: Run, project: Path) -> None:
    assert run("diff", "gm", "gm", "--exit-code") == (0, "no op differs\n", "")


@pytest.mark.parametrize(("old", "new"), [("gm", "later"), ("gm.json", "later.json"), ("gm", "later.json")])
def test_diff_of_corpora_and_of_saved_scans_is_the_same(run: Run, two: Path, old: str, new: str) -> None:
    code, out, err = run("diff", old, new)
    assert (code, err) == (0, "")
    assert out == run("diff", "gm", "later")[1]
    assert "torch.worse" in out


def test_name_in_a_diff_is_no_command_in_the_log_of_a_ci_system(run: Run, two: Path) -> None:
    (two / "later" / "##[group]x").mkdir()
    (two / "later" / "##[group]x" / "log.txt").write_text("")
    code, out, err = run("diff", "gm", "later")
    assert (code, "## [group]x" in out) == (0, True)
    assert "##[" not in out + err


def test_diff_exits_with_1_on_request(run: Run, two: Path) -> None:
    assert run("diff", "gm.json", "later.json", "--exit-code")[0] == 1


def test_diff_speaks_markdown(run: Run, two: Path) -> None:
    assert "`torch.worse(T)`" in run("diff", "gm.json", "later.json", "--format", "markdown")[1]


@pytest.mark.parametrize("side", ["gm", "gm.json"])
def test_diff_is_narrowed_to_some_models(run: Run, two: Path, side: str) -> None:
    assert run("diff", side, "later.json", "--include", "org/a", "--exit-code")[0] == 0
    assert run("diff", side, "later.json", "--include", "nothing")[0] == 2


@pytest.mark.parametrize(
    "arguments", [(), ("gm",), ("gm", "missing"), ("gm", "missing.json"), ("gm", "other.json"), ("gm", "empty")]
)
def test_mistake_in_a_diff_is_exit_code_2(run: Run, project: Path, arguments: tuple[str, ...]) -> None:
    (project / "other.json").write_text("{}")
    (project / "empty").mkdir()
    code, out, err = run("diff", *arguments)
    assert (code, out) == (2, "")
    assert "error: " in err


def test_diff_of_what_cannot_be_read_completely_is_exit_code_2_with_the_rest_told(run: Run, two: Path) -> None:
    (two / "later/org/a/rank0_7.py").write_bytes(b"\xff\xfe")
    code, out, err = run("diff", "gm", "later")
    assert (code, "torch.worse" in out, "rank0_7.py" in err) == (2, True, True)
