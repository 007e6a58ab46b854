"""Opens the archives that torch.export.save writes: finds their JSON and reads it within bounds, unpickling nothing.

torch has no reader for them that is safe: `torch.export.load` unpickles sample inputs, opaque constants and subclass
weights (`torch.export.pt2_archive._package` calls `torch.load(..., weights_only=False)` and `pickle.loads`). Only the
graph is of use here, and that is JSON.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib

from opcov.problems import Problem, Slug

MAX_MEMORY = 256 << 20
"""Bytes that reading one archive may take beyond its own: JSON text and what it becomes, estimated."""

MAX_ENTRIES = 100_000
"""How many files an archive may hold; a model has one for each weight."""

_ENTRY = b"PK\x01\x02"
_GRAPH = re.compile(r"(?:[^/]+/)?(?:models/[^/]+\.json|serialized_exported_program\.json)")
"""Where the graph is: a JSON for each model, in the layout of older torch the only one (`torch.export.load`)."""

_COMPILED = re.compile(r"(?:[^/]+/)?data/aotinductor/.*")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PER_OBJECT, _PER_LIST, _PER_ITEM = 240, 64, 40


def read_programs(content: bytes) -> tuple[list[tuple[str, object]], list[Problem]]:
    """The JSON of each program in an archive, in the order of their names, and what could not be read.

    Args:
        content: the archive.

    Returns:
        For each program its name, `model` or what it was saved as, and its JSON.
    """
    if content.count(_ENTRY) > MAX_ENTRIES:
        return [], [_problem(Slug.UNREADABLE, f"the archive lists more than {MAX_ENTRIES} files")]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _programs(archive)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, OverflowError, IndexError) as error:
        reason = type(error).__name__
        return [], [_problem(Slug.UNREADABLE, f"the file is no archive that torch.export.save writes ({reason})")]


def _programs(archive: zipfile.ZipFile) -> tuple[list[tuple[str, object]], list[Problem]]:
    programs: list[tuple[str, object]] = []
    problems: list[Problem] = []
    found = {entry.filename: entry for entry in archive.infolist() if _GRAPH.fullmatch(entry.filename)}
    if not found:
        compiled = any(_COMPILED.fullmatch(entry.filename) for entry in archive.infolist())
        what = "compiled code (AOTInductor) and no graph" if compiled else "no exported graph"
        problems.append(_problem(Slug.EMPTY, f"the archive holds {what}"))
    left = MAX_MEMORY
    for filename, entry in sorted(found.items()):
        name = filename.rpartition("/")[2].removesuffix(".json")
        text = _read(archive, entry, left)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        cost = cost_of(text)
        if cost > left:
            problems.append(_too_large(filename))
            continue
        left -= cost
        try:
            programs.append((name, json.loads(text)))
        except RecursionError:
            problems.append(_problem(Slug.TOO_DEEP, f"{_short(filename)} nests too deep"))
        except (ValueError, MemoryError) as error:
            problems.append(_problem(Slug.SYNTAX, f"{_short(filename)} is no JSON ({type(error).__name__})"))
    return programs, problems


def cost_of(text: bytes) -> int:
    """An upper bound of the bytes that JSON text takes once it is read, from what its brackets and commas become.

    The text is there three times: as bytes, as one string, and as strings of which one wide character makes all wide.
    """
    widest = 3 if text.isascii() and b"\\u" not in text else 9
    parts = _PER_OBJECT * text.count(b"{") + _PER_LIST * text.count(b"[") + _PER_ITEM * text.count(b",")
    return widest * len(text) + parts


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes | Problem:
    """The content of an entry, of which no more than the limit is ever unpacked, whatever size it declares."""
    if entry.file_size > limit:
        return _too_large(entry.filename)
    if entry.compress_type not in _METHODS:
        return _problem(Slug.UNREADABLE, f"{_short(entry.filename)} is compressed in a way that torch does not use")
    try:
        with archive.open(entry) as file:
            content = file.read(limit + 1)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, OSError, EOFError) as error:
        return _problem(Slug.UNREADABLE, f"{_short(entry.filename)} cannot be unpacked ({type(error).__name__})")
    return content if len(content) <= limit else _too_large(entry.filename)


def _too_large(filename: str) -> Problem:
    return _problem(Slug.UNREADABLE, f"{_short(filename)} takes more than {MAX_MEMORY >> 20} MiB to read")


def _problem(slug: Slug, message: str) -> Problem:
    return Problem("", 0, slug, message)


def _short(filename: str) -> str:
    return ascii(filename[:80])[1:-1]
