"""Tells by their status which files need not be read again: the same size, times and inode, and no recent change."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from opcov.cache.records import Kind, Records
from opcov.graphfile import Reading

Stamp: TypeAlias = tuple[int, int, int, int]
"""Size, time of the last change of the content, time of the last change of the status, inode."""

GRAIN = 2_000_000_000
"""Nanoseconds. Within the grain of a clock a file may change and keep its times, so one that is as young as that when
it is read is read again next time, as git does with its index. No grain is coarser than FAT's two seconds."""


def stamp_of(status: os.stat_result) -> Stamp:
    """What tells a file from itself after a change."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_settled(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file stayed the same while it was read, and will not look the same if it changes from now on."""
    return stamp_of(before) == stamp_of(after) and max(after.st_mtime_ns, after.st_ctime_ns) + GRAIN < time.time_ns()


@dataclass(slots=True)
class _Folder:
    """What is known of the files of one folder, by their names, and which of them this scan has met."""

    known: dict[str, tuple[Stamp, Reading]]
    met: set[str] = field(default_factory=set)
    changed: bool = False


class SeenFiles:
    """The files of a corpus as they were read last, one record a folder."""

    def __init__(self, records: Records, reader: str) -> None:
        """Keeps the place to look.

        Args:
            records: the cache.
            reader: what reading a file depends on beside the file.
        """
        self._records = records
        self._reader = reader
        self._folders: dict[str, _Folder] = {}
        self.recalled: dict[str, int] = {}
        """Sizes of the graph files that need not be read, by their paths."""

    def recall(self, path: str) -> Reading | None:
        """What reading the file has told before; None where it may have changed since, or was never read."""
        above, name = os.path.split(path)
        known = self._folder(above).known.get(name)
        if known is None:
            return None
        try:
            status = os.stat(path)  # noqa: PTH116 - thousands of files
        except OSError:
            return None
        if stamp_of(status) != known[0]:
            return None
        self._folder(above).met.add(name)
        if known[1].is_graph:
            self.recalled[path] = known[1].size
        return known[1]

    def note(self, path: str, before: os.stat_result, after: os.stat_result, reading: Reading) -> None:
        """Remembers what reading a file has told, if its status can tell a change."""
        above, name = os.path.split(path)
        folder = self._folder(above)
        if is_settled(before, after):
            folder.known[name] = (stamp_of(after), reading)
            folder.met.add(name)
            folder.changed = True

    def save(self) -> None:
        """Puts what is new into the cache."""
        for key, folder in self._changed():
            if len(folder.known) > 2 * len(folder.met):
                # Most are gone: names of captured graphs hold a number that is another one in each run.
                folder.known = {name: known for name, known in folder.known.items() if name in folder.met}
            self._records.put(Kind.FILES, key, folder.known)
            folder.changed = False

    def _changed(self) -> Iterator[tuple[tuple[str, ...], _Folder]]:
        for above, folder in self._folders.items():
            if folder.changed:
                yield self._key(above), folder

    def _folder(self, above: str) -> _Folder:
        found = self._folders.get(above)
        if found is None:
            known = self._records.get(Kind.FILES, self._key(above), dict[str, tuple[Stamp, Reading]])
            found = self._folders[above] = _Folder(known or {})
        return found

    def _key(self, above: str) -> tuple[str, ...]:
        return self._reader, os.path.abspath(above)  # noqa: PTH100 - a link keeps the name it was given by
