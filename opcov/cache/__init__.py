"""Remembers what was judged, so that a second scan of a corpus reads and judges only what is new.

`Options` say where and how, `remembering` gives a scan its `Memory`, and `survey` and `clear` are for people. What is
remembered is data below a digest of all that it depends on: nothing has to be thrown away when something changes, and
without the cache every result is the same.
"""

from __future__ import annotations

from opcov.cache.memory import Memory, remembering
from opcov.cache.place import DEFAULT_MEGABYTES, VARIABLE, Options, folder_of, mirrors_of
from opcov.cache.store import Survey, clear, survey
from opcov.cache.told import Outline, Told

__all__ = [
    "DEFAULT_MEGABYTES",
    "VARIABLE",
    "Memory",
    "Options",
    "Outline",
    "Survey",
    "Told",
    "clear",
    "folder_of",
    "mirrors_of",
    "remembering",
    "survey",
]
