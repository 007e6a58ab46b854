"""However a run ends, what it saved stays whole, and log.txt, capture.json, the exit code and a scan agree on it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from capture_runs import environment, found, launched, launcher

from opcov.capturing import records
from opcov.corpus.health import Health
from opcov.problems import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gm" / "org" / "model"


def test_a_run_that_ends_well_is_ok_everywhere(folder: Path) -> None:
    outcome = launched(folder, "save(); save(); print('said')")
    left = found(folder)
    assert (outcome.graphs, outcome.failures) == (2, ())
    assert left.names == ("rank0_0.py", "rank0_1.py")
    assert (left.status, left.failures, left.others) == ("ok", [], ())
    assert left.diagnosis.health is Health.OK
    assert "said" in left.log


FATAL = {
    "an exception": ("raise ValueError('no such weight')", "it exited with 1"),
    "an exit code": ("sys.exit(3)", "it exited with 3"),
    "an exit past all handlers": ("os._exit(4)", "it exited with 4"),
    "a kill": ("os.kill(os.getpid(), signal.SIGKILL)", "it was killed by signal 9 (SIGKILL)"),
    "a crash": ("os.kill(os.getpid(), signal.SIGSEGV)", "it was killed by signal 11 (SIGSEGV)"),
}


@pytest.mark.parametrize(("program", "how"), FATAL.values(), ids=FATAL)
def test_a_run_that_ends_badly_keeps_its_graphs_and_says_so(folder: Path, program: str, how: str) -> None:
    outcome = launched(folder, f"save(); {program}")
    left = found(folder)
    assert outcome.failures == (how,)
    assert (left.names, left.status, left.failures) == (("rank0_0.py",), "failed", [how])
    assert f"[opcov] Capture failed: {how}" in left.log
    assert left.diagnosis.health is Health.PARTIAL
    told = "1 traceback in the run log, the last: ValueError: no such weight"  # tells more than its exit code does
    assert left.diagnosis.reasons[0] in (f"the capture failed: {how}", told)


def test_a_failed_run_that_printed_the_totals_of_a_benchmark_has_not_finished(folder: Path) -> None:
    launched(folder, "save(); print('Benchmark ...'); print('Total. latency: 1 s'); sys.exit(3)")
    assert found(folder).diagnosis.health is Health.PARTIAL


def test_a_run_that_saves_nothing_has_failed(folder: Path) -> None:
    outcome = launched(folder, "")
    left = found(folder)
    assert outcome.failures == ("rank 0 saved no graph",)
    assert (left.status, left.diagnosis.health) == ("failed", Health.FAILED)


def test_a_rank_that_saves_nothing_is_named(folder: Path) -> None:
    outcome = launched(folder, "save()", ranks=2)
    assert outcome.failures == ("rank 1 saved no graph",)


def test_a_command_that_cannot_be_run_is_told(folder: Path) -> None:
    from opcov.capturing.launching import Run, launch
    from opcov.capturing.session import Setting

    outcome = launch(Run(["/nowhere/python"], Setting(str(folder)), []))
    assert outcome.failures[0] == "/nowhere/python cannot be run: No such file or directory"


def test_a_run_that_hangs_is_ended_and_says_where(folder: Path) -> None:
    program = "import faulthandler; faulthandler.enable(); save()\ndef waits(): time.sleep(600)\nwaits()"
    start = time.monotonic()
    outcome = launched(folder, program, timeout=4)
    left = found(folder)
    assert time.monotonic() - start < 20
    assert outcome.failures == ("it took longer than 4 s, and was ended",)
    assert "in waits" in left.log
    assert (left.status, left.diagnosis.health) == ("failed", Health.PARTIAL)


def test_a_run_that_does_not_want_to_end_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.capturing.processes._GRACE", 0.5)
    program = "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGABRT)]; save(); time.sleep(600)"
    assert launched(folder, program, timeout=1.0).failures == ("it took longer than 1 s, and was ended",)


def test_what_a_run_leaves_running_is_ended(folder: Path, tmp_path: Path) -> None:
    program = f"""
import subprocess
process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "pid")!r}, "w").write(str(process.pid))
save()
"""
    assert launched(folder, program).failures == ()
    assert not is_running(int((tmp_path / "pid").read_text()))


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")


def test_a_process_that_has_left_the_group_and_holds_the_output_is_not_waited_for(folder: Path) -> None:
    program = """
