"""Versions held against those of the baseline, and numbers against what is asked for."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction

from opcov.baseline import Key
from opcov.coverage import Coverage
from opcov.gate.changes import (
    BelowThreshold,
    Change,
    GraphCrashes,
    KnownOpInNewModel,
    NewOp,
    NewVariant,
    OpFixed,
    UnknownRose,
    VersionChanged,
)
from opcov.gate.order import gravity
from opcov.gate.rules import Rules
from opcov.gate.scene import Scene
from opcov.judged import percentage
from opcov.verdict import Status
from opcov.wording import counted


def version_changes(scene: Scene, changes: Iterable[Change]) -> Iterator[VersionChanged]:
    """Packages of other versions, each with what the other changes that may come from it are about."""
    before, now = scene.baseline.versions, scene.coverage.versions
    if not before:
        return
    present = scene.keys_with(*Status)
    ordered = sorted(changes, key=gravity)
    moved = tuple(dict.fromkeys(text for change in ordered for text in _moved(scene, change, present)))
    for package in sorted({*before, *now}):
        if before.get(package) != now.get(package):
            yield VersionChanged(package, before.get(package, ""), now.get(package, ""), moved)


def _moved(scene: Scene, change: Change, present: Collection[Key]) -> Iterator[str]:
    """What a change is about, if another version of a package can have made it."""
    known = scene.known_models
    match change:
        case NewOp(facts) | NewVariant(facts) | KnownOpInNewModel(facts):
            # Of a model that is new, nobody knows what another version would have said.
            if scene.baseline.models is None or any(scene.names[model] in known for model in facts.models):
                yield facts.shape
        case OpFixed(op, variant) if (op, variant) in present:
            yield variant or op
        case UnknownRose(model=model) | GraphCrashes(model=model):
            yield model
        case _:
            return


def below_thresholds(coverage: Coverage, rules: Rules) -> Iterator[BelowThreshold]:
    """Numbers that are not what the rules ask for; of nothing, no number is good enough."""
    supported, judged = coverage.counts.supported, coverage.counts.supported + coverage.counts.not_supported
    if rules.fail_under is not None:
        what, asked = "node coverage", f"{rules.fail_under:g} %"
        if not judged:
            yield BelowThreshold(what, "not known, since no node was judged", asked)
        elif not _reaches(supported, judged, rules.fail_under):
            share = _below(supported, judged, rules.fail_under)
            is_now = f"{share} % ({supported} of {counted(judged, 'node')})"
            yield BelowThreshold(what, is_now, asked)
    if rules.max_unsupported is not None:
        what, asked = "the number of ops that are not supported", f"at most {rules.max_unsupported}"
        ops = sum(row.counts.not_supported > 0 for row in coverage.op_rows)
        if not judged:
            yield BelowThreshold(what, "not known, since no node was judged", asked)
        elif ops > rules.max_unsupported:
            yield BelowThreshold(what, str(ops), asked)


def _reaches(part: int, whole: int, percent: float) -> bool:
    """Whether a share is at least so many percent, as the number is written: 99.9 is 999 of 1000."""
    return math.isfinite(percent) and 100 * part >= Fraction(str(percent)) * whole


def _below(part: int, whole: int, percent: float) -> str:
    """A share as the summary tells it, with as many decimals more as it takes to be less than what is asked for."""
    told = percentage(part, whole)
    if not math.isfinite(percent):
        return told
    decimals = 1
    while Fraction(told) >= Fraction(str(percent)):
        decimals += 1
        parts = round(Fraction(100 * part, whole) * 10**decimals)  # a float would have no more than 16 digits
        told = f"{parts // 10**decimals}.{parts % 10**decimals:0{decimals}d}"
    return told
