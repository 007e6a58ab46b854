"""Walk a tree: models, graph files, run logs; equal bodies found by digest.

The result depends on names and contents only: not on the order in which the file system lists them, nor on where the
tree lies. Nothing in a graph file is looked at beyond its bytes; reading it is the loaders' work.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from opcov.graph import Form
from opcov.problems import Problem, Slug, UsageError

LOG_NAME = "log.txt"
"""The file name of a run log."""
RESULT_NAME = "all_ops.py"
"""The file name of an earlier result: valid Python about graphs, and no graph."""

_RANKED = re.compile(r"rank([0-9]+)_([0-9]+)\.py")
_UNSPLIT = re.compile(r"graph_module_.*\.py", re.DOTALL)
_MODULE_CLASS = re.compile(rb"^class (?:GraphModule|<lambda>)\(", re.MULTILINE)
_RANK_COMMENT = re.compile(rb"# Rank: [0-9]+, Graph [0-9]+[ \t]*\r?(?:\n|\Z)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NUMBERS = re.compile(r"([0-9]+)")
_CHUNK = 1 << 20


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
    """

    path: str
    rank: int | None
    index: int | None
    form: Form | None
    digest: str
    size: int
    problem: Problem | None = None
    location: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Model:
    """A folder with graphs or a run log.

    Attributes:
        name: path of the folder from the corpus root, with forward slashes. Where the corpus root itself is the model,
            the root's own name (`.` if another model has that name already).
        files: its graph files, in natural order.
        run_log: path of its run log from the corpus root; None where there is none that can be opened.
        whole: whether the folder was looked at, False where only one file of it was asked for.
        log_location: the real path of the run log, for opening it.
    """

    name: str
    files: tuple[GraphFile, ...]
    run_log: str | None = None
    whole: bool = True
    log_location: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Corpus:
    """All models below a folder.

    Attributes:
        root: the folder; for reading only, it belongs in no output.
        models: in natural order of their names.
        problems: what could not be read, sorted. The problems of graph files are among them.
    """

    root: Path = field(compare=False)
    models: tuple[Model, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def files(self) -> Iterator[GraphFile]:
        """The graph files of all models, in the order of the models."""
        for model in self.models:
            yield from model.files

    def bodies(self) -> Mapping[str, tuple[GraphFile, ...]]:
        """The files of each distinct body, by digest, in the order of `files`: the first one stands for all.

        Bodies are told apart over the whole corpus, so the files of one may belong to several models. Files that cannot
        be read have no body.
        """
        found: dict[str, list[GraphFile]] = {}
        for file in self.files:
            if file.problem is None:
                found.setdefault(file.digest, []).append(file)
        return {digest: tuple(files) for digest, files in found.items()}


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


def is_graph_name(name: str) -> bool:
    """Whether a file of this name is a graph whatever it holds: `rank{r}_{i}.py` and `graph_module_<id>.py`."""
    return _RANKED.fullmatch(name) is not None or _UNSPLIT.fullmatch(name) is not None


def read_body(root: Path, file: GraphFile) -> bytes:
    """The bytes of a graph file below a corpus root as they are, rank comment included, so that line numbers hold.

    Raises:
        OSError: the file cannot be read any more.
    """
    return (root / (file.location or file.path)).read_bytes()


def discover(path: str | os.PathLike[str]) -> Corpus:
    """Finds the models in a folder, or the one graph in a file.

    Links are followed. A linked folder that contains the link or that is part of the corpus anyway is left out with a
    problem, and so is whatever cannot be opened. Hidden folders and `__pycache__` are not entered.

    Raises:
        UsageError: the path does not exist or cannot be read, or there is neither a graph nor a run log.
    """
    root = Path(path)
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except (OSError, ValueError) as error:
        raise UsageError(f"{_printable(str(root))}: {_reason(error)}; give a folder of models, such as gm/") from None
    return _walk(root) if is_folder else _single(root)


def _single(path: Path) -> Corpus:
    if path.name == RESULT_NAME:
        raise UsageError(f"{_printable(str(path))} is a result, not a graph; give a folder of models, such as gm/")
    root = path.parent
    own_name = _own_name(root)
    if path.name == LOG_NAME:
        log = _printable(path.name)
        return Corpus(root, (Model(own_name, (), run_log=log, whole=False, log_location=path.name),))
    # A file that was asked for by name is a graph: whoever reads it finds out whether it holds one.
    file = _read_file(str(path), path.name, must_be_graph=True)
    assert file is not None
    problems = (file.problem,) if file.problem else ()
    return Corpus(root, (Model(own_name, (file,), whole=False),), problems)


def _walk(root: Path) -> Corpus:
    walk = _Walk(root)
    walk.run()
    if not walk.models:
        unread = f"; {len(walk.problems)} could not be read, the first: {walk.problems[0]}" if walk.problems else ""
        raise UsageError(
            f"no graphs and no run logs below {_printable(str(root))}; expected gm/<org>/<model>/rank0_0.py{unread}"
        )
    models = walk.models
    names = {model.name for model in models}
    if "" in names:
        own_name = _own_name(root)
        name = "." if own_name in names else own_name
        models = [replace(model, name=name) if model.name == "" else model for model in models]
    models.sort(key=lambda model: natural_key(model.name))
    return Corpus(root, tuple(models), tuple(sorted(set(walk.problems))))


class _Walk:
    """One pass over a tree: a folder at a time, no recursion, every real folder once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models: list[Model] = []
        self.problems: list[Problem] = []
        self.links: list[str] = []
        # By identity rather than by name: two paths may lead to one folder.
        self.above = _identities_above(root)
        self.seen: set[tuple[int, int]] = set()

    def run(self) -> None:
        # Links come after all real folders, so that a folder keeps its own name when a link leads to it as well.
        self._enter_all("")
        while self.links:
            links, self.links = sorted(self.links, key=natural_key), []
            for link in links:
                try:
                    if not self._leads_back(link):
                        self._enter_all(link)
                except OSError as error:
                    self._report(link, Slug.UNREADABLE, f"the link cannot be followed: {_reason(error)}")

    def _full(self, location: str) -> str:
        return f"{self.root}{os.sep}{location}" if location else str(self.root)

    def _leads_back(self, link: str) -> bool:
        full = Path(self._full(link))
        status = full.stat()
        identity = (status.st_dev, status.st_ino)
        # Links in foreign trees have folders above them that the root has not.
        if identity in self.above or identity in _identities_above(full.parent):
            self._report(link, Slug.LINK_LOOP, "the link leads back to a folder that contains it: not followed")
            return True
        if identity in self.seen:
            self._report(link, Slug.LINK_LOOP, "the link leads to a folder that is read already: not followed")
            return True
        return False

    def _enter_all(self, start: str) -> None:
        waiting = [start]
        while waiting:
            waiting += self._enter(waiting.pop())

    def _enter(self, location: str) -> list[str]:
        """Reads one folder; its real subfolders are returned, its linked ones noted for later."""
        try:
            status = Path(self._full(location)).stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self.seen:
                # Links to different folders of one foreign tree meet here.
                self._report(location, Slug.LINK_LOOP, "the folder is read already under another name")
                return []
            self.seen.add(identity)
            with os.scandir(self._full(location)) as listing:
                entries = sorted(listing, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if not location:
                raise UsageError(
                    f"{_printable(str(self.root))}: {_reason(error)}; give a folder of models, such as gm/"
                ) from None
            self._report(location, Slug.UNREADABLE, f"the folder cannot be read: {_reason(error)}")
            return []
        folders: list[str] = []
        files: list[GraphFile] = []
        log: str | None = None
        has_log = False
        for entry in entries:
            below = f"{location}/{entry.name}" if location else entry.name
            if entry.name == LOG_NAME:
                has_log = True
                log = below if self._can_open(entry, below) else None
            elif entry.name == RESULT_NAME:
                continue
            elif is_graph_name(entry.name):
                file = _read_file(entry.path, below, must_be_graph=True)
                assert file is not None
                files.append(file)
                if file.problem is not None:
                    self.problems.append(file.problem)
            elif _is_folder(entry):
                if not entry.name.startswith(".") and entry.name != "__pycache__":
                    (self.links if entry.is_symlink() else folders).append(below)
            elif entry.name.endswith(".py") and not entry.name.startswith("."):
                file = _read_file(entry.path, below, must_be_graph=False)
                if file is not None:
                    if file.problem is not None:
                        self.problems.append(file.problem)
                    else:
                        files.append(file)
            elif entry.is_symlink():
                self._report_broken(entry, below)
        if files or has_log:
            printable_log = None if log is None else _printable(log)
            self.models.append(Model(_printable(location), tuple(files), printable_log, log_location=log))
        return folders

    def _can_open(self, entry: os.DirEntry[str], location: str) -> bool:
        try:
            with _open_regular(entry.path):
                return True
        except OSError as error:
            self._report(location, Slug.UNREADABLE, f"the run log cannot be read: {_reason(error)}")
            return False

    def _report_broken(self, entry: os.DirEntry[str], location: str) -> None:
        """A link that leads nowhere may have been a folder of graphs; one to some other file is no matter."""
        try:
            entry.stat()
        except OSError as error:
            slug = Slug.LINK_LOOP if error.errno == errno.ELOOP else Slug.UNREADABLE
            self._report(location, slug, f"the link cannot be followed: {_reason(error)}")

    def _report(self, location: str, slug: Slug, message: str) -> None:
        self.problems.append(Problem(_printable(location), 0, slug, message))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself, for one: opening it says what is wrong.
        return False


def _identities_above(root: Path) -> set[tuple[int, int]]:
    """The root and every folder that contains it: a link to one of them would never end."""
    identities = set()
    resolved = root.resolve()
    for folder in (resolved, *resolved.parents):
        try:
            status = folder.stat()
        except OSError:
            continue
        identities.add((status.st_dev, status.st_ino))
    return identities


class _NotRegular(OSError):
    """Something that is no file: a folder, a pipe, a device. Reading it could block or never end."""


class _Descriptor:
    """An open file, closed at the end of a with statement. Cheaper than a Python file object for thousands of files."""

    __slots__ = ("number", "size")

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.size = size

    def __enter__(self) -> _Descriptor:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)

    def read(self, size: int) -> bytes:
        return os.read(self.number, size)


# O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. O_BINARY: Windows would translate line ends.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def _open_regular(path: str) -> _Descriptor:
    """Opens a file for reading.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    number = os.open(path, _FLAGS)
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        os.close(number)
        raise _NotRegular("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file")
    return _Descriptor(number, status.st_size)


def _read_file(full: str, location: str, *, must_be_graph: bool) -> GraphFile | None:
    """The file as a graph file; None for Python code that holds no GraphModule class."""
    name = location.rpartition("/")[2]
    path = _printable(location)
    ranked = _RANKED.fullmatch(name)
    rank, index = (int(ranked[1]), int(ranked[2])) if ranked else (None, None)
    form = Form.SPLIT if ranked else Form.UNSPLIT if _UNSPLIT.fullmatch(name) else None
    try:
        with _open_regular(full) as file:
            head = file.read(_CHUNK)
            if not must_be_graph and not _MODULE_CLASS.search(head):
                return None
            return GraphFile(path, rank, index, form, _digest(head, file.read), file.size, location=location)
    except OSError as error:
        problem = Problem(path, 0, Slug.UNREADABLE, f"the file cannot be read: {_reason(error)}")
        return GraphFile(path, rank, index, form, "", 0, problem, location)


def _digest(head: bytes, read: Callable[[int], bytes]) -> str:
    """The digest of a body, from the first chunk of its file and a function that reads on."""
    hasher = hashlib.blake2b(digest_size=16)
    chunk = head.removeprefix(_BYTE_ORDER_MARK)
    if comment := _RANK_COMMENT.match(chunk):
        chunk = chunk[comment.end() :]
    while chunk or head:
        while chunk.endswith(b"\r") and (following := read(1)):
            # A line end may lie across two chunks.
            chunk += following
        hasher.update(chunk.replace(b"\r\n", b"\n"))
        chunk = head = read(_CHUNK)
    return hasher.hexdigest()


def _own_name(root: Path) -> str:
    return _printable(Path(os.path.abspath(root)).name) or "."  # noqa: PTH100 - a link keeps the name it was given by


def _printable(text: str) -> str:
    """The text with every character escaped that is not plainly visible; different texts stay different."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )


def _reason(error: OSError | ValueError) -> str:
    """What went wrong, without the path that Python puts into its message."""
    if isinstance(error, _NotRegular):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return "not a valid path"
