"""Writes the files of a report all or none: each beside its target first, then renamed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from opcov import reports
from opcov.corpus import LOG_NAME
from opcov.graphfile import is_graph_name
from opcov.problems import OutputError
from opcov.reports.report import Content, FolderReport


def check_outputs(destinations: Iterable[tuple[str, str | os.PathLike[str]]]) -> None:
    """Says before a scan whether its reports could be written, and writes nothing.

    Args:
        destinations: as for `Scan.write_all`.

    Raises:
        UsageError: a kind of report is not known.
        OutputError: a report could not be written.
    """
    files: list[Path] = []
    folders: list[Path] = []
    for kind, path in destinations:
        if reports.is_folder(kind):
            files += [Path(path, name) for name in reports.folder(kind).names]
            folders.append(Path(path))
        else:
            files.append(Path(path))
    check_writable(files, folders)


def check_writable(files: Iterable[Path], folders: Iterable[Path] = ()) -> None:
    """Fails early, before minutes of work, where a result could not be written later. Leaves nothing behind.

    Args:
        files: the files that are to be written.
        folders: folders into which files are to be written whose names are not known yet.

    Raises:
        OutputError: a folder stands where a file is to go or the other way round, two results have one place, a name
            is that of a graph or a run log, or the place cannot be written.
    """
    taken: set[Path] = set()
    for path in files:
        if is_graph_name(path.name) or path.name == LOG_NAME:
            raise OutputError(f"cannot write {path}: a graph or a run log is called so; choose another name")
        try:
            _check(path)
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write {path}: {_reason(error)}") from error
        place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() fails on links that loop
        if place in taken:
            raise OutputError(f"cannot write {path}: two results would go there")
        taken.add(place)
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"cannot write into {folder}: it is a file; name a folder")
        try:
            _check(folder / _PROBE)
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write into {folder}: {_reason(error)}") from error
    for place in taken:
        if between := taken.intersection(place.parents):
            raise OutputError(f"cannot write {place}: {between.pop()} is to be a file, not a folder")


_PROBE = "probe"
"""Stands for the names of files that are not known yet."""


def _check(path: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()  # raises for a name that no disk takes
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file")
    if _is_device(path):
        return
    nearest = _target(path).parent
    while not nearest.exists() and nearest != nearest.parent:
        if nearest.is_symlink():
            raise OutputError(f"cannot write {path}: the link {nearest} leads nowhere")
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputError(f"cannot write {path}: {nearest} is a file, not a folder")
    # Permissions tell less than a try does: there are read-only disks, quotas, and folders that only look like some.
    probe = _beside(nearest / _PROBE)
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    probe.unlink()


def write_files(files: Mapping[Path, Content]) -> None:
    """Writes texts as UTF-8 and bytes as they are, line ends as they are. A killed run leaves each old file whole.

    A link is followed: what it leads to is replaced, not the link. Something that is no file, such as a pipe or
    /dev/null, is written into.

    Args:
        files: content by path, in pieces or whole; missing folders are made.

    Raises:
        OutputError: one of them cannot be written; then all is as it was before.
    """
    writing = _Writing()
    path = Path()
    try:
        for path, content in files.items():
            if not _is_device(path):
                writing.prepare(_target(path), content)
        for path, content in files.items():
            if _is_device(path):
                with path.open("wb") as stream:
                    stream.writelines(pieces(content))
        for path in writing.prepared:
            writing.replace(path)
    except BaseException as error:
        writing.undo()
        if isinstance(error, (OSError, ValueError)):
            raise OutputError(f"cannot write {path}: {_reason(error)}") from error
        raise
    finally:
        writing.clean()


def files_left(folder: Path, report: FolderReport) -> list[Path]:
    """The files in a folder that an earlier report of that kind left there.

    Args:
        folder: it need not exist.
        report: knows its files.
    """
    found = []
    for path in (path for pattern in report.places for path in folder.glob(pattern)):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and report.mark in _head(path):
                found.append(path)
    return found


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(1024)


def remove_files(paths: Iterable[Path]) -> None:
    """Removes files; one that cannot be removed stays."""
    for path in sorted(paths):
        with suppress(OSError):
            path.unlink()


class _Writing:
    """The files of one report on their way: finished beside their places, then moved there, undone if one fails."""

    def __init__(self) -> None:
        self.prepared: dict[Path, Path] = {}
        self._folders: list[Path] = []
        self._old: dict[Path, Path | None] = {}

    def prepare(self, path: Path, content: Content) -> None:
        """Finishes a file beside its place."""
        folder = path.parent
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            self._folders.append(parent)
        temporary = _beside(path)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self.prepared[path] = temporary
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(pieces(content))
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode) & 0o777)

    def replace(self, path: Path) -> None:
        """Moves a finished file to its place."""
        old = None
        if len(self.prepared) > 1 and path.exists():
            old = _beside(path)
            self._old[path] = old
            _keep(path, old)
        self._old[path] = old
        self.prepared[path].replace(path)

    def undo(self) -> None:
        """Puts back what was there before."""
        for path, old in self._old.items():
            temporary = self.prepared[path]
            if temporary.exists():
                continue  # not moved yet, so the old file is still in its place
            if old is not None:
                old.replace(path)
            else:
                path.unlink(missing_ok=True)
        self.clean()
        for folder in reversed(self._folders):
            try:
                folder.rmdir()
            except OSError:
                break  # someone else has put something into it

    def clean(self) -> None:
        """Removes what is beside the places."""
        for temporary in (*self.prepared.values(), *self._old.values()):
            if temporary is not None:
                temporary.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A new hidden name in the same folder, short whatever the name of the file is, and never that of a graph."""
    return path.with_name(f".{path.name[:20]}.{os.urandom(6).hex()}.part")


def _keep(path: Path, old: Path) -> None:
    try:
        os.link(path, old)
    except OSError:
        import shutil

        shutil.copy2(path, old)


def _is_device(path: Path) -> bool:
    """Whether something is there that is neither a file nor a folder: renaming onto /dev/null would destroy it."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def pieces(content: Content) -> Iterator[bytes]:
    """What goes into a file, as bytes."""
    if isinstance(content, bytes):
        yield content
        return
    for text in (content,) if isinstance(content, str) else content:
        yield text.encode("utf-8", errors="backslashreplace")


def _reason(error: OSError | ValueError) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror[0].lower() + strerror[1:] if strerror else "not a valid path"
