"""Writing: all files or none, whatever goes wrong in between, and early notice where it cannot work."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from opcov import reports
from opcov.coverage import Coverage
from opcov.problems import OutputError
from opcov.reports.files import check_writable, write_files
from opcov.reports.report import FolderReport
from opcov.views.scan import Scan


def contents(folder: Path) -> dict[str, str]:
    """All that is below a folder; folders are None-like empty names with a slash."""
    return {
        path.relative_to(folder).as_posix() + ("/" if path.is_dir() else ""): path.read_text() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def failing(times: int, error: BaseException) -> Callable[[Path, Path], Path]:
    """A Path.replace that works a number of times and fails once then."""
    replace, calls = Path.replace, iter(range(100))

    def fail(self: Path, target: Path) -> Path:
        if next(calls) == times:
            raise error
        return replace(self, target)

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_files_and_missing_folders_are_made(tmp_path: Path) -> None:
    write_files({tmp_path / "a" / "b" / "x.txt": "1\r\n", tmp_path / "y.txt": "ü\n"})
    assert (tmp_path / "a" / "b" / "x.txt").read_bytes() == b"1\r\n"
    assert (tmp_path / "y.txt").read_bytes() == "ü\n".encode()
    assert set(contents(tmp_path)) == {"a/", "a/b/", "a/b/x.txt", "y.txt"}


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
def test_failure_while_files_are_put_in_place_brings_all_old_ones_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, error: BaseException
) -> None:
    (tmp_path / "old1").write_text("1")
    (tmp_path / "old2").write_text("2")
    monkeypatch.setattr(Path, "replace", failing(times, error))
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_files({tmp_path / "old1": "new", tmp_path / "made" / "fresh": "new", tmp_path / "old2": "new"})
    assert contents(tmp_path) == {"old1": "1", "old2": "2"}


def test_failure_while_a_text_is_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_text("1")

    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def writelines(self, _: object) -> None:
            raise FULL

    monkeypatch.setattr(os, "fdopen", lambda *_: Full())
    with pytest.raises(OutputError, match="no space left on device"):
        write_files({tmp_path / "old": "new"})
    assert contents(tmp_path) == {"old": "1"}


def test_old_file_is_never_open_for_writing(tmp_path: Path) -> None:
    # Who reads the old file meanwhile reads it to its end: a rename gives the name to another file.
    path = tmp_path / "old"
    path.write_text("old text")
    with path.open() as reader:
        write_files({path: "new"})
        assert reader.read() == "old text"


def test_new_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_files({tmp_path / "new": "x"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    (tmp_path / "old").chmod(0o604)
    write_files({tmp_path / "old": "y"})
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o604


def test_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_files({tmp_path / "link": "new"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    # A rename onto /dev/null would take it away from the whole machine.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    reader.start()
    write_files({pipe: "text"})
    reader.join(10)
    assert received == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_name_as_long_as_a_disk_allows_can_be_written(tmp_path: Path) -> None:
    write_files({tmp_path / ("n" * 255): "x"})
    assert (tmp_path / ("n" * 255)).read_text() == "x"


# --- early notice ---


def test_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable([tmp_path / "a" / "b.txt", tmp_path / "c.txt"])
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "it is a folder; name a file"),
        ("file/x.csv", "is a file, not a folder"),
        ("file/deep/x.csv", "is a file, not a folder"),
        ("dangling/x.csv", "leads nowhere"),
        ("n" * 300, "file name too long"),
        ("null\0byte", "not a valid path"),
        ("rank0_0.py", "a graph or a run log is called so"),
        ("graph_module_1.py", "a graph or a run log is called so"),
        ("log.txt", "a graph or a run log is called so"),
    ],
)
def test_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=message):
        check_writable([tmp_path / "good.txt", tmp_path / name])
    assert contents(tmp_path) == before


def test_folder_that_takes_no_file_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="permission denied"):
        check_writable([tmp_path / "x"])


def test_two_results_in_one_place_are_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="two results"):
        check_writable([tmp_path / "x", tmp_path / "y" / ".." / "x"])


def test_result_that_would_have_to_be_file_and_folder_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is to be a file, not a folder"):
        check_writable([tmp_path / "x", tmp_path / "x" / "nodes.csv"])


# --- what earlier reports left ---


def of_pages(*names: str) -> FolderReport:
    return FolderReport("pages", "", lambda _: dict.fromkeys(names, "made by me"), places=("op/*.html",), mark=b"by me")


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    monkeypatch.setattr(reports, "by_name", lambda _: of_pages(*names))
    Scan(Coverage({}, {})).write(pages=tmp_path)
    return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html"))


def test_page_of_an_earlier_report_that_the_new_one_has_not_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written(tmp_path, monkeypatch, "op/a.html", "op/b.html") == ["op/a.html", "op/b.html"]
    assert written(tmp_path, monkeypatch, "op/b.html") == ["op/b.html"]


def test_files_of_others_in_the_folder_of_a_report_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "op" / "deep").mkdir(parents=True)
    for name, text in (("op/notes.html", "mine"), ("op/deep/x.html", "made by me"), ("x.html", "made by me")):
        (tmp_path / name).write_text(text)
    kept = ["op/b.html", "op/deep/x.html", "op/notes.html", "x.html"]
    assert written(tmp_path, monkeypatch, "op/b.html") == kept


def test_report_that_cannot_be_written_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch, "op/a.html")
    (tmp_path / "op" / "b.html").mkdir()
    with pytest.raises(OutputError):
        written(tmp_path, monkeypatch, "op/b.html")
    assert (tmp_path / "op" / "a.html").is_file()
