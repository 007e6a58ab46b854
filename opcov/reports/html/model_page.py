"""Makes the page of one model: how far its run can be trusted, its ops and graphs, the dtypes that it computes in."""

from __future__ import annotations

from opcov.reports.html import names
from opcov.reports.html.environment import render_page
from opcov.reports.html.groupings import Grouping, ModelFindings
from opcov.reports.html.ranks import rank_differences
from opcov.reports.report import Findings


def render_model(findings: Findings, grouping: Grouping, found: ModelFindings) -> str:
    """The page of a model."""
    coverage = findings.coverage
    name = found.row.scan.name
    return render_page(
        "model.html",
        coverage,
        root="../",
        crumbs=(("Overview", "index.html"), (name, names.model_page(name))),
        found=found,
        row=found.row,
        log=found.row.scan.run_log,
        differences=rank_differences(found.row.scan, findings),
        judged=coverage.files_by_body.keys(),
        rows={op: of_op.row for op, of_op in grouping.ops.items()},
    )
