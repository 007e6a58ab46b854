"""Runs a command that captures: its output becomes the run log, and however it ends, the model's folder tells."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

import msgspec

from opcov import __version__
from opcov.capturing import records
from opcov.capturing.neutral import neutral
from opcov.capturing.records import Capture, Launch, Part
from opcov.capturing.session import VARIABLE, Setting
from opcov.corpus import LOG_NAME
from opcov.graphfile import is_graph_name, natural_key
from opcov.problems import UsageError

PACKAGES = ("torch", "lightning-thunder", "transformers", "sglang", "triton")
"""Whose versions decide what a capture looks like."""

_RULE = "=" * 80
_GRACE = 5.0
"""Seconds that processes get to end after they were asked to."""
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Run:
    """A command that captures.

    Attributes:
        command: the program and its arguments; it finds the setting in its environment.
        setting: how graphs are captured, and where.
        told: the command as its user gave it.
        about: what is captured, for the record.
        options: of the capture, for the record.
        environment: more variables for it.
        ranks: that have to write graphs.
        rank: of this command under a launcher such as torchrun; None where it is the whole run.
        timeout: seconds after which it is ended; None for none.
        keeps_crashes: whether an exit code that is not 0 is what the run was meant to end with.
    """

    command: Sequence[str]
    setting: Setting
    told: Sequence[str]
    about: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ranks: int = 1
    rank: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        graphs: how many it saved.
        failures: what went wrong, in plain words; none where all is well.
        exit: how the command ended.
    """

    graphs: int
    failures: tuple[str, ...]
    exit: str


def launch(run: Run) -> Outcome:
    """Runs a command to its end, whatever that is.

    Its output goes to the run log as it comes, and to this process's own.

    Args:
        run: what to do.

    Raises:
        UsageError: the folder cannot be written, or holds graphs that opcov has not captured.
        KeyboardInterrupt: as it came, once all processes have ended and the folder tells.
    """
    folder = Path(run.setting.folder)
    first = run.rank in (None, 0)
    if first:
        _make_room(folder)
    (folder / records.PARTS).mkdir(parents=True, exist_ok=True)
    title = "Capture" if run.rank is None else f"Capture of rank {run.rank}"
    with _log(folder / LOG_NAME) as log:
        log.say(f"[opcov] {title} begin. tp_size={run.ranks}")
        _record(run, Launch(run.rank or 0))
        stopped: BaseException | None = None
        try:
            exit_code, how = _run(run, log)
        except KeyboardInterrupt as interrupt:
            exit_code, how, stopped = 1, "it was interrupted", interrupt
        failures = [] if exit_code == 0 else [how]
        failures += _shortcomings(run, folder)
        if log.failure:
            failures.append(log.failure)
        for failure in failures:
            log.say(f"[opcov] {title} failed: {failure}")
        if not failures:
            log.say(f"[opcov] {title} end.")
        capture = _record(run, Launch(run.rank or 0, how, not failures))
        if capture is None:
            failures.append(f"{records.FILE} could not be written")
        if first:
            _say_files(folder, log)
    if capture is not None and capture.status != "running":
        shutil.rmtree(folder / records.PARTS, ignore_errors=True)
    if stopped is not None:
        raise stopped
    mine = [part for part in _parts(folder, capture) if run.rank in (None, part.rank)]
    return Outcome(sum(len(part.graphs) for part in mine), tuple(failures), how)


# --- the command ------------------------------------------------------------------------------------------------------


