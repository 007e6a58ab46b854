"""Says where the cache lies and how large it may become."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OPCOV_CACHE_DIR"
"""The environment variable that names the folder of the cache."""
DEFAULT_MEGABYTES = 512
"""Size at which the least recently used entries go. A corpus of 550 distinct graphs takes about 5 MB."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a scan remembers.

    Attributes:
        folder: of the cache; None for that of `OPCOV_CACHE_DIR`, else the platform's for caches.
        megabytes: its size at most, in MB of 10^6 bytes.
        paranoid: whether every file is read and hashed, also one whose size and times are as they were.
        warn: is told once when the cache cannot be used; None for `warnings.warn`.
    """

    folder: Path | None = None
    megabytes: int = DEFAULT_MEGABYTES
    paranoid: bool = False
    warn: Callable[[str], None] | None = None


def folder_of(options: Options) -> Path | None:
    """The folder of the cache; None where this machine has no place for one."""
    if options.folder is not None:
        return options.folder
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    try:
        return user_cache_path("opcov", appauthor=False)
    except (OSError, RuntimeError, KeyError):  # nobody's home
        return None


def mirrors_of(options: Options | None) -> Path | None:
    """The folder in which copies of remote corpora are kept; None where nothing is."""
    folder = None if options is None else folder_of(options)
    return None if folder is None else folder / "remote"
