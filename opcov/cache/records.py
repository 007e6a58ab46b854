"""Turns values into bytes and back, strictly typed, below a digest of all that they depend on."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from functools import cache
from typing import Any, TypeVar

import msgspec

from opcov.cache.store import Store

VERSION = 1
"""Of the values. Their types are in their keys as well, so a new field needs no new version."""

_Value = TypeVar("_Value")


class Kind(IntEnum):
    """What a record is about."""

    GRAPH = 1
    """A distinct graph, judged."""
    REGISTRY = 2
    """What a registry says beside its verdicts."""
    FILES = 3
    """The files of one folder as they were read."""
    LOG = 4
    """A run log as it was read."""
    PARSED = 5
    """A distinct graph as a loader read it, whoever judges it."""
    TOLD = 6
    """What was told of a corpus."""


class Records:
    """Typed values in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, kind: Kind, key: tuple[str, ...], shape: type[_Value]) -> _Value | None:
        """The value below a key; None where there is none of that type."""
        content = self._store.get(_digest(kind, key))
        if content is None:
            return None
        try:
            value: _Value = _decoder(shape).decode(content)  # type: ignore[arg-type]
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return value

    def put(self, kind: Kind, key: tuple[str, ...], value: object) -> None:
        """Keeps a value; one that cannot be kept is not."""
        try:
            content = msgspec.msgpack.encode(value)
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
            return  # lone surrogates of a hostile file, for one
        self._store.put(_digest(kind, key), int(kind), content)

    def close(self) -> None:
        """Writes what is left."""
        self._store.close()


def fingerprint_of(value: object) -> str | None:
    """A digest of plain values; None for those that cannot be encoded, as lone surrogates cannot."""
    try:
        return hashlib.blake2b(msgspec.msgpack.encode(value), digest_size=20).hexdigest()
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def _digest(kind: Kind, key: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(repr((VERSION, int(kind), key)).encode(), digest_size=20).digest()


@cache
def _decoder(shape: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(shape)
