"""Writes the files of a report all or none: each beside its target first, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from opcov.problems import OutputError


def check_writable(targets: Mapping[Path, bool]) -> None:
    """Fails early, before minutes of work, where a result could not be written later.

    Args:
        targets: for each path whether it is to be a folder.

    Raises:
        OutputError: a folder stands where a file is to go or the other way round, or the place cannot be written.
    """
    for path, is_folder in targets.items():
        if is_folder and path.exists() and not path.is_dir():
            raise OutputError(f"cannot write tables into {path}: it is a file; name a folder")
        if not is_folder and path.is_dir():
            raise OutputError(f"cannot write {path}: it is a folder; name a file")
        nearest = path if is_folder else path.parent
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write {path}: {nearest} is no folder that you can write to")


def write_files(files: Mapping[Path, str]) -> None:
    """Writes texts as UTF-8, line ends as they are. A killed or failed run leaves what was there before.

    Args:
        files: text by path; missing folders are made.

    Raises:
        OutputError: one of them cannot be written; then none is.
    """
    waiting: list[tuple[str, Path]] = []
    path = Path()
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
            waiting.append((temporary, path))
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                stream.write(text)
            _take_mode(temporary, path)
        for temporary, path in waiting:
            Path(temporary).replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        for temporary, _ in waiting:
            Path(temporary).unlink(missing_ok=True)


def _take_mode(temporary: str, path: Path) -> None:
    """Gives a file that mkstemp made private the mode of the file that it replaces, else what the umask gives."""
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    Path(temporary).chmod(mode)
