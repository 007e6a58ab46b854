"""Makes the numbered, coloured listing of a graph's text in which the lines that Thunder does not take are marked.

Lines of graphs repeat a lot, so each is coloured once. Only comments, literals and keywords have colours: more helps no
reader and doubles the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from opcov.judged import JudgedNode
from opcov.reports.html.environment import visible
from opcov.reports.html.names import op_page
from opcov.verdict import Status
from opcov.wording import counted

if TYPE_CHECKING:
    from pygments.lexers.python import PythonLexer

LONGEST_TEXT = 2_000_000
"""Characters of a text that is shown whole; of a longer one only what surrounds the marked lines."""
MOST_LINES = 20_000
"""Lines of a text that is shown whole."""
NEIGHBOURHOOD = 6
"""Lines that are shown before and after a marked one of a text that is too long to be shown whole."""
_MOST_SHOWN = 8_000
"""Lines that are shown of a text that is too long."""
_LONGEST_COLOURED = 20_000
"""Characters of a line that gets colours; what is longer is no line that a person reads."""
_LONGEST_LEXED_WHOLE = 300_000
_LINE_END = re.compile(r"\r\n|\r|\n")
_MULTI_LINE = re.compile(r"\"\"\"|'''|\\(?:\r|\n)")
"""What a token may hold that spans lines: a text with it is lexed as a whole."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a listing.

    Attributes:
        number: 1-based.
        code: the line with its colours; what cannot be printed is spelled out.
        nodes: those of the line that are not supported.
    """

    number: int
    code: Markup
    nodes: tuple[JudgedNode, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A text, or what is shown of it.

    Attributes:
        lines: in order; where numbers are missing, lines are left out.
        total: number of lines that the text has.
    """

    lines: tuple[Line, ...]
    total: int

    @property
    def left_out(self) -> int:
        """Number of lines that are not shown."""
        return self.total - len(self.lines)

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers of the lines that are shown."""
        return frozenset(line.number for line in self.lines)


def make_listing(text: str, nodes: Iterable[JudgedNode]) -> Listing:
    """The listing of a text.

    Args:
        text: of the file.
        nodes: all judged nodes of it; those that are not supported are marked.
    """
    lines = split_lines(text)
    marked: dict[int, list[JudgedNode]] = {}
    for node in nodes:
        if node.status is not Status.SUPPORTED and 0 < node.line <= len(lines):
            marked.setdefault(node.line, []).append(node)
    if len(text) <= LONGEST_TEXT and len(lines) <= MOST_LINES:
        codes: Iterable[tuple[int, Markup]] = enumerate(coloured(text), 1)
    else:
        codes = [(number, _coloured_line(lines[number - 1])) for number in _neighbourhoods(marked, len(lines))]
    return Listing(tuple([Line(number, code, tuple(marked.get(number, ()))) for number, code in codes]), len(lines))


def _neighbourhoods(marked: Mapping[int, object], total: int) -> Sequence[int]:
    shown: set[int] = set()
    for number in sorted(marked):
        if len(shown) >= _MOST_SHOWN:
            break
        shown.update(range(max(1, number - NEIGHBOURHOOD), min(total, number + NEIGHBOURHOOD) + 1))
    return sorted(shown)


def split_lines(text: str) -> list[str]:
    """The lines of a text as Python's parser counts them: a form feed ends none."""
    return _LINE_END.split(text)


def coloured(text: str) -> list[Markup]:
    """Each line of a text with its colours. Without tags and escapes they are the lines as `visible` spells them."""
    lines = split_lines(text)
    if len(text) <= _LONGEST_LEXED_WHOLE and _MULTI_LINE.search(text):
        return _coloured_whole("\n".join(lines))
    return [_coloured_line(line) for line in lines]


def _coloured_line(line: str) -> Markup:
    code = line.lstrip(" ")
    if not code:
        return Markup(line)
    if len(code) > _LONGEST_COLOURED:
        return Markup(_shown(line))
    # Indentation is left out, so that a region's copy of a statement is the statement that is known already.
    return Markup(line[: len(line) - len(code)] + _coloured_code(code))


