"""The pre-merge gate: holds a scan against a baseline and tells what fails and what is worth a note."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from opcov.baseline import Baseline
from opcov.coverage import Coverage
from opcov.gate.changes import (
    BelowThreshold,
    Change,
    GraphCrashes,
    GraphsLost,
    HealthFell,
    Known,
    KnownOpInNewModel,
    ModelLost,
    NewModel,
    NewOp,
    NewVariant,
    NoModelFacts,
    NotAllowed,
    OpFixed,
    UnknownRose,
    VersionChanged,
    Waived,
    WaiverExpired,
)
from opcov.gate.models import model_changes
from opcov.gate.numbers import below_thresholds, version_changes
from opcov.gate.ops import fixed, op_changes
from opcov.gate.order import gravity
from opcov.gate.rules import Judgement, Level, Rules
from opcov.gate.scene import Scene

__all__ = ["Judgement", "Level", "Rules", "judge", "judge_numbers"]


def judge(baseline: Baseline, coverage: Coverage, rules: Rules, today: dt.date, *, partial: bool = False) -> Judgement:
    """Holds a scan against a baseline.

    Models of a folder of the baseline's corpus that is scanned by itself are known by the ends of their names; such a
    scan is partial, whatever is said of it.

    Args:
        baseline: what is known.
        coverage: what is.
        rules: what may pass.
        today: decides which waivers have expired; the only thing here that changes by itself.
        partial: whether only some models of the corpus were looked at: then nothing is said of the others.
    """
    scene = Scene(baseline, coverage, rules, today, partial)
    changes = [*model_changes(scene), *op_changes(scene), *fixed(scene), *below_thresholds(coverage, rules)]
    changes += version_changes(scene, changes)
    return _judgement(baseline.name, changes, rules)


def judge_numbers(coverage: Coverage, rules: Rules) -> Judgement:
    """Holds a scan against the thresholds of the rules alone, where there is no baseline."""
    return _judgement("", list(below_thresholds(coverage, rules)), rules)


def _judgement(name: str, changes: Iterable[Change], rules: Rules) -> Judgement:
    ordered = sorted(changes, key=gravity)
    failures = tuple(change for change in ordered if _fails(change, rules))
    known = tuple(change for change in ordered if isinstance(change, Known))
    notes = tuple(change for change in ordered if not _fails(change, rules) and not isinstance(change, Known))
    return Judgement(name, failures, notes, known)


def _fails(change: Change, rules: Rules) -> bool:
    match change:
        case NewOp() | NewVariant() | NotAllowed() | WaiverExpired() | UnknownRose() | GraphCrashes():
            return True
        case BelowThreshold():
            return True
        case ModelLost() | GraphsLost() | HealthFell():
            return not rules.allow_lost
        case KnownOpInNewModel():
            return rules.per_model
        case OpFixed():
            return rules.strict
        case NewModel() | Waived() | Known() | VersionChanged() | NoModelFacts():
            return False
