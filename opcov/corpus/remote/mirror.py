"""Keeps a local copy of a remote corpus between scans, whole at every moment and whoever else uses it."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from opcov.corpus.remote.address import own_name, protocol_of, shown
from opcov.graphfile import natural_key, printable, reason_of
from opcov.problems import UsageError

WAIT = 600.0
"""Seconds to wait for another process that fetches the same corpus."""
KEPT_DAYS = 30
"""Days after which a copy that no scan has used is removed. Signed URLs are new ones each time."""

_VERSION = 1
_MANIFEST = "manifest.json"


class Mirror:
    """The copy of one corpus, for one process at a time.

    A file is made in a folder beside the copy and then moved there. The manifest, which says in which state of the
    remote file each was fetched, is written last: whoever is killed leaves whole files, at worst some that the manifest
    does not know, which are fetched again.

    Attributes:
        root: the folder that mirrors the corpus.
        lost: why files are missing that the source in the state `source` has, by location. For archives.
    """

    def __init__(self, folder: Path, address: str, *, below: str | None = None) -> None:
        """Chooses the place; nothing is written before the mirror is entered.

        Args:
            folder: where mirrors lie.
            address: URL or local path of the corpus.
            below: name of the folder, unless it is that of the corpus.
        """
        self._address = address
        self._folder = folder
        # A password does not tell one corpus from another, and even its digest is better nowhere.
        known = address if protocol_of(address) else os.path.abspath(address)  # noqa: PTH100
        head, at, tail = known.partition("://")[2].rpartition("@")
        known = f"{known.partition('://')[0]}://{head.partition(':')[0]}@{tail}" if at and "/" not in head else known
        key = hashlib.blake2b(known.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        self._base = folder / key
        self.root = self._base / "copy" / (below or own_name(address))
        self._parts = self._base / "parts"
        self._made = 0
        self._entries: dict[str, tuple[str | None, int, int]] = {}
        self._source: str | None = None
        self.lost: dict[str, str] = {}

    def __enter__(self) -> Mirror:
        place = printable(shown(self._address))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{self._base}.lock")
            self._lock.acquire(timeout=WAIT)
        except Timeout:
            raise UsageError(
                f"{place}: another process has been fetching it for {WAIT:g} s; wait for it, or use another --cache-dir"
            ) from None
        except (OSError, NotImplementedError) as error:
            said = reason_of(error) if isinstance(error, OSError) else str(error)
            raise UsageError(f"{place} cannot be kept in the cache folder: {said}; use another --cache-dir") from None
        try:
            self._read_manifest()
            shutil.rmtree(self._parts, ignore_errors=True)
            self._parts.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._lock.release()
            raise UsageError(f"{place} cannot be kept in the cache folder: {reason_of(error)}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        try:
            # Also after Ctrl-C: what has come need not come again.
            with suppress(OSError):
                self._write_manifest()
            shutil.rmtree(self._parts, ignore_errors=True)
            if kind is None:
                self._remove_old()
        finally:
            self._lock.release()

    def part(self) -> Path:
        """A path for a file that is being made."""
        self._made += 1
        # An earlier process may have left a thread that still writes.
        return self._parts / f"{os.getpid()}-{self._made}"

    def state_of(self, location: str) -> str | None:
        """The state of the remote file that the copy of it has; None where the copy is absent or was touched."""
        entry = self._entries.get(location)
        return entry[0] if entry is not None and self._stamp(location) == entry[1:] else None

    def place(self, part: Path, location: str, state: str | None) -> None:
        """Makes a finished file the copy of a location. One with the same content stays, and keeps its times.

        Raises:
            OSError: it cannot be put there.
        """
        target = self.root / location
        if target.is_file() and filecmp.cmp(part, target, shallow=False):
            part.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        stamp = self._stamp(location)
        if stamp is not None:
            self._entries[location] = (state, *stamp)

    def keep_only(self, locations: Collection[str]) -> None:
        """Removes what is gone, and the folders that are empty then."""
        kept = set(locations)
        for location in list(self.locations()):
            if location not in kept:
                (self.root / location).unlink()
        self._entries = {location: entry for location, entry in self._entries.items() if location in kept}
        for folder, _, _ in os.walk(self.root, topdown=False):
            if Path(folder) != self.root:
                with suppress(OSError):
                    Path(folder).rmdir()

    def locations(self) -> Iterator[str]:
        """The files that are there."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                yield (Path(folder) / name).relative_to(self.root).as_posix()

    def has_all_of(self, source: str | None) -> bool:
        """Whether all files are as they came out of an archive in that state."""
        return source is not None and self._source == source and all(map(self._is_as_it_was, self._entries))

    def is_all_of(self, source: str | None, lost: dict[str, str]) -> None:
        """Remembers that everything there is came out of an archive in that state, but for what is lost."""
        self._source = source
        self.lost = dict(sorted(lost.items(), key=lambda item: natural_key(item[0])))

    def _is_as_it_was(self, location: str) -> bool:
        return self._stamp(location) == self._entries[location][1:]

    def _stamp(self, location: str) -> tuple[int, int] | None:
        try:
            status = (self.root / location).stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def _read_manifest(self) -> None:
        # Half a manifest cannot be, a foreign one can: it counts as none, and all is fetched again.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            found: Any = json.loads((self._base / _MANIFEST).read_bytes())
            if found["version"] == _VERSION and found["name"] == self.root.name:
                self._entries = {str(key): (state, int(size), int(time)) for key, (state, size, time) in found["files"]}
                self._source = found["source"]
                self.lost = {str(key): str(reason) for key, reason in found["lost"].items()}

    def _write_manifest(self) -> None:
        part = self.part()
        document = {
            "version": _VERSION,
            "name": self.root.name,
            "source": self._source,
            "lost": self.lost,
            "files": sorted(self._entries.items()),
        }
        part.write_text(json.dumps(document), encoding="utf-8")
        part.replace(self._base / _MANIFEST)

    def _remove_old(self) -> None:
        """Removes copies that no scan has used for long; one that is in use just now stays."""
        oldest = time.time() - KEPT_DAYS * 86_400
        with suppress(OSError):
            for base in sorted(self._folder.iterdir()):
                if base.suffix or base == self._base or not (base / "copy").is_dir():
                    continue
                manifest = base / _MANIFEST
                if (manifest if manifest.exists() else base).stat().st_mtime < oldest:
                    with suppress(Timeout), FileLock(f"{base}.lock", timeout=0):
                        shutil.rmtree(base, ignore_errors=True)
