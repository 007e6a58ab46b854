"""What CI systems are told: one alert a change that the gate found, or one an unsupported op where nothing was judged.

The formats that they read (github, sarif, junit, gitlab) differ in their words only; what stands in all of them, how
grave it is and where it points to is decided here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import get_args

from opcov import explanations
from opcov.coverage import Coverage, OpRow
from opcov.gate import changes
from opcov.gate.changes import Change, Place, Style
from opcov.graphfile import printable
from opcov.reports.report import Findings
from opcov.verdict import Reason
from opcov.wording import counted, one_line, source_place

LONGEST_NAME = 200
"""Characters of the name of an op, a variant or a model in a line: no dump can fill a report with one of them."""
LONGEST_MESSAGE = 3_000
"""Characters of a message; log lines of CI systems that are much longer are cut at places that nobody chose."""

_BASELINE = "all_ops.py"
"""Where an alert points to that belongs to no graph, if there is no baseline either."""


class Weight(str, Enum):
    """How grave an alert is; the gravest first."""

    ERROR = "error"
    """It fails the gate."""
    WARNING = "warning"
    """Something is worse than it was, or not supported, and nothing fails for it."""
    NOTE = "note"
    """Good or neutral news."""
    WAIVED = "waived"
    """A person has allowed it."""


_NEUTRAL = (
    changes.OpFixed, changes.NewModel, changes.KnownOpInNewModel, changes.VersionChanged, changes.NoModelFacts,
    changes.Known,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell.

    Attributes:
        weight: how grave it is.
        slug: stable name of its kind: `new-op`, `missing-op-support`.
        subject: what it is about: an op, a model, a package.
        op: canonical target, "" where it is about none.
        variant: call shape, "" where it is about none.
        reason: why an op is not supported, "" where it is about none.
        models: names of the models concerned.
        place: where it shows, its file from the working directory.
        on_disk: the same file as it is called on disk, since `place.file` has what cannot be printed escaped.
        change: the change that it tells; None where nothing was judged.
        told: the message where there is no change.
    """

    weight: Weight
    slug: str
    subject: str
    op: str
    variant: str
    reason: str
    models: tuple[str, ...]
    place: Place
    on_disk: str
    change: Change | None = None
    told: str = ""

    @property
    def rule(self) -> str:
        """Its kind, as CI systems know it: `opcov/new-op`."""
        return f"opcov/{self.slug}"

    @property
    def title(self) -> str:
        """A heading on one line: `new op: torch.sinc`."""
        return f"{self.slug.replace('-', ' ')}: {shortened(one_line(self.subject), LONGEST_NAME)}"

    def message(self, style: Style) -> str:
        """What happened, why and what to do, as printable text of one or several lines."""
        text = self.told if self.change is None else self.change.explain(style)
        return shortened(readable(text), LONGEST_MESSAGE)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that stay the same as long as it is the same news: no line or file is in them."""
        parts = (self.slug, self.subject, self.op, self.variant)
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def alerts(findings: Findings) -> tuple[Alert, ...]:
    """All there is to tell, the gravest first, else in the order of the judgement or of the table of ops."""
    judgement = findings.judgement
    if judgement is None:
        coverage = findings.coverage
        places = _first_places(coverage)
        rows = (row for row in coverage.op_rows if row.counts.not_supported)
        found = [_of_row(row, places.get(row.op), findings) for row in rows]
    else:
        found = [_of_change(change, findings, _weight(change, fails=True)) for change in judgement.failures]
        others = (*judgement.notes, *(one for one in judgement.known if isinstance(one, changes.Waived)))
        found += [_of_change(change, findings, _weight(change, fails=False)) for change in others]
    order = list(Weight)
    return tuple(sorted(found, key=lambda alert: order.index(alert.weight)))


def _weight(change: Change, *, fails: bool) -> Weight:
    if fails:
        return Weight.ERROR
    if isinstance(change, changes.Waived):
        return Weight.WAIVED
    return Weight.NOTE if isinstance(change, _NEUTRAL) else Weight.WARNING


def _of_row(row: OpRow, first: Place | None, findings: Findings) -> Alert:
    reason = row.reasons[0] if row.reasons else Reason.UNSUPPORTED_NODE
    name = reason.value
    told = [f"{row.op} is not supported: {': '.join(filter(None, (name, row.detail.rstrip('.'))))}."]
    if row.sources:
        source = row.sources[0]
        told.append(f"It comes from {source_place(source.file, source.line, source.function)}.")
    told.append(
        f"{counted(row.counts.not_supported, 'node')} in {counted(len(row.models), 'model')}: {_some(row.models)}."
    )
    place, on_disk = _placed(first, 0, findings)
    return Alert(
        Weight.WARNING, _slug(reason), row.op, row.op, "", name, row.models, place, on_disk, None, " ".join(told)
    )


def _first_places(coverage: Coverage) -> dict[str, Place]:
    """The first place of each op that is not supported, by op, bodies in the order of their first files."""
    found: dict[str, Place] = {}
    for row in coverage.node_rows():
        node = row.node
        if node.status.is_refused and node.op not in found:
            source = source_place(node.source_file, node.source_line, node.source_function)
            found[node.op] = Place(row.file, node.line, node.expression, source, row.digest)
    return found


def _of_change(change: Change, findings: Findings, weight: Weight) -> Alert:
    op = variant = reason = ""
    models: tuple[str, ...] = ()
    where: Place | None = None
    match change:
        case changes.OpFixed():
            op, variant, models, subject = change.op, change.variant, change.models, change.op
        case changes.VersionChanged():
            subject = change.package
        case changes.BelowThreshold():
            subject = change.what
        case changes.NoModelFacts():
            subject = baseline_file(findings)
        case changes.ModelLost():
            models, subject = (change.model,), change.model
        case changes.GraphCrashes():
            models, subject, where = (change.model,), change.model, change.place
        case changes.NewModel() | changes.GraphsLost() | changes.HealthFell() | changes.UnknownRose():
            models, subject, where = (change.model,), change.model, _first_file(change.model, findings)
        case _:
            facts = change.facts
            op, variant, reason, models, subject = facts.op, facts.variant, facts.reason, facts.models, facts.op
            # Of a waiver that has expired it is the waiver that has to be looked at.
            where = None if isinstance(change, changes.WaiverExpired) else facts.place
    place, on_disk = _placed(where, getattr(change, "line", 0), findings)
    return Alert(weight, change.slug, subject, op, variant, reason, models, place, on_disk, change)


def _first_file(model: str, findings: Findings) -> Place | None:
    scan = findings.coverage.models.get(model)
    return Place(scan.files[0].path, 1, "", "", scan.files[0].digest) if scan is not None and scan.files else None


# --- places -----------------------------------------------------------------------------------------------------------


def baseline_file(findings: Findings) -> str:
    """The baseline from the working directory; its name alone where it lies elsewhere."""
    path = (findings.judgement.baseline if findings.judgement is not None else "").replace("\\", "/")
    inside = _inside(path) or _BASELINE
    return inside.rpartition("/")[2] if _is_elsewhere(path) else inside


def in_corpus(place: Place, findings: Findings) -> tuple[Place, str]:
    """A place in the corpus as one from the working directory, and its file as it is called on disk."""
    prefix = "" if _is_elsewhere(findings.corpus) else _inside(findings.corpus)
    start = f"{prefix}/" if prefix else ""
    on_disk = place.file
    for _, file in findings.coverage.files_by_body.get(place.digest, ()):
        if file.path == place.file:
            on_disk = file.location or file.path
    return replace(place, file=_visible(start + _inside(place.file))), start + _inside(on_disk)


def _placed(where: Place | None, line: int, findings: Findings) -> tuple[Place, str]:
    """A place from the working directory and its file as it is called on disk; in the baseline if it is in no graph."""
    if where is not None and where.file:
        return in_corpus(where, findings)
    file = baseline_file(findings)
    return Place(_visible(file), line, "", ""), file


def _is_elsewhere(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or re.match("[A-Za-z]:", path) is not None


def _inside(path: str) -> str:
    """A path that cannot lead out of the folder from which it is told."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def _visible(path: str) -> str:
    # A path that has been escaped once stays as it is.
    return path if path.isprintable() else printable(path)


