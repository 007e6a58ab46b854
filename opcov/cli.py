"""The command line: the only module that prints, reads the terminal or exits."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from opcov import __version__
from opcov.problems import OpcovError, Problem, Slug

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from opcov.api import Scan

EXIT_FINE = 0
EXIT_COULD_NOT = 2
EXIT_INTERRUPTED = 130

_BAD_NEWS = frozenset({Slug.CRASH, Slug.LINK_LOOP})
"""Problems that are findings, not failures: the job was done."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; those of the process where None.

    Returns:
        The exit code: 0 fine, 2 could not do the job or not all of it, 130 interrupted.
    """
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except OpcovError as error:
        print(f"opcov: error: {error}", file=sys.stderr)
        return EXIT_COULD_NOT
    except KeyboardInterrupt:
        print("opcov: interrupted; no file was changed", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Who read the output has gone, as `head` does. Python would complain again when it flushes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov",
        usage="opcov CORPUS [options]",
        description="Tells which ops in saved FX graphs lightning-thunder does not support, why, and where.",
        epilog="Exit codes: 0 fine, also when ops are unsupported; 2 could not do the job, or not all of it.",
    )
    parser.add_argument("corpus", metavar="CORPUS", help="a gm/ tree, one model's folder in it, or one graph file")
    outputs = parser.add_argument_group("results")
    outputs.add_argument("--out", metavar="FILE", type=Path, help="write the list of unsupported ops (all_ops.py)")
    outputs.add_argument(
        "--csv", metavar="DIR", type=Path, help="write nodes, graphs, ops, variants and models as CSV tables"
    )
    selection = parser.add_argument_group("selection")
    selection.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        default=[],
        help="only models whose name matches, such as 'Qwen/*' (repeatable)",
    )
    selection.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out models whose name matches (repeatable)",
    )
    terminal = parser.add_argument_group("terminal")
    terminal.add_argument("--quiet", "-q", action="store_true", help="print no summary and no progress, only problems")
    terminal.add_argument("--verbose", "-v", action="store_true", help="print every problem in full, with its place")
    terminal.add_argument("--no-color", action="store_true", help="no colours, like a set NO_COLOR")
    terminal.add_argument("--version", action="version", version=f"opcov {__version__}")
    return parser


def _run(options: argparse.Namespace) -> int:
    from opcov import api
    from opcov.reports.files import check_writable

    targets: dict[Path, bool] = {}
    if options.out is not None:
        targets[options.out] = False
    if options.csv is not None:
        targets[options.csv] = True
    check_writable(targets)
    progress = _ProgressBar(sys.stderr, options)
    try:
        scan = api.scan(options.corpus, include=options.include, exclude=options.exclude, progress=progress.update)
    finally:
        progress.close()
    written = scan.write(out=options.out, csv=options.csv)
    if not options.quiet:
        _print_summary(scan, written, options)
    failures = [problem for problem in scan.problems if problem.slug not in _BAD_NEWS]
    _print_problems(scan.problems if options.verbose else failures)
    if failures:
        files = len({problem.file for problem in failures})
        print(
            f"opcov: {files} of the files could not be read or judged completely; the rest is in the results",
            file=sys.stderr,
        )
        return EXIT_COULD_NOT
    return EXIT_FINE


def _print_summary(scan: Scan, written: Sequence[Path], options: argparse.Namespace) -> None:
    from opcov.reports import terminal

    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(file=sys.stdout, no_color=_no_color(options), highlight=False)
        terminal.print_rich(scan.coverage, console)
    else:
        sys.stdout.write(terminal.plain_summary(scan.coverage))
    if written:
        print("\nWritten: " + ", ".join(map(str, written)))
    sys.stdout.flush()


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        print(f"opcov: {problem}", file=sys.stderr)


def _no_color(options: argparse.Namespace) -> bool:
    return bool(options.no_color or os.environ.get("NO_COLOR"))


class _ProgressBar:
    """A bar on a terminal, once the work has taken longer than a second."""

    def __init__(self, stream: TextIO, options: argparse.Namespace) -> None:
        self._wanted = stream.isatty() and not options.quiet
        self._no_color = _no_color(options)
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def update(self, done: int, total: int) -> None:
        """Shows how far the work is."""
        if not self._wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._started < 1:
                return
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True, no_color=self._no_color), transient=True)
            self._task = self._bar.add_task("graphs", total=total)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=done)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
