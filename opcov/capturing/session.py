"""Where the graphs of this process go: files that are whole at any moment, and a record of what was done."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from opcov.capturing.neutral import neutral
from opcov.capturing.records import (
    CALLS,
    CALLS_WIDTH,
    LOST,
    PART,
    PARTS,
    PROCESS,
    TAKEN,
    GraphRecord,
    NodeVerdict,
    Part,
    put,
    write,
)
from opcov.problems import UsageError

VARIABLE = "OPCOV_CAPTURE"
"""The environment variable in which a process that captures tells its children how."""


class Setting(msgspec.Struct, frozen=True):
    """How graphs are captured; plain values, so that other processes get them.

    Attributes:
        folder: of the model, an absolute path.
        run: what runs a graph once it is saved: `eager`, or `thunderfx` for what ThunderFX compiles.
        fake: whether the run has no data: fake tensors have shapes and no memory.
        stops: whether a run ends when Thunder's splitter raises, as it would with ThunderFX, rather than going on.
        keeps_verdicts: whether Thunder is asked about every node, for `capture.json`.
        reproducible: whether times, memory addresses and this machine's folders are left out.
        rank: of this process where nothing else tells it.
        device: what the record says that graphs ran on.
        places: folders of this machine, each with what stands for it where this machine is left out.
    """

    folder: str
    run: str = "eager"
    fake: bool = False
    stops: bool = False
    keeps_verdicts: bool = False
    reproducible: bool = False
    rank: int = 0
    device: str = ""
    places: dict[str, str] = {}


class Session:
    """The capture that is going on in this process.

    Attributes:
        setting: how graphs are captured.
        folder: of the model.
        prepare: changes a graph, in place, before it is saved and Thunder sees it; None for none.
        errors: where messages of the capture go, whatever becomes of the program's `sys.stderr`; None for that.
        parts: what was captured in this process, by rank.
    """

    def __init__(self, setting: Setting, prepare: Callable[[Any], None] | None = None) -> None:
        """Makes the folder.

        Raises:
            OSError: it cannot be made.
        """
        self.setting = setting
        self.folder = Path(setting.folder)
        self.prepare = prepare
        self.errors: TextIO | None = None
        self.parts: dict[int, Part] = {}
        (self.folder / PARTS).mkdir(parents=True, exist_ok=True)
        self._begin()

    def _begin(self) -> None:
        self.parts.clear()
        self._lock = threading.RLock()
        self._calls: dict[tuple[int, int], int] = {}
        self._counters: dict[int, int] = {}
        self._mark = self.folder / PARTS / f"{PROCESS}{self.setting.rank}.{os.getpid()}"
        self._mark.touch()

    def begin_anew(self) -> None:
        """Forgets what the process has captured of which this one is a fork: that is told by the other one."""
        for descriptor in self._counters.values():
            os.close(descriptor)
        with suppress(OSError):
            self._begin()

    def part(self, rank: int | None = None) -> Part:
        """What was captured on a rank, by default on this process's own."""
        number = rank_of_process(self.setting.rank) if rank is None else rank
        if number not in self.parts:
            self.parts[number] = Part(number, self.setting.device)
        return self.parts[number]

    def save_before(self, text: str, nodes: int) -> GraphRecord:
        """Saves a graph before Thunder's splitter sees it, under the next number that no process has taken.

        Args:
            text: of the graph.
            nodes: number of its calls.

        Raises:
            OSError: it cannot be saved.
        """
        content = self._content(text)
        with self._lock:
            part = self.part()
            index = len(part.graphs)
            while not self._take(part.rank, index):
                index += 1
            record = GraphRecord(before_name(part.rank, index), part.rank, index, nodes)
            put(self.folder / record.file, content)
            part.graphs.append(record)
        self.flush(part)
        return record

    def save_split(self, record: GraphRecord, text: str) -> None:
        """Saves the same graph after the split, in place of what was saved before.

        Raises:
            OSError: it cannot be saved; the graph before the split stays.
        """
        before = self.folder / record.file
        put(self.folder / split_name(record.rank, record.index), self._content(text))
        record.file = split_name(record.rank, record.index)
        self.flush(self.part(record.rank))
        before.unlink(missing_ok=True)

    def count(self, record: GraphRecord) -> None:
        """Counts that a graph is run; the count outlives this process, however that ends."""
        key = (record.rank, record.index)
        with self._lock:
            number = self._calls[key] = self._calls.get(key, 0) + 1
            record.calls = max(record.calls, number)
            with suppress(OSError):  # then the record has what was counted when it was last written
                if record.rank not in self._counters:
                    path = self.folder / PARTS / f"{CALLS}{record.rank}.{os.getpid()}"
                    self._counters[record.rank] = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                os.pwrite(
                    self._counters[record.rank], number.to_bytes(CALLS_WIDTH, "little"), CALLS_WIDTH * record.index
                )

    def note_failure(self, what: str) -> None:
        """Records that something could not be captured."""
        part = self.part()
        part.failures.append(self.shown(what))
        self.flush(part)

    def note_replaced(self, what: str) -> None:
        """Records that something was patched or faked."""
        part = self.part()
        if what not in part.replaced:
            part.replaced.append(what)
            self.flush(part)

    def note_device(self, device: str) -> None:
        """Records where graphs run, where nobody has said so before."""
        part = self.part()
        part.device = part.device or device

    def flush(self, part: Part | None = None) -> None:
        """Writes what is known so far. That it cannot be written is marked by a new name, which takes no room."""
        with self._lock:
            for one in list(self.parts.values()) if part is None else (part,):
                try:
                    write(self.folder / PARTS / f"{PART}{one.rank}.{os.getpid()}.json", one)
                except OSError:
                    with suppress(OSError):
                        self._mark.replace(self._mark.with_name(f"{LOST}{self._mark.name.removeprefix(PROCESS)}"))

    def say(self, text: str) -> None:
        """Says something in the run log."""
        with suppress(OSError, ValueError):
            stream = self.errors or sys.stderr
            stream.write(text)
            stream.flush()

    def shown(self, text: str) -> str:
        """A text as it may be written: without this machine, where the same bytes are to come again."""
        return neutral(text, self.setting.places) if self.setting.reproducible else text

    def verdicts(self, found: list[NodeVerdict]) -> list[NodeVerdict] | None:
        """Thunder's answers, if they are to be kept."""
        return found if self.setting.keeps_verdicts else None

    def _content(self, text: str) -> bytes:
        return self.shown(text).encode("utf-8", errors="backslashreplace")

    def _take(self, rank: int, index: int) -> bool:
        """Takes a number, which no other process can take then."""
        if any((self.folder / name(rank, index)).exists() for name in (before_name, split_name)):
            return False
        try:
            (self.folder / PARTS / f"{TAKEN}{rank}.{index}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def before_name(rank: int, index: int) -> str:
    """The name of a graph before the split."""
    return f"graph_module_{rank}_{index}.py"


def split_name(rank: int, index: int) -> str:
    """The name of a split graph."""
    return f"rank{rank}_{index}.py"


def rank_of_process(otherwise: int) -> int:
    """The rank of this process: that of its process group, else what its launcher says, else what the caller says."""
    distributed = sys.modules.get("torch.distributed")  # without it there is no process group
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    told = os.environ.get("RANK", "")
    return int(told) if told.isdecimal() else otherwise


class _Current:
    """The session of this process."""

    session: Session | None = None


def begin(setting: Setting, prepare: Callable[[Any], None] | None = None) -> Session:
    """Starts capturing in this process, and in those that it will start.

    Args:
        setting: how.
        prepare: changes a graph, in place, before it is saved and Thunder sees it.

    Raises:
        UsageError: a capture is going on already, or the folder cannot be made.
    """
    refuse_another()
    try:
        session = Session(setting, prepare)
    except OSError as error:
        raise UsageError(f"cannot capture into {setting.folder}: {error.strerror or error}") from error
    _Current.session = session
    os.environ[VARIABLE] = msgspec.json.encode(setting).decode()
    return session


def refuse_another() -> None:
    """Checks that no capture is going on in this process, or around it.

    Raises:
        UsageError: there is one.
    """
    if _Current.session is not None or VARIABLE in os.environ:
        folder = current().folder
        raise UsageError(f"a capture into {folder} is going on already, and there can be only one: end that one first")


def end() -> None:
    """Stops capturing in this process."""
    if _Current.session is not None:
        _Current.session.flush()
    _Current.session = None
    os.environ.pop(VARIABLE, None)


def current() -> Session:
    """The session of this process; that of the process that started it, where it has none of its own.

    Raises:
        UsageError: there is none.
    """
    if _Current.session is None:
        told = os.environ.get(VARIABLE)
        if told is None:
            raise UsageError(
                "nothing says where to capture: use `opcov capture script`, or `with opcov.capture(folder):` around it"
            )
        try:
            _Current.session = Session(msgspec.json.decode(told, type=Setting))
        except msgspec.MsgspecError as error:
            raise UsageError(f"{VARIABLE} in the environment is no setting of a capture: {error}") from error
        except OSError as error:
            raise UsageError(f"cannot capture as {VARIABLE} says: {error.strerror or error}") from error
    return _Current.session


def _in_fork() -> None:
    if _Current.session is not None:
        _Current.session.begin_anew()


os.register_at_fork(after_in_child=_in_fork)
