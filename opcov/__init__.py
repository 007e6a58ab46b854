"""Tells which ops in saved FX graphs lightning-thunder does not support, why, and where they come from.

>>> import opcov
>>> scan = opcov.scan("fixtures/gm", include=["odd/stream-overlap"])
>>> scan.ops.query("crash > 0").op.tolist()
['torch.cuda.Stream.wait_stream']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from opcov.api import check, is_supported, load, scan
    from opcov.capturing.notebook import capture
    from opcov.coverage import Coverage
    from opcov.differences import Differences
    from opcov.graph import Graph, Node
    from opcov.problems import OpcovError, OutputError, Problem, RegistryError, UsageError
    from opcov.views.frames import columns
    from opcov.views.matrix import Matrix
    from opcov.views.op import OpView
    from opcov.views.scan import ModelView, Scan

__all__ = [
    "Coverage",
    "Differences",
    "Graph",
    "Matrix",
    "ModelView",
    "Node",
    "OpView",
    "OpcovError",
    "OutputError",
    "Problem",
    "RegistryError",
    "Scan",
    "UsageError",
    "capture",
    "check",
    "columns",
    "is_supported",
    "load",
    "scan",
]

_HOMES = {
    "Coverage": "coverage",
    "Differences": "differences",
    "Graph": "graph",
    "Matrix": "views.matrix",
    "ModelView": "views.scan",
    "Node": "graph",
    "OpView": "views.op",
    "OpcovError": "problems",
    "OutputError": "problems",
    "Problem": "problems",
    "RegistryError": "problems",
    "Scan": "views.scan",
    "UsageError": "problems",
    "capture": "capturing.notebook",
    "check": "api",
    "columns": "views.frames",
    "is_supported": "api",
    "load": "api",
    "scan": "api",
}


def __getattr__(name: str) -> Any:
    """Public names are loaded when they are first used, so that `opcov --help` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'opcov' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"opcov.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names too, loaded or not, so that a notebook completes them."""
    return sorted({*globals(), *__all__})
