"""What a gate tells, as typed values: each change against a baseline explains itself in the style of its reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import ClassVar, TypeAlias, Union, cast

from opcov.corpus.health import Health
from opcov.wording import code, counted, one_line

_MOST_NAMED = 5
_LONGEST = 600
"""Characters of one text from a dump: call shapes of kernels are long, and differ at their ends."""


class Style(str, Enum):
    """Who reads an explanation."""

    TEXT = "text"
    """A terminal or a log: one line."""
    MARKDOWN = "markdown"
    """A pull request: one line, everything from a dump in code spans."""
    GITHUB = "github"
    """An annotation: several lines of plain text."""
    SARIF = "sarif"
    """A code scanning alert: sentences of plain text."""


Show: TypeAlias = Callable[[str], str]
"""Makes a text from a dump safe for its reader."""


def show_in(style: Style) -> Show:
    """How a text from a dump is shown in a style: on one line, of bounded length, and nothing in it is acted upon."""
    match style:
        case Style.MARKDOWN:
            return partial(code, longest=_LONGEST)
        case Style.SARIF:
            # A bracket with a parenthesis after it is a link in SARIF's plain text (2.1.0, 3.11.6).
            return lambda text: _short(text).replace("](", "] (")
        case Style.TEXT | Style.GITHUB:
            return _short


def _short(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@dataclass(frozen=True, slots=True)
class Telling:
    """What there is to say of a change, each part made safe for its reader.

    Attributes:
        news: what changed.
        where: a place in a graph file; "" where there is none.
        expression: the call there; "" where there is none.
        why: reason and detail; "" where there are none.
        source: the line of the model's code; "" where it is not known.
    """

    news: str
    where: str = ""
    expression: str = ""
    why: str = ""
    source: str = ""

    def joined(self, style: Style, advice: str = "") -> str:
        """All of it in a style; only annotations and alerts give the advice too, as they stand alone."""
        source = f"from {self.source}" if self.source else ""
        match style:
            case Style.TEXT | Style.MARKDOWN:
                return "; ".join(filter(None, (self.news, self.where, self.why, source)))
            case Style.GITHUB | Style.SARIF:
                where = ": ".join(filter(None, (f"at {self.where}" if self.where else "", self.expression)))
                # Not the reason: it may begin with a text from a dump, which has to stay as it is.
                parts = filter(None, (_capital(self.news), _capital(where), self.why, _capital(source), advice))
                return "\n".join(parts) if style is Style.GITHUB else " ".join(map(_sentence, parts))


def _capital(text: str) -> str:
    """A sentence's beginning; the name of an op stays as it is."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


