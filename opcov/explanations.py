"""Explains the words of a report: what each means, why it happens and what to do about it.

explanations.md beside this module is the only place where they are explained. `opcov explain`, the documentation and
the tooltips of the HTML report all come from it.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from opcov.problems import UsageError

_SENTENCE = re.compile(r"(.+?[.!?])(?:\s|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one word means.

    Attributes:
        name: the word as reports print it: `MISSING_OP_SUPPORT`.
        kind: what it is a word for: `Reason`.
        text: paragraphs in Markdown, without a heading.
    """

    name: str
    kind: str
    text: str

    @property
    def anchor(self) -> str:
        """Its name in an address, unlike that of any other: `reason-missing-op-support`."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.kind} {self.name}".lower())

    @property
    def summary(self) -> str:
        """Its first sentence as plain text on one line."""
        sentence = _SENTENCE.match(self.text)
        return plain(" ".join((sentence[1] if sentence else self.text).split()))


@cache
def explanations() -> tuple[Explanation, ...]:
    """All of them, in the order in which they are explained."""
    found: list[Explanation] = []
    text = files("opcov").joinpath("explanations.md").read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kind, *sections = re.split(r"^### ", part, flags=re.MULTILINE)
        for section in sections:
            name, _, rest = section.partition("\n")
            found.append(Explanation(name.strip(), kind.strip(), rest.strip()))
    return tuple(found)


def names() -> dict[str, tuple[str, ...]]:
    """The words that are explained, by their kinds."""
    found: dict[str, tuple[str, ...]] = {}
    for explanation in explanations():
        found[explanation.kind] = (*found.get(explanation.kind, ()), explanation.name)
    return found


def explain(name: str) -> tuple[Explanation, ...]:
    """The explanations of a word: several where it is a word of several kinds, such as `crash`.

    Args:
        name: in any case, with `-`, `_` or a space between its parts.

    Raises:
        UsageError: the word is not known.
    """
    wanted = _folded(name)
    if found := tuple(explanation for explanation in explanations() if _folded(explanation.name) == wanted):
        return found
    known = {_folded(explanation.name): explanation.name for explanation in explanations()}
    close = [known[folded] for folded in difflib.get_close_matches(wanted, known, n=3)]
    hint = f"did you mean {' or '.join(close)}?" if close else "opcov explain lists all words"
    raise UsageError(f"no word of a report is {name!r}; {hint}")


def summary(name: str, kind: str | None = None) -> str:
    """The first sentence of an explanation, for a tooltip.

    Args:
        name: as for `explain`.
        kind: which of the explanations of a word that is one of several kinds: `Reason`. The first where None.

    Raises:
        UsageError: the word is not known, or not of that kind.

    >>> summary("AUTO_FALLBACK")
    'Thunder would only call torch for the op, which its splitter counts as unsupported because Inductor may do better.'
    """
    found = [explanation for explanation in explain(name) if kind in (None, explanation.kind)]
    if not found:
        raise UsageError(f"{name!r} is no {kind}")
    return found[0].summary


def plain(text: str) -> str:
    """Markdown as plain text: without the marks for bold, italics and code.

    >>> plain("**Why:** see the status `crash`, *recorded* or not: MISSING_OP_SUPPORT")
    'Why: see the status crash, recorded or not: MISSING_OP_SUPPORT'
    """
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
    text = re.sub(r"(?<![\w*])\*(\w[^*\n]*)\*(?![\w*])", r"\1", text)
    return re.sub(r"`([^`\n]+)`", r"\1", text)


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().casefold())
