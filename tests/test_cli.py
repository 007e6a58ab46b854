"""The command line: exit codes, what goes to which stream, and no traceback for anything a user does."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, verdict, write_corpus
from command_line import PROJECT, command, environment, on_a_terminal

import opcov
from opcov import api
from opcov.cli import main
from opcov.commands.progress import ProgressBar
from opcov.reports import by_name
from opcov.verdict import Status

RELU = graph_text('a: "f32[4]" = torch.relu(x);  x = None', result="a")
BAD = graph_text('a: "f32[4]" = torch.bad(x);  x = None', result="a")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, with a judge that refuses torch.bad: code, stdout, stderr."""
    monkeypatch.setattr(api, "_thunder", lambda **_: FakeRegistry({"torch.bad": verdict(Status.UNSUPPORTED)}))

    def run_command(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else -1
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_command


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "gm", {"org/a/rank0_0.py": RELU, "org/b/rank0_0.py": BAD})


# --- exit codes and streams ---


def test_bad_news_is_a_finished_job(run: Run, corpus: Path) -> None:
    code, out, err = run(corpus)
    assert (code, err) == (0, "")
    assert out.startswith("1 of 2 nodes supported (50.0 %)")


def test_version_goes_to_stdout(run: Run) -> None:
    assert run("--version") == (0, f"opcov {opcov.__version__}\n", "")


def test_results_are_named_on_stdout(run: Run, corpus: Path, tmp_path: Path) -> None:
    code, out, _ = run(corpus, "--out", tmp_path / "o.py", "--csv", tmp_path / "csv")
    assert code == 0
    assert f"\nWritten: {tmp_path / 'o.py'}, {tmp_path / 'csv' / 'nodes.csv'} and 4 more files\n" in out
    assert "# torch.bad: MISSING_OP_SUPPORT: because" in (tmp_path / "o.py").read_text()


def test_folder_is_told_by_the_page_to_open_also_where_another_lies_in_it(
    run: Run, corpus: Path, tmp_path: Path
) -> None:
    _, out, _ = run(corpus, "--csv", tmp_path / "site" / "csv", "--html", tmp_path / "site")
    *_, line = out.splitlines()
    tables, site = line.removeprefix("Written: ").split(", ")
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert tables == f"{tmp_path / 'site' / 'csv' / 'nodes.csv'} and 4 more files"
    assert site == f"{tmp_path / 'site' / 'index.html'} and {len(files) - 6} more files"


def test_quiet_prints_nothing_for_a_sound_corpus(run: Run, corpus: Path) -> None:
    assert run(corpus, "-q") == (0, "", "")


