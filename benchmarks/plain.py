"""Judges a corpus the plain way, as a baseline: each distinct graph rebuilt, one question to Thunder a node, no memo.

    python benchmarks/plain.py CORPUS

Reads each distinct body with opcov's loaders, makes a torch.fx.GraphModule of it with `Graph.to_fx` and asks
`thunder.dynamo.utils.is_node_supported_by_thunder` once for each call. Prints one line of JSON: the nodes asked about,
how Thunder answered, the seconds beyond the imports and nodes per second. Nothing is placed, counted or written.

Like opcov itself it asks on metadata only: a call that Thunder would really run (it has no symbol for the function) is
asked about only where the function is one of `operator` or `math`, and not where a number makes it grow without bound.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from opcov.corpus import discover
from opcov.graph import Graph
from opcov.graphfile import read_body, read_companions
from opcov.loaders import available, by_name
from opcov.loaders.loader import SavedFile
from opcov.rebuild.cost import is_costly
from opcov.rebuild.running import is_operator
from opcov.registries.thunder_import import import_thunder


def read_graphs(folder: Path) -> Iterator[Graph]:
    """Every graph of every distinct body below a folder."""
    corpus = discover(folder, available())
    for first, *_ in corpus.bodies().values():
        saved = SavedFile(first.name, read_body(corpus.root, first), read_companions(corpus.root, first))
        graphs, _problems = by_name(first.claimed_by[0]).load(saved)
        yield from graphs


def main() -> None:
    """Prints the line."""
    utils = import_thunder().dynamo.utils
    options = ({},) if len(inspect.signature(utils.is_node_supported_by_thunder).parameters) > 1 else ()
    answers: Counter[str] = Counter()
    start = time.perf_counter()
    warnings.simplefilter("ignore")
    for graph in read_graphs(Path(sys.argv[1])):
        for call, node in zip(graph.nodes, graph.to_fx().graph.nodes, strict=True):
            if not call.kind.is_call:
                continue
            if is_costly(call, {}) or (_would_run(node.target, utils) and not is_operator(node.target)):
                answers["not asked"] += 1
                continue
            try:
                supported, _reason = utils.is_node_supported_by_thunder(node, *options)
                answers["supported" if supported else "unsupported"] += 1
            except Exception:  # noqa: BLE001 - whatever it raises stops Thunder's splitter
                answers["crash"] += 1
    seconds = time.perf_counter() - start
    count = sum(answers.values())
    print(json.dumps({"nodes": count, **answers, "seconds": round(seconds, 2), "nodes/s": round(count / seconds)}))


def _would_run(target: object, utils: object) -> bool:
    """Whether Thunder calls a built-in function itself, since it has no symbol for it."""
    known = (utils._torch_to_thunder_function_map, utils.auto_register_ops)  # type: ignore[attr-defined]
    return inspect.isbuiltin(target) and not any(target in each for each in known)


if __name__ == "__main__":
    main()
