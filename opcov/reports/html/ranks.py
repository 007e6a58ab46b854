"""Tells which graphs of a model really differ between its ranks, and how, in words.

Ranks are copies of one program on different shards, so most differences are a device's number or where a shard starts.
Whoever looks for the others wants to know which these are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from keyword import iskeyword

from opcov.judged import ModelScan
from opcov.reports.report import Findings
from opcov.wording import counted

MOST_EXAMPLES = 3
_MOST_VALUES = 8
_LONGEST_EXAMPLE = 200
_LEAD = 60
"""Characters that are shown of a long line before the first difference."""
_LONGEST_LINE = 5_000
"""Characters up to which a line is taken apart; two longer ones that differ are two statements."""
_MOST_ALIGNED = 4_000_000
"""Pairs of lines that aligning two texts may look at; larger ones are only counted."""


class Change(str, Enum):
    """What differs between the texts of two ranks, in the words of a reader; the gravest comes first."""

    STATEMENTS = "statements"
    INTEGERS = "integers"
    """Shapes, sizes, offsets."""
    FLOATS = "floating-point numbers"
    TEXTS = "texts"
    """Other literal strings."""
    DEVICES = "devices"
    IDENTIFIERS = "stream and group ids"
    NAMES = "names of locals"
    COMMENTS = "provenance comments"


@dataclass(frozen=True, slots=True)
class LinePair:
    """A line as two ranks have it.

    Attributes:
        line: 1-based in the text of the lower rank; where only the other has it, of that one.
        rank: the lower rank.
        text: its line without indentation, "" where it has none; of a long line what surrounds the difference. As
            saved, so not escaped.
        other_text: the line of the other rank.
        other_rank: the other rank.
    """

    line: int
    rank: int
    text: str
    other_text: str
    other_rank: int


@dataclass(frozen=True, slots=True)
class RankDifference:
    """An index whose graphs are not the same on all ranks of a model.

    Attributes:
        index: of the graph, as in `rank{r}_{index}.py`.
        groups: ranks whose graphs are equal, with the digest; the lowest rank first.
        missing: ranks of the model that have no graph of this index.
        changes: what differs, the gravest first; empty where the graphs that exist are equal or cannot be compared.
        words: all of it in one sentence without a full stop; not escaped.
        examples: lines that differ, at most `MOST_EXAMPLES`, one of each change first.
    """

    index: int
    groups: tuple[tuple[tuple[int, ...], str], ...]
    missing: tuple[int, ...]
    changes: tuple[Change, ...]
    words: str
    examples: tuple[LinePair, ...]


def rank_differences(model: ModelScan, findings: Findings) -> tuple[RankDifference, ...]:
    """The graphs of a model that differ between ranks, by index; each is compared with that of the lowest rank.

    Args:
        model: its files without rank or index, or that could not be read, are left out.
        findings: give the texts.
    """
    digests: dict[int, dict[int, str]] = {}
    for file in model.files:
        if file.rank is not None and file.index is not None and file.digest:
            digests.setdefault(file.index, {}).setdefault(file.rank, file.digest)
    ranks = sorted({rank for by_rank in digests.values() for rank in by_rank})
    found = []
    for index, by_rank in sorted(digests.items()):
        groups: dict[str, list[int]] = {}
        for rank in sorted(by_rank):
            groups.setdefault(by_rank[rank], []).append(rank)
        missing = tuple(rank for rank in ranks if rank not in by_rank)
        if missing or len(groups) > 1:
            found.append(_difference(index, groups, missing, findings))
    return tuple(found)


def _difference(
    index: int, groups: Mapping[str, Sequence[int]], missing: tuple[int, ...], findings: Findings
) -> RankDifference:
    (base, (rank, *_)), *others = groups.items()
    text = findings.text_of(base) if others else None
    found: dict[Change, None] = {}
    values: dict[Change, dict[int, str]] = {}
    only: dict[int, int] = {}
    candidates: list[tuple[Change, LinePair]] = []
    compared = True
    for digest, (other, *_) in others:
        other_text = findings.text_of(digest)
        if text is None or other_text is None:
            compared = False
            continue
        comparison = _compare(text, other_text)
        for spot in comparison.spots:
            found[spot.change] = None
            seen = values.setdefault(spot.change, {rank: spot.value})
            if seen[rank] == spot.value:
                seen.setdefault(other, spot.other)
            candidates.append((spot.change, LinePair(spot.line, rank, *_cut(spot.text, spot.other_text), other)))
        for who, lines in ((rank, comparison.only_here), (other, comparison.only_there)):
            if lines:
                only[who] = max(only.get(who, 0), lines)
    changes = tuple(change for change in Change if change in found)
    sentence = [_told(change, changes, values[change], only) for change in changes]
    if not compared:
        sentence.append("some texts cannot be compared")
    if missing:
        having = sorted(rank for ranks in groups.values() for rank in ranks)
        sentence.insert(0, f"only {_ranks(having)} {'has' if len(having) == 1 else 'have'} it")
    if not sentence:
        sentence.append("line ends or blank lines differ")
    equal = tuple((tuple(ranks), digest) for digest, ranks in groups.items())
    return RankDifference(index, equal, missing, changes, "; ".join(sentence), _examples(candidates))


def _told(change: Change, changes: Sequence[Change], values: Mapping[int, str], only: Mapping[int, int]) -> str:
    text = f"only {change.value} differ" if len(changes) == 1 else f"{change.value} differ"
    if change is Change.STATEMENTS:
        lines = ", ".join(f"{counted(number, 'line')} only on rank {rank}" for rank, number in sorted(only.items()))
        return f"{text}: {lines}" if lines else text
    if change is Change.COMMENTS:
        return text
    shown = [f"rank {rank}: {value}" for rank, value in sorted(values.items())[:_MOST_VALUES]]
    return f"{text} ({', '.join(shown)}{', ...' if len(values) > _MOST_VALUES else ''})"


def _ranks(ranks: Sequence[int]) -> str:
    names = [str(rank) for rank in ranks]
    return f"rank {names[0]}" if len(names) == 1 else f"ranks {', '.join(names[:-1])} and {names[-1]}"


def _examples(candidates: Sequence[tuple[Change, LinePair]]) -> tuple[LinePair, ...]:
    """One line of each change first, then more; the copy of a region that a split file holds is no news."""
    chosen: list[LinePair] = []
    for first in (True, False):
        changes: set[Change] = set()
        for change, pair in sorted(candidates, key=lambda candidate: list(Change).index(candidate[0])):
            known = any((pair.text, pair.other_text) == (other.text, other.other_text) for other in chosen)
            same_line = any(pair.text == other.text and pair.text for other in chosen)
            if len(chosen) < MOST_EXAMPLES and not known and not same_line and not (first and change in changes):
                chosen.append(pair)
                changes.add(change)
    return tuple(chosen)


def _cut(one: str, two: str) -> tuple[str, str]:
    """Two lines; of long ones what surrounds the first difference."""
    start = 0
    if max(len(one), len(two)) > _LONGEST_EXAMPLE:
        start = max(0, _shared_start(one, two) - _LEAD)
    return _part(one, start), _part(two, start)


def _shared_start(one: str, two: str) -> int:
    return next((place for place, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), 0)


def _part(text: str, start: int) -> str:
    end = start + _LONGEST_EXAMPLE
    return f"{'...' if start and text else ''}{text[start:end]}{'...' if end < len(text) else ''}"


# --- two texts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place at which two texts differ."""

    change: Change
    line: int
    value: str
    other: str
    text: str
    other_text: str


