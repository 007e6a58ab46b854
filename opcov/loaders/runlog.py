"""Read a run log: how the run that wrote a model's graphs went.

A log is whatever several processes printed at the same time, so nothing in it can be relied upon: tracebacks of
different ranks interleave line by line, progress bars rewrite their line with carriage returns, colour codes and binary
noise occur, and a line or the whole file may be of any length. It is therefore read as a stream of lines of bounded
length, and what is kept of it is bounded too.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 16
_LONGEST_LINE = 4096
_LONGEST_MESSAGE = 500
_MOST_EXCEPTIONS = 50
_MOST_LISTED = 100_000
_MOST_RANKS = 4096
_MOST_PHASES = 100


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback.

    Attributes:
        file: path as recorded on the machine of the run.
        line: 1-based.
        function: "" for a syntax error, which has none.
    """

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}" if self.function else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class RunException:
    """An exception that a log shows.

    Where an exception only reports another one (`BackendCompilerFailed: backend='...' raised:` and on the next line
    `NotImplementedError: ...`), this is the inner one.

    Attributes:
        type: name as printed, with its module where the log gives one.
        message: first line of the message, memory addresses and excess length cut; "" where there is none.
        frame: the innermost frame, None where the log shows no frame.
        count: how often the log shows an exception of this type with this message.
    """

    type: str
    message: str
    frame: Frame | None
    count: int

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class RunLog:
    """What a run log tells about its run.

    Attributes:
        final_exception: the last exception in the log, None where there is none.
        exceptions: the distinct ones by type and message, in order of first appearance, at most 50.
        tracebacks: how many tracebacks begin in the log, chained ones counted one by one.
        ranks_seen: ranks that say they are there, ascending: by the prefix of a line (`TP3]`, `[rank3]:`) or by their
            connection (`Rank 3 is connected to`).
        expected_ranks: how many ranks the run had: one more than the highest number of peers that a rank connects to,
            else the tensor-parallel size that the log states first; None where the log says neither.
        finished: whether the run came to its end; None where the log does not tell.

            False when a traceback or the death of a process (`Segmentation fault`, `Killed`) comes after the last mark
            of completion. Otherwise True when there is such a mark: the totals of a benchmark, those of its warm-up
            not counted. Without one it is False when something was begun that has no end (a warm-up, a benchmark,
            `Load weight begin`), else True when the trailer with the list of saved files is there. The trailer alone
            proves little, since failed runs write it too. Where opcov captured the run, its own marks decide.
        listed_files: names in the trailer's list of saved files, in its order; None where there is no trailer. A file
            that is listed and absent was lost; one that is present and not listed comes from another run.
        capture_failures: what went wrong where opcov captured the run, in its words, in order, at most 50.
    """

    final_exception: RunException | None = None
    exceptions: tuple[RunException, ...] = ()
    tracebacks: int = 0
    ranks_seen: tuple[int, ...] = ()
    expected_ranks: int | None = None
    finished: bool | None = None
    listed_files: tuple[str, ...] | None = None
    capture_failures: tuple[str, ...] = ()


