"""The command line: the only module that prints, reads the terminal or exits."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from opcov import __version__
from opcov.problems import OpcovError, OutputError, Problem, Slug, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from opcov.agreement import SelfCheck
    from opcov.api import Scan
    from opcov.reports.report import Content

EXIT_FINE = 0
EXIT_GATE = 1
_MOST_UNEXPLAINED = 5
EXIT_COULD_NOT = 2
EXIT_INTERRUPTED = 130

_BAD_NEWS = frozenset({Slug.CRASH, Slug.LINK_LOOP, Slug.NO_SHAPES})
"""Problems that are findings, not failures: the job was done."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; those of the process where None.

    Returns:
        The exit code: 0 fine, 1 --strict found something, 2 could not do the job or not all of it, 130 interrupted.
    """
    _prepare_streams()
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        if arguments and arguments[0] in _COMMANDS:
            return _COMMANDS[arguments[0]](arguments[1:])
        return _run(_parser().parse_args(arguments))
    except SystemExit:
        # argparse has printed help, version or an error; whoever read that may have gone, as `head` does.
        _finish_stdout()
        raise
    except OpcovError as error:
        _say(f"error: {error}")
        return EXIT_COULD_NOT
    except KeyboardInterrupt:
        _say("interrupted; no file is half-written")
        return EXIT_INTERRUPTED


def _prepare_streams() -> None:
    """Makes both streams safe to print on: a closed one is None, and not every name can be encoded everywhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _finish_stdout() -> None:
    """Hands over what was printed.

    Raises:
        OutputError: stdout cannot take it, for example because the disk is full. A reader that has gone is no error.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _abandon_stdout(error)


def _abandon_stdout(error: OSError, what: str = "the summary") -> None:
    # Python would complain again when it flushes stdout at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        raise OutputError(f"cannot print {what}: {error.strerror or error}") from error


def _say(message: str) -> None:
    """Prints a diagnostic; that nobody can read it is no reason to fail."""
    from opcov.wording import one_line

    with suppress(OSError):
        print(f"opcov: {one_line(message)}", file=sys.stderr, flush=True)


def _path(text: str) -> Path:
    """An empty text would mean the working directory, and comes from an unset variable of a shell."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov",
        usage="opcov CORPUS [options]\n       opcov explain [WORD]",
        description="Tells which ops in saved FX graphs lightning-thunder does not support, why, and where.",
        allow_abbrev=False,
        epilog="`opcov explain` tells what the words of a report mean and what to do about them; "
        "a corpus of that name is ./explain. "
        "Exit codes: 0 fine, also when ops are unsupported; 1 --strict found something; "
        "2 could not do the job, or not all of it.",
    )
    parser.add_argument(
        "corpus", metavar="CORPUS", type=_path, help="a gm/ tree, one model's folder in it, or one graph file"
    )
    outputs = parser.add_argument_group("results")
    outputs.add_argument("--out", metavar="FILE", type=_path, help="write the list of unsupported ops (all_ops.py)")
    outputs.add_argument(
        "--csv", metavar="DIR", type=_path, help="write nodes, graphs, ops, variants and models as CSV tables"
    )
    outputs.add_argument("--html", metavar="DIR", type=_path, help="write a site to look at: open DIR/index.html")
    outputs.add_argument(
        "--format",
        metavar="KIND[:FILE]",
        action="append",
        default=[],
        help="write another kind of report, without FILE or with - to stdout (repeatable): "
        "csv, html and parquet need a folder; json, jsonl, markdown, text, all_ops",
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
    judging = parser.add_argument_group("judging")
    judging.add_argument(
        "--requires-grad", action="store_true", help="judge with Parameters that require grad, as in training"
    )
    judging.add_argument(
        "--strict", action="store_true", help="fail on a placement that differs from the recorded one unexplained"
    )
    terminal = parser.add_argument_group("terminal")
    terminal.add_argument("--quiet", "-q", action="store_true", help="print no summary and no progress, only problems")
    terminal.add_argument(
        "--verbose",
        "-v",
        action="store_true",
        help="print every problem and every placement that differs from the recorded one",
    )
    terminal.add_argument("--no-color", action="store_true", help="no colours, like a set NO_COLOR")
    terminal.add_argument("--version", action="version", version=f"opcov {__version__}")
    return parser


def _explain(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="opcov explain",
        description="Tells what a word of a report means, why it is there and what to do about it.",
        allow_abbrev=False,
        epilog="Exit codes: 0 explained; 2 no such word.",
    )
    parser.add_argument("word", metavar="WORD", nargs="*", help="such as MISSING_OP_SUPPORT; all words without it")
    parser.add_argument("--no-color", action="store_true", help="no colours, like a set NO_COLOR")
    options = parser.parse_args(arguments)
    from opcov import explanations

    if options.word:
        found = explanations.explain(" ".join(options.word))
        text = "\n\n".join(f"## {one.name} ({one.kind.lower()})\n\n{one.text}" for one in found)
    else:
        lists = [
            (kind, [f"- **{one.name}**: {one.summary}" for one in explanations.explanations() if one.kind == kind])
            for kind in explanations.names()
        ]
        text = "\n\n".join("\n".join((f"## {kind}", "", *lines)) for kind, lines in lists)
    try:
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.markdown import Markdown

            Console(file=sys.stdout, no_color=_no_color(options)).print(Markdown(text))
        else:
            print(explanations.plain(re.sub(r"^## ", "", text, flags=re.MULTILINE)))
        sys.stdout.flush()
    except OSError as error:
        _abandon_stdout(error, "the explanation")
    return EXIT_FINE


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"explain": _explain}
"""What a first argument stands for that is no corpus, each with what runs it on the other arguments."""


