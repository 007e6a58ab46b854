"""The site report: static pages that tell what falls back, why, where, in which models, and what to do first."""

from __future__ import annotations

from opcov.reports.html import names
from opcov.reports.html.environment import static_files
from opcov.reports.html.graph_page import render_graph
from opcov.reports.html.groupings import group
from opcov.reports.html.index_page import render_index
from opcov.reports.html.model_page import render_model
from opcov.reports.html.op_page import render_op
from opcov.reports.report import Findings, FolderReport

INDEX = "index.html"


def render(findings: Findings) -> dict[str, str]:
    """All files of the site by their paths in it.

    Every link in it is relative, and nothing is loaded from elsewhere: it works from a disk and from a web server.
    """
    coverage = findings.coverage
    grouping = group(coverage)
    site = {INDEX: render_index(coverage, grouping)}
    for op, found in grouping.ops.items():
        site[names.op_page(op)] = render_op(coverage, grouping, found)
    for name, model in grouping.models.items():
        site[names.model_page(name)] = render_model(findings, grouping, model)
    for digest in coverage.files_by_body:
        site[names.graph_page(digest)] = render_graph(findings, digest)
    return site | static_files()


REPORT = FolderReport(
    "html",
    "a site to look at: open index.html",
    render,
    (INDEX,),
    places=("op/*.html", "model/*.html", "graph/*.html"),
    mark=b'<meta name="generator" content="opcov ',
)
