"""What a capture says of itself: the types of `capture.json`, and the parts that its processes leave for it."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TypeVar

import msgspec

_Record = TypeVar("_Record", bound=msgspec.Struct)

VERSION = "1.0"
FILE = "capture.json"
PARTS = ".capture"
"""The folder, inside that of the model, in which each process keeps its part until the run is over."""

UNFINISHED = ".part"
"""The end of the name of a file that is being written."""

# What stands in the folder of parts: the beginnings of names, a rank behind each.
PART = "rank"
"""What a process has captured on a rank, as JSON."""
CALLS = "calls"
"""How often a process has run each graph of a rank: a number of `CALLS_WIDTH` bytes, little end first, at its index."""
CALLS_WIDTH = 8
TAKEN = "graph"
"""A number of a graph that a process has taken: an empty file."""
PROCESS = "process"
"""A process that captures: an empty file."""
LOST = "lost"
"""The same, of a process that could not write what it knows."""
LAUNCH = "launch"
"""How a launched command ended, as JSON."""


class NodeVerdict(msgspec.Struct):
    """Thunder's answer for one call node.

    Attributes:
        name: the node's name, as printed.
        partition: the region that it was put into; None where the splitter raised.
        supported: the node's own verdict, whatever region it was put into; None where Thunder's check raised.
        reason: the name of Thunder's SplitReasonType, for unsupported nodes.
    """

    name: str
    partition: str | None = None
    supported: bool | None = None
    reason: str | None = None


class GraphRecord(msgspec.Struct):
    """One captured graph.

    Attributes:
        file: its name in the model's folder.
        rank: tensor-parallel rank.
        index: number on its rank.
        nodes: number of its calls.
        seconds: of wall time that Thunder's splitter took; None in a reproducible capture.
        calls: how often it was run.
        crash: type and message of what the splitter raised; "" where it did not.
        verdicts: Thunder's answers, where they were asked for.
    """

    file: str
    rank: int
    index: int
    nodes: int
    seconds: float | None = None
    calls: int = 0
    crash: str = ""
    verdicts: list[NodeVerdict] | None = None


class Part(msgspec.Struct):
    """What one process of a run has captured.

    Attributes:
        rank: tensor-parallel rank.
        device: that its graphs ran on: `cpu`, `cuda:0`, `fake cuda`.
        graphs: in the order of capture.
        replaced: what was patched or faked for it, in plain words.
        failures: what could not be captured or saved, in plain words.
    """

    rank: int
    device: str = ""
    graphs: list[GraphRecord] = []
    replaced: list[str] = []
    failures: list[str] = []


class Launch(msgspec.Struct):
    """How one launched command ended; a run has one, or under torchrun one a rank.

    Attributes:
        rank: under torchrun; 0 otherwise.
        exit: in plain words; "" while it runs.
        is_ok: whether it ended well, and all that was to be captured was.
        failures: what went wrong, in plain words.
    """

    rank: int
    exit: str = ""
    is_ok: bool = False
    failures: list[str] = []


class Capture(msgspec.Struct):
    """The content of `capture.json`.

    Attributes:
        schema: version of these fields; the first number changes when one goes or means something else.
        about: what was captured, where somebody said so.
        command: as it was given.
        versions: of Python and of the packages that decide what a capture looks like.
        options: of the capture.
        status: `running`, `ok` or `failed`.
        launches: how the commands ended that were launched.
        ranks: that were expected.
        parts: what each process captured, by rank.
    """

    schema: str
    about: str
    command: list[str]
    versions: dict[str, str]
    options: dict[str, str]
    status: str
    launches: list[Launch]
    ranks: int
    parts: list[Part]


def write(path: Path, record: msgspec.Struct) -> None:
    """Writes a record as JSON, whole or not at all.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    put(path, encoded(record))


def encoded(record: msgspec.Struct) -> bytes:
    """A record as the text of a file, Thunder's answer for a node on one line."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    return _VERDICT.sub(rb'{"name": \1, "partition": \2, "supported": \3, "reason": \4}', text) + b"\n"


_VERDICT = re.compile(rb'\{\n +"name": (.*),\n +"partition": (.*),\n +"supported": (.*),\n +"reason": (.*)\n +\}')
"""A `NodeVerdict` over several lines; no text in JSON holds a line end."""


def put(path: Path, content: bytes) -> None:
    """Writes a file beside its place and moves it there.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    temporary = staged(path, content)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def staged(path: Path, content: bytes) -> Path:
    """Writes a file beside its place, from where it only has to be moved; that needs no room on the disk.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{UNFINISHED}")
    try:
        temporary.write_bytes(content)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def read(path: Path, kind: type[_Record]) -> _Record | None:
    """A record as it was written; None for one that is not there or cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
