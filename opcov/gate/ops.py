"""Unsupported ops held against what is listed: new, known, waived, fixed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from opcov.baseline import Key, Waiver
from opcov.corpus.health import Health
from opcov.gate.changes import (
    Change,
    Known,
    KnownOpInNewModel,
    NewOp,
    NewVariant,
    NotAllowed,
    OpFacts,
    OpFixed,
    Waived,
    WaiverExpired,
)
from opcov.gate.rules import Level
from opcov.gate.scene import HEALTHS, Found, Listing, Scene
from opcov.graphfile import natural_key
from opcov.judged import ModelScan
from opcov.problems import Slug
from opcov.verdict import Status


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the baseline says of a call shape in one model."""

    kind: type[Change]
    waiver: Waiver | None = None
    allowed: tuple[str, ...] = ()
    line: int = 0


_MERCY = (Known, KnownOpInNewModel, Waived, WaiverExpired, NotAllowed)
"""Answers from the mildest on: of several listings of an op the mildest counts for a call shape without its own."""


def op_changes(scene: Scene) -> Iterator[Change]:
    """What the baseline says of each unsupported call shape, by models."""
    groups: dict[tuple[Key, _Answer], tuple[dict[int, Found], set[str]]] = {}
    for (op, variant), nodes in scene.unsupported.items():
        for found in nodes:
            for model in {model.name for model, _ in scene.coverage.files_by_body[found[0]]}:
                answer = _answer(scene, op, variant, scene.names[model])
                members, models = groups.setdefault((scene.key_of(op, variant), answer), ({}, set()))
                members[id(found[1])] = found
                models.add(model)
    for (key, answer), (members, models) in groups.items():
        yield _change(answer, scene.facts_of(key, members.values(), models))


def _answer(scene: Scene, op: str, variant: str, model: str) -> _Answer:
    of_op = scene.listings_by_op.get(op, ())
    own = scene.listings.get((op, variant))
    if own is None and scene.rules.level is Level.VARIANT:
        return _Answer(NewVariant if of_op else NewOp)
    if not of_op:
        return _Answer(NewOp)
    listings = [own] if own is not None else of_op
    answers = [_listed(scene, listing, model) for listing in listings]
    return min(answers, key=lambda answer: _MERCY.index(answer.kind))


def _listed(scene: Scene, listing: Listing, model: str) -> _Answer:
    if listing.waivers:
        return _waived(listing, model, scene.today)
    names = [listing] if scene.rules.level is Level.VARIANT else scene.listings_by_op[listing.op]
    is_named = any(model in one.models for one in names)
    can_tell = all(one.names_models for one in names)
    return _Answer(KnownOpInNewModel if can_tell and not is_named else Known)


def _waived(listing: Listing, model: str, today: dt.date) -> _Answer:
    meant = [waiver for waiver in listing.waivers if not waiver.models or _is_among(model, waiver.models)]
    if not meant:
        allowed = tuple(dict.fromkeys(name for waiver in listing.waivers for name in waiver.models))
        return _Answer(NotAllowed, None, allowed, listing.waivers[0].line)
    # The one that lasts longest speaks for all, holding or expired.
    waiver = max(meant, key=lambda waiver: (waiver.until or dt.date.max, -waiver.line))
    return _Answer(Waived if waiver.holds(today) else WaiverExpired, waiver)


def _is_among(model: str, names: Iterable[str]) -> bool:
    """Whether a model is named, by its name or by a pattern of a shell (`Qwen/*`)."""
    return any(model == name or fnmatchcase(model, name) for name in names)


def _change(answer: _Answer, facts: OpFacts) -> Change:
    waiver = answer.waiver
    if answer.kind is NotAllowed:
        return NotAllowed(facts, answer.allowed, answer.line)
    if waiver is not None:
        if answer.kind is WaiverExpired and waiver.until is not None:
            return WaiverExpired(facts, waiver.until, waiver.reason, waiver.line)
        return Waived(facts, waiver.until, waiver.reason, waiver.line)
    for kind in (NewOp, NewVariant, KnownOpInNewModel):
        if answer.kind is kind:
            return kind(facts)
    return Known(facts)


def fixed(scene: Scene) -> Iterator[OpFixed]:
    """Entries that are unsupported no more; one whose models were not seen as well as before tells nothing."""
    still = scene.keys_with(Status.UNSUPPORTED, Status.CRASH, Status.UNKNOWN)
    groups: dict[Key, list[Listing]] = {}
    for key, listing in scene.listings.items():
        groups.setdefault(scene.key_of(*key), []).append(listing)
    for key, listings in groups.items():
        if key in still:
            continue
        models = frozenset(model for listing in listings for model in listing.models)
        tells = all(listing.names_models for listing in listings)
        if not tells:
            models |= {*(scene.baseline.models or scene.coverage.models)}
        # An entry that names no model may be of any: only a look at all of them tells that it is fixed.
        if (tells or scene.is_whole) and all(_is_intact(scene, model, is_named=tells) for model in models):
            named = tuple(sorted(models, key=natural_key)) if tells else ()
            yield OpFixed(*key, named, min(listing.line for listing in listings))


def _is_intact(scene: Scene, model: str, *, is_named: bool) -> bool:
    """Whether a model was seen at least as well as when the baseline was made, so that what is not there is gone."""
    now = scene.facts.get(model)
    if now is None or _is_damaged(scene, model):
        return False
    before = (scene.baseline.models or {}).get(model)
    if before is None:
        return now.health is Health.OK
    if not before.graphs and not now.graphs:
        # It had nothing that could be lost; how an entry came to name it, nobody knows.
        return not is_named
    return now.graphs >= before.graphs and HEALTHS.index(now.health) <= HEALTHS.index(before.health)


def _scan_of(scene: Scene, model: str) -> ModelScan:
    return next(scan for name, scan in scene.coverage.models.items() if scene.names[name] == model)


_NEWS = frozenset({Slug.CRASH, Slug.LINK_LOOP, Slug.NO_SHAPES, Slug.CONTESTED})
"""Problems that leave out no call."""


def _is_damaged(scene: Scene, model: str) -> bool:
    """Whether something of its graphs could not be read, and ops with it."""
    paths = {file.path for file in _scan_of(scene, model).files}
    return any(problem.slug not in _NEWS and problem.file in paths for problem in scene.coverage.problems)
