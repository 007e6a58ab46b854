"""Prints what the merge of a corpus holds, in MiB: what is alive of it once the scan is done, and no registry.

python benchmarks/merging.py CORPUS
"""

from __future__ import annotations

import gc
import sys
import tempfile
import tracemalloc
from collections.abc import Mapping

import opcov
from opcov.graph import Graph
from opcov.registries import SplitterRules
from opcov.verdict import SUPPORTED, Verdict


class Yes:
    """A judge that supports everything, and so costs nothing itself."""

    fingerprint = "yes"
    versions: Mapping[str, str] = {"judge": "1"}
    splitter = SplitterRules()

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        """Supports every call."""
        return {call.name: SUPPORTED for call in graph.calls}, {}

    def has_own(self, op: str) -> bool:
        """Has every op."""
        return True

    def siblings(self, op: str) -> tuple[str, ...]:
        """Knows of none."""
        return ()


def main() -> None:
    """Prints the number."""
    with tempfile.TemporaryDirectory() as cache:
        opcov.scan(sys.argv[1], registry=Yes(), cache=cache)  # loads all modules, and fills the cache
        gc.collect()
        tracemalloc.start()
        scan = opcov.scan(sys.argv[1], registry=Yes(), cache=cache)
        rows = len(scan.coverage.op_rows)
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
    print(f"{peak / 2**20:.3f}", file=sys.stdout)
    print(f"{rows} ops, {held / 2**20:.3f} MiB held in the end", file=sys.stderr)


if __name__ == "__main__":
    main()
