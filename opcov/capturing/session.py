"""Where the graphs of this process go: files that are whole at any moment, and a record of what was done."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from opcov.capturing.neutral import neutral
from opcov.capturing.records import PARTS, GraphRecord, NodeVerdict, Part, put, write
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
    """

    folder: str
    run: str = "eager"
    fake: bool = False
    stops: bool = False
    keeps_verdicts: bool = False
    reproducible: bool = False
    rank: int = 0
    device: str = ""


class Session:
    """The capture that is going on in this process."""

    def __init__(self, setting: Setting) -> None:
        """Makes the folder.

        Raises:
            OSError: it cannot be made.
        """
        self.setting = setting
        self.folder = Path(setting.folder)
        self.parts: dict[int, Part] = {}
        self._lock = threading.Lock()
        (self.folder / PARTS).mkdir(parents=True, exist_ok=True)

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
        part = self.part()
        content = self._content(text)
        with self._lock:
            index = len(part.graphs)
            while not self._take(before_name(part.rank, index), split_name(part.rank, index), content):
                index += 1
            record = GraphRecord(before_name(part.rank, index), part.rank, index, nodes)
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
        before.unlink(missing_ok=True)

    def note_failure(self, what: str) -> None:
        """Records that something could not be captured."""
        part = self.part()
        part.failures.append(neutral(what) if self.setting.reproducible else what)
        self.flush(part)

    def note_replaced(self, what: str) -> None:
        """Records that something was patched or faked."""
        part = self.part()
        if what not in part.replaced:
            part.replaced.append(what)
            self.flush(part)

    def flush(self, part: Part | None = None) -> None:
        """Writes what is known so far; that it cannot be written is found out by who misses it."""
        for one in self.parts.values() if part is None else (part,):
            with suppress(OSError):
                write(self.folder / PARTS / f"rank{one.rank}.{os.getpid()}.json", one)

    def verdicts(self, found: list[NodeVerdict]) -> list[NodeVerdict] | None:
        """Thunder's answers, if they are to be kept."""
        return found if self.setting.keeps_verdicts else None

    def _content(self, text: str) -> bytes:
        return (neutral(text) if self.setting.reproducible else text).encode("utf-8", errors="backslashreplace")

    def _take(self, name: str, other: str, content: bytes) -> bool:
        """Makes a file of a name that is free; whole from the first moment."""
        if (self.folder / other).exists():
            return False
        temporary = self.folder / f".{name}.{os.getpid()}.part"
        try:
            temporary.write_bytes(content)
            os.link(temporary, self.folder / name)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True


def before_name(rank: int, index: int) -> str:
    """The name of a graph before the split."""
    return f"graph_module_{rank}_{index}.py"


def split_name(rank: int, index: int) -> str:
    """The name of a split graph."""
    return f"rank{rank}_{index}.py"


def rank_of_process(otherwise: int) -> int:
    """The rank of this process: that of its process group, else what its launcher says, else what the caller says."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank()
    told = os.environ.get("RANK", "")
    return int(told) if told.isdecimal() else otherwise


class _Current:
    """The session of this process."""

    session: Session | None = None


def begin(setting: Setting) -> Session:
    """Starts capturing in this process, and in those that it will start.

    Raises:
        UsageError: a capture is going on already, or the folder cannot be made.
    """
    if _Current.session is not None:
        raise UsageError(f"a capture into {_Current.session.folder} is going on already: end that one first")
    try:
        session = Session(setting)
    except OSError as error:
        raise UsageError(f"cannot capture into {setting.folder}: {error.strerror or error}") from error
    _Current.session = session
    os.environ[VARIABLE] = msgspec.json.encode(setting).decode()
    return session


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
        _Current.session = Session(msgspec.json.decode(told, type=Setting))
    return _Current.session