import subprocess
process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], start_new_session=True)
save()
"""
    start = time.monotonic()
    assert launched(folder, program).failures == ()
    assert time.monotonic() - start < 15


# --- the launcher itself ----------------------------------------------------------------------------------------------


def started(folder: Path, program: str, tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A launcher whose child has saved a graph and waits, and the child's number."""
    pid = tmp_path / "child"
    program = f"save(); open({str(pid)!r}, 'w').write(str(os.getpid()) + '.'); {program}; time.sleep(600)"
    process = subprocess.Popen(
        launcher(folder, program), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: pid.exists() and pid.read_text().endswith("."))
    return process, int(pid.read_text()[:-1])


def until(holds: object, seconds: float = 20) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code", "how"),
    [
        (signal.SIGINT, -signal.SIGINT, "it was interrupted"),
        (signal.SIGTERM, 128 + signal.SIGTERM, "it was killed by signal 15 (SIGTERM)"),
    ],
)
def test_an_interrupted_launcher_ends_everything_and_the_folder_tells(
    folder: Path, tmp_path: Path, number: int, code: int, how: str
) -> None:
    process, child = started(folder, "pass", tmp_path)
    process.send_signal(number)
    process.communicate(timeout=10)
    left = found(folder)
    assert process.returncode == code
    assert not is_running(child)
    assert (left.status, left.failures, left.names) == ("failed", [how], ("rank0_0.py",))
    assert left.diagnosis.health is Health.PARTIAL


def test_a_second_interrupt_does_not_wait_for_a_child_that_does_not_want_to_end(folder: Path, tmp_path: Path) -> None:
    process, child = started(folder, "signal.signal(signal.SIGTERM, signal.SIG_IGN)", tmp_path)
    time.sleep(0.2)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - start < 3
    assert not is_running(child)
    assert found(folder).status == "failed"


def test_a_killed_launcher_leaves_what_is_there_whole_and_no_process_behind(folder: Path, tmp_path: Path) -> None:
    process, child = started(folder, "pass", tmp_path)
    process.kill()
    process.communicate()
    until(lambda: not is_running(child), 5)
    left = found(folder)
    assert (left.names, left.status) == (("rank0_0.py",), "running")
    assert left.diagnosis == type(left.diagnosis)(Health.PARTIAL, ("the run did not finish",))


def test_a_killed_launcher_is_no_hindrance_to_the_next(folder: Path, tmp_path: Path) -> None:
    process, _ = started(folder, "save(); save()", tmp_path)
    process.kill()
    process.communicate()
    assert launched(folder, "save()").failures == ()
    left = found(folder)
    assert (left.names, left.status, left.others) == (("rank0_0.py",), "ok", ())


# --- the folder -------------------------------------------------------------------------------------------------------


def test_an_earlier_capture_is_replaced(folder: Path) -> None:
    launched(folder, "save(); save()")
    launched(folder, "save()")
    left = found(folder)
    assert left.names == ("rank0_0.py",)
    assert left.log.count("Capture begin") == 1


def test_other_files_of_the_folder_stay(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "ORIGIN.md").write_text("mine")
    launched(folder, "save()")
    launched(folder, "save()")
    assert (folder / "ORIGIN.md").read_text() == "mine"


@pytest.mark.parametrize("record", [None, "{}", "no JSON"])
def test_graphs_that_opcov_has_not_captured_are_left_alone(folder: Path, record: str | None) -> None:
    folder.mkdir(parents=True)
    (folder / "rank0_0.py").write_text("precious")
    if record is not None:
        (folder / records.FILE).write_text(record)
    with pytest.raises(UsageError, match=r"holds graphs that opcov has not captured, such as rank0_0\.py"):
        launched(folder, "save()")
    assert (folder / "rank0_0.py").read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot capture into .*: Not a directory"):
        launched(tmp_path / "file" / "model", "save()")


def test_a_second_capture_into_a_folder_is_refused_and_the_first_one_goes_on(folder: Path, tmp_path: Path) -> None:
    process, _ = started(folder, "pass", tmp_path)
    try:
        with pytest.raises(UsageError, match=r"another capture into .* is going on"):
            launched(folder, "save()")
        assert found(folder).names == ("rank0_0.py",)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert found(folder).failures == ["it was killed by signal 15 (SIGTERM)"]


# --- a disk that is full ----------------------------------------------------------------------------------------------


