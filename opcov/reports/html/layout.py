"""Lays out the data flow of a graph in layers, so that every value flows downwards and few lines cross.

The steps are those of Sugiyama: layers by longest path, stand-ins where a line passes a layer, orders by barycentres,
then places as far below one another as the layers allow. All of it follows the order of the nodes, so the same graph
gives the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from opcov.judged import JudgedGraph, JudgedNode
from opcov.reports.html.layers import Link, assign_layers, back_links
from opcov.reports.html.web import Web
from opcov.verdict import Status

MOST_BOXES = 1_500
"""Nodes that are drawn; of a larger graph only those that are not supported, and their neighbours."""
BOX_HEIGHT = 34
INPUT_HEIGHT = 20
_LAYER_HEIGHT = 62
_CHARACTER = 6.7
_PADDING = 18
_MARGIN = 16
_LONGEST_LABEL = 28


@dataclass(frozen=True, slots=True)
class Box:
    """A node, an input, or a name that is read but is neither.

    Attributes:
        label: what stands in it.
        below: what stands below the label, smaller; what is known of the value.
        x: of its middle, in pixels.
        y: of its upper edge.
        width: in pixels.
        layer: counted from 0 at the top.
        node: None for an input.
        name: of the node or input.
        is_result: whether the graph returns it.
        is_known: False for a name that nothing in the graph defines.
    """

    label: str
    below: str
    x: int
    y: int
    width: int
    layer: int
    node: JudgedNode | None
    name: str
    is_result: bool
    is_known: bool

    @property
    def height(self) -> int:
        """In pixels."""
        return BOX_HEIGHT if self.node else INPUT_HEIGHT


@dataclass(frozen=True, slots=True)
class Edge:
    """A read.

    Attributes:
        source: place of the box that is read.
        target: place of the box that reads.
        points: from the lower edge of the source to the upper edge of the target. A line that shares its way with a
            longer one of the same source starts where it leaves that one.
        is_back: whether it leads upwards: the reader stands before what it reads, or reads itself.
    """

    source: int
    target: int
    points: tuple[tuple[int, int], ...]
    is_back: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph with coordinates.

    Attributes:
        boxes: inputs, names without definition, then nodes in order.
        edges: by source, then target.
        width: in pixels.
        height: in pixels.
        left_out: number of nodes that are not drawn.
    """

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    left_out: int


def lay_out(graph: JudgedGraph) -> Picture:
    """The picture of a graph. Reads of later nodes and of a node itself, which no graph has by rights, do no harm."""
    nodes = _drawn(graph)
    reading = {name for node in nodes for name in node.reads}
    complete = len(nodes) == len(graph.nodes)
    inputs = dict(pair for pair in graph.inputs if complete or pair[0] in reading)
    defined = {*inputs, *(node.name for node in nodes)}
    unknown = sorted({name for name in reading if name not in defined}) if complete else []
    shapes = [_Shape(_cut(name), "", None, name) for name in inputs]
    shapes += [_Shape(_cut(name), "", None, name, is_known=False) for name in unknown]
    shapes += [_Shape(_cut(short_name(node.op)), _cut(_told(node.output), 32), node, node.name) for node in nodes]
    links = _links(shapes)
    back = back_links(len(shapes), links)
    layers = assign_layers(len(shapes), [link for link in links if link not in back], len(inputs) + len(unknown))
    return _placed(shapes, links, back, layers, frozenset(graph.results), len(graph.nodes) - len(nodes))


@dataclass(frozen=True, slots=True)
class _Shape:
    label: str
    below: str
    node: JudgedNode | None
    name: str
    is_known: bool = True

    @property
    def width(self) -> int:
        longest = max(len(self.label) * _CHARACTER, len(self.below) * _CHARACTER * 0.82)
        return max(44, round(longest) + _PADDING)


def _drawn(graph: JudgedGraph) -> Sequence[JudgedNode]:
    if len(graph.nodes) <= MOST_BOXES:
        return graph.nodes
    chosen = [node for node in graph.nodes if node.status is not Status.SUPPORTED]
    names = {node.name for node in chosen}
    near = {name for node in chosen for name in node.reads}
    kept = [
        node
        for node in graph.nodes
        if node.name in names or node.name in near or any(name in names for name in node.reads)
    ]
    return kept[:MOST_BOXES]


def short_name(op: str) -> str:
    """The end of an op's name by which people call it.

    >>> short_name("torch.nn.functional.silu"), short_name("torch.ops.aten.add.Tensor"), short_name("operator.add")
    ('silu', 'add.Tensor', 'add')
    """
    parts = op.split(".")
    return ".".join(parts[3:]) if parts[:2] == ["torch", "ops"] and len(parts) > 3 else parts[-1]