def read_run_log(path: str | PathLike[str]) -> RunLog:
    """Reads a log file of any size in bounded memory.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with Path(path).open("rb", buffering=0) as stream:
        return parse_run_log(stream)


def parse_run_log(stream: BinaryIO) -> RunLog:
    """Reads a log from a binary stream, to its end.

    Raises:
        OSError: the stream cannot be read.
    """
    reader = _Reader()
    for line in _lines(stream):
        reader.feed(line)
    return reader.result()


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines, each cut at a bounded length. A carriage return ends a line: progress bars rewrite theirs with it."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        # What exceeds the limit is dropped before the next chunk comes, so a line without end costs no memory.
        parts = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        rest = parts.pop()[:_LONGEST_LINE]
        for part in parts:
            if part:
                yield part[:_LONGEST_LINE].decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


# Colour codes and terminal links first, as a whole; then whatever could steer a terminal or break a line of a report.
_NOISE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)
# What launchers put before each line of a rank: torchrun `[rank3]: `, Ray `(Worker pid=7) `, srun `3: `.
_PREFIX = re.compile(r"\[rank(?P<rank>[0-9]{1,6})\]: ?|\([^()]{0,80}\bpid=[0-9]{1,9}[^()]{0,80}\) ?|[0-9]{1,6}: ")
_TENSOR_RANK = re.compile(r"\[[^\]]{0,80}\bTP([0-9]{1,6})\b")
_PEERS = re.compile(
    r"Rank ([0-9]{1,6}) is connected to [0-9]{1,6} peer ranks\. "
    r"Expected number of connected peer ranks is : ([0-9]{1,6})(?![0-9])"
)
_TENSOR_SIZE = re.compile(
    r"(?:\btp_size=|--tp(?:-size)?[ =]|\btensor_parallel_size=|--tensor-parallel-size[ =])([1-9][0-9]{0,5})(?![0-9])"
)
_PHASE = re.compile(r"\[[^\]]{0,80}\] (.{1,80}?) (begin|ends?)\b")
_DEATH = re.compile(
    r"Fatal Python error: |terminate called |"
    r"(?:.{0,200}: line [0-9]{1,9}: +[0-9]{1,9} )?"
    r"(?:Segmentation fault|Killed|Aborted|Bus error)(?: +\(core dumped\)|\s{2}|$)"
)
_CAPTURE = re.compile(r"\[opcov\] (Capture(?: of rank [0-9]{1,6})?) (begin|end|failed)\b(?:\.|: (.*))?")
_LISTED = re.compile(r"\s*- (.+) \([0-9,]+ bytes\)$")

_HEADER = "Traceback (most recent call last):"
_GROUP = re.compile(r" *[|+] (?= *\S)")
_FRAME = re.compile(r'\s*File "([^"]+)", line ([0-9]{1,9})(?:, in (.+))?$')
_RAISE = re.compile(r"\s*raise ([\w.]+)")
_EXCEPTION = re.compile(r"([A-Za-z_][\w.<>]*)(?::(?: (.*))?)?$")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_USUAL_ENDING = ("Error", "Exception", "Warning", "Interrupt", "Exit", "Failed", "Failure", "Timeout")
_BUILTIN = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)
_LOG_LEVELS = frozenset({"DEBUG", "INFO", "NOTE", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"})


@dataclass(slots=True)
class _Reader:
    """The state between two lines."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """Exceptions by type and message, in order of first appearance."""
    frames: dict[tuple[str, str], Frame | None] = field(default_factory=dict)
    final: RunException | None = None
    tracebacks: int = 0
    ranks: set[int] = field(default_factory=set)
    most_peers: int | None = None
    stated_size: int | None = None
    listed: list[str] | None = None

    died: bool = False
    """A traceback or a death since the last mark of completion."""
    stage: str = ""
    """Of a benchmark: warm-up, benchmark, done."""
    phases: set[str] = field(default_factory=set)
    """Titles that were begun and have not ended."""

    captures: set[str] = field(default_factory=set)
    """Captures of opcov's that were begun and have not ended."""
    capture_failures: list[str] = field(default_factory=list)

    open: int = 0
    """Tracebacks begun and not closed by their exception. More than one when ranks interleave."""
    latest: Frame | None = None
    """The last frame printed since all tracebacks were closed."""
    raising: dict[str, Frame] = field(default_factory=dict)
    """By bare type name, the last frame whose code raises that type. It finds the frame when ranks interleave."""
    after: str = ""
    """What the line before was: frame, code or nothing of a traceback."""
    waiting: tuple[str, str] | None = None
    """An exception whose message goes on with the next line."""

    def feed(self, line: str) -> None:
        if not line.isprintable():
            line = _NOISE.sub("", line)
        line = line.rstrip()
        if not line:
            return
        if line[0] in "[(" or line[0].isdigit():
            line = self._without_prefix(line)
        self._read_ranks(line)
        self._read_end(line)
        self._read_traceback(line)

    def _without_prefix(self, line: str) -> str:
        if match := _PREFIX.match(line):
            if match["rank"] is not None:
                self._see(int(match["rank"]))
            return line[match.end() :]
        if match := _TENSOR_RANK.match(line):
            self._see(int(match[1]))
        return line

    def _see(self, rank: int) -> None:
        if len(self.ranks) < _MOST_RANKS:
            self.ranks.add(rank)

    def _read_ranks(self, line: str) -> None:
        if "peer ranks is" in line and (match := _PEERS.search(line)):
            # Groups of one rank are announced too, with 0 peers: the largest group is the run.
            self.most_peers = max(self.most_peers or 0, int(match[2]))
            self._see(int(match[1]))
        # Only the first statement counts: it is the command line. Later ones may be advice.
        if self.stated_size is None and ("tp" in line or "tensor" in line) and (match := _TENSOR_SIZE.search(line)):
            self.stated_size = int(match[1])

    def _read_end(self, line: str) -> None:
        # Not only at the start of a line: what another process printed may stand before it.
        if "[opcov] Capture" in line and (match := _CAPTURE.search(line)):
            self._read_capture(match[1], match[2], match[3] or "")
        elif line.startswith("Total. latency:"):
            if self.stage != "warm-up":
                self.stage = "done"
                self.died = False
        elif line == "Warmup ...":
            self.stage = "warm-up"
        elif line == "Benchmark ...":
            self.stage = "benchmark"
        elif "debug info saved to:" in line:
            self.listed = []
        elif self.listed is not None and (match := _LISTED.match(line)):
            if len(self.listed) < _MOST_LISTED:
                self.listed.append(match[1])
        elif (" begin" in line or " end" in line) and (match := _PHASE.match(line)):
            if match[2] != "begin":
                self.phases.discard(match[1])
            elif len(self.phases) < _MOST_PHASES:
                self.phases.add(match[1])
        elif _DEATH.match(line):
            self.died = True

    def _read_capture(self, title: str, mark: str, message: str) -> None:
        if mark == "end":
            self.captures.discard(title)
        elif len(self.captures) < _MOST_RANKS:
            self.captures.add(title)
        if mark == "failed" and len(self.capture_failures) < _MOST_EXCEPTIONS:
            message = message[:_LONGEST_MESSAGE] or "for no reason that it tells"
            self.capture_failures.append(message if title == "Capture" else f"{title[11:]}: {message}")

    def _read_traceback(self, line: str) -> None:
        if line.endswith(_HEADER):
            # Not only at the start of a line: a progress bar or a logger's prefix may stand before it.
            self._give_up_waiting()
            self.tracebacks += 1
            self.open += 1
            self.died = True
            self.after = "frame"
            return
        if not self.open and self.latest is None and "File " not in line:
            return
        if line[0] == " " and (match := _GROUP.match(line)):
            line = line[match.end() :]
        if match := _FRAME.match(line):
            self._give_up_waiting()
            self.latest = Frame(match[1], int(match[2]), match[3] or "")
            self.after = "frame"
        elif line[0] in " \t":
            self._read_code(line)
        else:
            self._read_exception(line)

    def _read_code(self, line: str) -> None:
        if self.after == "frame" and self.latest is not None and len(self.raising) < _MOST_EXCEPTIONS:
            if match := _RAISE.match(line):
                self.raising[match[1].rpartition(".")[2]] = self.latest
            elif line.lstrip().startswith("assert "):
                self.raising["AssertionError"] = self.latest
        if self.after:
            self.after = "code"

    def _read_exception(self, line: str) -> None:
        match = _EXCEPTION.match(line)
        if match and self._names_exception(match[1]):
            # `raised:` before it announces it: the exception that was waiting only reports this one.
            if self.waiting is not None and not self.waiting[1].endswith("raised:"):
                self._give_up_waiting()
            message = (match[2] or "").strip()
            self.waiting = (match[1], message)
            if message and not message.endswith("raised:"):
                self._give_up_waiting()
        elif self.waiting is not None:
            name, message = self.waiting
            self.waiting = (name, message or line)
            self._give_up_waiting()
        self.after = ""

    def _names_exception(self, name: str) -> bool:
        bare = name.rpartition(".")[2]
        if bare in _BUILTIN or (bare.endswith(_USUAL_ENDING) and bare not in _USUAL_ENDING):
            return True
        if name in _LOG_LEVELS or not bare:
            return False
        # Any other name counts with a module before it, or right below the lines of the only open traceback.
        return bare[0].isupper() if bare != name else bool(self.after) and self.open <= 1

    def _give_up_waiting(self) -> None:
        """Records the exception at hand; it closes one traceback."""
        if self.waiting is None:
            return
        name, message = self.waiting
        self.waiting = None
        message = _ADDRESS.sub("0x…", message)
        if len(message) > _LONGEST_MESSAGE:
            message = message[: _LONGEST_MESSAGE - 1] + "…"
        key = (name, message)
        if key in self.counts:
            # Repeats keep the first frame: a report of it at an outer level has only the frame of the report.
            self.counts[key] += 1
            frame = self.frames[key]
        else:
            frame = self.latest
            if self.open > 1:
                frame = self.raising.get(name.rpartition(".")[2], frame)
            if len(self.counts) < _MOST_EXCEPTIONS:
                self.counts[key] = 1
                self.frames[key] = frame
        self.final = RunException(name, message, frame, self.counts.get(key, 1))
        self.open = max(0, self.open - 1)
        if not self.open:
            self.latest = None
            self.raising.clear()

    def result(self) -> RunLog:
        self._give_up_waiting()
        return RunLog(
            final_exception=self.final,
            exceptions=tuple(RunException(*key, self.frames[key], count) for key, count in self.counts.items()),
            tracebacks=self.tracebacks,
            ranks_seen=tuple(sorted(self.ranks)),
            expected_ranks=self.stated_size if self.most_peers is None else self.most_peers + 1,
            finished=self._finished(),
            listed_files=None if self.listed is None else tuple(self.listed),
            capture_failures=tuple(self.capture_failures),
        )

    def _finished(self) -> bool | None:
        if self.died or self.captures or self.capture_failures:
            return False
        if self.stage == "done":
            return True
        if self.stage or self.phases:
            return False
        return True if self.listed is not None else None
