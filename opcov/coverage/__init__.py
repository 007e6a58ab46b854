"""Everything that a scan found, and the tables of ops, variants, models, graphs and nodes that are made of it.

A body is counted once however many ranks saved it; a body that several models share counts for each of them in the
models' table and once in every total. `merge` is associative and does not depend on order.
"""

from __future__ import annotations

from opcov.coverage.found import Coverage
from opcov.coverage.rows import FileRow, ModelRow, NodeRow, OpRow, OpSource

__all__ = ["Coverage", "FileRow", "ModelRow", "NodeRow", "OpRow", "OpSource"]
