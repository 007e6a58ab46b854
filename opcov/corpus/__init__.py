"""Where graphs lie: what a corpus is, how it is found, and which part of it a scan looks at."""

from __future__ import annotations

from opcov.corpus.model import LOG_NAME, RESULT_NAME, Corpus, Model
from opcov.corpus.selection import Scope, path_below, scope_of, selected
from opcov.corpus.walk import discover

__all__ = [
    "LOG_NAME",
    "RESULT_NAME",
    "Corpus",
    "Model",
    "Scope",
    "discover",
    "path_below",
    "scope_of",
    "selected",
]
