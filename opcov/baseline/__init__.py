"""A committed all_ops.py as baseline: which unsupported ops are known, what people wrote beside them, how models stood.

The file is read by LibCST and never run. What identifies an entry is the op and the variant that its expression shows,
and nothing else of it: lines, files, messages, ranks, local names and integers may all change.
"""

from __future__ import annotations

from opcov.baseline.known import (
    Baseline,
    BaselineError,
    Entry,
    Key,
    ModelFacts,
    Waiver,
    facts_of,
    named_alike,
    resolve_models,
)
from opcov.baseline.reading import parse_baseline, read_baseline

__all__ = [
    "Baseline",
    "BaselineError",
    "Entry",
    "Key",
    "ModelFacts",
    "Waiver",
    "facts_of",
    "named_alike",
    "parse_baseline",
    "read_baseline",
    "resolve_models",
]
