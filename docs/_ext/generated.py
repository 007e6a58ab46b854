"""Fills the pages with what the program itself knows, so that no page can say otherwise.

A mark `<!-- generated: columns nodes -->` in a page is replaced by the text that a function here makes.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from enum import Enum
from importlib import import_module
from importlib.metadata import entry_points
from textwrap import dedent
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from msgspec import Meta

import opcov
from opcov import document, loaders, reports
from opcov.explanations import Explanation, explanations, names
from opcov.reports.report import FolderReport

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_MARK = re.compile(r"<!-- generated: ([\w -]+?) -->")


def filled(text: str) -> str:
    """The text of a page with every mark replaced.

    Raises:
        KeyError: a mark asks for what nothing here makes.
    """
    return _MARK.sub(lambda mark: _made(*mark[1].split()), text)


def _made(name: str, *arguments: str) -> str:
    return _MAKERS[name](*arguments)


def version() -> str:
    """The version of opcov."""
    return opcov.__version__


def schema_version() -> str:
    """The version of the JSON document's schema."""
    return document.SCHEMA_VERSION


def command_help(*command: str) -> str:
    """What a command prints with --help, on a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    arguments = [sys.executable, "-m", "opcov", *command, "--help"]
    text = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout
    return f"```text\n{text}```"


def columns(name: str) -> str:
    """A table of the columns of a table of the document."""
    table = next(table for table in document.TABLES if table.name == name)
    hints = get_type_hints(table.entry, include_extras=True)
    plain = get_type_hints(table.entry)
    rows = [
        (f"`{field.name}`", _type_in_words(plain[field.name]), _description(hints[field.name]))
        for field in fields(table.entry)
    ]
    return _table(("column", "holds", "meaning"), rows)


def totals() -> str:
    """A table of the fields of the document's totals."""
    hints = get_type_hints(document.Totals, include_extras=True)
    plain = get_type_hints(document.Totals)
    rows = [(f"`{name}`", _type_in_words(plain[name]), _description(hint)) for name, hint in hints.items()]
    return _table(("field", "holds", "meaning"), rows)


def report_kinds() -> str:
    """A table of the kinds of reports that this package makes."""
    offered = {point.name for point in entry_points(group=reports.ENTRY_POINTS)}
    rows = []
    for name in reports.names():
        if name in offered:
            continue
        try:
            report = reports.by_name(name)
        except (ImportError, opcov.UsageError):
            continue
        place = "a folder" if isinstance(report, FolderReport) else "a file"
        rows.append((f"`{name}`", place, report.meaning))
    return _table(("kind", "is", "what it is"), rows)


def loader_kinds() -> str:
    """A table of the loaders of this package, in the order in which they are asked."""
    rows = []
    for loader in loaders.BUILT_IN:
        summary = (inspect.getdoc(import_module(f"opcov.loaders.{loader.name}")) or "").partition("\n")[0]
        beside = ", ".join(f"`{name}`" for name in loader.companions) or "nothing"
        suffixes = ", ".join(f"`{suffix}`" for suffix in loader.suffixes)
        rows.append((f"`{loader.name}`", suffixes, beside, summary.removeprefix("Loads ")))
    return _table(("loader", "files", "read beside them", "reads"), rows)


def words() -> str:
    """Every explanation, each below an address of its own, with the words that it mentions linked to theirs."""
    addresses = {kind.lower(): kind.lower() for kind in names()}
    for one in explanations():
        addresses.setdefault(one.name, one.anchor)
    parts = []
    for kind in names():
        parts.append(f"## {kind}")
        for one in explanations():
            if one.kind == kind:
                parts += [f"({one.anchor})=", f"### {one.name}", _linked(one, addresses)]
    return "\n\n".join(parts)


def _linked(one: Explanation, addresses: Mapping[str, str]) -> str:
    def link(found: re.Match[str]) -> str:
        address = addresses.get(found[1])
        return found[0] if address is None or found[1] == one.name else f"[{found[0]}](#{address})"

    # A block with a language wraps its lines (opcov.css): what reports print is long.
    text = re.sub(r"(?:^ {4}.*\n)+", lambda block: f"```text\n{dedent(block[0])}```\n", one.text, flags=re.MULTILINE)
    return re.sub(r"(?<!`)`([^`\n]+)`(?!`)", link, text)


def word_list() -> str:
    """A table of every word with its first sentence, by kind."""
    rows = [(one.kind, f"[{one.name}](#{one.anchor})", one.summary) for one in explanations()]
    return _table(("kind", "word", "meaning"), rows)


def public_names() -> str:
    """The documentation of all that opcov offers to Python: functions first, then types, then errors."""
    functions: list[tuple[str, str]] = []
    types: list[tuple[str, str]] = []
    errors: list[tuple[str, str]] = []
    for name in opcov.__all__:
        value = getattr(opcov, name)
        if not inspect.isclass(value):
            functions.append((name, "autofunction" if inspect.isroutine(value) else "autodata"))
        else:
            (errors if issubclass(value, Exception) else types).append((name, "autoclass"))
    parts = []
    for title, found in (("Functions", functions), ("Types", types), ("Errors", errors)):
        parts += [f"## {title}"]
        for name, directive in found:
            options = "   :members:\n" if directive == "autoclass" else ""
            options += "   :show-inheritance:\n" if title == "Errors" else ""
            parts += [f"```{{eval-rst}}\n.. {directive}:: opcov.{name}\n{options}```"]
    return "\n\n".join(parts)


def _description(hint: Any) -> str:
    found = [part.description for part in getattr(hint, "__metadata__", ()) if isinstance(part, Meta)]
    return next((text for text in found if text), "")


def _type_in_words(hint: Any) -> str:
    """What a reader of a table has to know of a type: `whole number or empty`."""
    arguments = get_args(hint)
    if type(None) in arguments:
        (present,) = (argument for argument in arguments if argument is not type(None))
        return f"{_type_in_words(present)} or empty"
    if arguments:
        return f"list of {_type_in_words(arguments[0])}s"
    if issubclass(hint, Enum):
        return f"one {_KINDS.get(hint.__name__, 'of ' + ', '.join(f'`{member.value}`' for member in hint))}"
    return _WORDS.get(hint, "row")


_WORDS = {int: "whole number", float: "percentage", str: "text"}
_KINDS = {
    kind: f"[{kind.lower()}](explanations.md#{kind.lower()})"
    for kind in ("Status", "Reason", "Evidence", "Agreement", "Health", "Family", "Route")
}


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


_MAKERS: dict[str, Callable[..., str]] = {
    "columns": columns,
    "help": command_help,
    "loaders": loader_kinds,
    "public-names": public_names,
    "reports": report_kinds,
    "schema-version": schema_version,
    "totals": totals,
    "version": version,
    "word-list": word_list,
    "words": words,
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers with Sphinx."""
    app.connect("source-read", lambda _app, _page, source: source.__setitem__(0, filled(source[0])))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