def _run(run: Run, log: _Log) -> tuple[int, str]:
    """Runs the command; no process of its group is left behind.

    Returns:
        Its exit code, and how it ended.
    """
    setting = msgspec.json.encode(run.setting).decode()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **run.environment, VARIABLE: setting}
    try:
        process = subprocess.Popen(
            run.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return 127, f"{run.command[0]} cannot be run: {error.strerror or error}"
    assert process.stdout is not None
    reader = threading.Thread(target=_copy, args=(process.stdout, log), daemon=True)
    reader.start()
    timed_out = False
    try:
        process.wait(run.timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        _end_group(process)
        reader.join(_GRACE)  # a process that left the group may keep the pipe open
    if timed_out:
        return 124, f"it took longer than {run.timeout:g} s, and was ended"
    return process.returncode, _how(process.returncode)


def _how(code: int) -> str:
    if code >= 0:
        return f"it exited with {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "a signal without a name"
    return f"it was killed by signal {-code} ({name})"


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends whatever is left of a command: asks first, then does not ask."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        end = time.monotonic() + _GRACE
        while time.monotonic() < end and _is_alive(process):
            time.sleep(0.05)
        if not _is_alive(process):
            break
    process.wait()


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a dead child is one of the group until somebody asks for it
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _copy(stream: BinaryIO, log: _Log) -> None:
    while chunk := os.read(stream.fileno(), _CHUNK):
        log.write(chunk)


# --- the run log ------------------------------------------------------------------------------------------------------


class _Log:
    """The run log, and this process's stdout beside it. Several processes may append to one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.failure = ""

    def write(self, content: bytes) -> None:
        with self._lock:
            if not self.failure:
                try:
                    self._stream.write(content)
                except OSError as error:
                    self.failure = f"{LOG_NAME} cannot be written: {error.strerror or error}"
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.buffer.write(content)
                sys.stdout.buffer.flush()

    def say(self, line: str) -> None:
        self.write(f"{line}\n".encode("utf-8", errors="backslashreplace"))


@contextlib.contextmanager
def _log(path: Path) -> Iterator[_Log]:
    try:
        stream = path.open("ab", buffering=0)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    with stream:
        yield _Log(stream)


def _say_files(folder: Path, log: _Log) -> None:
    """What ThunderFX's debug runs print at their end, so that whoever loses a file can be told."""
    names = sorted((path.name for path in folder.iterdir() if is_graph_name(path.name)), key=natural_key)
    lines = [f"  - {name} ({(folder / name).stat().st_size:,} bytes)" for name in names]
    log.say("\n".join(["", _RULE, f"ThunderFX debug info saved to: {folder.name}", "Files:", *lines, _RULE, ""]))


# --- the record -------------------------------------------------------------------------------------------------------


def _make_room(folder: Path) -> None:
    """Removes an earlier capture.

    Raises:
        UsageError: what is there was not made by opcov, or cannot be removed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        graphs = [path for path in folder.iterdir() if is_graph_name(path.name) or path.name == LOG_NAME]
        if graphs and not (folder / records.FILE).exists():
            raise UsageError(
                f"{folder} holds graphs that opcov has not captured, such as {graphs[0].name}: choose another folder"
            )
        for path in graphs:
            path.unlink()
        (folder / records.FILE).unlink(missing_ok=True)
        shutil.rmtree(folder / records.PARTS, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"cannot capture into {folder}: {error.strerror or error}") from error


def _record(run: Run, launched: Launch) -> Capture | None:
    """Puts together what is known of the run; None where it cannot be written."""
    folder = Path(run.setting.folder)
    try:
        records.write(folder / records.PARTS / f"launch{launched.rank}.json", launched)
        capture = _put_together(run, folder)
        records.write(folder / records.FILE, capture)
    except OSError:
        return None
    return capture


def _put_together(run: Run, folder: Path) -> Capture:
    found = [records.read(path, Launch) for path in (folder / records.PARTS).glob("launch*.json")]
    launches = sorted((one for one in found if one is not None), key=lambda one: one.rank)
    expected = 1 if run.rank is None else run.ranks
    if len(launches) < expected or not all(one.exit for one in launches):
        status = "running"
    else:
        status = "ok" if all(one.is_ok for one in launches) else "failed"
    told = [neutral(word) for word in run.told] if run.setting.reproducible else list(run.told)
    parts = _merged(_left(folder))
    return Capture(records.VERSION, run.about, told, _versions(), dict(run.options), status, launches, run.ranks, parts)


def _left(folder: Path) -> list[Part]:
    """What the processes of a run have left so far."""
    found = [records.read(path, Part) for path in sorted((folder / records.PARTS).glob("rank*.json"))]
    return [part for part in found if part is not None]


def _parts(folder: Path, capture: Capture | None) -> list[Part]:
    return _left(folder) if capture is None else capture.parts


def _merged(parts: Sequence[Part]) -> list[Part]:
    """One part a rank, its graphs in their order."""
    found: dict[int, Part] = {}
    for part in parts:
        one = found.setdefault(part.rank, Part(part.rank, part.device))
        one.graphs = sorted([*one.graphs, *part.graphs], key=lambda graph: graph.index)
        one.replaced = list(dict.fromkeys([*one.replaced, *part.replaced]))
        one.failures = [*one.failures, *part.failures]
    return [found[rank] for rank in sorted(found)]


def _shortcomings(run: Run, folder: Path) -> list[str]:
    """What is missing, whatever the exit code says: launchers may ignore those of their children."""
    parts = _merged(_left(folder))
    ranks = range(run.ranks) if run.rank is None else [run.rank]
    with_graphs = {part.rank for part in parts if part.graphs}
    silent = [rank for rank in ranks if rank not in with_graphs]
    found = [f"rank {rank} saved no graph" for rank in silent]
    return found + [f"rank {part.rank}: {failure}" for part in parts if part.rank in ranks for failure in part.failures]


def _versions() -> dict[str, str]:
    found = {"opcov": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
