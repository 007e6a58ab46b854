"""Takes a model's folder for one run, so that captures at the same time do not mix and the ranks of one run do meet."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from opcov.capturing import records
from opcov.corpus import LOG_NAME
from opcov.graphfile import is_graph_name
from opcov.problems import UsageError

_RUN = "run"
"""The file that names the run whose parts are there."""
_OF_A_RUN = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID")
"""What launchers of several ranks tell all of them alike."""
_RESERVE = "reserve"
_RESERVED = 1 << 17
"""Bytes of the disk that a run keeps for its end."""
_LATE = 60.0
"""Seconds after the last sign of a run in which another rank of it may still come."""


def launcher_of(environment: Mapping[str, str]) -> tuple[int | None, int]:
    """The rank of this process and how many there are, where torchrun or the like has started several; else None, 1."""
    rank, size = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
    if rank.isdecimal() and size.isdecimal() and int(size) > 1:
        return int(rank), int(size)
    return None, 1


def run_of(environment: Mapping[str, str], rank: int | None) -> str:
    """A name of the run that this process is of; all its ranks find the same one.

    Args:
        environment: of this process.
        rank: of this process under a launcher of several; None where it is the whole run.
    """
    if rank is None:
        return uuid.uuid4().hex
    return "\n".join(f"{name}={environment.get(name, '')}" for name in _OF_A_RUN)


class Room:
    """A model's folder, taken for a run."""

    def __init__(self, folder: Path, run: str, rank: int) -> None:
        """Takes it: what an earlier capture has left goes, what other ranks of the same run have written stays.

        Args:
            folder: of the model.
            run: its name.
            rank: that this process writes for.

        Raises:
            UsageError: another capture is going on there, the folder cannot be written, or it holds graphs that opcov
                has not captured.
        """
        self.folder = folder
        self._rank = rank
        self.parts = folder / records.PARTS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self.alone():
                if not self._is_of(run, rank):
                    self._clear()
                self.parts.mkdir(exist_ok=True)
                (self.parts / _RUN).write_text(run, encoding="utf-8")
                self._alive: int | None = _locked(self._lock_of(rank))
        except OSError as error:
            raise UsageError(f"cannot capture into {folder}: {error.strerror or error}") from error
        if self._alive is None:
            raise self._taken()

    def __enter__(self) -> Room:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alive is not None:
            os.close(self._alive)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Until it ends, no other process changes what ranks share."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            _lock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def lives(self, rank: int) -> bool:
        """Whether the process that takes the room for a rank is still there."""
        path = self._lock_of(rank)
        if not path.exists():
            return False
        descriptor = _locked(path)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def is_done(self, ranks: Iterable[int]) -> bool:
        """Whether all these ranks have come, and no other than this process's own is still there."""
        others = [rank for rank in ranks if rank != self._rank]
        return all(self._lock_of(rank).exists() and not self.lives(rank) for rank in others)

    def reserve(self) -> None:
        """Keeps some of the disk, so that a run can be concluded where it was full.

        Raises:
            OSError: there is not even that much left.
        """
        if not (self.parts / _RESERVE).exists():
            (self.parts / _RESERVE).write_bytes(bytes(_RESERVED))

    def release(self) -> None:
        """Gives back what was kept."""
        with contextlib.suppress(OSError):
            (self.parts / _RESERVE).unlink()

    def leave(self) -> None:
        """Removes what was there for the run only."""
        shutil.rmtree(self.parts, ignore_errors=True)
        for path in self.folder.glob(f".*{records.UNFINISHED}"):
            with contextlib.suppress(OSError):
                path.unlink()

    def _is_of(self, run: str, rank: int) -> bool:
        """Whether what is there was written by other ranks of the same run: this one has not been there before."""
        try:
            known = (self.parts / _RUN).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return False
        if known != run or self._lock_of(rank).exists():
            return False
        return self._some_live() or time.time() - self.parts.stat().st_mtime < _LATE

    def _some_live(self) -> bool:
        return any(self.lives(int(rank)) for rank in self._ranks())

    def _ranks(self) -> Iterator[str]:
        for path in self.parts.glob(f"{records.LAUNCH}*.lock"):
            rank = path.name.removeprefix(records.LAUNCH).removesuffix(".lock")
            if rank.isdecimal():
                yield rank

    def _lock_of(self, rank: int) -> Path:
        return self.parts / f"{records.LAUNCH}{rank}.lock"

    def _clear(self) -> None:
        if self._some_live():
            raise self._taken()
        earlier = [path for path in self.folder.iterdir() if is_graph_name(path.name) or path.name == LOG_NAME]
        record = self.folder / records.FILE
        if earlier and records.read(record, records.Capture) is None:
            raise UsageError(
                f"{self.folder} holds graphs that opcov has not captured, such as {min(earlier).name}: "
                "choose another folder"
            )
        for path in earlier:
            path.unlink()
        record.unlink(missing_ok=True)
        self.leave()

    def _taken(self) -> UsageError:
        return UsageError(f"another capture into {self.folder} is going on: wait for its end, or choose another folder")


def _locked(path: Path) -> int | None:
    """A descriptor that holds a file for as long as this process lives; None where another one does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _lock(descriptor: int, how: int) -> None:
    """Locks a file where its file system has locks; without them, captures at the same time are not told apart.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        fcntl.flock(descriptor, how)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
            raise
