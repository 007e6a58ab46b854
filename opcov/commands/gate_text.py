"""What the gate found, as lines for a terminal or a log: what fails first, then notes, then one line for all."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opcov.gate import Judgement
from opcov.gate.changes import (
    Change,
    GraphCrashes,
    GraphsLost,
    HealthFell,
    KnownOpInNewModel,
    ModelLost,
    NewOp,
    NewVariant,
    OpFixed,
    Style,
    UnknownRose,
    named_some,
    show_in,
)
from opcov.views.review import BaselineUpdate
from opcov.wording import counted, inert, one_line

_MOST_FAILURES = 30
_MOST_NOTES = 3
"""Of a kind; a gate that says the same forty times is not read."""

_ACCEPTED_BY_UPDATE = (
    NewOp, NewVariant, KnownOpInNewModel, OpFixed, ModelLost, GraphsLost, HealthFell, UnknownRose, GraphCrashes,
)  # fmt: skip
"""What an update takes over. People's waivers and asked-for numbers are nothing that a program may change."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text.

    Attributes:
        text: plain.
        style: of rich, "" for none.
    """

    text: str
    style: str = ""


def lines_of(judgement: Judgement, *, verbose: bool = False, quiet: bool = False) -> list[Line]:
    """All that is said of a judgement.

    Args:
        judgement: what the gate found.
        verbose: whether nothing is folded.
        quiet: whether only failures are told, and nothing where there are none.
    """
    if quiet and judgement.passes:
        return []
    found = []
    if judgement.failures:
        found += [Line(counted(len(judgement.failures), "failure"), "bold red"), *_failures(judgement, verbose)]
    if judgement.notes and not quiet:
        found += [Line(counted(len(judgement.notes), "note"), "bold"), *_notes(judgement.notes, verbose)]
    style = "bold green" if judgement.passes else "bold red"
    return [*found, Line(closing_line(judgement), style)]


def closing_line(judgement: Judgement) -> str:
    """What all of it comes to, and how it is accepted where it can be."""
    against = f" against {judgement.baseline}" if judgement.baseline else ""
    numbers = [counted(len(judgement.failures), "failure") if judgement.failures else "no failures"]
    numbers += [counted(len(judgement.notes), "note")] if judgement.notes else []
    text = f"opcov: {', '.join(numbers)}{against}"
    acceptable = [change for change in judgement.failures if isinstance(change, _ACCEPTED_BY_UPDATE)]
    if judgement.baseline and acceptable:
        text += f"; --update {judgement.baseline} accepts {_how_many(len(acceptable), len(judgement.failures))}"
    elif judgement.baseline and any(isinstance(change, OpFixed) for change in judgement.notes):
        text += f"; --update {judgement.baseline} removes what is fixed"
    return one_line(text)


def _how_many(some: int, whole: int) -> str:
    if some == whole:
        return "it" if whole == 1 else "them"
    return f"{some} of them"


def _failures(judgement: Judgement, verbose: bool) -> Iterator[Line]:
    shown = judgement.failures if verbose else judgement.failures[:_MOST_FAILURES]
    for change in shown:
        yield Line(_told(change), "red")
    if more := len(judgement.failures) - len(shown):
        yield Line(f"  - and {more} more; --verbose prints all")


def _notes(notes: Iterable[Change], verbose: bool) -> Iterator[Line]:
    by_kind: dict[str, list[Change]] = {}
    for change in notes:
        by_kind.setdefault(change.slug, []).append(change)
    for slug, changes in by_kind.items():
        shown = changes if verbose or len(changes) == _MOST_NOTES + 1 else changes[:_MOST_NOTES]
        for change in shown:
            yield Line(_told(change))
        if more := len(changes) - len(shown):
            yield Line(f"  - and {more} more; --verbose prints all [{slug}]")


def _told(change: Change) -> str:
    return inert(f"  - {one_line(change.explain(Style.TEXT))} [{change.slug}]")


def told(update: BaselineUpdate) -> Line:
    """What an update changed, on one line."""
    verb = "made" if update.created else "rewritten"
    entries = "1 entry" if len(update.added) == 1 else f"{len(update.added)} entries"
    numbers = f"{entries} added, {len(update.removed)} removed, {len(update.kept)} kept"
    text = f"opcov: {update.path} {verb}: {numbers}"
    # What the check would have failed for is not accepted without a word.
    for models, what in ((update.lost_models, "less"), (update.other_models, "captured otherwise")):
        if models:
            text += f"; {counted(len(models), 'model')} {what}: {named_some(models, show_in(Style.TEXT))}"
    return Line(one_line(text), "bold")


def print_lines(lines: Iterable[Line], *, no_color: bool) -> None:
    """Prints lines to stdout, in colours on a terminal."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(file=sys.stdout, no_color=no_color, highlight=False)
        for line in lines:
            console.print(Text(line.text, style=line.style), soft_wrap=True)
    else:
        for line in lines:
            print(line.text)