@dataclass(frozen=True, slots=True)
class _Comparison:
    spots: tuple[_Spot, ...]
    only_here: int
    only_there: int


_RANK_COMMENT = re.compile(r"# Rank: [0-9]+, Graph [0-9]+[ \t]*")
_DIGITS = re.compile(r"[0-9]+")


def _compare(text: str, other: str) -> _Comparison:
    here, there = _statements(text), _statements(other)
    names = _Renaming()
    spots: list[_Spot] = []
    if len(here) == len(there):
        for (line, one), (_, two) in zip(here, there, strict=True):
            if one != two:
                spots += _line_spots(line, one, two, names)
        if all(spot.change is not Change.STATEMENTS for spot in spots):
            return _Comparison(tuple(spots), 0, 0)
    return _aligned(here, there)


def _statements(text: str) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers, without indentation and the comment that names the rank."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in lines if line and not _RANK_COMMENT.fullmatch(line)]


def _aligned(here: Sequence[tuple[int, str]], there: Sequence[tuple[int, str]]) -> _Comparison:
    if len(here) * len(there) > _MOST_ALIGNED:
        return _counted_only(here, there)
    names = _Renaming()
    spots: list[_Spot] = []
    only_here = only_there = 0
    keys, other_keys = [[_DIGITS.sub("0", line) for _, line in lines] for lines in (here, there)]
    matcher = SequenceMatcher(None, keys, other_keys, autojunk=False)
    for tag, start, end, other_start, other_end in matcher.get_opcodes():
        left, right = here[start:end], there[other_start:other_end]
        if tag == "replace" and len(left) != len(right):
            pairs: list[tuple[tuple[int, str], tuple[int, str]]] = []
        else:
            pairs = list(zip(left, right, strict=False))
        for (line, one), (_, two) in pairs:
            if one != two:
                more = _line_spots(line, one, two, names)
                spots += more
                refused = any(spot.change is Change.STATEMENTS for spot in more)
                only_here += refused
                only_there += refused
        if not pairs:
            only_here += len(left)
            only_there += len(right)
            for (line, one), (_, two) in zip(left[:1] or [(0, "")], right[:1] or [(0, "")], strict=True):
                number = line or right[0][0]
                comment = all(text.startswith("#") for _, text in (*left, *right))
                change = Change.COMMENTS if comment else Change.STATEMENTS
                spots.append(_Spot(change, number, "", "", one, two))
                if comment:
                    only_here -= len(left)
                    only_there -= len(right)
    return _Comparison(tuple(spots), only_here, only_there)