def _run(options: argparse.Namespace) -> int:
    from opcov import api

    files, printed = _destinations(options)
    api.check_outputs(files)
    progress = _ProgressBar(sys.stderr, options)
    try:
        scan = api.scan(
            options.corpus,
            include=options.include,
            exclude=options.exclude,
            requires_grad=options.requires_grad,
            progress=progress.update,
        )
    finally:
        progress.close()
    written = scan.write_all(files)
    if printed is not None:
        _print_report(scan.render(printed))
    elif not options.quiet:
        _print_summary(scan, written, options)
    failures = [problem for problem in scan.problems if problem.slug not in _BAD_NEWS]
    if options.verbose:
        for problem in scan.problems:
            _say(str(problem))
    else:
        _say_shortly(failures)
    unexplained = scan.self_check.unexplained
    _say_disagreements(scan.self_check, options)
    if not failures:
        return EXIT_GATE if unexplained and options.strict else EXIT_FINE
    places = len({problem.file for problem in failures})
    which = "1 file" if places == 1 else f"{places} files"
    _say(f"{which} could not be read or judged completely; the results hold all the rest")
    return EXIT_COULD_NOT


def _destinations(options: argparse.Namespace) -> tuple[list[tuple[str, Path]], str | None]:
    """The reports that go to files, as kind and place, and the kind of the one that is printed.

    Raises:
        UsageError: a kind is not known, has to be told its place, or a second one is to be printed.
    """
    from opcov.reports import by_name
    from opcov.reports.report import FolderReport

    files = [
        (kind, place)
        for kind, place in (("all_ops", options.out), ("csv", options.csv), ("html", options.html))
        if place is not None
    ]
    printed = None
    for chosen in options.format:
        kind, colon, place = chosen.partition(":")
        report = by_name(kind)
        if colon and not place:
            # An empty place comes from an unset variable of a shell, as an empty path does.
            raise UsageError(f"--format {chosen} names no place: write {kind}:FILE, or {kind}:- for stdout")
        if place not in ("", "-"):
            files.append((kind, Path(place)))
        elif isinstance(report, FolderReport):
            raise UsageError(f"a report of kind {kind} is a folder of files: say where with --format {kind}:DIR")
        elif printed is not None:
            raise UsageError(f"{printed} and {kind} are both to be printed: give one of them a file")
        else:
            printed = kind
    return files, printed


def _print_report(content: Content) -> None:
    from opcov.reports.files import pieces

    try:
        # The bytes that a file would have, whatever the encoding of the terminal.
        sys.stdout.buffer.writelines(pieces(content))
        sys.stdout.flush()
    except OSError as error:
        _abandon_stdout(error, "the report")


def _say_disagreements(check: SelfCheck, options: argparse.Namespace) -> None:
    """Names the placements that differ from the recorded ones: all of them if asked, else some unexplained ones."""
    shown = check.disagreements if options.verbose else check.unexplained[:_MOST_UNEXPLAINED]
    for found in shown:
        row = found.row
        _say(f"{row.file}:{row.node.line}: {row.node.name}: {found.explanation} [{found.kind.value}]")
    if not options.verbose and len(check.unexplained) > len(shown):
        _say(f"{len(check.unexplained) - len(shown)} more placements differ unexplained; --verbose names them all")


def _print_summary(scan: Scan, written: Sequence[Path], options: argparse.Namespace) -> None:
    from opcov.reports import terminal

    try:
        if sys.stdout.isatty():
            from rich.console import Console

            console = Console(file=sys.stdout, no_color=_no_color(options), highlight=False)
            terminal.print_rich(scan.coverage, console)
        else:
            sys.stdout.write(terminal.plain_summary(scan.coverage))
        if written:
            more = f" and {len(written) - _MOST_WRITTEN} more" if len(written) > _MOST_WRITTEN else ""
            print("\nWritten: " + ", ".join(map(str, written[:_MOST_WRITTEN])) + more)
        sys.stdout.flush()
    except OSError as error:
        _abandon_stdout(error)


_MOST_WRITTEN = 12


def _say_shortly(problems: Sequence[Problem]) -> None:
    from opcov.reports.terminal import grouped

    lines = grouped(problems)
    for place, problem in lines[:_MOST_PROBLEMS]:
        _say(f"{place}: {problem.message} [{problem.slug.value}]")
    if len(lines) > _MOST_PROBLEMS:
        _say(f"and {len(lines) - _MOST_PROBLEMS} more; --verbose prints all")


_MOST_PROBLEMS = 10


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
