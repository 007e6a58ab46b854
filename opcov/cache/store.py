"""Keeps values by key in one SQLite file that many processes share, and gives up rather than fail.

The journal is SQLite's rollback journal, not the write-ahead log: that needs shared memory beside the file, which
network file systems and read-only folders lack, and a warm scan only reads. Every row holds a checksum of its own, so
that what a disk has mangled is never taken for a value.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

SCHEMA = 1
"""Of the file. It is part of the name: two releases that are used in turn leave each other's file alone."""
FILE = f"opcov-{SCHEMA}.sqlite"

_APPLICATION = 0x6F706376  # "opcv"
_BESIDE = ("-journal", "-wal", "-shm")
_WAIT = 5.0  # seconds for another process: a transaction takes milliseconds
_PENDING = 1 << 20  # bytes that are written at once
_INTERVAL = 1.0  # seconds after which what there is is written, so that a killed scan was not for nothing
_RENEWED = 3600  # seconds: the time of last use is this coarse, so that a warm scan does not write
_KEPT = 0.9  # share of the limit that is left when entries have to go

_TABLE = (
    "CREATE TABLE entries (key BLOB PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, used INTEGER NOT NULL, "
    "size INTEGER NOT NULL, value BLOB NOT NULL)"
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Survey:
    """What a cache holds.

    Attributes:
        path: of its file.
        size: of the file, in bytes; 0 where there is none.
        entries: number of values by their kind.
    """

    path: Path
    size: int
    entries: dict[int, int]


class _Foreign(Exception):
    """The file is not this cache's."""


class Store:
    """Values by key. No method raises for what the file, the disk or another process does."""

    def __init__(self, folder: Path, limit: int, warn: Callable[[str], None]) -> None:
        """Opens the file, or makes it.

        Args:
            folder: of the file; made where it is missing.
            limit: bytes of the file at most.
            warn: is told once when the cache cannot be used, or not written to.
        """
        self.path = folder / FILE
        self._limit = limit
        self._warn = warn
        self._warned = False
        self._pending: dict[bytes, tuple[int, bytes]] = {}
        self._waiting = 0
        self._stale: list[bytes] = []
        self._now = int(time.time())
        self._written = time.monotonic()
        self._writes = True
        self._identity: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._open()

    # --- reading and writing ------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value that was put under a key, None where there is none."""
        if key in self._pending:
            return self._pending[key][1]
        row = self._attempt(lambda connection: connection.execute(_GET, (key,)).fetchone())
        if row is None:
            return None
        used, value = row
        if not isinstance(value, bytes) or not isinstance(used, int) or value[:_SUM] != _checksum(key, value[_SUM:]):
            self._set_aside("is damaged")
            return None
        if used < self._now - _RENEWED:
            self._stale.append(key)
        return value[_SUM:]

    def put(self, key: bytes, kind: int, value: bytes) -> None:
        """Keeps a value; it is written now and then, and in the end."""
        if self._connection is None or not self._writes:
            return
        self._pending[key] = (kind, value)
        self._waiting += len(value)
        if self._waiting > _PENDING or time.monotonic() - self._written > _INTERVAL:
            self.flush()

    def flush(self) -> None:
        """Writes what was put, and lets the least recently used entries go where the file is too large."""
        if self._writes and (self._pending or self._stale):
            self._attempt(self._write, writes=True)
        self._pending.clear()
        self._stale.clear()
        self._waiting = 0
        self._written = time.monotonic()

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        self.flush()
        self._drop()

    def _write(self, connection: sqlite3.Connection) -> None:
        rows = [
            (key, kind, self._now, len(value), _checksum(key, value) + value)
            for key, (kind, value) in self._pending.items()
        ]
        with _Transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", rows)
            renewed = [(self._now, key) for key in self._stale]
            connection.executemany("UPDATE entries SET used = ? WHERE key = ?", renewed)
            excess = _size(connection) - self._limit
            if rows and excess > 0:
                self._evict(connection, excess + int(self._limit * (1 - _KEPT)))
        if rows and excess > 0:
            connection.executescript("PRAGMA incremental_vacuum")  # execute() would free a single page

    def _evict(self, connection: sqlite3.Connection, excess: int) -> None:
        going = []
        for key, size in connection.execute("SELECT key, size FROM entries ORDER BY used, rowid"):
            if excess <= 0:
                break
            going.append((key,))
            excess -= size + _ROW
        connection.executemany("DELETE FROM entries WHERE key = ?", going)

    # --- the file -----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        for attempt in range(2):
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                if not self.path.exists():
                    self._say(f"cannot be made: {error.strerror or error}")
                    return
            try:
                self._connection = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
                self._identity = _identity(self.path)
                _configure(self._connection)
                _prepare(self._connection)
                return
            except _Foreign as error:
                self._set_aside(str(error), keeps=True)
            except (sqlite3.Error, OSError) as error:
                if not _is_damage(error):
                    self._drop()
                    self._say(f"cannot be used: {error}")
                    return
                self._set_aside("is damaged")
            if attempt or self.path.exists():
                return

    def _attempt(self, action: Callable[[sqlite3.Connection], _Answer], *, writes: bool = False) -> _Answer | None:
        if self._connection is None:
            return None
        try:
            return action(self._connection)
        except (sqlite3.Error, OSError, ValueError, OverflowError, MemoryError) as error:
            if _is_damage(error):
                self._set_aside("is damaged")
            elif writes:
                self._writes = False
                self._say(f"cannot be written: {error}")
            else:
                self._drop()
                self._say(f"cannot be read: {error}")
            return None

    def _set_aside(self, why: str, *, keeps: bool = False) -> None:
        """Renames the file, and what SQLite has beside it: a journal would be applied to the next file."""
        self._drop()
        aside = self.path.with_name(f"{self.path.name}.{'foreign' if keeps else 'damaged'}")
        number = 2
        while keeps and aside.exists():
            aside = self.path.with_name(f"{self.path.name}.foreign-{number}")
            number += 1
        try:
            # Another process may have done so already, and have made a sound file since.
            if self._identity is not None and _identity(self.path) == self._identity:
                for end in _BESIDE:
                    with suppress(FileNotFoundError):
                        os.replace(f"{self.path}{end}", f"{aside}{end}")  # noqa: PTH105 - the ends make no suffix
                self.path.replace(aside)
                why = f"{why}, and was renamed to {aside.name}"
        except OSError as error:
            why = f"{why}, and cannot be renamed: {error.strerror or error}"
        self._say(why)

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _say(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"the cache {self.path} {what}; the scan goes on, only slower")


_GET = "SELECT used, value FROM entries WHERE key = ?"
_SUM = 16
_ROW = 64  # bytes that a row takes beside its value, about


class _Transaction:
    """All of it or nothing, one process at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA trusted_schema = OFF")


def _prepare(connection: sqlite3.Connection) -> None:
    """Makes the table of a new file, and looks whether another one is ours.

    Raises:
        _Foreign: it is not.
        sqlite3.Error: it is damaged, locked or cannot be opened.
    """
    if _is_ours(connection):
        return
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with _Transaction(connection):
        if not _is_ours(connection):  # another process may have been first
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Whether the file has the table; False for an empty one.

    Raises:
        _Foreign: it holds something else.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = connection.execute("SELECT type, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if not tables and application == 0 and version == 0:
        return False
    if application != _APPLICATION:
        raise _Foreign("is another program's file")
    if version != SCHEMA:
        raise _Foreign("is of another version of opcov")
    if tables != [("table", _TABLE)]:
        raise sqlite3.DatabaseError("the schema is malformed")
    return True


def _is_damage(error: Exception) -> bool:
    """Whether the file itself is broken; else it is locked, full, not permitted or not there."""
    if isinstance(error, sqlite3.OperationalError):
        text = str(error)
        return any(sign in text for sign in ("no such", "unsupported file format", "malformed", "Could not decode"))
    return isinstance(error, (sqlite3.DatabaseError, ValueError, OverflowError, MemoryError))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _size(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int(pages - free) * int(size)


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_SUM, key=key).digest()


# --- for people -------------------------------------------------------------------------------------------------------


def survey(folder: Path) -> Survey:
    """What the cache in a folder holds; nothing is made or changed.

    Raises:
        OSError: its file cannot be read, or is not the cache's.
    """
    path = folder / FILE
    if not path.exists():
        return Survey(path, 0, {})
    try:
        connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
        try:
            if not _is_ours(connection):
                return Survey(path, path.stat().st_size, {})
            kinds = connection.execute("SELECT kind, count(*) FROM entries GROUP BY kind ORDER BY kind").fetchall()
        finally:
            connection.close()
    except (_Foreign, sqlite3.Error) as error:
        raise OSError(str(error)) from error
    return Survey(path, path.stat().st_size, {int(kind): int(number) for kind, number in kinds})


def clear(folder: Path) -> int:
    """Empties the cache in a folder, also while others use it, and removes what was set aside as damaged.

    Returns:
        The number of bytes that were freed.

    Raises:
        OSError: it cannot be emptied, or its file is not the cache's.
    """
    before = _on_disk(folder)
    for path in folder.glob(f"{FILE}.damaged*"):
        path.unlink(missing_ok=True)
    if survey(folder).entries:
        try:
            connection = sqlite3.connect(folder / FILE, timeout=_WAIT, isolation_level=None)
            try:
                # Under its lock: to remove the file could take the journal of one that another process makes just then.
                with _Transaction(connection):
                    connection.execute("DELETE FROM entries")
                connection.executescript("PRAGMA incremental_vacuum")  # execute() would free a single page
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise OSError(str(error)) from error
    return before - _on_disk(folder)


def _on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{FILE}*") if path.is_file())
