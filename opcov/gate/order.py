"""The order in which changes are told: the gravest first, whatever order they were found in."""

from __future__ import annotations

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
    OpFacts,
    OpFixed,
    UnknownRose,
    VersionChanged,
    Waived,
    WaiverExpired,
)
from opcov.graphfile import natural_key

_GRAVITY: tuple[type, ...] = (
    VersionChanged, NoModelFacts,  # these put all others into their light
    ModelLost, HealthFell, GraphsLost, GraphCrashes, UnknownRose,  # behind these, ops may be hidden
    NewOp, NewVariant, NotAllowed, WaiverExpired, KnownOpInNewModel, BelowThreshold,
    OpFixed, NewModel, Waived, Known,
)  # fmt: skip


def gravity(change: Change) -> tuple[object, ...]:
    """A sort key: by kind, then by spread or by name."""
    place = _GRAVITY.index(type(change))
    match change:
        case NewOp(facts) | NewVariant(facts) | NotAllowed(facts=facts) | WaiverExpired(facts=facts):
            return place, *_by_spread(facts)
        case KnownOpInNewModel(facts) | Waived(facts=facts) | Known(facts):
            return place, *_by_spread(facts)
        case OpFixed(op, variant):
            return place, op, variant
        case ModelLost(model) | NewModel(model) | GraphsLost(model=model) | HealthFell(model=model):
            return place, natural_key(model)
        case UnknownRose(model=model) | GraphCrashes(model=model):
            return place, natural_key(model)
        case VersionChanged(package=name) | NoModelFacts(name) | BelowThreshold(what=name):
            return place, name


def _by_spread(facts: OpFacts) -> tuple[object, ...]:
    return -facts.nodes, -len(facts.models), facts.op, facts.variant, facts.models
