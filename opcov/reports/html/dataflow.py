"""Draws the data flow of a graph as an SVG picture whose boxes lead to their lines in the listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from opcov.graph import Compiler
from opcov.judged import JudgedGraph, JudgedNode
from opcov.reports.html.environment import visible
from opcov.reports.html.layout import Box, Edge, Picture
from opcov.verdict import Status
from opcov.wording import counted

_PLACES = {Compiler.THUNDER: (), Compiler.INDUCTOR: ("fallback",), None: ("nowhere",)}
"""Classes of boxes; what Thunder takes is the rule and has none. Attributes go without quotes where HTML allows it."""


def render_dataflow(graph: JudgedGraph, picture: Picture, link_to: Callable[[JudgedNode], str], prefix: str) -> Markup:
    """The picture of a graph; it needs no script to be read, scrolled and followed.

    Args:
        graph: what the picture shows.
        picture: where all of it stands.
        link_to: where the listing, or the table of nodes, has a node.
        prefix: of ids, which no other picture of the page has.
    """
    if not picture.boxes:
        return Markup("")
    known = dict(graph.inputs)
    pairs = " ".join(f"{edge.source} {edge.target}" for edge in picture.edges)
    start = (
        f'<svg class="dataflow" width="{picture.width}" height="{picture.height}" '
        f'viewBox="0 0 {picture.width} {picture.height}" role="group" aria-labelledby="{prefix}t {prefix}d">'
        f'<title id="{prefix}t">Data flow</title><desc id="{prefix}d">{escape(_described(picture))}</desc>'
        f'<defs><marker id="{prefix}a" viewBox="0 0 8 8" refX=7 refY=4 markerWidth=7 markerHeight=7 '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.5 8 4 0 7.5z"/></marker></defs>'
        f'<g class="edges" marker-end="url(#{prefix}a)" data-edges="{pairs}">'
    )
    parts = [
        start,
        *map(_line, picture.edges),
        '</g><g class="boxes">',
        *_boxes(picture.boxes, known, link_to),
        "</g></svg>",
    ]
    return Markup("".join(parts))


def _described(picture: Picture) -> str:
    nodes = sum(box.node is not None for box in picture.boxes)
    refused = sum(box.node is not None and box.node.status is not Status.SUPPORTED for box in picture.boxes)
    inputs = len(picture.boxes) - nodes
    return (
        f"{counted(nodes, 'node')}, {refused} of them not supported, {counted(inputs, 'input')} and "
        f"{counted(len(picture.edges), 'read')}, from top to bottom."
    )


def _line(edge: Edge) -> str:
    (x, y), *_ = edge.points
    path = f"M{x} {y}"
    if edge.is_back:
        next_x, next_y = edge.points[1]
        right = max(x, next_x) + 40
        return f'<path class="back" d="{path}C{right} {y} {right} {next_y} {next_x} {next_y}"/>'
    for (x, y), (next_x, next_y) in pairwise(edge.points):
        across, down = next_x - x, next_y - y
        path += f"c0 {down // 2} {across} {down // 2} {across} {down}" if across else f"v{down}"
    return f'<path d="{path}"/>'


def _boxes(boxes: Sequence[Box], known: dict[str, str], link_to: Callable[[JudgedNode], str]) -> Iterator[str]:
    for box in boxes:
        left = box.x - box.width // 2
        rect = f"<rect x={left} y={box.y} width={box.width} height={box.height} />"
        label = _text(box.label)
        if box.node is None:
            told = known.get(box.name, "")
            kind = "input" if box.is_known else "input missing"
            what = f"input {told}" if box.is_known else "read, but defined nowhere in the graph"
            yield (
                f'<g class="{kind}{" result" if box.is_result else ""}"><title>{_text(box.name)}: {_text(what)}</title>'
                f"{rect}<text x={box.x} y={box.y + 14}>{label}</text></g>"
            )
            continue
        text = f"<text x={box.x} y={box.y + (14 if box.below else 21)}>{label}</text>"
        if box.below:
            text += f"<text x={box.x} y={box.y + 27} class=v>{_text(box.below)}</text>"
        yield (
            f"<a href={link_to(box.node)}{_kind(box)}><title>{_text(_title(box.node, box.is_result))}</title>"
            f"{rect}{text}</a>"
        )


def _kind(box: Box) -> str:
    assert box.node is not None
    kinds = [*_PLACES[box.node.placed]]
    if box.node.status is not Status.SUPPORTED:
        kinds.append(box.node.status.value)
    if box.is_result:
        kinds.append("result")
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _title(node: JudgedNode, is_result: bool) -> str:
    """What a reader learns when resting on a box."""
    verdict = node.status.value if node.reason is None else f"{node.status.value}, {node.reason.value}: {node.detail}"
    ends = f" in {node.placed_region}" if node.placed is Compiler.INDUCTOR else ""
    if is_result:
        ends += ", returned"
    return f"{node.name} = {node.op}({', '.join(node.inputs)}): {node.output}\n{verdict}{ends}"


def _text(text: str) -> str:
    """The text for between tags; quotes need no escape there."""
    return "\n".join(map(visible, text.split("\n"))).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
