"""Reads the fixtures of the forms that graphs are saved in, and Thunder's verdicts on the live graphs."""

from __future__ import annotations

import json
from pathlib import Path

from opcov.graph import Graph
from opcov.loaders import BUILT_IN
from opcov.loaders.loader import Loaded, Loader, SavedFile
from opcov.registries.thunder import ThunderRegistry
from opcov.verdict import Status

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

STATUS = {True: Status.SUPPORTED, False: Status.UNSUPPORTED, None: Status.CRASH}
_registry: list[ThunderRegistry] = []


def claims(name: str, content: bytes) -> list[str]:
    """The built-in loaders that claim a file."""
    head = content[: 1 << 20]
    return [loader.name for loader in BUILT_IN if name.endswith(loader.suffixes) and loader.detect(name, head)]


def load(path: Path, loader: Loader) -> Loaded:
    """A fixture, with the companions beside it."""
    beside = {name: (path.parent / name) for name in loader.companions}
    companions = {name: file.read_bytes() for name, file in beside.items() if file.exists()}
    return loader.load(SavedFile(path.name, path.read_bytes(), companions))


def truth(path: Path) -> list[dict[str, object]]:
    """The call nodes of the live graph: name, kind, and what Thunder's own check says of it."""
    rows: list[dict[str, object]] = json.loads(path.read_text())
    return rows


def verdicts(graph: Graph) -> list[Status]:
    """Thunder's verdicts on the calls of a loaded graph."""
    if not _registry:
        _registry.append(ThunderRegistry())
    answers, _ = _registry[0].judge(graph)
    return [answers[node.name].status for node in graph.calls]
