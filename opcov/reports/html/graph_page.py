"""Makes the page of one distinct graph: its regions, its text with what is not supported, its data flow, its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from opcov.form import Form
from opcov.judged import JudgedBody, JudgedGraph, JudgedNode
from opcov.problems import Slug
from opcov.reports.html import names
from opcov.reports.html.dataflow import render_dataflow
from opcov.reports.html.environment import render_page, visible
from opcov.reports.html.layout import lay_out
from opcov.reports.html.listing import Listing, make_listing, render_listing
from opcov.reports.html.strip import (
    Part,
    Segment,
    fold_ops,
    predicted_segments,
    recorded_segments,
    render_strip,
    same_runs,
    stopping_place,
)
from opcov.reports.report import Findings
from opcov.verdict import Status
from opcov.wording import counted, fold_files

_ROOT = "../"
_MOST_ROWS = 20_000
"""Nodes in the table of a page; a browser cannot sort more in a reasonable time."""


@dataclass(frozen=True, slots=True)
class GraphView:
    """What the page shows of one graph of the body.

    Attributes:
        graph: the graph.
        number: from 1.
        regions: its predicted regions in words.
        strip: of the predicted regions.
        recorded: of those that the file records, where they are others.
        fallbacks: names, numbers of nodes, links and ops not supported of the regions that fall back.
        stop: the node at which the splitter would stop.
        stop_link: where the page has it.
        picture: the data flow.
        left_out: number of nodes that the picture does not show.
        rows: of the table of nodes.
        rows_left_out: number of nodes that the table does not show.
    """

    graph: JudgedGraph
    number: int
    regions: str
    strip: Markup
    recorded: Markup
    fallbacks: tuple[tuple[str, int, str, str], ...]
    stop: JudgedNode | None
    stop_link: str
    picture: Markup
    left_out: int
    rows: Markup
    rows_left_out: int


def render_graph(findings: Findings, digest: str) -> str:
    """The page of a graph, for `graph/<digest>.html`.

    Args:
        findings: coverage and texts.
        digest: of the graph; one that the coverage does not have gives a page that says so.
    """
    coverage = findings.coverage
    files = coverage.files_by_body.get(digest, ())
    body = coverage.bodies.get(digest, JudgedBody(digest, ()))
    text = findings.text_of(digest)
    listing = None if text is None else make_listing(text, body.nodes)
    title = files[0][1].path if files else digest
    models = {model.name: [file.path for owner, file in files if owner.name == model.name] for model, _ in files}
    first = files[0][0].name if files else ""
    crumbs = [("Overview", "index.html"), *([(first, names.model_page(first))] if first else [])]
    name = title.removeprefix(f"{first}/") if first else title
    return render_page(
        "graph.html",
        coverage,
        root=_ROOT,
        crumbs=(*crumbs, (name, names.graph_page(digest))),
        title=title,
        name=name,
        body=body,
        counts=body.counts,
        copies=len(files),
        models=[(model, fold_files(paths)) for model, paths in models.items()],
        forms=_forms(body.graphs),
        problems=[problem for problem in body.problems if problem.slug is not Slug.CRASH or not body.graphs],
        views=list(_views(body, listing)),
        listing=listing,
        code=None if listing is None else render_listing(listing, _ROOT),
        marked=0 if listing is None else sum(bool(line.nodes) for line in listing.lines),
        several=len(body.graphs) > 1,
        parts=_parts(body.graphs),
        statuses=[status for status in Status if getattr(body.counts, status.value)],
    )


def _forms(graphs: Sequence[JudgedGraph]) -> str:
    forms = list(dict.fromkeys(graph.form for graph in graphs))
    words = {Form.SPLIT: "split by Thunder's splitter", Form.UNSPLIT: "not split"}
    return ", ".join(words[form] for form in forms)


def _parts(graphs: Sequence[JudgedGraph]) -> list[Part]:
    """What a legend of the strips has to tell."""
    found = {segment.part for graph in graphs for segment in (*predicted_segments(graph), *recorded_segments(graph))}
    return [part for part in Part if part in found]


def _views(body: JudgedBody, listing: Listing | None) -> Iterator[GraphView]:
    shown = listing.numbers if listing else frozenset()
    for number, graph in enumerate(body.graphs, 1):
        # Nodes may be equal, so each is told from the others by its identity.
        rows = {id(node): place for place, node in enumerate(graph.nodes)}

        def link_to(node: JudgedNode, number: int = number, rows: dict[int, int] = rows) -> str:
            if node.line in shown:
                return f"#L{node.line}"
            return f"#n{number}-{rows[id(node)]}" if rows[id(node)] < _MOST_ROWS else "#nodes"

        predicted, recorded = predicted_segments(graph), recorded_segments(graph)
        place = stopping_place(body, graph)
        stop = None if place is None else graph.nodes[place]
        differs = bool(recorded) and not same_runs(predicted, recorded)
        picture = lay_out(graph)
        yield GraphView(
            graph,
            number,
            _regions(graph),
            render_strip(predicted, link_to, f"Predicted regions of graph {number}", place),
            render_strip(recorded, link_to, f"Recorded regions of graph {number}") if differs else Markup(""),
            tuple(_fallbacks(predicted, link_to)),
            stop,
            link_to(stop) if stop else "",
            render_dataflow(graph, picture, link_to, f"g{number}"),
            picture.left_out,
            _rows(graph, number, shown, with_expressions=listing is None),
            max(0, len(graph.nodes) - _MOST_ROWS),
        )


def _regions(graph: JudgedGraph) -> str:
    if graph.crash and not graph.placed_regions:
        return "The graph is lost"
    thunder = graph.placed_regions - graph.fallback_regions
    parts = [f"{thunder} for Thunder"] if thunder else []
    if graph.fallback_regions:
        parts.append(f"{graph.fallback_regions} that {'falls' if graph.fallback_regions == 1 else 'fall'} back")
    return f"{counted(graph.placed_regions, 'region').capitalize()}: {', '.join(parts)}" if parts else "No regions"


def _fallbacks(
    segments: Sequence[Segment], link_to: Callable[[JudgedNode], str]
) -> Iterator[tuple[str, int, str, str]]:
    for segment in segments:
        if segment.not_supported:
            yield segment.label, len(segment.nodes), link_to(segment.nodes[0]), fold_ops(segment.not_supported)


def _rows(graph: JudgedGraph, number: int, shown: frozenset[int], *, with_expressions: bool) -> Markup:
    """The rows of the table of nodes, made here since there may be thousands of them."""
    parts = []
    for place, node in enumerate(graph.nodes[:_MOST_ROWS]):
        if node.line in shown:
            start, line = "<tr", f"<a href=#L{node.line}>{node.line}</a>"
        else:
            start, line = f"<tr id=n{number}-{place}", str(node.line or "")
        reason = node.reason.value if node.reason else ""
        detail = f"<p>{_text(node.detail)}</p>" if node.detail else ""
        expression = f"<td><code>{_text(node.expression)}</code>" if with_expressions else ""
        status = node.status.value
        op = _text(node.op)
        if node.status is not Status.SUPPORTED:
            start += f" class={status}"
            op = f'<a href="{_ROOT}{names.op_page(node.op)}">{op}</a>'
            status = f'<span class="status is-{status}">{status}</span>'
        parts.append(
            f"{start}><td class=n>{line}<th scope=row>{_text(node.name)}<td>{op}{expression}<td>{status}"
            f"<td>{reason}{detail}<td>{_text(', '.join(node.inputs))}<td>{_text(node.output)}"
            f"<td>{node.family.value}<td>{_text(node.placed_region)}\n"
        )
    return Markup("".join(parts))


def _text(text: str) -> str:
    """The text for between tags; quotes need no escape there."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