@lru_cache(maxsize=1 << 14)
def _coloured_code(code: str) -> str:
    if code.startswith("#"):
        return _tagged("i", code)
    return "".join(_tagged(kind, value) for kind, value in _runs(code))


def _coloured_whole(text: str) -> list[Markup]:
    lines, current = [], []
    for kind, value in _runs(text):
        first, *others = value.split("\n")
        current.append(_tagged(kind, first))
        for other in others:
            lines.append(Markup("".join(current)))
            current = [_tagged(kind, other)]
    lines.append(Markup("".join(current)))
    return lines


def _runs(code: str) -> Iterator[tuple[str, str]]:
    """The code in pieces, each with its element; neighbours of one kind are one piece."""
    kind, start = "", 0
    for place, token, _ in _lexer().get_tokens_unprocessed(code):
        found = _element_of(token)
        if found != kind:
            if place > start:
                yield kind, code[start:place]
            kind, start = found, place
    if start < len(code):
        yield kind, code[start:]


@cache
def _lexer() -> PythonLexer:
    from pygments.lexers.python import PythonLexer

    return PythonLexer()


@cache
def _element_of(token: Any) -> str:
    """The element that a token is shown as; "" for what has no colour."""
    from pygments.token import Comment, Keyword, Number, Operator, String

    if token in Keyword.Constant:
        # Nearly every line of a graph ends with `= None`: its colour would be noise.
        return ""
    kinds = {"i": (Comment,), "u": (String, Number), "b": (Keyword, Operator.Word)}
    return next((name for name, families in kinds.items() if any(token in family for family in families)), "")


def _tagged(kind: str, value: str) -> str:
    # Elements of one letter in place of classes: a tenth of the page. The style sheet gives them their looks.
    return f"<{kind}>{_shown(value)}</{kind}>" if kind and value else _shown(value)


def _shown(value: str) -> str:
    """The text for between tags; quotes need no escape there, and graphs are full of them."""
    if not value.isprintable():
        value = "\t".join(map(visible, value.split("\t")))
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def render_listing(listing: Listing, root: str) -> Markup:
    """The listing as lists of lines, one for each stretch of the text.

    Args:
        listing: what to show.
        root: the way from the page to the site's root.
    """
    parts: list[str] = []
    expected = 0
    for line in listing.lines:
        if line.number != expected:
            if expected:
                parts.append("</ol>")
            parts.append(_gap(line.number - max(1, expected)))
            parts.append(f'<ol class="listing" start="{line.number}">' if line.number > 1 else '<ol class="listing">')
        expected = line.number + 1
        if line.nodes:
            gravest = min((node.status for node in line.nodes), key=_GRAVITY.index)
            notes = "".join(_note(node, root) for node in line.nodes)
            parts.append(f"<li id=L{line.number} class={gravest.value}><code>{line.code}</code>{notes}")
        else:
            parts.append(f"<li id=L{line.number}>{line.code}")
    if expected:
        parts.append("</ol>")
    parts.append(_gap(listing.total - max(0, expected - 1)))
    return Markup("".join(parts))


_GRAVITY = (Status.CRASH, Status.UNSUPPORTED, Status.UNKNOWN)


def _note(node: JudgedNode, root: str) -> str:
    """What stands below a marked line: status, op with a link to its page, reason and detail."""
    reason = f" {node.reason.value}" if node.reason and node.reason.value.lower() != node.status.value else ""
    detail = f" <q>{escape(visible(node.detail))}</q>" if node.detail else ""
    return (
        f'<div class="note"><b>{node.status.value}</b> '
        f'<a href="{root}{op_page(node.op)}">{escape(visible(node.op))}</a>{reason}{detail}</div>'
    )


def _gap(lines: int) -> str:
    return f'<p class="gap">{counted(lines, "line")} left out</p>' if lines > 0 else ""
