"""Writes a run log: all output of a run as it came, and between it what opcov says of the run."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import TracebackType

from opcov.corpus import LOG_NAME
from opcov.graphfile import is_graph_name, natural_key
from opcov.problems import UsageError

_RULE = "=" * 80
_LONGEST_PART = 1 << 16
"""Bytes of a line that wait for its end where several processes write."""


class Log:
    """A run log that is being written; several processes may append to one.

    Attributes:
        failure: why it is not whole; "" where it is.
    """

    def __init__(self, path: Path, copy: Path | None = None, *, echoes: bool = True, whole_lines: bool = False) -> None:
        """Opens it.

        Args:
            path: of the file.
            copy: another file that gets the same, and that this process alone writes.
            echoes: whether this process's stdout gets the same.
            whole_lines: whether lines are written in one piece, because others write too.

        Raises:
            UsageError: it cannot be opened.
        """
        try:
            self._streams = [one.open("ab", buffering=0) for one in (path, copy) if one is not None]
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
        self._echoes = echoes
        self._whole_lines = whole_lines
        self._part = b""
        self._last = b"\n"
        self.failure = ""

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keep(self._part)
        for stream in self._streams:
            stream.close()

    def write(self, content: bytes) -> None:
        """Writes what a run printed; that it cannot be written is kept in `failure`."""
        if self._whole_lines:
            self._keep_lines(content)
        else:
            self._keep(content)
        if self._echoes:
            _echo(content)

    def say(self, line: str) -> None:
        """Writes a line of opcov's own, in a line of its own; once more also where the disk was full before."""
        content = f"{line}\n".encode("utf-8", errors="backslashreplace")
        self._keep(self._part)
        self._part = b""
        before = b"" if self._last in (b"\n", b"\r") else b"\n"
        self._keep(before + content, again=True)
        if self._echoes:
            _echo(before + content)

    def fail(self, error: OSError) -> None:
        """Keeps why it is not whole."""
        self.failure = self.failure or f"{LOG_NAME} cannot be written: {error.strerror or error}"

    def _keep_lines(self, content: bytes) -> None:
        content = self._part + content
        end = max(content.rfind(b"\n"), content.rfind(b"\r")) + 1
        if len(content) - end > _LONGEST_PART:
            end = len(content)
        self._keep(content[:end])
        self._part = content[end:]

    def _keep(self, content: bytes, *, again: bool = False) -> None:
        if not content or (self.failure and not again):
            return
        self._last = content[-1:]
        for stream in self._streams:
            rest = memoryview(content)
            try:
                while rest:  # a disk that is nearly full takes a part and says nothing
                    rest = rest[stream.write(rest) or 0 :]
            except OSError as error:
                self.fail(error)
                self._last = b""


def _echo(content: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        binary = getattr(sys.stdout, "buffer", None)
        if binary is None:
            sys.stdout.write(content.decode("utf-8", errors="backslashreplace"))
        else:
            binary.write(content)
        sys.stdout.flush()


def files_text(folder: Path) -> str:
    """What ThunderFX's debug runs print at their end, so that whoever loses a file can be told."""
    names = sorted((path.name for path in folder.iterdir() if is_graph_name(path.name)), key=natural_key)
    lines = [f"  - {name} ({(folder / name).stat().st_size:,} bytes)" for name in names]
    return "\n".join(["", _RULE, f"ThunderFX debug info saved to: {folder.name}", "Files:", *lines, _RULE, ""])
