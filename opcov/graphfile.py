"""One graph file: its name, its form, and the digest that tells equal bodies from different ones."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from opcov.form import Form
from opcov.problems import Problem, Slug

DEFAULT_FORMAT = "readable"
"""The form of a file that is a graph by its name, and of one that was asked for by name and that no form claims."""

FILE_LIMIT = 1 << 30
"""Bytes of a graph file. A graph takes kilobytes to megabytes; what is larger holds weights."""
COMPANION_LIMIT = 64 << 20
"""Bytes that are read of a file beside a graph: what it says of shapes stands at its start."""

_RANKED = re.compile(r"rank([0-9]+)_([0-9]+)\.py")
_UNSPLIT = re.compile(r"graph_module_.*\.py", re.DOTALL)
_NUMBERED = re.compile(r"(?:rank|graph_module_)([0-9]+)_([0-9]+)\.py")
_RANK_COMMENT = re.compile(rb"# Rank: [0-9]+, Graph [0-9]+[ \t]*\r?(?:\n|\Z)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NUMBERS = re.compile(r"([0-9]+)")
_CHUNK = 1 << 20


if TYPE_CHECKING:
    from typing import Protocol

    class Format(Protocol):
        """What finding graph files takes to know of a loader."""

        @property
        def name(self) -> str:
            """Of the form."""

        @property
        def suffixes(self) -> tuple[str, ...]:
            """Ends of the names of files that may be of this form."""

        @property
        def companions(self) -> tuple[str, ...]:
            """Names of files beside it that belong to the graph."""

        @property
        def detect(self) -> Callable[[str, bytes], bool]:
            """Tells from a file's name and its first MiB whether it is of this form."""

    class Seen(Protocol):
        """A memory of files that need not be read again."""

        def recall(self, path: str) -> Reading | None:
            """What reading the file has told before; None where it may have changed since, or was never read."""

        def note(self, path: str, before: os.stat_result, after: os.stat_result, reading: Reading) -> None:
            """Remembers what reading a file has told, with its status when it was opened and when it was read."""


