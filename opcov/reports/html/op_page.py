"""Makes the page of one op: why Thunder does not take it, where it comes from, and what else falls back with it."""

from __future__ import annotations

from opcov.coverage import Coverage
from opcov.reports.html import names
from opcov.reports.html.environment import render_page
from opcov.reports.html.groupings import Grouping, OpFindings
from opcov.reports.html.sentences import gains
from opcov.verdict import Status


def render_op(coverage: Coverage, grouping: Grouping, found: OpFindings) -> str:
    """The page of an op; a short one where all of its nodes are supported."""
    row = found.row
    return render_page(
        "op.html",
        coverage,
        root="../",
        crumbs=(("Overview", "index.html"), (row.op, names.op_page(row.op))),
        found=found,
        row=row,
        supported=row.status is Status.SUPPORTED,
        gains=tuple(gains(row)),
        # A sibling has a page of its own only where a graph holds it too.
        linked=frozenset(sibling for sibling in row.siblings if sibling in grouping.ops),
    )
