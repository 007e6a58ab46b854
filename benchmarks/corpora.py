"""Makes corpora of any size out of the graphs of fixtures/gm, the same ones each time.

    python benchmarks/corpora.py FOLDER --graphs 300 --nodes 100

A graph is a stretch of a captured one, with what it reads from before it as its inputs. Once all stretches are used,
they come again with other sizes, so that bodies and the questions that they ask differ.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import opcov
from opcov.graph import Graph, Kind, Node, SymbolMeta, TensorMeta

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "gm"
GRAPHS_OF_A_MODEL = 10

_SIZE = re.compile(r"(?<![\w.])\d+(?![\w.])")
_SCALED = range(8, 1_000_000)
"""Numbers that may be widths; smaller ones are dimensions, counts and single elements."""


def stretches(nodes: int) -> Iterator[tuple[Graph, Sequence[Node]]]:
    """Consecutive calls of captured graphs, with their graphs.

    Args:
        nodes: how many calls each has.
    """
    for path in sorted(FIXTURES.rglob("rank0_*.py")):
        for graph in opcov.load(path):
            calls = graph.calls
            if not graph.bodies and all(call.kind is not Kind.CALL_MODULE for call in calls):
                for start in range(0, len(calls) - nodes + 1, nodes):
                    yield graph, calls[start : start + nodes]


def text_of(graph: Graph, calls: Sequence[Node], factor: int) -> str:
    """The calls as a graph of their own, as `print_readable` prints one.

    Args:
        graph: has them.
        calls: consecutive ones of it.
        factor: by which its larger sizes are multiplied.
    """
    known = {node.name: node for node in graph.nodes}
    own = {call.name for call in calls}
    inputs = dict.fromkeys(name for call in calls for name in call.inputs if name not in own)
    given = ", ".join(["self", *(_declared(known[name], factor) for name in inputs)])
    lines = ["class GraphModule(torch.nn.Module):", f"    def forward({given}):"]
    for call in calls:
        if call.source is not None:
            source = call.source
            lines.append(f"         # File: {source.file}:{source.line} in {source.function}, code: {source.code}")
        lines.append(f"        {_statement(call, factor)}")
    return "\n".join([*lines, f"        return ({calls[-1].name},)", ""])


def _statement(call: Node, factor: int) -> str:
    expression = _scaled(call.expression, factor)
    try:
        ast.parse(expression, mode="eval")
    except SyntaxError:  # `x += 1`, which torch.fx prints as `x += 1;  y = x`
        return f"{expression};  {_declared(call, factor)} = {call.inputs[0]}"
    return f"{_declared(call, factor)} = {expression}"


def _declared(node: Node, factor: int) -> str:
    if not isinstance(node.meta, (TensorMeta, SymbolMeta)):
        return node.name
    text = f"Sym({node.meta})" if isinstance(node.meta, SymbolMeta) else str(node.meta)
    return f'{node.name}: "{_scaled(text, factor)}"'


def _scaled(text: str, factor: int) -> str:
    def scaled(found: re.Match[str]) -> str:
        number = int(found[0])
        return str(number * factor) if number in _SCALED else found[0]

    return _SIZE.sub(scaled, text)


def write(folder: Path, graphs: int, nodes: int) -> int:
    """Writes a corpus; returns the number of its calls.

    Args:
        folder: of the corpus, made where it is not there.
        graphs: how many.
        nodes: how many calls each has.

    Raises:
        SystemExit: no captured graph has so many calls.
    """
    found = list(stretches(nodes))
    if not found:
        raise SystemExit(f"no captured graph has {nodes} calls")
    for index in range(graphs):
        turn, place = divmod(index, len(found))
        path = folder / f"model_{index // GRAPHS_OF_A_MODEL}" / f"rank0_{index % GRAPHS_OF_A_MODEL}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(*found[place], turn + 1), encoding="utf-8")
    return graphs * nodes


def main() -> None:
    """Writes what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--graphs", metavar="N", type=int, default=300, help="how many graphs (default: 300)")
    parser.add_argument("--nodes", metavar="M", type=int, default=100, help="calls of each (default: 100)")
    options = parser.parse_args()
    calls = write(options.folder, options.graphs, options.nodes)
    print(f"{options.graphs} graphs, {calls} nodes: {options.folder}")


if __name__ == "__main__":
    main()