def test_include_and_exclude_choose_models(run: Run, corpus: Path) -> None:
    assert "1 file of 1 model" in run(corpus, "--include", "org/a")[1]
    assert "1 of 1 node" in run(corpus, "--include", "org/*", "--exclude", "*b")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("gm", "extra"),
        ("gm", "--unknown"),
        ("gm", "--inc", "x"),  # a shortened option would break when another one with that start is added
        ("missing",),
        ("",),
        ("empty",),
        ("README.md/rank0_0.py",),
        ("dangling",),
        ("loop",),
        ("gm/all_ops.py",),
        ("gm", "--include", "nothing*"),
        ("gm", "--out", "empty"),
        ("gm", "--out", ""),
        ("gm", "--csv", ""),
        ("gm", "--out", "README.md/all_ops.py"),
        ("gm", "--out", "n" * 300),
        ("gm", "--out", "gm/org/a/rank0_0.py"),
        ("gm", "--csv", "README.md"),
        ("gm", "--csv", "dangling"),
        ("gm", "--csv", "csv", "--out", "csv/nodes.csv"),
        ("gm", "--csv", "both", "--out", "both"),
        ("gm", "--format", "yaml"),
        ("gm", "--format", ""),
        ("gm", "--format", ":x.json"),
        ("gm", "--format", "json:"),
        ("gm", "--format", "csv"),
        ("gm", "--format", "parquet:-"),
        ("gm", "--format", "json:empty"),
        ("gm", "--format", "csv:README.md"),
        ("gm", "--format", "json:one", "--format", "jsonl:one"),
        ("gm", "--format", "json", "--format", "markdown:-"),
    ],
    ids=lambda arguments: " ".join(arguments)[:50] or "nothing",
)
def test_mistake_of_a_user_is_one_message_and_exit_code_2(
    run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    folder = corpus.parent
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    (folder / "README.md").write_text("words")
    (folder / "gm" / "all_ops.py").write_text("# an earlier result")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    before = sorted(folder.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "opcov: error: " in err
    assert sorted(folder.rglob("*")) == before
    assert (corpus / "org" / "a" / "rank0_0.py").read_text() == RELU


def test_output_that_cannot_be_written_is_told_before_the_scan(
    run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "scan", lambda *_, **__: pytest.fail("the scan has begun"))
    code, _, err = run(corpus, "--out", corpus / "org" / "a" / "rank0_0.py" / "x.py")
    assert code == 2
    assert "is a file, not a folder" in err


def test_unreadable_input_is_exit_code_2_with_all_results_written(run: Run, corpus: Path, tmp_path: Path) -> None:
    (corpus / "org" / "b" / "rank0_1.py").write_bytes(b"\xff\xfe\x00")
    code, out, err = run(corpus, "--out", tmp_path / "o.py")
    assert code == 2
    assert out.startswith("1 of 2 nodes supported")
    assert "# torch.bad" in (tmp_path / "o.py").read_text()
    first, last = err.splitlines()
    assert first.startswith("opcov: org/b/rank0_1.py: ")
    assert first.endswith("[not-text]")
    assert last == "opcov: 1 file could not be read or judged completely; the results hold all the rest"


def test_quiet_still_tells_what_could_not_be_read(run: Run, corpus: Path) -> None:
    (corpus / "org" / "b" / "rank0_1.py").write_bytes(b"")
    code, out, err = run(corpus, "--quiet")
    assert (code, out) == (2, "")
    assert "rank0_1.py: the file is empty [empty]" in err


def test_many_problems_are_told_shortly_and_in_full_with_verbose(run: Run, corpus: Path) -> None:
    for rank in range(12):
        (corpus / "org" / "a" / f"rank{rank}_7.py").write_text("")
        (corpus / "org" / "a" / f"rank{rank}_8.py").write_text(graph_text("a = torch.relu(x", f"# {rank}"))
    assert run(corpus)[2].count("is empty") == 1
    assert "rank0_7.py and 11 more: the file is empty" in run(corpus)[2]
    assert run(corpus, "-v")[2].count("is empty") == 12


def test_link_that_leads_back_is_told_with_verbose_and_is_no_failure(run: Run, corpus: Path) -> None:
    (corpus / "org" / "back").symlink_to("..")
    assert run(corpus)[0] == 0
    assert "leads back" in run(corpus, "-v")[2]


def test_thunder_that_cannot_be_imported_is_exit_code_2(
    run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> FakeRegistry:
        raise opcov.RegistryError("lightning-thunder 0.1 does not work with torch 9")

    monkeypatch.setattr(api, "_thunder", refuse)
    assert run(corpus) == (2, "", "opcov: error: lightning-thunder 0.1 does not work with torch 9\n")


def test_interruption_is_exit_code_130_and_changes_no_file(
    run: Run, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "o.py").write_text("old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("opcov.reports.all_ops.render", interrupt)
    code, out, err = run(corpus, "--out", tmp_path / "o.py")
    assert (code, out, err) == (130, "", "opcov: interrupted; no file is half-written\n")
    assert (tmp_path / "o.py").read_text() == "old"


def test_device_as_output_stays_a_device(run: Run, corpus: Path) -> None:
    assert run(corpus, "--out", os.devnull, "-q") == (0, "", "")
    assert Path(os.devnull).is_char_device()


# --- --format ---


@pytest.mark.parametrize("chosen", ["json", "json:-"])
def test_report_goes_to_stdout_and_the_summary_is_left_out(run: Run, corpus: Path, chosen: str) -> None:
    code, out, err = run(corpus, "--format", chosen)
    assert (code, err) == (0, "")
    assert json.loads(out)["totals"]["unsupported"] == 1


def test_report_goes_to_a_file_and_the_summary_to_stdout(run: Run, corpus: Path, tmp_path: Path) -> None:
    place = tmp_path / "new" / "a:b.json"  # only the first colon belongs to --format
    code, out, _ = run(corpus, "--format", f"json:{place}")
    assert code == 0
    assert out.startswith("1 of 2 nodes supported")
    assert f"Written: {place}" in out
    assert json.loads(place.read_bytes())["totals"]["unsupported"] == 1


def test_kind_that_is_a_folder_is_written_below_its_place(run: Run, corpus: Path, tmp_path: Path) -> None:
    assert run(corpus, "--format", f"csv:{tmp_path / 'tables'}")[0] == 0
    assert len(list((tmp_path / "tables").glob("*.csv"))) == 5


def test_kind_that_is_a_folder_says_that_it_needs_a_place(run: Run, corpus: Path) -> None:
    assert "say where with --format csv:DIR" in run(corpus, "--format", "csv")[2]


def test_two_reports_for_stdout_are_refused_by_name(run: Run, corpus: Path) -> None:
    assert "json and text are both to be printed" in run(corpus, "--format", "json", "--format", "text")[2]


def test_several_reports_are_written_in_one_run(run: Run, corpus: Path, tmp_path: Path) -> None:
    chosen = [f"json:{tmp_path / 'a'}", f"json:{tmp_path / 'b'}", f"jsonl:{tmp_path / 'c'}", "markdown"]
    code, out, _ = run(corpus, *[part for one in chosen for part in ("--format", one)])
    assert code == 0
    assert out.startswith("## ")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len((tmp_path / "c").read_bytes().splitlines()) == 2


def test_printed_report_comes_in_spite_of_quiet(run: Run, corpus: Path) -> None:
    assert run(corpus, "-q", "--format", "jsonl")[1].count("\n") == 2


def test_kind_that_is_not_known_is_told_before_the_scan(
    run: Run, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "scan", lambda *_, **__: pytest.fail("the scan has begun"))
    code, _, err = run(corpus, "--format", "jsn")
    assert code == 2
    assert "did you mean json" in err


def test_kind_whose_library_is_absent_is_told_before_the_scan(
    run: Run, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "scan", lambda *_, **__: pytest.fail("the scan has begun"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    by_name.cache_clear()
    code, _, err = run(corpus, "--format", f"parquet:{tmp_path / 'p'}")
    assert code == 2
    assert "pip install opcov[parquet]" in err


# --- streams of a real process ---


def test_reader_that_has_gone_is_no_error(corpus: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(corpus, "--out", tmp_path / "o.py"), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()  # before the first line, the earliest that head can go
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert (tmp_path / "o.py").exists()


@pytest.mark.parametrize("kind", ["json", "jsonl", "text"])
def test_reader_of_a_report_that_has_gone_is_no_error(corpus: Path, kind: str) -> None:
    process = subprocess.Popen(
        command(corpus, "--format", kind), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_report_that_cannot_be_printed_is_exit_code_2(corpus: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command(corpus, "--format", "jsonl"),
            check=False,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 2
    assert result.stderr == "opcov: error: cannot print the report: No space left on device\n"


def test_printed_report_has_the_bytes_of_a_file_whatever_the_terminal_encodes(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "gm", {"müdel/rank0_0.py": RELU})
    arguments, ascii_only = command(root, "--format", "jsonl"), environment(PYTHONIOENCODING="ascii")
    result = subprocess.run(arguments, check=False, env=ascii_only, capture_output=True)
    assert json.loads(result.stdout)["model"] == "müdel"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_help_that_cannot_be_printed_is_exit_code_2() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command("--help"),
            check=False,
            env=environment(PYTHONUNBUFFERED=""),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (result.returncode, "No space left" in result.stderr, "Traceback" in result.stderr) == (2, True, False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's device that is always full")
def test_summary_that_cannot_be_printed_is_exit_code_2(corpus: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command(corpus), check=False, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 2
    assert result.stderr == "opcov: error: cannot print the summary: No space left on device\n"


def test_closed_streams_are_no_error(corpus: Path, tmp_path: Path) -> None:
    script = '"$@" >&- 2>&-'
    arguments = command(corpus, "--out", tmp_path / "o.py")
    result = subprocess.run(["bash", "-c", script, "bash", *arguments], check=False, env=environment())
    assert result.returncode == 0
    assert (tmp_path / "o.py").exists()


def test_name_that_the_terminal_cannot_encode_is_escaped(tmp_path: Path) -> None:
    root = write_corpus(tmp_path, {"müdel/rank0_0.py": RELU})
    arguments, ascii_only = command(root), environment(PYTHONIOENCODING="ascii")
    result = subprocess.run(arguments, check=False, env=ascii_only, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "m\\xfcdel" in result.stdout


def test_interrupt_signal_ends_with_130_without_a_traceback(corpus: Path) -> None:
    slow = command(corpus)
    # A shell that starts the tests in the background has them ignore the signal, and so would this process.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    slow[2] = (
        heeding
        + "import time; from opcov.engine import work; "
        + slow[2].replace(
            "sys.exit", "work.judge_loaded = lambda *a: print('begun', flush=True) or time.sleep(60); sys.exit"
        )
    )
    process = subprocess.Popen(
        slow, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "opcov: interrupted; no file is half-written\n")


def test_terminal_gets_colours(corpus: Path) -> None:
    code, text = on_a_terminal(command(corpus))
    assert code == 0
    assert "\x1b[32mok" in text


@pytest.mark.parametrize(
    ("option", "variables"), [(["--no-color"], {}), ([], {"NO_COLOR": "1"})], ids=["option", "variable"]
)
def test_terminal_gets_no_colours_when_none_are_wanted(
    corpus: Path, option: list[str], variables: dict[str, str]
) -> None:
    code, text = on_a_terminal(command(corpus, *option), **variables)
    assert code == 0
    assert "\x1b[32m" not in text
    assert "ok" in text


def test_pipe_gets_plain_text(corpus: Path) -> None:
    result = subprocess.run(command(corpus), check=False, env=environment(), capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bar_waits_a_second_and_takes_itself_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    now = [0.0]
    monkeypatch.setattr("opcov.commands.progress.time.monotonic", lambda: now[0])
    bar = ProgressBar(stream, quiet=False, no_color=True)
    now[0] = 0.9
    bar.update(1, 10)
    assert stream.getvalue() == ""
    now[0] = 1.1
    bar.update(2, 10)
    bar.close()
    assert "graphs" in stream.getvalue()


# --- hostile input, judged by the real Thunder ---

EVIL = "__import__('os').system('touch sentinel')"
HOSTILE: dict[str, str | bytes] = {
    "call/rank0_0.py": graph_text(f"a = {EVIL}"),
    "shape/rank0_0.py": graph_text(f'a: "f32[{EVIL}]" = torch.relu(x)'),
    "argument/rank0_0.py": graph_text(f"a = torch.relu({EVIL})"),
    "default/rank0_0.py": RELU.replace("self, x", f"self, y={EVIL}, x"),
    "decorator/rank0_0.py": f"@{EVIL}\n{RELU}",
    "top/rank0_0.py": f"{EVIL}\n{RELU}",
    "subscript/rank0_0.py": graph_text(f"a = x[{EVIL}]"),
    "format/rank0_0.py": graph_text(f'a = torch.relu(f"{{{EVIL}}}")'),
    "namespace/rank0_0.py": graph_text("a = os.system('touch sentinel')", "b = torch.hub.load('x', 'touch sentinel')"),
    "operator/rank0_0.py": graph_text("a = torch.os.system('touch sentinel')", "b = torch.load('sentinel')"),
    "power/rank0_0.py": graph_text("a = torch.relu(9**9**9)", 'b: "f32[9**9**9]" = torch.relu(x)'),
    "symbol/rank0_0.py": graph_text('a: "Sym(9**9**9)" = torch.relu(x)', 'b: "Sym(' + EVIL + ')" = torch.relu(x)'),
    "huge/rank0_0.py": graph_text('a: "f32[99999999999, 99999999999]" = torch.zeros(99999999999, 99999999999)'),
    "repeat/rank0_0.py": graph_text("a = torch.relu([0] * 10**12)", "b = 'x' * 10**12", "c = 'x'.ljust(10**12)"),
    "dtype/rank0_0.py": graph_text('a: "q99[4]" = torch.relu(x)'),
    "deep/rank0_0.py": graph_text("a = torch.relu(" + "[" * 1000 + "x" + "]" * 1000 + ")"),
    "deeper/rank0_0.py": graph_text("a = " + "-" * 100_000 + "x"),
    "tall/rank0_0.py": "".join(f"{' ' * depth}class A(torch.nn.Module):\n" for depth in range(1000)),
    "statement/rank0_0.py": graph_text("while True: pass", "a = torch.relu(x)", result="a"),
    "binary/rank0_0.py": bytes(range(256)) * 20,
    "empty/rank0_0.py": "",
    "log/log.txt": b"\xff\x00" * 1000 + b"Traceback (most recent call last):\n",
    "good/rank0_0.py": RELU,
}  # fmt: skip


def test_hostile_corpus_neither_runs_nor_hangs_nor_harms_the_good_file(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "gm", HOSTILE)
    os.mkfifo(root / "good" / "rank0_9.py")
    (root / "good" / "rank0_8.py").symlink_to("nowhere")
    (root / "good" / "back").symlink_to("..")
    work = tmp_path / "work"
    work.mkdir()
    arguments = [sys.executable, "-m", "opcov", str(root), "--out", "all_ops.py", "--csv", "csv", "-v"]
    result = subprocess.run(
        arguments, check=False, cwd=work, env=environment(), capture_output=True, text=True, timeout=120
    )
    assert "Traceback (most recent call last)" not in result.stderr
    assert result.returncode == 2
    assert not list(tmp_path.rglob("sentinel*"))
    assert sorted(path.name for path in work.iterdir()) == ["all_ops.py", "csv"]
    graphs = (work / "csv" / "graphs.csv").read_text(encoding="utf-8").splitlines()
    # One row a file, a header, and the pipe and the dangling link.
    assert len(graphs) == len(HOSTILE) - 1 + 1 + 2
    (good,) = [line for line in graphs if "good/rank0_0.py" in line]
    assert good.split(",")[6:11] == ["1", "1", "0", "0", "0"]


def test_results_are_the_same_bytes_for_every_hash_seed_order_and_place(tmp_path: Path) -> None:
    fixtures = PROJECT / "fixtures" / "gm"
    copy = tmp_path / "an other" / "place"
    for path in sorted(fixtures.rglob("*"), reverse=True):
        if path.is_file():
            write_corpus(copy, {path.relative_to(fixtures).as_posix(): path.read_bytes()})
    chosen = ("--include", "odd/*", "--include", "Qwen/Qwen3-tiny")
    runs = [
        subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "opcov",
                    str(root),
                    "--out",
                    f"{seed}/all_ops.py",
                    "--csv",
                    seed,
                    "-q",
                    *chosen,
                ),
                *(f"--format={kind}:{seed}/{kind}" for kind in ("json", "jsonl", "markdown", "text")),
                f"--format=parquet:{seed}",
            ],
            cwd=tmp_path,
            env=environment(PYTHONHASHSEED=seed),
        )
        for seed, root in (("0", fixtures), ("1", fixtures), ("4242", copy))
    ]
    assert [process.wait(120) for process in runs] == [0, 0, 0]
    first, *others = [
        {path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()} for seed in ("0", "1", "4242")
    ]
    assert len(first) == 1 + 5 + 4 + 5  # all_ops.py, the tables as CSV, four reports, the tables as Parquet
    for other in others:
        assert other == first


def test_form_that_saves_no_shapes_is_a_finding_and_no_failure(run: Run, tmp_path: Path) -> None:
    text = (
        "class GraphModule(torch.nn.Module):\n    def forward(self, x: torch.Tensor):\n        return torch.relu(x)\n"
    )
    code, out, _ = run(write_corpus(tmp_path, {"m/model.py": text}))
    assert code == 0
    assert "no shape is known" in out