def _cut(text: str, longest: int = _LONGEST_LABEL) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"


def _told(output: str) -> str:
    return "" if output == "?" else output


def _links(shapes: Sequence[_Shape]) -> list[Link]:
    """Pairs of what is read and what reads it; of several nodes with one name, the last one before the reader."""
    latest: dict[str, int] = {}
    first: dict[str, int] = {}
    for place, shape in enumerate(shapes):
        first.setdefault(shape.name, place)
    found: dict[Link, None] = {}
    for place, shape in enumerate(shapes):
        for name in shape.node.reads if shape.node else ():
            source = latest.get(name, first.get(name))
            if source is not None:
                found[source, place] = None
        latest[shape.name] = place
    return sorted(found)


# --- orders and coordinates -------------------------------------------------------------------------------------------


def _placed(
    shapes: Sequence[_Shape],
    links: Sequence[Link],
    back: frozenset[Link],
    layers: Sequence[int],
    results: frozenset[str],
    left_out: int,
) -> Picture:
    web = Web([shape.width for shape in shapes], layers, [link for link in links if link not in back])
    web.order()
    x = web.coordinates()
    edge = min((x[vertex] - width / 2 for vertex, width in enumerate(web.widths)), default=0) - _MARGIN
    middles = [round(value - edge) for value in x]
    boxes = []
    for place, shape in enumerate(shapes):
        y = _MARGIN + layers[place] * _LAYER_HEIGHT + (0 if shape.node else BOX_HEIGHT - INPUT_HEIGHT)
        boxes.append(
            Box(
                shape.label,
                shape.below,
                middles[place],
                y,
                shape.width,
                layers[place],
                shape.node,
                shape.name,
                shape.name in results,
                shape.is_known,
            )
        )
    edges = _routed(boxes, web, middles, links, back)
    right = max((middle + width / 2 for middle, width in zip(middles, web.widths, strict=True)), default=0)
    height = 2 * _MARGIN + (max(layers, default=0) + 1) * _LAYER_HEIGHT
    return Picture(tuple(boxes), tuple(edges), round(right) + _MARGIN, height, left_out)


def _routed(
    boxes: Sequence[Box], web: Web, middles: Sequence[int], links: Sequence[Link], back: frozenset[Link]
) -> list[Edge]:
    arrivals = _arrivals(boxes, web, middles, links, back)
    # The longest line of a trunk draws all of it, the others only what is theirs.
    longest: dict[int, int] = {}
    for source, target in links:
        if (source, target) not in back and boxes[target].layer >= boxes[longest.get(source, target)].layer:
            longest[source] = target
    edges = []
    for source, target in links:
        start, end = boxes[source], boxes[target]
        if (source, target) in back:
            points = ((start.x + start.width // 2, start.y + start.height // 2), (end.x + end.width // 2, end.y + 6))
            edges.append(Edge(source, target, points, is_back=True))
            continue
        trunk = web.trunks[source][: max(1, end.layer - start.layer)]
        way = [(start.x, start.y + start.height)]
        for vertex in trunk[1:]:
            top = _MARGIN + web.layer_of[vertex] * _LAYER_HEIGHT
            way += [(middles[vertex], top), (middles[vertex], top + BOX_HEIGHT)]
        if longest[source] != target and len(way) > 1:
            way = way[-1:]
        edges.append(Edge(source, target, _simple([*way, (arrivals[source, target], end.y)]), is_back=False))
    return edges


def _arrivals(
    boxes: Sequence[Box], web: Web, middles: Sequence[int], links: Sequence[Link], back: frozenset[Link]
) -> dict[Link, int]:
    """Where lines meet the upper edge of a box: side by side, in the order in which they come."""
    coming: dict[int, list[tuple[int, int]]] = {}
    for source, target in links:
        if (source, target) not in back:
            trunk = web.trunks[source]
            last = trunk[min(len(trunk), boxes[target].layer - boxes[source].layer) - 1]
            coming.setdefault(target, []).append((middles[last], source))
    found = {}
    for target, sources in coming.items():
        box = boxes[target]
        step = min(14.0, (box.width - 16) / len(sources))
        for number, (_, source) in enumerate(sorted(sources)):
            found[source, target] = round(box.x + (number - (len(sources) - 1) / 2) * step)
    return found


def _simple(points: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The points without those in the midst of a straight vertical line."""
    kept = [points[0]]
    for (_, here), (_, after) in zip(pairwise(points), pairwise(points[1:]), strict=False):
        if not kept[-1][0] == here[0] == after[0]:
            kept.append(here)
    return (*kept, points[-1])
