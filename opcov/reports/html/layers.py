"""Puts the boxes of a data flow into layers, so that lines lead downwards and none is longer than it need be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Link: TypeAlias = "tuple[int, int]"
"""What is read, and what reads it, by their places."""


def back_links(count: int, links: Sequence[Link]) -> frozenset[Link]:
    """Links without which there is no cycle: those that lead back within one."""
    if all(source < target for source, target in links):
        return frozenset()
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(links)
    component = {
        place: number for number, members in enumerate(nx.strongly_connected_components(graph)) for place in members
    }
    return frozenset(
        (source, target) for source, target in links if source >= target and component[source] == component[target]
    )


def assign_layers(count: int, links: Sequence[Link], inputs: int) -> list[int]:
    """The layer of each box: every link leads to a later one."""
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(links)
    layers = [0] * count
    order: list[int] = []
    # Whether a box, with all above it, moves down with the one box that reads it, and no line becomes longer for it.
    comes_along = [False] * count
    for layer, generation in enumerate(nx.topological_generations(graph)):
        for place in sorted(generation):
            layers[place] = layer
            comes_along[place] = len(graph.succ[place]) == 1 and all(
                comes_along[source] for source in graph.pred[place]
            )
            order.append(place)
    for place in reversed(order):
        readers = graph.succ[place]
        held = sum(not comes_along[source] for source in graph.pred[place])
        if readers and (held == 0 or held < len(readers)):
            layers[place] = min(layers[reader] for reader in readers) - 1
    _interleave(layers, inputs, list(nx.weakly_connected_components(graph)))
    lowest = min(layers, default=0)
    return [layer - lowest for layer in layers]


def _interleave(layers: list[int], inputs: int, parts: Sequence[set[int]]) -> None:
    """Moves what has no link to the largest part of the graph to where the program has it, so that rows stay narrow."""
    part_of = {place: part for part in parts for place in part}
    settled = {id(max(parts, key=lambda part: (len(part), -min(part)), default=set()))}
    for place in range(inputs, len(layers)):
        part = part_of[place]
        if id(part) not in settled:
            settled.add(id(part))
            shift = (layers[place - 1] + 1 if place > inputs else 0) - layers[place]
            for member in part:
                layers[member] += shift
