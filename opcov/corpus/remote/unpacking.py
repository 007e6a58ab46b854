"""Takes the graphs out of archives that nobody vouches for: no member leaves the folder, and none fills the disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from opcov.corpus.remote.address import archive_suffix
from opcov.corpus.remote.candidates import Candidates, fault_of
from opcov.graphfile import COMPANION_LIMIT, FILE_LIMIT, reason_of

TOTAL_LIMIT = 8 << 30
"""Bytes that an archive may hold unpacked, as far as they have to be unpacked."""
RATIO_LIMIT = 500
"""How often its own size an archive may hold, unpacked. Text shrinks to a tenth, zeros to a thousandth."""
RATIO_FREE = 256 << 20
"""Bytes below which nobody asks for the ratio."""
MEMBER_LIMIT = 1_000_000
"""Members of an archive."""

_CHUNK = 1 << 20
_LONGEST_READ = 16 << 20
_BLOCK = 512

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What the readers raise on bytes that are no archive, or no more than half of one."""


class Damaged(Exception):
    """An archive that cannot be read to its end, so that nobody knows what is missing; says why."""


def unpacked(
    archive: Path, name: str, candidates: Candidates, new_part: Callable[[], Path]
) -> Iterator[tuple[str, Path | str]]:
    """The files of an archive that are worth having, by location: each with a file made for it, or why there is none.

    A name that occurs twice comes twice; the last one counts, as it does for unzip and tar.

    Args:
        archive: the local file.
        name: what it is called, which tells its form.
        candidates: chooses the files.
        new_part: gives a path for each file that is made.

    Raises:
        Damaged: it is no archive, it is cut off, or it holds too much.
        OSError: it cannot be read, or nothing can be written.
    """
    suffix = archive_suffix(name)
    try:
        size = archive.stat().st_size
        with archive.open("rb") as stream:
            if suffix == ".zip":
                yield from _zip_members(stream, _Budget(size), candidates, new_part)
            else:
                yield from _tar_members(_plain(stream, suffix or ".tar"), _Budget(size), candidates, new_part)
    except _DAMAGE as error:
        raise Damaged(f"it is damaged or no {suffix} archive ({type(error).__name__}: {error})") from None
    except (gzip.BadGzipFile, RecursionError, MemoryError, OverflowError) as error:
        raise Damaged(f"it is damaged or no {suffix} archive ({type(error).__name__})") from None
    except OSError as error:
        if error.errno is None:  # bz2 says so of bytes that are none of its own
            raise Damaged(f"it is damaged or no {suffix} archive ({error})") from None
        raise


class _Budget:
    """What an archive may still hold."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._members = 0
        self._bytes = 0

    def member(self) -> None:
        self._members += 1
        if self._members > MEMBER_LIMIT:
            raise Damaged(f"it has more than {MEMBER_LIMIT} members")

    def take(self, count: int) -> None:
        self.reach(self._bytes + count)

    def reach(self, count: int) -> None:
        self._bytes = max(self._bytes, count)
        if self._bytes > TOTAL_LIMIT:
            raise Damaged(f"it holds more than {TOTAL_LIMIT >> 30} GiB")
        if self._bytes > max(RATIO_FREE, RATIO_LIMIT * self._size):
            raise Damaged(f"it holds more than {RATIO_LIMIT} times its own size, as archives do that fill disks")


def _wanted(name: str, candidates: Candidates) -> str | None:
    """The location of a member, None for one that is not worth having."""
    location = name
    while location.startswith("./"):
        location = location[2:].lstrip("/")
    return location if candidates.may_be_graph(location) or candidates.may_belong(location) else None


def _zip_members(
    stream: IO[bytes], budget: _Budget, candidates: Candidates, new_part: Callable[[], Path]
) -> Iterator[tuple[str, Path | str]]:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            budget.member()
            # Some writers on Windows leave its separators in.
            location = _wanted(member.filename.replace("\\", "/"), candidates)
            if member.is_dir() or location is None:
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            fault = fault_of(location) or _fault_of_kind(
                is_link=kind == stat.S_IFLNK, regular=kind in (0, stat.S_IFREG)
            )
            if member.flag_bits & 0x1:
                fault = fault or "it is encrypted; unpack the archive first"
            if fault is not None:
                yield location, fault
                continue
            try:
                with archive.open(member) as content:
                    result: Path | str = _copied(
                        content, member.file_size, location, candidates, new_part(), budget.take
                    )
            except (
                zipfile.BadZipFile,
                EOFError,
                zlib.error,
                lzma.LZMAError,
                NotImplementedError,
                RuntimeError,
            ) as error:
                # Each member stands for itself, the others are as good as ever.
                result = f"it is damaged in the archive ({str(error) or type(error).__name__})"
            yield location, result


def _tar_members(
    plain: IO[bytes], budget: _Budget, candidates: Candidates, new_part: Callable[[], Path]
) -> Iterator[tuple[str, Path | str]]:
    stream = _Bounded(plain, budget)
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as archive:
        for member in archive:
            budget.member()
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            location = _wanted(member.name, candidates)
            if member.isdir() or location is None:
                continue
            fault = fault_of(location) or _fault_of_kind(
                is_link=member.issym() or member.islnk(), regular=member.isreg() and not member.issparse()
            )
            content = None if fault else archive.extractfile(member)
            if content is None:
                yield location, fault or "it is no regular file"
            else:
                yield location, _copied(content, member.size, location, candidates, new_part(), lambda _count: None)
        # tarfile takes whatever is no header for the end.
        if stream.last != bytes(_BLOCK):
            raise Damaged("it is cut off or damaged: its end is missing")


def _fault_of_kind(*, is_link: bool, regular: bool) -> str | None:
    if is_link:
        return "it is a link, and links of archives are not followed"
    return None if regular else "it is no regular file"


def _copied(
    content: IO[bytes], size: int, location: str, candidates: Candidates, part: Path, take: Callable[[int], None]
) -> Path | str:
    """Writes a member to a file, or says why it cannot be."""
    enough = size if candidates.may_be_graph(location) else min(size, COMPANION_LIMIT)
    if enough > FILE_LIMIT:
        return f"it is larger than {FILE_LIMIT >> 30} GiB; save the graph without its weights"
    left = enough
    try:
        with part.open("wb") as target:
            while left > 0 and (chunk := content.read(min(left, _CHUNK))):
                take(len(chunk))
                target.write(chunk)
                left -= len(chunk)
            # Of what lies beside a graph only the start is read, and the size.
            target.truncate(size if left == 0 else enough - left)
            if left == 0 and enough == size:
                content.read(1)  # past the end lies the checksum
    except OSError as error:
        if error.errno is None:
            raise
        return f"it cannot be unpacked: {reason_of(error)}"
    return part if left == 0 else f"it is cut off in the archive after {enough - left} of {enough} bytes"


def _plain(stream: IO[bytes], suffix: str) -> IO[bytes]:
    match suffix:
        case ".tar":
            return stream
        case ".tar.bz2":
            return cast("IO[bytes]", bz2.BZ2File(stream))
        case ".tar.xz":
            return cast("IO[bytes]", lzma.LZMAFile(stream))
        case _:
            return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))


class _Bounded:
    """A stream that ends the work before it has to be unpacked too far, and that knows what was read last."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            # A header that claims to be as long as that is made up.
            raise Damaged("a header in it is too long")
        self._budget.reach(self._stream.tell() + size)
        self.last = self._stream.read(size)
        return self.last

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._budget.reach(place)
        return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()
