"""Joins what two scans know of one thing, the same way in either order."""

from __future__ import annotations

from typing import TypeVar

from opcov.corpus.health import Diagnosis, Health
from opcov.graphfile import natural_key
from opcov.judged import ModelScan

_Value = TypeVar("_Value")


def first(one: _Value, other: _Value) -> _Value:
    """One of two values, the same in either order."""
    return one if one == other else min(one, other, key=repr)


def joined(one: ModelScan, other: ModelScan) -> ModelScan:
    """A model with the files of both."""
    if one == other:
        return one
    files = {file.path: file for file in one.files}
    for file in other.files:
        files[file.path] = first(files[file.path], file) if file.path in files else file
    ordered = tuple(files[path] for path in sorted(files, key=natural_key))
    run_logs = [scan.run_log for scan in (one, other) if scan.run_log is not None]
    run_log = first(run_logs[0], run_logs[-1]) if run_logs else None
    return ModelScan(one.name, ordered, _joined_diagnosis(one.diagnosis, other.diagnosis), run_log)


def _joined_diagnosis(one: Diagnosis, other: Diagnosis) -> Diagnosis:
    """Two parts of a model are as healthy as both are; where only one of them has graphs, the whole is partial."""
    if one == other:
        return one
    health = one.health if one.health is other.health else Health.PARTIAL
    reasons = {*one.reasons, *other.reasons}
    if health is not Health.FAILED and _NO_GRAPHS in reasons:
        reasons = reasons - {_NO_GRAPHS} | {_NO_GRAPHS_IN_A_PART}
    return Diagnosis(health, tuple(sorted(reasons)))


_NO_GRAPHS = "no graphs"
"""What `health.diagnose` says of a model without graphs."""
_NO_GRAPHS_IN_A_PART = "a part of it has no graphs"