@dataclass(frozen=True, slots=True)
class GraphFile:
    """One file that holds a graph, or that by its name should.

    Attributes:
        path: relative to the corpus root, with forward slashes. Characters that cannot be printed are escaped, so that
            a path never breaks a line of a report.
        rank: tensor-parallel rank, from the name; None where the name gives none.
        index: number of the graph on its rank, from the name; None where the name gives none.
        form: what the name says of the form; None where it says nothing.
        digest: of the body: equal for files that differ in the rank comment, a byte order mark or line ends only. ""
            for a file that cannot be read.
        size: in bytes, of the file as it is.
        problem: why the file cannot be read, None for one that can.
        location: the real path relative to the corpus root, for opening it.
        claimed_by: names of the forms that claim it; the first one is how it is read.
        companions: names of the files beside it that belong to the graph; their content is part of the digest.
        left_out: what of the file is not in the digest: its rank comment, a byte order mark, carriage returns. Files
            that agree in it too have their nodes in equal lines.
    """

    path: str
    rank: int | None
    index: int | None
    form: Form | None
    digest: str
    size: int
    problem: Problem | None = None
    location: str = field(default="", repr=False)
    claimed_by: tuple[str, ...] = (DEFAULT_FORMAT,)
    companions: tuple[str, ...] = ()
    left_out: str = field(default="", repr=False, compare=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a file tells that depends on the file alone.

    Attributes:
        digest: as of a `GraphFile`; "" for a file that no form claims and that need not be a graph.
        size: in bytes.
        claimed_by: names of the forms that claim it.
        left_out: as of a `GraphFile`.
        is_graph: False for a file beside graphs, such as a run log.
    """

    digest: str
    size: int
    claimed_by: tuple[str, ...] = ()
    left_out: str = ""
    is_graph: bool = True


@lru_cache(maxsize=1 << 13)  # ranks and models repeat the names of their files
def natural_key(path: str) -> tuple[object, ...]:
    """A sort key for paths with forward slashes: folder by folder, numbers by value (`rank0_2` before `rank0_10`)."""
    # split() puts text at even and numbers at odd places, so two keys never compare a text with a number.
    # The path itself decides between `rank0_1` and `rank0_01`.
    return (
        [
            [int(piece) if place % 2 else piece for place, piece in enumerate(_NUMBERS.split(part))]
            for part in path.split("/")
        ],
        path,
    )


@lru_cache(maxsize=1 << 13)
def rank_and_index(name: str) -> tuple[int | None, int | None]:
    """The rank and the number that a file's name gives; none where it gives none.

    They are in `rank{r}_{i}.py`, and in `graph_module_{r}_{i}.py`, as `opcov capture` calls a graph before the split.
    ThunderFX itself tells neither of such a graph: `graph_module_<id>.py`.
    """
    numbered = _NUMBERED.fullmatch(name)
    return (int(numbered[1]), int(numbered[2])) if numbered else (None, None)


def form_named(name: str) -> Form | None:
    """The form that a file's name gives; None for a name that is no graph's."""
    if _RANKED.fullmatch(name):
        return Form.SPLIT
    return Form.UNSPLIT if is_graph_name(name) else None


@lru_cache(maxsize=1 << 13)
def is_graph_name(name: str) -> bool:
    """Whether a file of this name is a graph whatever it holds: `rank{r}_{i}.py` and `graph_module_<id>.py`."""
    return _RANKED.fullmatch(name) is not None or _UNSPLIT.fullmatch(name) is not None


def read_body(root: Path, file: GraphFile) -> bytes:
    """The bytes of a graph file below a corpus root as they are, rank comment included, so that line numbers hold.

    Raises:
        OSError: the file cannot be read any more, or is larger than `FILE_LIMIT`.
    """
    if file.size > FILE_LIMIT:
        raise OSError(errno.EFBIG, f"it is larger than {FILE_LIMIT >> 30} GiB; save the graph without its weights")
    return (root / (file.location or file.path)).read_bytes()


def read_companions(root: Path, file: GraphFile) -> dict[str, bytes]:
    """The contents of the files beside a graph file that belong to the graph, by name, up to `COMPANION_LIMIT`.

    Raises:
        OSError: one cannot be read any more.
    """
    folder = (root / (file.location or file.path)).parent
    found = {}
    for name in file.companions:
        with (folder / name).open("rb") as stream:
            found[name] = stream.read(COMPANION_LIMIT)
    return found


class _NotRegular(OSError):
    """Something that is no file: a folder, a pipe, a device. Reading it could block or never end."""


class _Descriptor:
    """An open file, closed at the end of a with statement. Cheaper than a Python file object for thousands of files."""

    __slots__ = ("number", "size", "status")

    def __init__(self, number: int, status: os.stat_result) -> None:
        self.number = number
        self.status = status
        self.size = status.st_size

    def __enter__(self) -> _Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)

    def read(self, size: int) -> bytes:
        return os.read(self.number, size)


# O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. O_BINARY: Windows would translate line ends.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: str) -> _Descriptor:
    """Opens a file for reading.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    number = os.open(path, _FLAGS)
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        os.close(number)
        raise _NotRegular("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    return _Descriptor(number, status)


def read_graph_file(
    full: str, location: str, formats: Sequence[Format], *, must_be_graph: bool, seen: Seen | None = None
) -> GraphFile | None:
    """The file as a graph file; None for one that no format claims.

    Args:
        full: path for opening it.
        location: path relative to the corpus root.
        formats: the forms that it may be in.
        must_be_graph: whether it is a graph also where no form claims it.
        seen: remembers files that were read before; None to read every one.
    """
    name = location.rpartition("/")[2]
    path = printable(location)
    rank, index = rank_and_index(name)
    form = form_named(name)
    reading = None if seen is None else seen.recall(full)
    companions: tuple[str, ...] = ()
    if reading is None or (must_be_graph and not reading.digest):
        try:
            with open_regular(full) as file:
                reading, companions = _read(file, full, name, formats, must_be_graph=must_be_graph)
                # What lies beside a file is not in its status.
                if seen is not None and not any(one.companions for one in formats if one.name in reading.claimed_by):
                    seen.note(full, file.status, os.fstat(file.number), reading)
        except OSError as error:
            problem = Problem(path, 0, Slug.UNREADABLE, f"the file cannot be read: {reason_of(error)}")
            return GraphFile(path, rank, index, form, "", 0, problem, location)
    if not reading.claimed_by and not must_be_graph:
        return None
    names = reading.claimed_by or (DEFAULT_FORMAT,)
    return GraphFile(
        path, rank, index, form, reading.digest, reading.size, None, location, names, companions, reading.left_out
    )


def digest_of_file(full: str, seen: Seen | None = None) -> str:
    """The digest of a whole file that is no graph, such as a run log.

    Args:
        full: path for opening it.
        seen: remembers files that were read before; None to read it.

    Raises:
        OSError: it cannot be opened or read, or is no file.
    """
    known = None if seen is None else seen.recall(full)
    if known is not None:
        return known.digest
    with open_regular(full) as file:
        hasher = hashlib.blake2b(digest_size=16)
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
        reading = Reading(hasher.hexdigest(), file.size, is_graph=False)
        if seen is not None:
            seen.note(full, file.status, os.fstat(file.number), reading)
    return reading.digest


def _read(
    file: _Descriptor, full: str, name: str, formats: Sequence[Format], *, must_be_graph: bool
) -> tuple[Reading, tuple[str, ...]]:
    """What an open file tells, and the names of its companions."""
    head = file.read(_CHUNK)
    claims = [] if is_graph_name(name) else [form for form in formats if _claims(form, name, head)]
    if not claims and not must_be_graph:
        return Reading("", file.size), ()
    loader = claims[0].name if claims else DEFAULT_FORMAT
    companions = _companions(full, claims[0]) if claims else {}
    hasher = hashlib.blake2b(digest_size=16)
    if loader != DEFAULT_FORMAT:
        hasher.update(repr((loader, sorted(companions.items()))).encode())
    digest, left_out = _digest(hasher, head, file.read)
    return Reading(digest, file.size, tuple(form.name for form in claims), left_out), tuple(companions)


def _claims(form: Format, name: str, head: bytes) -> bool:
    return name.endswith(form.suffixes) and form.detect(name, head)


def _companions(full: str, form: Format) -> dict[str, str]:
    """The digests of the files beside a graph file that are there and belong to it, by name."""
    found = {}
    for name in form.companions:
        with contextlib.suppress(OSError), open_regular(os.path.join(os.path.dirname(full), name)) as file:  # noqa: PTH118, PTH120
            hasher = hashlib.blake2b(digest_size=16)
            hasher.update(str(file.size).encode())
            left = COMPANION_LIMIT
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                hasher.update(chunk)
                left -= len(chunk)
            found[name] = hasher.hexdigest()
    return found


def _digest(hasher: hashlib.blake2b, head: bytes, read: Callable[[int], bytes]) -> tuple[str, str]:
    """The digest of a body and what it leaves out, from the first chunk of its file and a function that reads on."""
    chunk = head.removeprefix(_BYTE_ORDER_MARK)
    left_out = {"byte order mark"} if len(chunk) != len(head) else set()
    if comment := _RANK_COMMENT.match(chunk):
        chunk = chunk[comment.end() :]
        left_out.add("rank comment")
    while chunk or head:
        while chunk.endswith(b"\r") and (following := read(1)):
            # A line end may lie across two chunks.
            chunk += following
        plain = chunk.replace(b"\r\n", b"\n")
        if len(plain) != len(chunk):
            left_out.add("carriage returns")
        hasher.update(plain)
        chunk = head = read(_CHUNK)
    return hasher.hexdigest(), ", ".join(sorted(left_out))


def printable(text: str) -> str:
    """The text with every character escaped that is not plainly visible; different texts stay different."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def reason_of(error: OSError | ValueError) -> str:
    """What went wrong, without the path that Python puts into its message."""
    if isinstance(error, _NotRegular):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return "not a valid path"
