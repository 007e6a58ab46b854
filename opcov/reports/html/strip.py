"""Draws the regions of a graph as one strip from its first node to its last, as wide as they have nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from markupsafe import Markup, escape

from opcov.graph import Compiler
from opcov.judged import JudgedBody, JudgedGraph, JudgedNode
from opcov.problems import Slug
from opcov.reports.html.environment import visible
from opcov.verdict import Status
from opcov.wording import counted

_LEAST_WIDTH = 1.4
"""Percent of the strip that a segment takes at least, so that it can be seen and hit."""
_MOST_PLAIN = 60
"""Segments that a strip holds before it becomes wider than the page and scrolls."""
_PIXELS_EACH = 18
_PIXELS_PER_CHARACTER = 7
_NARROWEST = 340
"""Pixels that a strip is wide on a telephone: a label is written where it fits there."""
_MOST_OPS = 6


class Part(str, Enum):
    """What becomes of a run of nodes; also the class of its segment."""

    THUNDER = "thunder"
    FALLBACK = "fallback"
    LOST = "crash"
    """The splitter would stop, and the graph is lost."""
    NOWHERE = "none"
    """In no region: erased before the split, or not recorded."""

    @property
    def words(self) -> str:
        """For a legend."""
        return _WORDS[self]


_WORDS = {
    Part.THUNDER: "Thunder takes it",
    Part.FALLBACK: "falls back to Inductor",
    Part.LOST: "lost: Thunder's splitter stops",
    Part.NOWHERE: "in no region",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """Nodes that follow one another and share a region.

    Attributes:
        part: what becomes of them.
        name: of the region, "" where they are in none.
        nodes: in order; at least one.
        first: place of the first of them among the nodes of the graph, counted from 0.
    """

    part: Part
    name: str
    nodes: tuple[JudgedNode, ...]
    first: int

    @property
    def label(self) -> str:
        """The region's name, or what there is in place of a region."""
        return self.name or ("lost" if self.part is Part.LOST else "no region")

    @property
    def not_supported(self) -> tuple[tuple[str, int], ...]:
        """Its ops that are not supported with their numbers of nodes, in order of first occurrence."""
        return tuple(Counter(node.op for node in self.nodes if node.status.is_refused).items())


def predicted_segments(graph: JudgedGraph) -> tuple[Segment, ...]:
    """The runs of nodes as the splitter would place them now."""

    def region_of(node: JudgedNode) -> tuple[Part, str]:
        if node.placed is None:
            return (Part.LOST if graph.crash and not graph.placed_regions else Part.NOWHERE), ""
        return _PARTS[node.placed], node.placed_region

    return _segments(graph, region_of)


def recorded_segments(graph: JudgedGraph) -> tuple[Segment, ...]:
    """The runs of nodes as the file records them; none where it records nothing."""
    if graph.recorded_regions is None:
        return ()
    return _segments(
        graph, lambda node: (_PARTS[node.recorded], node.recorded_region) if node.recorded else (Part.NOWHERE, "")
    )


_PARTS = {Compiler.THUNDER: Part.THUNDER, Compiler.INDUCTOR: Part.FALLBACK}


def _segments(graph: JudgedGraph, region_of: Callable[[JudgedNode], tuple[Part, str]]) -> tuple[Segment, ...]:
    runs: list[tuple[Part, str, list[JudgedNode], int]] = []
    for place, node in enumerate(graph.nodes):
        part, name = region_of(node)
        if not runs or runs[-1][:2] != (part, name):
            runs.append((part, name, [], place))
        runs[-1][2].append(node)
    return tuple([Segment(part, name, tuple(nodes), first) for part, name, nodes, first in runs])


def same_runs(one: Sequence[Segment], other: Sequence[Segment]) -> bool:
    """Whether two strips look the same, whatever the regions are called."""
    return [(segment.part, segment.first) for segment in one] == [(segment.part, segment.first) for segment in other]


def stopping_place(body: JudgedBody, graph: JudgedGraph) -> int | None:
    """The place of the node at which Thunder's splitter would stop; None where there is none."""
    if not graph.crash:
        return None
    for place, node in enumerate(graph.nodes):
        if node.status is Status.CRASH:
            return place
    lines = {problem.line for problem in body.problems if problem.slug is Slug.CRASH and problem.line}
    return next((place for place, node in enumerate(graph.nodes) if node.line in lines), None)


def render_strip(
    segments: Sequence[Segment], link_to: Callable[[JudgedNode], str], caption: str, stop: int | None = None
) -> Markup:
    """A strip as an SVG picture that is as wide as there is room.

    Args:
        segments: in order.
        link_to: where the listing, or the table of nodes, has a node.
        caption: what the strip shows, for those who cannot see it.
        stop: place of the node at which the splitter would stop.
    """
    total = sum(len(segment.nodes) for segment in segments)
    if not total:
        return Markup("")
    wide = len(segments) > _MOST_PLAIN
    width = f"{len(segments) * _PIXELS_EACH}" if wide else "100%"
    pixels = len(segments) * _PIXELS_EACH if wide else _NARROWEST
    parts = [
        f'<svg class="strip" width="{width}" height="40" role="group" aria-label="{escape(caption)}">',
        '<svg y="8" height="24">',
    ]
    left = 0.0
    mark = ""
    for segment, share in zip(segments, _shares([len(segment.nodes) for segment in segments]), strict=True):
        label = ""
        if len(segment.label) * _PIXELS_PER_CHARACTER + 8 < share * pixels / 100:
            middle = _short(left + share / 2)
            label = f"<text x={middle}% y=16>{escape(visible(segment.label))}</text>"
        parts.append(
            f"<a href={link_to(segment.nodes[0])} class={segment.part.value}><title>{escape(_told(segment))}</title>"
            f"<rect x={_short(left)}% width={_short(share)}% height=100% />{label}</a>"
        )
        if stop is not None and segment.first <= stop < segment.first + len(segment.nodes):
            node = segment.nodes[stop - segment.first]
            at = _short(left + share * (stop - segment.first + 0.5) / len(segment.nodes))
            parts_of_mark = f"Thunder's splitter stops here: {visible(node.op)} ({visible(node.name)})"
            mark = (
                f'<svg x="{at}%" overflow="visible"><a href="{link_to(node)}" class="stop">'
                f'<title>{escape(parts_of_mark)}</title><path d="M-6 0h12l-5 8v24l5 8h-12l5-8v-24z"/></a></svg>'
            )
        left += share
    return Markup("".join([*parts, "</svg>", mark, "</svg>"]))


def _shares(numbers: Sequence[int]) -> list[float]:
    """Percent of the whole for each number, where small ones get a little more than is theirs."""
    least = min(_LEAST_WIDTH, 60 / len(numbers))
    room = 100 - least * len(numbers)
    total = sum(numbers)
    return [least + room * number / total for number in numbers]


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _told(segment: Segment) -> str:
    """A segment in words."""
    text = f"{visible(segment.label)}: {counted(len(segment.nodes), 'node')}, {segment.part.words}"
    ops = segment.not_supported
    return f"{text}; not supported: {fold_ops(ops)}" if ops else text


def fold_ops(ops: Iterable[tuple[str, int]]) -> str:
    """Names of ops with their numbers in one text that does not become long."""
    named = [visible(op) if number == 1 else f"{visible(op)} ({number} times)" for op, number in ops]
    more = len(named) - _MOST_OPS
    return ", ".join(named[:_MOST_OPS]) + (f" and {counted(more, 'more op')}" if more > 0 else "")
