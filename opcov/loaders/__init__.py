"""Where graphs come from: each module here reads one form of text as `Graph` values."""

from __future__ import annotations

from opcov.graph import Graph
from opcov.loaders import readable
from opcov.problems import Problem

VERSION = 1
"""Raised whenever a loader reads the same text differently."""


def load_text(text: str) -> tuple[tuple[Graph, ...], tuple[Problem, ...]]:
    """Reads all graphs of a text; no text makes this raise.

    Returns:
        The graphs in order, and the problems that belong to no graph; neither names a file.
    """
    return readable.load(text)
