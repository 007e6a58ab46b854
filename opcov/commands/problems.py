"""Tells on stderr what could not be read or judged, and which of it means that the job is not done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opcov.commands.streams import say
from opcov.problems import Problem, Slug

if TYPE_CHECKING:
    from opcov.api import Scan

_BAD_NEWS = frozenset({Slug.CRASH, Slug.LINK_LOOP, Slug.NO_SHAPES})
"""Problems that are findings, not failures: the job was done."""
_MOST_PROBLEMS = 10


def say_problems(scan: Scan, *, verbose: bool) -> list[Problem]:
    """Names what could not be read or judged.

    Args:
        scan: may have problems.
        verbose: whether all are named, findings too.

    Returns:
        Those that mean that the job is not done.
    """
    failures = [problem for problem in scan.problems if problem.slug not in _BAD_NEWS]
    if verbose:
        for problem in scan.problems:
            say(str(problem))
    else:
        _say_shortly(failures)
    return failures


def _say_shortly(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    from opcov.reports.terminal import grouped

    lines = grouped(problems)
    for place, problem in lines[:_MOST_PROBLEMS]:
        say(f"{place}: {problem.message} [{problem.slug.value}]")
    if len(lines) > _MOST_PROBLEMS:
        say(f"and {len(lines) - _MOST_PROBLEMS} more; --verbose prints all")


def say_incomplete(failures: Sequence[Problem], rest: str) -> None:
    """Says that the job is not done, and what holds all the same."""
    places = len({problem.file for problem in failures})
    which = "1 file" if places == 1 else f"{places} files"
    say(f"{which} could not be read or judged completely; {rest}")
