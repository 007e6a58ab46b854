"""Tells which ops in saved FX graphs lightning-thunder does not support, why, and where they come from.

>>> import opcov
>>> scan = opcov.scan("gm/")  # doctest: +SKIP
>>> scan.ops  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from opcov.api import Scan, check, load, scan
    from opcov.coverage import Coverage
    from opcov.graph import Graph, Node
    from opcov.problems import OpcovError, OutputError, Problem, RegistryError, UsageError

__all__ = [
    "Coverage",
    "Graph",
    "Node",
    "OpcovError",
    "OutputError",
    "Problem",
    "RegistryError",
    "Scan",
    "UsageError",
    "check",
    "load",
    "scan",
]

_HOMES = {
    "Coverage": "coverage",
    "Graph": "graph",
    "Node": "graph",
    "OpcovError": "problems",
    "OutputError": "problems",
    "Problem": "problems",
    "RegistryError": "problems",
    "Scan": "api",
    "UsageError": "problems",
    "check": "api",
    "load": "api",
    "scan": "api",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded when they are first used, so that `opcov --help` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'opcov' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"opcov.{_HOMES[name]}"), name)
