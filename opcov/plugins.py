"""Finds what other installed packages offer, quickly where none offers anything, as is usual."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_RECORDS = (".dist-info", ".egg-info")
_FILE = "entry_points.txt"


def offered(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, by name.

    Args:
        group: `opcov.loaders`.
    """
    if not any(_mentions(place, group.encode()) for place in sys.path):
        return ()
    from importlib.metadata import entry_points  # takes longer than the search

    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def _mentions(place: str, group: bytes) -> bool:
    """Whether a package that is installed in a place may offer something; one in a zip file may."""
    try:
        with os.scandir(place or ".") as entries:
            records = [entry.path for entry in entries if entry.name.endswith(_RECORDS)]
    except NotADirectoryError:
        return True
    except OSError:
        return False
    for record in records:
        with suppress(OSError):
            if group in Path(record, _FILE).read_bytes():
                return True
    return False
