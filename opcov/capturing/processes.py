"""Runs a command with all the processes that it starts, and leaves none of them behind, whatever happens."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from opcov.capturing.log import Log

_GRACE = 5.0
"""Seconds that processes get to end after they were asked to."""
_SILENCE = 1.0
"""Seconds without output after which nothing more is expected of a process that has left the group."""
_TURN = 0.05
_CHUNK = 1 << 16

_GUARD = "import os, signal, sys\nif not os.read(0, 1): os.killpg(int(sys.argv[1]), signal.SIGKILL)\n"
"""Ends a group of processes when whoever started them is gone without a word."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended.

    Attributes:
        is_fine: whether it came to its own end, and says that all is well.
        how: in plain words.
    """

    is_fine: bool
    how: str


class Held:
    """Signals that have come to this process, kept until there is time for them.

    Attributes:
        number: the first of them; 0 for none.
        count: how many have come.
    """

    def __init__(self) -> None:
        self.number: int = 0
        self.count = 0

    def take(self, number: int, _frame: FrameType | None) -> None:
        """Keeps one."""
        self.number = self.number or number
        self.count += 1


@contextlib.contextmanager
def held_signals() -> Iterator[Held]:
    """Until it ends, what would end this process is kept, so that what it does is done whole."""
    held = Held()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[int(number)] = signal.signal(number, held.take)
    try:
        yield held
    finally:
        for kept, handler in before.items():
            signal.signal(kept, handler)


def run_to_end(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Log,
    held: Held,
    *,
    timeout: float | None = None,
    reads_input: bool = False,
) -> Ending:
    """Runs a command until it ends, it takes too long, or a signal has come to this process.

    Args:
        command: the program and its arguments.
        environment: all of its variables.
        log: what its output is written to, as it comes.
        held: the signals.
        timeout: seconds after which it is ended; None for none.
        reads_input: whether it gets this process's stdin.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=None if reads_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return Ending(False, f"{command[0]} cannot be run: {error.strerror or error}")
    assert process.stdout is not None
    end = None if timeout is None else time.monotonic() + timeout
    with _guarded(process.pid), process.stdout as stream:
        output = _Output(stream, log)
        while process.poll() is None and not held.number and (end is None or time.monotonic() < end):
            output.pass_on(_TURN)
        is_late = process.returncode is None and not held.number
        # What hangs is told to say where: Python's fault handler does at SIGABRT.
        _end_group(process, output, held, signal.SIGABRT if is_late else signal.SIGTERM)
        output.pass_on_the_rest()
    if is_late:
        return Ending(False, f"it took longer than {timeout:g} s, and was ended")
    if held.number:
        return Ending(False, "it was interrupted" if held.number == signal.SIGINT else _killed(held.number))
    return Ending(process.returncode == 0, _how(process.returncode))


def _how(code: int) -> str:
    return f"it exited with {code}" if code >= 0 else _killed(-code)


def _killed(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = "a signal without a name"
    return f"it was killed by signal {number} ({name})"


@contextlib.contextmanager
def _guarded(group: int) -> Iterator[None]:
    """Until it ends, a group of processes ends when this process is killed."""
    try:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            guard.communicate(b".")


class _Output:
    """What a command prints, on its way to the log."""

    def __init__(self, stream: IO[bytes], log: Log) -> None:
        self._descriptor = stream.fileno()
        self._log = log
        self._is_over = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._descriptor, selectors.EVENT_READ)

    def pass_on(self, seconds: float) -> bool:
        """Waits for output and passes it on.

        Returns:
            Whether there was some.
        """
        if self._is_over:
            time.sleep(seconds)
            return False
        if not self._selector.select(seconds):
            return False
        chunk = os.read(self._descriptor, _CHUNK)
        self._is_over = not chunk
        if chunk:
            self._log.write(chunk)
        return bool(chunk)

    def pass_on_the_rest(self) -> None:
        """Passes on what is left. A process that left the group may keep the pipe open: it is not waited for."""
        while not self._is_over and self.pass_on(_SILENCE):
            pass
        self._selector.close()


def _end_group(process: subprocess.Popen[bytes], output: _Output, held: Held, request: int) -> None:
    """Ends whatever is left of a command: asks first, then does not ask; nor does it where a second signal comes."""
    for number in (request, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        end = time.monotonic() + _GRACE
        while _lives(process) and time.monotonic() < end and (number == signal.SIGKILL or held.count < 2):
            output.pass_on(_TURN)
        if not _lives(process):
            break
    process.wait()


def _lives(process: subprocess.Popen[bytes]) -> bool:
    """Whether some process of the group still runs."""
    if process.poll() is None:
        return True
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return _runs_in(process.pid)


def _runs_in(group: int) -> bool:
    """Whether a group has more than dead processes that nobody has asked for; True where the system does not tell."""
    table = Path("/proc")
    if not (table / "self" / "stat").exists():
        return True
    for entry in table.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):
                state, _parent, of_group = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:3]
                if int(of_group) == group and state not in (b"Z", b"X"):
                    return True
    return False
