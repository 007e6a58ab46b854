"""Holds judged bodies: those of a large corpus lie on disk, so that what a scan holds does not grow with it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from opcov.collector import collector_paused
from opcov.judged import JudgedBody

PLAIN_NODES = 20_000
"""As many nodes stay plain objects, of 1.5 kB each: corpora that are no larger are never written to disk."""
RECENT_NODES = 4_000
"""As many nodes of bodies on disk are kept that were looked at last."""


class Bodies(Mapping[str, JudgedBody]):
    """Judged bodies by digest, in the order in which they were added.

    Parts of it share what is on disk. That is a temporary file without a name, which goes with the last of them.
    """

    def __init__(self, bodies: Iterable[JudgedBody] = ()) -> None:
        """Takes some bodies.

        Args:
            bodies: each with its own digest.
        """
        self._shelf = _Shelf()
        self._places: dict[str, int] = {}
        for body in bodies:
            self.add(body)

    def add(self, body: JudgedBody) -> None:
        """Adds a body, in place of another one of its digest.

        Args:
            body: to be added.
        """
        self._places[body.digest] = self._shelf.put(body)

    def part(self, digests: Iterable[str]) -> Bodies:
        """Those of some digests, in their order.

        Args:
            digests: what is not here is left out.
        """
        found = Bodies()
        found._shelf = self._shelf
        found._places = {digest: self._places[digest] for digest in digests if digest in self._places}
        return found

    @property
    def on_disk(self) -> int:
        """How many of them are not held."""
        return sum(self._shelf.is_on_disk(place) for place in self._places.values())

    def __getitem__(self, digest: str) -> JudgedBody:
        return self._shelf.get(self._places[digest])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, digest: object) -> bool:
        return digest in self._places

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return len(self) == len(other) and all(digest in other and other[digest] == self[digest] for digest in self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} judged bodies>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Bodies, (tuple(self.values()),)


def part_of(bodies: Mapping[str, JudgedBody], digests: Iterable[str]) -> Mapping[str, JudgedBody]:
    """Those of some digests, in their order; what is on disk stays there.

    Args:
        bodies: all of them.
        digests: what is not there is left out.
    """
    if isinstance(bodies, Bodies):
        return bodies.part(digests)
    return {digest: bodies[digest] for digest in digests if digest in bodies}


def copy_of(bodies: Mapping[str, JudgedBody]) -> Bodies:
    """The same bodies, to which others can be added; what is on disk stays there.

    Args:
        bodies: all of them.
    """
    return bodies.part(bodies) if isinstance(bodies, Bodies) else Bodies(bodies.values())


class _Shelf:
    """Bodies by their number: the first ones as they are, later ones encoded in a file, where that is possible."""

    def __init__(self) -> None:
        self._plain: dict[int, JudgedBody] = {}
        self._spans: dict[int, tuple[int, int]] = {}
        self._recent: OrderedDict[int, JudgedBody] = OrderedDict()
        self._nodes = self._recent_nodes = self._end = self._count = 0
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()

    def put(self, body: JudgedBody) -> int:
        with self._lock:
            self._count += 1
            nodes = _nodes(body)
            span = self._written(body) if self._nodes + nodes > PLAIN_NODES else None
            if span is None:
                self._plain[self._count] = body
                self._nodes += nodes
            else:
                self._spans[self._count] = span
            return self._count

    def get(self, place: int) -> JudgedBody:
        body = self._plain.get(place)
        if body is not None:
            return body
        with self._lock:
            body = self._recent.get(place)
            if body is None:
                body = self._recent[place] = self._read(*self._spans[place])
                self._recent_nodes += _nodes(body)
                while self._recent_nodes > RECENT_NODES and len(self._recent) > 1:
                    self._recent_nodes -= _nodes(self._recent.popitem(last=False)[1])
            else:
                self._recent.move_to_end(place)
            return body

    def is_on_disk(self, place: int) -> bool:
        return place in self._spans

    def _written(self, body: JudgedBody) -> tuple[int, int] | None:
        """Where a body was written; None where it cannot be: lone surrogates of a hostile file, or a full disk."""
        import msgspec

        try:
            content = msgspec.msgpack.encode(body)
            if self._file is None:
                from tempfile import TemporaryFile

                self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - it is open as long as this is there
            self._file.seek(self._end)
            if self._file.write(content) != len(content):
                return None
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, OSError):
            return None
        span = self._end, len(content)
        self._end += len(content)
        return span

    def _read(self, start: int, size: int) -> JudgedBody:
        import msgspec

        assert self._file is not None
        self._file.seek(start)
        with collector_paused():
            return msgspec.msgpack.decode(self._file.read(size), type=JudgedBody)


def _nodes(body: JudgedBody) -> int:
    return sum(len(graph.nodes) for graph in body.graphs)