class Explained:
    """What every change can do: explain itself."""

    __slots__ = ()

    def explain(self, style: Style) -> str:
        """What changed, where and why, safe to be shown whatever a dump holds.

        Args:
            style: who reads it. One line in `TEXT` and `MARKDOWN`; several lines in `GITHUB` and sentences in `SARIF`,
                both with what to do at their end.
        """
        return _telling(cast("Change", self), show_in(style)).joined(style, self.what_to_do)

    @property
    def what_to_do(self) -> str:
        """One sentence; "" where there is nothing to do."""
        return _advice(cast("Change", self))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change shows.

    Attributes:
        file: graph file, from the corpus root.
        line: 1-based, 0 where it has none.
        expression: the call as printed.
        source: the line of the model's code that it comes from: `sglang/srt/layers/layernorm.py:7 in forward`; "" where
            not known.
        digest: of the graph.
    """

    file: str
    line: int
    expression: str
    source: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class OpFacts:
    """An unsupported call shape as it is now.

    Attributes:
        op: canonical target.
        variant: call shape; "" where ops are compared and not variants.
        reason: why: `MISSING_OP_SUPPORT`.
        detail: Thunder's sentence or exception.
        models: names of the models concerned, in natural order.
        nodes: how many, in distinct graphs.
        place: the first of them.
    """

    op: str
    variant: str
    reason: str
    detail: str
    models: tuple[str, ...]
    nodes: int
    place: Place

    @property
    def shape(self) -> str:
        """What tells it from others: the call shape, or the op where ops are compared."""
        return self.variant or self.op

    def tell(self, news: str, show: Show) -> Telling:
        """What is to be said of it after the news: in which models, where, why, from which source."""
        spread = f"{news}: {counted(self.nodes, 'node')} in {named(self.models, show)}"
        place = self.place
        why = ": ".join(filter(None, (self.reason, show(self.detail))))
        return Telling(spread, show(str(place)), show(place.expression), why, show(place.source))


def named(models: Sequence[str], show: Show) -> str:
    """How many models, and the first of their names."""
    return f"{counted(len(models), 'model')}: {named_some(models, show)}"


def named_some(texts: Sequence[str], show: Show) -> str:
    """The first of some texts, and how many more."""
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return f"{_listed(texts[:_MOST_NAMED], show)}{more}"


def _listed(names: Sequence[str], show: Show) -> str:
    return ", ".join(map(show, names))


@dataclass(frozen=True, slots=True)
class NewOp(Explained):
    """An op that the baseline does not list."""

    slug: ClassVar[str] = "new-op"
    facts: OpFacts


@dataclass(frozen=True, slots=True)
class NewVariant(Explained):
    """A call shape that the baseline does not list, of an op that it does."""

    slug: ClassVar[str] = "new-variant"
    facts: OpFacts


@dataclass(frozen=True, slots=True)
class KnownOpInNewModel(Explained):
    """A listed call shape in models that its entry does not name."""

    slug: ClassVar[str] = "new-model-for-op"
    facts: OpFacts


@dataclass(frozen=True, slots=True)
class NotAllowed(Explained):
    """A listed call shape in models to which its waivers do not extend."""

    slug: ClassVar[str] = "not-allowed"
    facts: OpFacts
    allowed: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class WaiverExpired(Explained):
    """A listed call shape whose waiver has come to its end."""

    slug: ClassVar[str] = "waiver-expired"
    facts: OpFacts
    until: dt.date
    why: str
    line: int


@dataclass(frozen=True, slots=True)
class Waived(Explained):
    """A listed call shape that a waiver allows today."""

    slug: ClassVar[str] = "waived"
    facts: OpFacts
    until: dt.date | None
    why: str
    line: int


@dataclass(frozen=True, slots=True)
class Known(Explained):
    """A listed call shape that is still unsupported, as expected."""

    slug: ClassVar[str] = "known"
    facts: OpFacts


@dataclass(frozen=True, slots=True)
class OpFixed(Explained):
    """A listed call shape that is unsupported no more in any model that was looked at."""

    slug: ClassVar[str] = "op-fixed"
    op: str
    variant: str
    models: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class ModelLost(Explained):
    """A model of the baseline that the corpus has no more."""

    slug: ClassVar[str] = "model-lost"
    model: str


@dataclass(frozen=True, slots=True)
class NewModel(Explained):
    """A model that the baseline does not know."""

    slug: ClassVar[str] = "new-model"
    model: str


@dataclass(frozen=True, slots=True)
class GraphsLost(Explained):
    """A model that has fewer graphs than it had, ranks aside."""

    slug: ClassVar[str] = "graphs-lost"
    model: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class HealthFell(Explained):
    """A model whose capture is worse than it was."""

    slug: ClassVar[str] = "health-fell"
    model: str
    before: Health
    after: Health
    why: str


@dataclass(frozen=True, slots=True)
class UnknownRose(Explained):
    """A model with more nodes of which too little is known to ask."""

    slug: ClassVar[str] = "unknown-rose"
    model: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class GraphCrashes(Explained):
    """A model with more graphs that Thunder loses."""

    slug: ClassVar[str] = "graph-crashes"
    model: str
    before: int
    after: int
    why: str
    place: Place


@dataclass(frozen=True, slots=True)
class VersionChanged(Explained):
    """A package of another version than that of the baseline's header.

    Attributes:
        package: `lightning-thunder`.
        before: its version then; "" where the header does not name it.
        after: its version now; "" where it does not judge.
        moved: what the other changes that may come from it are about: call shapes, ops, models.
    """

    slug: ClassVar[str] = "version-changed"
    package: str
    before: str
    after: str
    moved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BelowThreshold(Explained):
    """A number that is not what was asked for: `node coverage is 85.9 %, and 90 % is asked for`."""

    slug: ClassVar[str] = "threshold"
    what: str
    is_now: str
    asked: str


@dataclass(frozen=True, slots=True)
class NoModelFacts(Explained):
    """A baseline that does not say how its models stood, such as one made by hand."""

    slug: ClassVar[str] = "no-model-facts"
    baseline: str


Change: TypeAlias = Union[
    NewOp, NewVariant, KnownOpInNewModel, NotAllowed, WaiverExpired, Waived, Known, OpFixed, ModelLost, NewModel,
    GraphsLost, HealthFell, UnknownRose, GraphCrashes, VersionChanged, NoModelFacts, BelowThreshold,
]  # fmt: skip


# --- explaining -------------------------------------------------------------------------------------------------------


def _telling(change: Change, show: Show) -> Telling:
    match change:
        case NewOp(facts):
            return facts.tell(f"new unsupported op {show(facts.shape)}", show)
        case NewVariant(facts):
            return facts.tell(f"new unsupported call shape {show(facts.shape)} of a listed op", show)
        case KnownOpInNewModel(facts):
            return facts.tell(f"listed {show(facts.shape)} in other models than its entry names", show)
        case NotAllowed(facts, allowed, line):
            within = _listed(allowed, show) or "no model"
            return facts.tell(f"{show(facts.shape)} is allowed in {within} alone (baseline line {line})", show)
        case WaiverExpired(facts, until, why, line):
            reason = _behind(why, show)
            return facts.tell(
                f"the waiver of {show(facts.shape)}{reason} expired after {until} (baseline line {line})", show
            )
        case Waived(facts, until, why, _):
            end = f" until {until}" if until else ""
            return facts.tell(f"{show(facts.shape)} is allowed{end}{_behind(why, show)}", show)
        case Known(facts):
            return facts.tell(f"listed {show(facts.shape)} is still unsupported", show)
        case OpFixed(op, variant, models, line):
            where = f" in {named(models, show)}" if models else ""
            return Telling(f"listed {show(variant or op)} (baseline line {line}) is unsupported no more{where}")
        case ModelLost(model):
            return Telling(f"model {show(model)} of the baseline is not in the corpus")
        case NewModel(model):
            return Telling(f"model {show(model)} is new to the baseline")
        case GraphsLost(model, before, after):
            return Telling(f"model {show(model)} has {counted(after, 'graph')}, and had {before}")
        case HealthFell(model, before_health, after_health, why):
            news = f"the capture of model {show(model)} is {after_health.value}, and was {before_health.value}"
            return Telling(news, why=show(why))
        case UnknownRose(model, before, after):
            nodes = counted(after, "node")
            return Telling(f"model {show(model)} has {nodes} of which too little is known to ask, and had {before}")
        case GraphCrashes(model, before, after, why, place):
            news = f"Thunder loses {counted(after, 'graph')} of model {show(model)}, and lost {before}"
            return Telling(news, show(str(place)), show(place.expression), show(why), show(place.source))
        case VersionChanged(package, before_version, after_version, moved):
            was = show(before_version) or "not named"
            which = f": {named_some(moved, show)}" if moved else ""
            now = show(after_version) or "not used"
            return Telling(
                f"another version of {show(package)} than in the baseline: {was} then, {now} now; "
                f"{_may_come(len(moved))}{which}"
            )
        case NoModelFacts(baseline):
            return Telling(f"{show(baseline)} does not say how its models stood: worse captures cannot be told")
        case BelowThreshold(what, is_now, asked):
            return Telling(f"{what} is {is_now}, and {asked} is asked for")


def _behind(why: str, show: Show) -> str:
    return f" ({show(why)})" if why else ""


def _may_come(number: int) -> str:
    return "1 other change may come from that" if number == 1 else f"{number or 'no'} other changes may come from that"


def _advice(change: Change) -> str:
    match change:
        case NewOp() | NewVariant():
            return "Add support to Thunder, or list it with --update, where `#: allow until <date>, <why>` bounds it."
        case KnownOpInNewModel():
            return "Add the models to its entry with --update."
        case NotAllowed():
            return "Add support to Thunder, or extend the waiver at its entry: `#: allow <model>, <why>`."
        case WaiverExpired():
            return "Add support to Thunder, or set a later day at its entry: `#: allow until <date>, <why>`."
        case OpFixed():
            return "Take it off the list with --update."
        case ModelLost():
            return "Put the model back; if it is meant to go, pass --allow-lost or accept it with --update."
        case GraphsLost() | HealthFell():
            return "Capture the model again; if the loss is meant, pass --allow-lost or accept it with --update."
        case UnknownRose():
            return "Capture the model with shapes and dtypes again, or accept it with --update."
        case GraphCrashes():
            return "Make Thunder's check answer instead of raising, or accept it with --update."
        case NewModel() | VersionChanged() | NoModelFacts():
            return "Record it with --update."
        case BelowThreshold():
            return "Add support to Thunder, or ask for less."
        case Waived() | Known():
            return ""
