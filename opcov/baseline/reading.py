"""Reads an all_ops.py, one that opcov wrote or one that a person made, by its syntax and its comments."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from opcov.baseline.comments import (
    ALLOW,
    BETWEEN_FILES,
    COMMAND,
    FACTS,
    FILES,
    FIXED,
    LISTED,
    MODELS,
    MODELS_OF,
    OP,
    PEOPLE,
    REGENERATE,
    SOURCE,
    VARIANT,
    Line,
    is_of_entry,
    op_of_heading,
    read_back,
    read_versions,
    read_waiver,
    read_why,
    refuse,
    starting,
)
from opcov.baseline.known import Baseline, BaselineError, Entry, Key, ModelFacts
from opcov.corpus.health import Health
from opcov.graphfile import reason_of
from opcov.loaders.text.calls import read_statement
from opcov.wording import one_line, unfold_files

if TYPE_CHECKING:
    import libcst


def read_baseline(path: Path) -> Baseline:
    """Reads an all_ops.py, one that opcov wrote or one that a person made; it is only looked at, never run.

    Args:
        path: of the file.

    Raises:
        BaselineError: it cannot be read, or cannot be understood.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BaselineError(
            f"{path}: there is no such baseline; write one: python -m opcov <corpus> --out {path}"
        ) from None
    except IsADirectoryError:
        raise BaselineError(f"{path}: it is a folder; name the all_ops.py in it") from None
    except (OSError, ValueError) as error:
        raise BaselineError(f"{path}: the baseline cannot be read: {reason_of(error)}; name another file") from error
    return parse_baseline(data, str(path))


def parse_baseline(text: str | bytes, name: str = "all_ops.py") -> Baseline:
    """Reads the text of an all_ops.py.

    Args:
        text: of the file; bytes are UTF-8.
        name: the file, as messages call it.

    Raises:
        BaselineError: it cannot be understood; the message names the place and what to do.
    """
    return _Reader(_checked(text, name), name).read()


def _checked(text: str | bytes, name: str) -> str:
    """The text, where nothing speaks against parsing it."""
    if isinstance(text, bytes):
        data = text
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            before = data[: error.start].decode()
            _refuse_at(name, before, len(before), "it is no UTF-8; save it as UTF-8")
    if text.startswith("\ufeff"):
        _refuse_at(name, text, 0, "it starts with a byte order mark; save it as UTF-8 without one")
    if (place := text.find("\r")) >= 0:
        _refuse_at(name, text, place, f"it has Windows line ends (CRLF); convert it: sed -i 's/\\r$//' {name}")
    if (place := text.find("\0")) >= 0:
        _refuse_at(name, text, place, "it holds a NUL character; it is no text, take the file from git again")
    if found := _CONFLICT.search(text):
        _refuse_at(
            name, text, found.start(), "an unresolved git conflict; take either side, then write it anew with --update"
        )
    return text


_CONFLICT = re.compile(r"^(?:(?:<{7}|>{7}|\|{7}) |={7}$)", re.MULTILINE)


def _refuse_at(name: str, text: str, place: int, message: str) -> NoReturn:
    before = text[:place]
    refuse(name, before.count("\n") + 1, place - before.rfind("\n"), message)