def _counted_only(here: Sequence[tuple[int, str]], there: Sequence[tuple[int, str]]) -> _Comparison:
    """For texts that are too long to be aligned: lines that occur more often in one of them."""
    left, right = Counter(line for _, line in here), Counter(line for _, line in there)
    only_here, only_there = left - right, right - left
    one = next(((number, line) for number, line in here if line in only_here), (0, ""))
    two = next(((number, line) for number, line in there if line in only_there), (0, ""))
    spot = _Spot(Change.STATEMENTS, one[0] or two[0], "", "", one[1], two[1])
    return _Comparison((spot,), only_here.total(), only_there.total())


# --- two lines --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"(?P<comment>#.*)"
    r"|(?P<string>[rbuf]{0,2}(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'))"
    r"|(?P<float>(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)"
    r"|(?P<integer>\d+)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<other>\S)"
)
_DEVICE = re.compile(r"\b(?:cuda|cpu|xpu|mps|hpu|npu|meta|privateuseone)(?::[0-9]+)?")
_IDENTIFIED = re.compile(r"(?:^|_)(?:stream|group|pg)(?:_?(?:id|name|index|tag))?$")
"""Names of arguments and functions that take the id of a stream or a process group; `groups` of a convolution are none.
"""


class _Renaming:
    """Which local of one text stands for which of the other: one for one, or it is no renaming."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.here: dict[str, str] = {}

    def holds(self, name: str, other: str) -> bool:
        return self.there.setdefault(name, other) == other and self.here.setdefault(other, name) == name


def _line_spots(line: int, one: str, two: str, names: _Renaming) -> list[_Spot]:
    """Where two lines differ; one statement where they differ in more than values."""
    whole = [_Spot(Change.STATEMENTS, line, one, two, one, two)]
    if max(len(one), len(two)) > _LONGEST_LINE:
        return whole
    left, right = list(_TOKEN.finditer(one)), list(_TOKEN.finditer(two))
    if [token.lastgroup for token in left] != [token.lastgroup for token in right]:
        return whole
    found = []
    for place, (token, other) in enumerate(zip(left, right, strict=True)):
        if token[0] != other[0]:
            change = _token_change(left, place, token[0], other[0], names)
            if change is Change.STATEMENTS:
                return whole
            found.append(_Spot(change, line, token[0], other[0], one, two))
    return found or whole


def _token_change(tokens: Sequence[re.Match[str]], place: int, one: str, two: str, names: _Renaming) -> Change:
    match tokens[place].lastgroup:
        case "comment":
            return Change.COMMENTS
        case "float":
            return Change.FLOATS
        case "integer":
            return _meaning(tokens, place) or Change.INTEGERS
        case "string":
            if _DEVICE.sub("", one) == _DEVICE.sub("", two):
                return Change.DEVICES
            if meaning := _meaning(tokens, place):
                return meaning
            return Change.INTEGERS if _DIGITS.sub("0", one) == _DIGITS.sub("0", two) else Change.TEXTS
        case "name":
            is_attribute = place > 0 and tokens[place - 1][0] == "."
            is_plain = not (is_attribute or iskeyword(one) or iskeyword(two))
            return Change.NAMES if is_plain and names.holds(one, two) else Change.STATEMENTS
    return Change.STATEMENTS


def _meaning(tokens: Sequence[re.Match[str]], place: int) -> Change | None:
    """What a literal stands for, by the keyword before it or, without one, by the function that it is given to."""
    depth = 0
    keyword = ""
    for earlier in range(place - 1, -1, -1):
        token = tokens[earlier][0]
        if token in ")]}":
            depth += 1
        elif token in "([{":
            if depth == 0:
                owners = [text for text in (keyword, *_callee(tokens, earlier)) if text]
                return next((meaning for text in owners if (meaning := _meaning_of(text))), None)
            depth -= 1
        elif token == "=" and depth == 0 and not keyword and earlier:
            if earlier == place - 1:
                keyword = tokens[earlier - 1][0]
        elif token == ":" and depth == 0 and earlier == place - 1 and not keyword:
            keyword = tokens[earlier - 1][0].strip("\"'")
    return _meaning_of(keyword) if keyword else None


def _callee(tokens: Sequence[re.Match[str]], bracket: int) -> Iterator[str]:
    if bracket and tokens[bracket - 1].lastgroup == "name":
        yield tokens[bracket - 1][0]


def _meaning_of(name: str) -> Change | None:
    if "device" in name.lower():
        return Change.DEVICES
    return Change.IDENTIFIERS if _IDENTIFIED.search(name.lower()) else None
