"""Scans a corpus: each distinct body is read, judged and placed once, by this process or by many."""

from __future__ import annotations

from opcov.engine.scanning import scan_corpus, siblings_of
from opcov.engine.work import InProcess, Workers

__all__ = ["InProcess", "Workers", "scan_corpus", "siblings_of"]