# --- words ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of alert.

    Attributes:
        slug: stable name: `new-op`.
        name: the same as one word: `NewOp`.
        weight: how grave such an alert is, unless the rules of the gate say otherwise.
        summary: what it means, in a sentence of plain text.
        text: all that is explained of it, in Markdown.
    """

    slug: str
    name: str
    weight: Weight
    summary: str
    text: str

    @property
    def id(self) -> str:
        """As CI systems know it: `opcov/new-op`."""
        return f"opcov/{self.slug}"


def rules() -> tuple[Rule, ...]:
    """Every kind of alert, sorted: the kinds of changes and the reasons why ops are not supported, as explained."""
    found = []
    for kind in get_args(Change):
        weight = Weight.NOTE if kind is changes.Waived or issubclass(kind, _NEUTRAL) else Weight.ERROR
        found.append(Rule(kind.slug, kind.__name__, weight, *_explained(kind.slug, "Change")))
    for reason in Reason:
        name = reason.value.replace("_", " ").title().replace(" ", "")
        found.append(Rule(_slug(reason), name, Weight.WARNING, *_explained(reason.value, "Reason")))
    return tuple(sorted(found, key=lambda rule: rule.slug))


def _slug(reason: Reason) -> str:
    return reason.value.lower().replace("_", "-")


def _explained(word: str, kind: str) -> tuple[str, str]:
    found = [one for one in explanations.explanations() if (one.name, one.kind) == (word, kind)]
    return (found[0].summary, found[0].text) if found else (word, word)


def readable(text: str) -> str:
    r"""The text with line feeds, and without all else that a terminal or a log would act on.

    Half a surrogate pair, which no file holds, becomes a blank too.

    >>> readable("a\x1b[31m\r\nb")
    'a [31m\nb'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)


def shortened(text: str, longest: int) -> str:
    """The text, with an ellipsis where it is cut.

    >>> shortened("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(one_line(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
