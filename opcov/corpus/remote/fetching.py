"""Brings a remote corpus here: which file is fetched from where, and what is said of those that do not come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opcov.corpus.model import RESULT_NAME
from opcov.corpus.remote.address import archive_suffix, fits_a_folder, last_part, own_name, protocol_of, shown
from opcov.corpus.remote.candidates import Candidates, fault_of
from opcov.corpus.remote.mirror import Mirror
from opcov.corpus.remote.transfer import Refused, Watch, in_parallel
from opcov.corpus.remote.unpacking import Damaged, unpacked
from opcov.graphfile import COMPANION_LIMIT, FILE_LIMIT, natural_key, printable, reason_of
from opcov.problems import UsageError

if TYPE_CHECKING:
    from opcov.corpus.remote.servers import Item, Server
    from opcov.graphfile import Format

ARCHIVE_LIMIT = 4 << 30
"""Bytes of an archive that is fetched. Weights make them that large."""


@dataclass(slots=True)
class Outcome:
    """What has come so far.

    Attributes:
        root: the folder or file that stands for the URL.
        lost: why files did not come, by their location.
        files: how many files there are.
        bytes_read: bytes that came this time.
    """

    root: Path
    lost: dict[str, str] = field(default_factory=dict)
    files: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True)
class _Wish:
    """A file to fetch, the state that the copy of it has, and the place for a new one."""

    location: str
    item: Item
    known: str | None
    part: Path


def bring(address: str, folder: Path, formats: Sequence[Format]) -> Outcome:
    """Makes or renews the copy of a remote corpus.

    Raises:
        UsageError: nothing of it can be had.
    """
    candidates = Candidates(formats)
    if protocol_of(address) is None:
        with Mirror(folder, address) as mirror:
            status = Path(address).stat()
            source = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
            return _bring_archive(address, Path(address), source, mirror, candidates)
    from opcov.corpus.remote.servers import Server

    server = Server(address)
    item = server.item()
    if item is None:
        with Mirror(folder, address) as mirror:
            return _bring_tree(server, mirror, candidates)
    if archive_suffix(address):
        with Mirror(folder, address) as mirror:
            return _bring_remote_archive(server, item, mirror, candidates)
    return _bring_one(server, item, folder, candidates)


def _bring_tree(server: Server, mirror: Mirror, candidates: Candidates) -> Outcome:
    outcome = Outcome(mirror.root)
    items, outcome.lost = server.items()
    wanted: dict[str, Item] = {}
    for location in [location for location in items if candidates.may_be_graph(location)]:
        fault = fault_of(location)
        if fault:
            outcome.lost[location] = fault
        else:
            wanted[location] = items[location]
    beside = [location for location in items if candidates.may_belong(location)]
    # What is gone makes room first: a file may have become a folder.
    mirror.keep_only([*wanted, *(location for location in beside if not fault_of(location))])
    _fetch(server, wanted, mirror, outcome)
    claimed: dict[str, tuple[str, ...]] = {}
    for location in mirror.locations():
        if candidates.may_be_graph(location):
            names = candidates.companions_of(mirror.root / location)
            if names is not None:
                claimed[location] = names
    companions = {_beside(location, name) for location, names in claimed.items() for name in names}
    # Most files of these names are weights that lie beside no graph.
    wanted_too = {location: items[location] for location in sorted(companions & set(beside))}
    _fetch(server, wanted_too, mirror, outcome, head=COMPANION_LIMIT)
    return _finished(server.address, mirror, outcome, {*wanted, *wanted_too}, found=bool(claimed))


def _bring_one(server: Server, item: Item, folder: Path, candidates: Candidates) -> Outcome:
    """Brings the one file of a URL and what belongs to it. Its model is the folder that it lies in."""
    address = server.address
    name = last_part(address)
    if name == RESULT_NAME:
        raise UsageError(f"{printable(shown(address))} is a result, not a graph; give a folder of models")
    if not fits_a_folder(name):
        raise UsageError(f"{printable(shown(address))}: no file can have this name here")
    above = own_name(shown(address).rstrip("/").rpartition("/")[0])
    with Mirror(folder, address, below=above) as mirror:
        outcome = Outcome(mirror.root)
        _fetch(server, {name: item}, mirror, outcome)
        if name in outcome.lost:
            raise UsageError(f"{printable(shown(address))} cannot be read: {outcome.lost[name]}")
        found = {other: server.beside(other) for other in candidates.companions_of(mirror.root / name) or ()}
        companions = {other: item for other, item in found.items() if item is not None and other != name}
        _fetch(server, companions, mirror, outcome, head=COMPANION_LIMIT)
        outcome = _finished(address, mirror, outcome, {name, *companions}, found=True)
    outcome.root = mirror.root / name
    return outcome


def _fetch(
    server: Server, items: dict[str, Item], mirror: Mirror, outcome: Outcome, *, head: int | None = None
) -> None:
    """Fetches the files that are not here in the state that the server tells, many at once."""
    wishes = []
    for location, item in items.items():
        known = mirror.state_of(location)
        if not item.asked or known is None or item.state != known:
            wishes.append(_Wish(location, item, known, mirror.part()))

    def fetch(wish: _Wish, watch: Watch) -> Item:
        return server.fetch(wish.item, wish.known, wish.part, watch, head)

    with closing(in_parallel(wishes, fetch, limit=FILE_LIMIT)) as results:
        for wish, result in results:
            if isinstance(result, Exception):
                outcome.lost[wish.location] = server.reason(result)
            elif wish.known is None or result.state != wish.known:
                try:
                    came = wish.part.stat().st_size
                    if head is not None and result.size is not None and result.size > came:
                        os.truncate(wish.part, result.size)  # the rest is never read, but the size is
                    mirror.place(wish.part, wish.location, result.state)
                    outcome.bytes_read += came
                except OSError as error:
                    outcome.lost[wish.location] = f"it cannot be kept: {reason_of(error)}"


def _bring_remote_archive(server: Server, item: Item, mirror: Mirror, candidates: Candidates) -> Outcome:
    if mirror.has_all_of(_source_of(item.state, candidates)):
        return _bring_archive(server.address, Path(), item.state, mirror, candidates)
    part = mirror.part()

    def fetch(_task: None, watch: Watch) -> Item:
        return server.fetch(item, None, part, watch)

    with closing(in_parallel([None], fetch, limit=ARCHIVE_LIMIT)) as results:
        for _, result in results:
            if isinstance(result, Refused):
                raise UsageError(f"{printable(shown(server.address))}: {result}; give an archive of the graphs alone")
            if isinstance(result, Exception):
                raise server.failure(result)
    return _bring_archive(server.address, part, item.state, mirror, candidates)


def _bring_archive(address: str, archive: Path, state: str | None, mirror: Mirror, candidates: Candidates) -> Outcome:
    """Unpacks an archive, unless all of it is here already."""
    outcome = Outcome(mirror.root)
    source = _source_of(state, candidates)
    if mirror.has_all_of(source):
        outcome.lost |= mirror.lost
        locations = set(mirror.locations())
    else:
        members = _members(address, archive, mirror, candidates)
        outcome.bytes_read = archive.stat().st_size
        parts = {location: found for location, found in members.items() if isinstance(found, Path)}
        outcome.lost |= {location: found for location, found in members.items() if isinstance(found, str)}
        mirror.keep_only(parts)
        for location, part in parts.items():
            try:
                mirror.place(part, location, None)
            except OSError as error:
                outcome.lost[location] = f"it cannot be kept: {reason_of(error)}"
        locations = set(parts) - set(outcome.lost)
    found = any(
        candidates.may_be_graph(location) and candidates.companions_of(mirror.root / location) is not None
        for location in locations
    )
    outcome = _finished(address, mirror, outcome, locations, found=found)
    mirror.is_all_of(source, outcome.lost)
    return outcome


def _source_of(state: str | None, candidates: Candidates) -> str | None:
    return None if state is None else f"{state} {candidates.rule}"


def _members(address: str, archive: Path, mirror: Mirror, candidates: Candidates) -> dict[str, Path | str]:
    """The members of an archive by their location in the corpus."""
    place = printable(shown(address))
    try:
        members = dict(unpacked(archive, last_part(address), candidates, mirror.part))
    except Damaged as error:
        raise UsageError(f"{place}: {error}; make it anew, or unpack it and give the folder") from None
    except OSError as error:
        raise UsageError(f"{place} cannot be unpacked: {reason_of(error)}") from None
    # `zip -r gm.zip gm` and an archive of what lies in gm/ are the same corpus.
    start = own_name(address) + "/"
    inside = [location for location in members if not fault_of(location)]
    if inside and all(location.startswith(start) for location in inside):
        return {location.removeprefix(start): found for location, found in members.items()}
    return members


def _finished(address: str, mirror: Mirror, outcome: Outcome, there: set[str], *, found: bool) -> Outcome:
    """Removes what is not part of the corpus, such as an old copy of a file that did not come now.

    Raises:
        UsageError: there is nothing to scan.
    """
    mirror.keep_only(there - set(outcome.lost))
    outcome.lost = dict(sorted(outcome.lost.items(), key=lambda item: natural_key(item[0])))
    outcome.files = len(list(mirror.locations()))
    if found:
        return outcome
    place = printable(shown(address))
    if outcome.lost:
        location, reason = next(iter(outcome.lost.items()))
        raise UsageError(
            f"{place}: none of its graphs and run logs can be read ({len(outcome.lost)} are lost), the first: "
            f"{printable(location)}: {reason}"
        )
    raise UsageError(f"no graphs and no run logs below {place}; expected gm/<org>/<model>/rank0_0.py")


def _beside(location: str, name: str) -> str:
    above, slash, _ = location.rpartition("/")
    return f"{above}{slash}{name}"
