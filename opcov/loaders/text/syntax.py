"""Parses Python text that may be damaged, leaving out as few statements as possible. Nothing is compiled or run."""

from __future__ import annotations

import ast
import re
import sys
import warnings

from opcov.collector import collector_paused
from opcov.loaders.text.damage import MAX_NESTING, Piece, hollow, indentation, nesting, pieces, reindent
from opcov.problems import Problem, Slug

_MAX_REPAIRS = 24
"""How many more statements are left out, after all that do not parse by themselves, before a file is given up."""

_MAX_BLOCKS = 90
"""How deep blocks may nest: Python's tokenizer stops at 100 levels of indentation."""

_NAMELESS_CLASS = re.compile(r"^([ \t]*class )<[^>\n]*>(?=\()", re.MULTILINE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

_GUARDED = sys.version_info >= (3, 11)
"""Whether Python's parser stops by itself at an expression that nests too deep; before, it overflows the C stack."""


def parse(text: str) -> tuple[ast.Module | None, list[str], list[Problem]]:
    """Parses a file's text; nothing in it is compiled or run.

    A statement that does not parse is left out and the rest is read. Where it assigns a name, the name and its
    annotation are kept with `...` as the value, so that a reader still sees that there was a node. A `class` or `def`
    that does not parse keeps its block. Lines keep their numbers.

    Returns:
        The tree (None if the file had to be given up), the lines as parsed, and a problem for each statement left out.
    """
    text = _plain(text)
    lines = text.split("\n")
    with collector_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a string is no concern of whoever reads a dump
        if _GUARDED or _is_shallow(text, lines):
            try:
                return ast.parse(text), lines, []
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                pass
        repair = _Repair(lines)
        return repair.tree(), lines, repair.problems


def _plain(text: str) -> str:
    """The text without what a dump may hold and Python does not read: colours, nameless classes, lone surrogates."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "<" in text:
        text = _NAMELESS_CLASS.sub(r"\1_unnamed", text)
    if not text.isascii():
        text = text.removeprefix("\ufeff").encode(errors="replace").decode()
    return text


def _is_shallow(text: str, lines: list[str]) -> bool:
    # A level of nesting takes two characters at least, so that a short text need not be looked at.
    if len(text) < 2 * MAX_NESTING or nesting(text) < MAX_NESTING:
        return True
    return all(nesting("\n".join(lines[piece.start : piece.stop])) < MAX_NESTING for piece in pieces(lines))


class _Repair:
    """Makes a list of lines parse, in place."""

    def __init__(self, lines: list[str]) -> None:
        self.problems: list[Problem] = []
        self._lines = lines
        self._pieces = pieces(lines)

    def tree(self) -> ast.Module | None:
        """The tree of what can be kept."""
        self._leave_out_broken()
        self._straighten_blocks()
        for _ in range(_MAX_REPAIRS):
            try:
                return ast.parse("\n".join(self._lines))
            except SyntaxError as error:
                position = self._piece_at(error.lineno or 0)
                if position is None:
                    break
                self._leave_out(position, Slug.SYNTAX, f"this statement does not parse ({error.msg})")
            except (RecursionError, MemoryError, ValueError):
                break
        message = "the file does not parse as Python, also not without the statements named before"
        self.problems.append(Problem("", 0, Slug.SYNTAX, message))
        return None

    def _text(self, piece: Piece) -> str:
        return "\n".join(self._lines[piece.start : piece.stop])

    def _leave_out_broken(self) -> None:
        """Leaves out each statement that does not parse when it stands alone."""
        for position, piece in enumerate(self._pieces):
            why = _what_is_wrong(self._text(piece).lstrip())
            if why is not None:
                self._leave_out(position, *why)

    def _leave_out(self, position: int, slug: Slug, message: str) -> None:
        piece = self._pieces[position]
        following = self._pieces[position + 1] if position + 1 < len(self._pieces) else None
        own = indentation(self._lines[piece.start])
        opens_block = following is not None and indentation(self._lines[following.start]) > own
        line = hollow(self._text(piece), opens_block)
        if line == self._lines[piece.start]:
            line = own * " " + "pass"
        self._lines[piece.start] = line
        for number in range(piece.start + 1, piece.stop):
            if not self._lines[number].lstrip().startswith("#"):
                self._lines[number] = ""
        self._pieces[position] = Piece(piece.start, piece.start + 1)
        self.problems.append(Problem("", piece.start + 1, slug, f"{message}; it is left out and the rest is read"))

    def _piece_at(self, line: int) -> int | None:
        """The last statement that starts at a line or before it and has not been left out altogether."""
        for position in reversed(range(len(self._pieces))):
            start = self._pieces[position].start
            if start < line and self._lines[start].strip() not in ("", "pass"):
                return position
        return None

    def _straighten_blocks(self) -> None:
        """Moves statements whose indentation fits no block, and fills blocks that have no statement."""
        levels = [0]
        header: Piece | None = None
        too_deep: int | None = None
        levels_as_printed = [indentation(self._lines[piece.start]) for piece in self._pieces]
        for piece, level, following in zip(self._pieces, levels_as_printed, [*levels_as_printed[1:], 0], strict=True):
            number = piece.start
            if too_deep is not None:
                if level > too_deep:
                    self._lines[number : piece.stop] = [""] * (piece.stop - number)
                    continue
                too_deep = None
            if header is not None and following > levels[-1] >= level and not _opens_block(self._text(piece)):
                level = self._move(number, following)
            if header is not None and level > levels[-1]:
                levels.append(level)
            else:
                if header is not None:
                    self._fill(header)
                header = None
                if level < following and following in levels and not _opens_block(self._text(piece)):
                    level = self._move(number, following)  # what follows has not left its block, nor has this
                level = self._fit(number, level, levels)
            header = piece if _opens_block(self._text(piece)) else None
            if header is not None and len(levels) > _MAX_BLOCKS:
                self._lines[number : piece.stop] = [" " * level + "pass", *[""] * (piece.stop - number - 1)]
                message = "this block nests too deep; it is left out"
                self.problems.append(Problem("", number + 1, Slug.TOO_DEEP, message))
                header, too_deep = None, level
        if header is not None:
            self._fill(header)

    def _fit(self, number: int, level: int, levels: list[int]) -> int:
        """Closes the blocks that a statement ends; one that lies between two levels goes to the nearer one."""
        best = level if level in levels else min(levels, key=lambda known: (abs(known - level), -known))
        if level > levels[-1]:
            best = levels[-1]
        while levels[-1] > best:
            levels.pop()
        if best != level:
            return self._move(number, best)
        if "\t" in self._lines[number][:level]:
            self._lines[number] = reindent(self._lines[number], best)
        return best

    def _move(self, number: int, level: int) -> int:
        self._lines[number] = reindent(self._lines[number], level)
        if self._lines[number].strip() != "pass":  # which has a problem already
            message = "this line's indentation fits no block above it; it is read as part of the nearest"
            self.problems.append(Problem("", number + 1, Slug.SYNTAX, message))
        return level

    def _fill(self, header: Piece) -> None:
        last = header.stop - 1
        code = self._lines[last].split("#")[0].rstrip()  # a header ends with its colon, but for a comment
        self._lines[last] = f"{code} pass"
        message = "nothing stands below this line; it is read as empty"
        self.problems.append(Problem("", header.start + 1, Slug.SYNTAX, message))


def _what_is_wrong(text: str) -> tuple[Slug, str] | None:
    """Why a statement does not parse by itself, None if it does or if it opens a block."""
    if nesting(text) >= MAX_NESTING:
        return Slug.TOO_DEEP, "this statement nests too deep"
    try:
        try:
            ast.parse(text)
        except SyntaxError:
            if not _opens_block(text):
                raise
    except SyntaxError as error:
        return Slug.SYNTAX, f"this statement does not parse ({error.msg})"
    except (RecursionError, MemoryError):
        return Slug.TOO_DEEP, "this statement nests too deep"
    except ValueError as error:
        return Slug.SYNTAX, f"this statement does not parse ({error})"
    return None


def _opens_block(text: str) -> bool:
    text = text.lstrip()
    if ":" not in text or text.startswith(("'", '"')) or nesting(text) >= MAX_NESTING:
        return False
    last = text.rsplit("\n", 1)[-1].split("#")[0].rstrip()
    if not last.endswith(":"):
        return False
    try:
        ast.parse(f"{text}\n pass")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
