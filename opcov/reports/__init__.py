"""How the result is told: each module here makes one kind of output from what a scan found."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from opcov import plugins
from opcov.problems import UsageError
from opcov.reports.report import FileReport, FolderReport, Report

ENTRY_POINTS = "opcov.reports"
"""Group of entry points under which other packages offer a `FileReport` or a `FolderReport`."""

_BUILT_IN = {
    "all_ops": "all_ops",
    "csv": "tables",
    "github": "github",
    "gitlab": "gitlab",
    "html": "html",
    "json": "json_document",
    "jsonl": "json_lines",
    "junit": "junit",
    "markdown": "markdown",
    "parquet": "parquet",
    "sarif": "sarif",
    "text": "terminal",
}
"""The module of each kind, so that asking for one loads no other."""
_FOLDERS = frozenset({"csv", "html", "parquet"})
"""Those of them that are folders of files, so that what is told of them before a scan loads none."""


@cache
def by_name(name: str) -> Report:
    """The report of a name.

    Raises:
        UsageError: there is none of that name, another package's cannot be loaded, or what it needs is not installed.
    """
    if name in _BUILT_IN:
        report: object = import_module(f"opcov.reports.{_BUILT_IN[name]}").REPORT
    else:
        report = _offered(name)
    assert isinstance(report, (FileReport, FolderReport))
    report.check()
    return report


def is_folder(name: str) -> bool:
    """Whether the report of a name is a folder of files.

    Raises:
        UsageError: as `by_name`.
    """
    return name in _FOLDERS if name in _BUILT_IN else isinstance(by_name(name), FolderReport)


def file(name: str) -> FileReport:
    """The report of a name that is one file; as `by_name` otherwise."""
    report = by_name(name)
    assert isinstance(report, FileReport)
    return report


def folder(name: str) -> FolderReport:
    """The report of a name that is a folder of files; as `by_name` otherwise."""
    report = by_name(name)
    assert isinstance(report, FolderReport)
    return report


def names() -> tuple[str, ...]:
    """The names of all kinds of reports: this package's, then those that installed packages offer."""
    offered = {point.name for point in plugins.offered(ENTRY_POINTS)}
    return (*sorted(_BUILT_IN), *sorted(offered.difference(_BUILT_IN)))


def _offered(name: str) -> object:
    import difflib

    for point in (point for point in plugins.offered(ENTRY_POINTS) if point.name == name):
        where = f"the entry point {point.name} of {ENTRY_POINTS} ({point.value})"
        try:
            report = point.load()
        except Exception as error:  # another package's code may raise anything
            raise UsageError(f"{where} cannot be loaded: {error}; mend or uninstall its package") from error
        if not isinstance(report, (FileReport, FolderReport)):
            raise UsageError(f"{where} is no opcov report; mend or uninstall its package")
        return report
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names())}"
    raise UsageError(f"no kind of report is called {name!r}; {hint}")