def with_files_up_to(size: int, folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Runs a launcher none of whose files may grow beyond a size."""
    return subprocess.run(
        launcher(folder, program),
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


LARGE = "'; '.join(['y = torch.sin(x)'] * 20_000)"


def test_a_graph_that_does_not_fit_on_the_disk_is_told(folder: Path) -> None:
    program = f"""
save()
try:
    save({LARGE})
except OSError as error:
    print(error)
save()
"""
    result = with_files_up_to(200_000, folder, program)
    left = found(folder)
    assert result.returncode == 1
    assert left.names == ("rank0_0.py", "rank0_2.py")
    assert left.failures == ["rank 0: graph 1 could not be saved"]
    assert (left.status, left.diagnosis.health, left.others) == ("failed", Health.PARTIAL, ())


def test_a_log_that_does_not_fit_on_the_disk_is_told(folder: Path) -> None:
    result = with_files_up_to(200_000, folder, "save(); print('.' * 300_000)")
    left = found(folder)
    assert result.returncode == 1
    assert result.stdout.count(".") >= 300_000, "what the run prints is shown nevertheless"
    assert left.failures == ["log.txt cannot be written: File too large"]
    assert (left.status, left.diagnosis.health) == ("failed", Health.PARTIAL)


def test_a_record_that_does_not_fit_on_the_disk_is_told(folder: Path) -> None:
    result = with_files_up_to(200_000, folder, "save(); session.note_failure('.' * 195_000)")
    left = found(folder)
    assert result.returncode == 1
    assert "capture.json cannot be written: File too large" in result.stderr
    assert "[opcov] Capture failed: capture.json cannot be written: File too large" in left.log
    assert (left.status, left.diagnosis.health) == ("running", Health.PARTIAL)


def test_a_process_that_cannot_write_what_it_knows_is_noticed(folder: Path) -> None:
    result = with_files_up_to(200_000, folder, "save(); session.note_failure('.' * 300_000)")
    left = found(folder)
    assert result.returncode == 1
    assert left.failures == ["a process could not write what it had captured"]


def test_a_disk_that_is_full_from_the_beginning_is_told_at_once(folder: Path) -> None:
    result = with_files_up_to(1000, folder, "save()")
    assert result.returncode != 0
    assert "UsageError: cannot capture into" in result.stderr
    assert "File too large" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root may mount a small disk")
def test_a_run_that_fills_the_disk_still_tells_of_its_end(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        program = """
for _ in range(200):
    try:
        save('y = torch.sin(x) # ' + '.' * 10_000)
    except OSError as error:
        session.note_failure(f"a graph could not be saved: {error.strerror}")
        print("x" * 100_000)
        sys.exit()
"""
        outcome = launched(disk / "model", program)
        left = found(disk / "model")
        assert "a process could not write what it had captured" in outcome.failures
        assert len(left.names) > 20
        assert list(outcome.failures) == left.failures
        assert all(f"[opcov] Capture failed: {failure}" in left.log for failure in outcome.failures)
        assert (left.status, left.diagnosis.health, left.others) == ("failed", Health.PARTIAL, ())
    finally:
        subprocess.run(["umount", disk], check=True)


# --- what is said -----------------------------------------------------------------------------------------------------


def test_output_is_kept_byte_by_byte_and_in_order(folder: Path) -> None:
    program = r"""
save()
os.write(1, b"\xff\x00 one\r")
os.write(2, b"two\n")
print("three")
print("four", file=sys.stderr)
os.write(1, b"five")
"""
    launched(folder, program)
    content = (folder / "log.txt").read_bytes()
    assert b"tp_size=1\n\xff\x00 one\rtwo\nthree\nfour\nfive\n[opcov] Capture end.\n" in content


def test_much_output_arrives_whole_also_where_the_program_ends_at_once(folder: Path) -> None:
    launched(folder, "save(); os.write(1, b'.' * 60_000); os._exit(0)")
    assert found(folder).log.count("." * 60_000) == 1


def test_calls_are_counted_however_the_run_ends(folder: Path) -> None:
    launched(folder, "one, two = save(), save(); [session.count(two) for _ in range(7)]; os._exit(1)")
    record = found(folder).record
    assert record is not None
    assert [graph.calls for graph in record.parts[0].graphs] == [0, 7]


def test_a_fork_counts_calls_of_its_own_and_saves_graphs_under_other_numbers(folder: Path) -> None:
    program = """
one = save()
session.count(one)
if os.fork() == 0:
    session.count(one); session.count(one)
    session.count(save())
    os._exit(0)
os.wait()
session.count(one)
"""
    assert launched(folder, program).graphs == 2
    record = found(folder).record
    assert record is not None
    assert [(graph.file, graph.calls) for graph in record.parts[0].graphs] == [("rank0_0.py", 4), ("rank0_1.py", 1)]


def test_processes_that_save_at_once_take_different_numbers(folder: Path) -> None:
    program = """
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        [save() for _ in range(20)]
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
    assert launched(folder, program).graphs == 80
    assert len(found(folder).names) == 80
