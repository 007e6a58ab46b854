"""Prints the time of a scan that remembers nothing, in a process that has imported torch and Thunder before.

python benchmarks/inside.py CORPUS
"""

from __future__ import annotations

import json
import sys
import time

import opcov
import opcov.engine
import opcov.views.notebook
from opcov.registries.thunder import ThunderRegistry


def main() -> None:
    """Prints one line of JSON: nodes, seconds, nodes per second."""
    registry = ThunderRegistry()
    start = time.perf_counter()
    scan = opcov.scan(sys.argv[1], registry=registry, cache=False, progress=lambda *_: None)
    seconds = time.perf_counter() - start
    nodes = scan.coverage.counts.nodes
    print(json.dumps({"nodes": nodes, "seconds": round(seconds, 3), "nodes/s": round(nodes / seconds)}))


if __name__ == "__main__":
    main()
