"""What a worker process does: makes its registry once, then judges batches of bodies and answers questions."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import platform
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import TypeAlias

import msgspec

import opcov
from opcov.collector import collector_paused
from opcov.engine.work import Answer, Task, answer
from opcov.problems import OpcovError, RegistryError, UsageError
from opcov.registries import Registry

Answers: TypeAlias = "bytes | list[Answer]"
"""Answers of a batch as msgpack, which takes a third of the time of pickling; as they are where it cannot hold them."""

_ONE_AT_A_TIME = threading.Lock()
"""A worker of a cluster may have several threads; a registry knows of one."""


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker is told of its registry.

    Attributes:
        judge: makes it, pickled by the process that scans.
        versions: what that process has installed; None where that needs no look.
    """

    judge: bytes
    versions: tuple[tuple[str, str], ...] | None = None


def begin() -> None:
    """Sets up a process of a pool: it ends with the process that scans, and not before it when Ctrl-C is pressed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def judge_batch(post: Post, tasks: Sequence[Task]) -> Answers:
    """Judges some bodies.

    Args:
        post: tells of the registry.
        tasks: the bodies.

    Raises:
        OpcovError: this worker cannot judge.
    """
    with _ONE_AT_A_TIME:
        registry = _registry(post)
        found = [answer(task, registry) for task in tasks]
    try:
        return msgspec.msgpack.encode(found)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return found  # lone surrogates of a hostile file, for one


def tell_versions(post: Post) -> dict[str, str]:
    """What the verdicts of the registry hold for.

    Args:
        post: tells of the registry.

    Raises:
        OpcovError: this worker cannot judge.
    """
    with _ONE_AT_A_TIME:
        return dict(_registry(post).versions)


def tell_siblings(post: Post, ops: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Other names that the registry knows.

    Args:
        post: tells of the registry.
        ops: canonical names.

    Raises:
        OpcovError: this worker cannot judge.
    """
    with _ONE_AT_A_TIME:
        registry = _registry(post)
        return {op: registry.siblings(op) for op in ops}


@lru_cache(maxsize=1)
def _registry(post: Post) -> Registry:
    if post.versions is not None:
        _compare(dict(post.versions))
    try:
        with collector_paused():
            made: Registry = pickle.loads(post.judge)()  # noqa: S301 - what the scanning process itself has pickled
    except OpcovError:
        raise
    except Exception as error:
        raise RegistryError(
            f"a worker cannot make the registry ({type(error).__name__}: {error}); what it is made of has to be "
            "importable there. jobs=1 judges in this process"
        ) from error
    gc.freeze()  # torch and Thunder alone are a million objects, which the collector would look at after each body
    return made


def _compare(expected: dict[str, str]) -> None:
    found = dict(versions(tuple(expected)))
    differing = [
        f"{name} {found[name]} instead of {expected[name]}" for name in expected if found[name] != expected[name]
    ]
    if differing:
        raise UsageError(
            f"a worker of the cluster has {', '.join(differing)}: its verdicts could differ; install the same versions "
            "there and here"
        )


def versions(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What is installed in this process's environment, without importing it.

    Args:
        names: of distributions, `python`, or `opcov`, which is told with a digest of its code.
    """
    return tuple((name, _version(name)) for name in names)


def _version(name: str) -> str:
    if name == "python":
        return ".".join(platform.python_version_tuple()[:2])
    if name == "opcov":
        return f"{opcov.__version__} ({_code()})"
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "of an unknown version"


def _code() -> str:
    """A digest of this package's code: a checkout changes while its version stays."""
    folder = Path(opcov.__file__).parent
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
