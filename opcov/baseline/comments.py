"""What the comments of an all_ops.py mean, for who writes them and who reads them."""

from __future__ import annotations

import ast
import datetime as dt
import difflib
import re
from contextlib import suppress
from typing import NamedTuple, NoReturn

from opcov.baseline.known import BaselineError, Waiver
from opcov.wording import one_line

PEOPLE = "#:"
"""How a line starts that a person wrote; all other comments are made anew."""
REGENERATE = "# Regenerate: "
COMMAND = "python -m opcov <corpus> --update all_ops.py"
MODELS = "# Models: health, graphs, unknown nodes, lost graphs"
FIXED = "# Fixed: "

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
LISTED = re.compile(rf"\s*({_QUOTED}|[^,]+)(?:,|$)")


def written(name: str, *, listed: bool = False) -> str:
    """A name as it stands in a comment: as it is, or as a Python string where that would not read back.

    Args:
        name: any text.
        listed: whether other names follow it behind commas.

    >>> written("Qwen/Qwen3-0.6B"), written("a, b", listed=True), written("it's")
    ('Qwen/Qwen3-0.6B', "'a, b'", "it's")
    """
    plain = name == one_line(name) != "" and name[0] not in "'\"" and not (listed and "," in name)
    return name if plain else repr(name)


def read_back(text: str) -> str:
    """The name that `written` wrote."""
    if text[:1] not in ("'", '"'):
        return text
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
    return value if isinstance(value, str) else text


def heading(op: str, reason: str, detail: str) -> str:
    """The first line of an entry."""
    return f"# {one_line(op)}: {reason}: {one_line(detail)}".rstrip(" :")


def op_of_heading(line: str) -> str:
    """The op that a heading names, as far as it can be told without knowing it."""
    return line.removeprefix("# ").partition(": ")[0]


class Line(NamedTuple):
    """A line above, below or between the expressions; "" for an empty one."""

    number: int
    text: str
    column: int = 1


def refuse(name: str, line: int, column: int, message: str) -> NoReturn:
    """Raises the error of a place.

    Raises:
        BaselineError: always.
    """
    raise BaselineError(f"{name}:{line}:{column}: {message}")


MODELS_OF = re.compile(r"#  models: \d+: ?(.*)")
FACTS = re.compile(r"#  (ok|partial|failed), (\d{1,18}), (\d{1,18}), (\d{1,18}): (.+)")
SOURCE, FILES, VARIANT, OP = "#  source: ", "#  - ", "#  variant: ", "#  op: "
_REASON = re.compile(r"[A-Z][A-Z_]*|[a-z]+")
BETWEEN_FILES = re.compile(r"(?<=\.py), |(?<=\.pt2), ")
ALLOW = re.compile(r"#:\s*allow(?=[\s,]|$)")
_LIKE_ALLOW = re.compile(r"#:\s*([A-Za-z]+)\s*:?\s+(?:\S+\s+)?until\s*:?\s+\d", re.IGNORECASE)
_WORD = re.compile(rf"\s*({_QUOTED}|[^\s,'\"][^\s,]*)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_waiver(line: Line, name: str) -> Waiver | None:
    """What a person's line allows; None for one that is a note.

    Args:
        line: starts with `#:`.
        name: of the file, for messages.

    Raises:
        BaselineError: it allows something, and nobody can tell what.
    """
    start = ALLOW.match(line.text)
    if start is None:
        meant = _LIKE_ALLOW.match(line.text)
        if meant is not None and _is_like_allow(meant[1].lower()):
            # Taken for a note, it would let the entry pass for ever.
            refuse(
                name, line.number, line.column, f"{meant[1]!r} is no waiver; write: {PEOPLE} allow until <day>, <why>"
            )
        return None
    place, until, models = start.end(), None, []
    while match := _WORD.match(line.text, place):
        column = line.column + match.start(1)
        place = match.end()
        if match[1] == "until":
            day = _WORD.match(line.text, place)
            until = _day(day[1] if day else "", line, day.start(1) if day else place, name)
            place = day.end() if day else place
        elif _DAY.fullmatch(match[1]):
            refuse(name, line.number, column, f"a day without `until`; write: {PEOPLE} allow until {match[1]}")
        else:
            models.append(read_back(match[1]))
    rest = line.text[place:].strip()
    if rest and not rest.startswith(","):
        refuse(
            name,
            line.number,
            line.column + place,
            "a name whose quotation mark is not closed; close it, or write: , reason",
        )
    return Waiver(until, tuple(models), rest[1:].strip(), line.number)


def _is_like_allow(word: str) -> bool:
    return word.startswith("allow") or bool(difflib.get_close_matches(word, ["allow"], cutoff=0.8))


def _day(text: str, line: Line, place: int, name: str) -> dt.date:
    if _DAY.fullmatch(text):
        with suppress(ValueError):
            return dt.date.fromisoformat(text)
    what = f"{text} is no day" if text else "no day behind `until`"
    refuse(name, line.number, line.column + place, f"{what}; write it so: {PEOPLE} allow until 2027-03-01")


def starting(lines: list[Line], start: str) -> list[Line]:
    """The lines that start so."""
    return [line for line in lines if line.text.startswith(start)]


def is_of_entry(text: str) -> bool:
    """Whether a line belongs to an entry wherever it stands."""
    is_list = text.startswith(FILES) and re.search(r"\.(?:py|pt2)\b", text) is not None
    return is_list or text.startswith(VARIANT) or MODELS_OF.fullmatch(text) is not None


def read_why(lines: list[Line], op: str) -> tuple[str, str]:
    """Reason and detail of an entry, where its first line is a heading."""
    start = f"# {one_line(op)}: "
    for line in lines:
        if line.text.startswith(start):
            reason, _, detail = line.text[len(start) :].partition(": ")
            return (reason, detail) if _REASON.fullmatch(reason) else ("", "")
    return "", ""


def read_versions(line: str) -> tuple[dict[str, str], str]:
    """The versions that the first line of a header names, and what it says behind them."""
    text, _, summary = line.removeprefix("# ").partition(". ")
    found: dict[str, str] = {}
    last = ""
    for part in text.split(", ") if text else []:
        package, _, version = part.rpartition(" ")
        if package:
            last, found[package] = package, version
        elif last:
            found[last] += f", {version}"  # two scans that were merged
    return found, summary
