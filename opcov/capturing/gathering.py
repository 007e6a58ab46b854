"""Puts together what the processes of a run have left: one record of all ranks, and what is missing in it."""

from __future__ import annotations

import contextlib
import platform
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from opcov import __version__
from opcov.capturing import records
from opcov.capturing.records import CALLS, CALLS_WIDTH, LAUNCH, LOST, PART, PARTS, TAKEN, Launch, Part
from opcov.capturing.session import before_name, split_name

PACKAGES = ("torch", "lightning-thunder", "transformers", "sglang", "triton")
"""Whose versions decide what a capture looks like."""


def versions() -> dict[str, str]:
    """The versions that decide what a capture looks like."""
    found = {"opcov": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def launches(folder: Path) -> list[Launch]:
    """How the commands of a run stand, by rank."""
    found = [records.read(path, Launch) for path in (folder / PARTS).glob(f"{LAUNCH}*.json")]
    return sorted((one for one in found if one is not None), key=lambda one: one.rank)


def parts(folder: Path) -> list[Part]:
    """What the processes of a run have captured so far: one part a rank, its graphs in their order."""
    left = [records.read(path, Part) for path in sorted((folder / PARTS).glob(f"{PART}*.json"))]
    found: dict[int, Part] = {}
    for part in left:
        if part is None:
            continue
        one = found.setdefault(part.rank, Part(part.rank))
        one.device = one.device or part.device
        one.graphs = sorted([*one.graphs, *part.graphs], key=lambda graph: graph.index)
        one.replaced = list(dict.fromkeys([*one.replaced, *part.replaced]))
        one.failures = [*one.failures, *part.failures]
    for rank, one in found.items():
        calls = _calls(folder, rank)
        for graph in one.graphs:
            graph.calls = max(graph.calls, calls[graph.index])
    return [found[rank] for rank in sorted(found)]


def _calls(folder: Path, rank: int) -> Counter[int]:
    """How often each graph of a rank was run, in all processes."""
    found: Counter[int] = Counter()
    for path in (folder / PARTS).glob(f"{CALLS}{rank}.*"):
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            for place in range(0, len(content) - CALLS_WIDTH + 1, CALLS_WIDTH):
                found[place // CALLS_WIDTH] += int.from_bytes(content[place : place + CALLS_WIDTH], "little")
    return found


def shortcomings(folder: Path, found: Sequence[Part], ranks: Sequence[int], own: int | None) -> list[str]:
    """What is missing, whatever exit codes say: launchers may ignore those of their children.

    Args:
        folder: of the model.
        found: the parts of the run.
        ranks: that have to have graphs.
        own: the rank whose processes are asked about; None for all.
    """
    with_graphs = {part.rank for part in found if part.graphs}
    missing = [f"rank {rank} saved no graph" for rank in ranks if rank not in with_graphs]
    told = [part for part in found if part.failures and own in (None, part.rank)]
    missing += [f"rank {part.rank}: {failure}" for part in told for failure in part.failures]
    if (folder / PARTS).is_dir():
        missing += _not_saved(folder, own, {part.rank for part in told})
        if any(own is None or path.name.startswith(f"{LOST}{own}.") for path in (folder / PARTS).glob(f"{LOST}*")):
            missing.append("a process could not write what it had captured")
    return missing


def _not_saved(folder: Path, own: int | None, told: set[int]) -> list[str]:
    """Graphs whose numbers were taken, and that are not there."""
    found = []
    for path in (folder / PARTS).glob(f"{TAKEN}*.*"):
        rank, _, index = path.name.removeprefix(TAKEN).partition(".")
        if not rank.isdecimal() or not index.isdecimal() or int(rank) in told or own not in (None, int(rank)):
            continue
        names = (before_name(int(rank), int(index)), split_name(int(rank), int(index)))
        if not any((folder / name).exists() for name in names):
            found.append((int(rank), int(index)))
    return [f"rank {rank}: graph {index} could not be saved" for rank, index in sorted(found)]