class _Reader:
    """Reads one file once."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._text = text
        self._lines = text.split("\n")
        self._versions: dict[str, str] = {}
        self._summary = ""
        self._models: dict[str, ModelFacts] | None = None
        self._entries: list[Entry] = []
        self._notes: list[str] = []
        self._fixed: dict[Key, tuple[str, ...]] = {}

    def read(self) -> Baseline:
        import libcst

        statements = self._statements()
        try:
            module = libcst.parse_module(self._text)
        except libcst.ParserSyntaxError as error:
            self._refuse(error.editor_line, error.editor_column, f"it does not parse ({one_line(error.message)}); mend")
        lines = _lines(module.header, 1) if statements else []
        for printed, statement in zip(module.body, statements, strict=True):
            assert isinstance(printed, libcst.SimpleStatementLine)
            lines += _lines(printed.leading_lines, statement.lineno - len(printed.leading_lines))
            *loose, above = _paragraphs(lines)
            for paragraph in loose:
                self._loose(paragraph)
            self._entry(above, statement, self._comments_in(printed, statement))
            lines = []
        for paragraph in _paragraphs(self._below(statements)):
            self._loose(paragraph)
        return Baseline(
            self._name,
            self._versions,
            self._models,
            tuple(self._entries),
            tuple(self._notes),
            self._fixed,
            self._summary,
        )

    def _refuse(self, line: int, column: int, message: str) -> NoReturn:
        refuse(self._name, line, column, message)

    def _statements(self) -> list[ast.stmt]:
        """The statements by their syntax. Python's own parser knows when to stop; LibCST overflows its stack."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                statements = ast.parse(self._text).body
        except SyntaxError as error:
            line, column = error.lineno or 1, error.offset or 1
            self._refuse(
                line, max(1, column), f"it does not parse ({one_line(error.msg)}); mend the line or remove the entry"
            )
        except (ValueError, RecursionError, MemoryError):
            self._refuse(1, 1, "an expression nests too deep to be read; remove the entry")
        for before, statement in zip([None, *statements], statements, strict=False):
            column = statement.col_offset + 1
            if not isinstance(statement, (ast.Expr, ast.Assign, ast.AugAssign)):
                self._refuse(statement.lineno, column, "a statement that is no call of an op; remove it")
            if before is not None and before.end_lineno == statement.lineno:
                self._refuse(statement.lineno, column, "two calls on one line; put each on a line of its own")
        return statements

    def _below(self, statements: list[ast.stmt]) -> list[Line]:
        """The lines below the last statement: LibCST loses empty ones above a comment there that is indented."""
        first = (statements[-1].end_lineno or 0) if statements else 0
        found = []
        for number, line in enumerate(self._lines[first:], start=first + 1):
            text = line.lstrip()
            found.append(Line(number, text, len(line) - len(text) + 1))
        return found

    # --- entries ------------------------------------------------------------------------------------------------------

    def _comments_in(self, printed: libcst.SimpleStatementLine, statement: ast.stmt) -> list[Line]:
        """People's lines behind an expression, and between its lines where it has several."""
        import libcst
        from libcst import matchers

        assert statement.end_lineno is not None
        own = self._lines[statement.lineno - 1 : statement.end_lineno]
        if not any(PEOPLE in line for line in own):
            return []
        found = []
        for comment in matchers.findall(printed.with_changes(leading_lines=()), matchers.Comment()):
            assert isinstance(comment, libcst.Comment)
            for number, line in enumerate(own, start=statement.lineno):
                if comment.value.startswith(PEOPLE) and line.endswith(comment.value):
                    found.append(Line(number, comment.value, len(line) - len(comment.value) + 1))
                    break
        return found

    def _entry(self, above: list[Line], statement: ast.stmt, behind: list[Line]) -> None:
        key = read_statement(statement)
        column = statement.col_offset + 1
        if key is None:
            what = "an assignment" if isinstance(statement, ast.Assign) else "an expression"
            self._refuse(
                statement.lineno, column, f"{what} that is no call of an op as a graph prints it; mend it or remove it"
            )
        assert statement.end_lineno is not None
        own = self._lines[statement.lineno - 1 : statement.end_lineno]
        if len(own) == 1:
            expression = own[0].encode()[statement.col_offset : statement.end_col_offset].decode()
        else:
            expression = ast.unparse(statement)
        self._add(above, behind, key, expression, statement.lineno, "\n".join([*(line.text for line in above), *own]))

    def _commented_entry(self, lines: list[Line]) -> None:
        """An entry whose expression is no Python: it stands in the last comment."""
        generated = [line for line in lines if not line.text.startswith(PEOPLE)]
        if not any(line.text.startswith(VARIANT) for line in generated):
            self._refuse(
                lines[0].number, lines[0].column, "an entry without its expression right below; add it or remove these"
            )
        last = generated[-1]
        expression = last.text.removeprefix("#").removeprefix(" ") if last.text[:3] != "#  " else ""
        self._add(lines, [], None, expression, last.number, "\n".join(line.text for line in lines))

    def _add(
        self, above: list[Line], behind: list[Line], key: Key | None, expression: str, number: int, text: str
    ) -> None:
        people = [*(line for line in above if line.text.startswith(PEOPLE)), *behind]
        generated = [line for line in above if not line.text.startswith(PEOPLE)]
        # Where there is no key, the last of them is an expression, which may be any text.
        for line in generated if key else generated[:-1]:
            if line.text == MODELS or line.text == f"{REGENERATE}{COMMAND}":
                self._refuse(line.number, line.column, "the header runs into an entry; put an empty line below it")
        op, variant = key or ("", "")
        if stated := starting(generated, VARIANT):
            self._single(stated)
            variant = read_back(stated[0].text[len(VARIANT) :])
            ops = starting(generated, OP)
            op = read_back(ops[0].text[len(OP) :]) if ops else op_of_heading(generated[0].text)
        reason, detail = read_why(generated, op)
        listed = [line for line in generated if MODELS_OF.fullmatch(line.text)]
        self._single(listed)
        files = [line.text[len(FILES) :] for line in starting(generated, FILES)]
        if listed:
            found = MODELS_OF.fullmatch(listed[0].text)
            assert found is not None
            models = [read_back(match[1].strip()) for match in LISTED.finditer(found[1])]
        else:
            # A list that a person made names files: a model is the folder of one.
            files = [file for line in files for file in BETWEEN_FILES.split(line)]
        paths = list(dict.fromkeys(path for file in files for path in unfold_files(file)))
        if not listed:
            models = [path.rpartition("/")[0] for path in paths if "/" in path]
        waivers = [waiver for line in people if (waiver := read_waiver(line, self._name)) is not None]
        self._entries.append(
            Entry(
                op,
                variant,
                reason,
                tuple(dict.fromkeys(models)),
                tuple(line.text for line in people),
                tuple(waivers),
                number,
                text,
                detail,
                tuple(line.text[len(SOURCE) :] for line in starting(generated, SOURCE)),
                tuple(paths),
                expression,
            )
        )

    def _single(self, lines: list[Line]) -> None:
        if len(lines) > 1:
            self._refuse(lines[1].number, lines[1].column, "two entries run together; put an empty line between them")

    # --- what is no entry ---------------------------------------------------------------------------------------------

    def _loose(self, lines: list[Line]) -> None:
        """A paragraph of comments that stands above no expression."""
        if not lines:
            return
        people = [line for line in lines if line.text.startswith(PEOPLE)]
        generated = [line for line in lines if not line.text.startswith(PEOPLE)]
        if any(is_of_entry(line.text) for line in generated):
            self._commented_entry(lines)
            return
        if generated and generated[0].text.startswith(FIXED):
            variant = read_back(generated[0].text[len(FIXED) :])
            ops = starting(generated, OP)
            key = (read_back(ops[0].text[len(OP) :]) if ops else variant.partition("(")[0], variant)
            self._fixed[key] = (*self._fixed.get(key, ()), *(line.text for line in people))
            return
        for line in people:
            if ALLOW.match(line.text):
                self._refuse(
                    line.number,
                    line.column,
                    "a waiver at no entry allows nothing; put it right above the expression that it is meant for",
                )
            self._notes.append(line.text)
        self._header(generated)

    def _header(self, lines: list[Line]) -> None:
        facts = False
        for before, line in zip([Line(0, ""), *lines], lines, strict=False):
            if line.text.startswith(REGENERATE) and not self._versions:
                self._versions, self._summary = read_versions(before.text)
            elif line.text == MODELS:
                facts = True
                self._models = self._models or {}
            elif facts:
                self._fact(line)

    def _fact(self, line: Line) -> None:
        assert self._models is not None
        found = FACTS.fullmatch(line.text)
        if found is None:
            self._refuse(line.number, line.column, "it does not say how a model stood; remove it and use --update")
        name = read_back(found[5])
        if name in self._models:
            self._refuse(line.number, line.column, "a model stands here twice; remove one of the lines")
        self._models[name] = ModelFacts(name, Health(found[1]), int(found[2]), int(found[3]), int(found[4]))


def _lines(lines: Iterable[libcst.EmptyLine], first: int) -> list[Line]:
    found = []
    for number, line in enumerate(lines, start=first):
        text = line.comment.value if line.comment is not None else ""
        found.append(Line(number, text, len(line.whitespace.value) + 1))
    return found


def _paragraphs(lines: list[Line]) -> list[list[Line]]:
    """The lines between empty ones; what comes last is what stands right above a statement, if anything does."""
    found: list[list[Line]] = [[]]
    for line in lines:
        if line.text:
            found[-1].append(line)
        else:
            found.append([])
    return found
