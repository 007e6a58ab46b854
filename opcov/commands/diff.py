"""The command `opcov diff`: what changed from one corpus, or saved scan, to another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opcov.commands.cache import cache_from
from opcov.commands.problems import say_incomplete, say_problems
from opcov.commands.progress import ProgressBar
from opcov.commands.streams import EXIT_COULD_NOT, EXIT_FINE, EXIT_GATE, path_from, printing, wants_no_color
from opcov.config import Config

if TYPE_CHECKING:
    from opcov.api import Scan

_SAVED = ".json"
"""How the name of a saved scan ends; no form of graphs has files of such names."""


def run(arguments: Sequence[str]) -> int:
    """Compares and tells.

    Args:
        arguments: those behind the name of the command.

    Returns:
        The exit code.

    Raises:
        OpcovError: one of the two cannot be read.
        SystemExit: argparse has printed the help or an error.
    """
    options = _parser().parse_args(arguments)
    from opcov.gate.changes import Style
    from opcov.wording import inert

    old, new = _side(options.old, options), _side(options.new, options)
    differences = old.diff(new)
    with printing("the differences"):
        print(inert(differences.explain(Style(options.format))))
    failures = [problem for one in (old, new) for problem in say_problems(one, verbose=False)]
    if failures:
        say_incomplete(failures, "what differs is told of the rest")
        return EXIT_COULD_NOT
    return EXIT_GATE if differences and options.exit_code else EXIT_FINE


def _side(path: Path, options: argparse.Namespace) -> Scan:
    from opcov import api

    if path.suffix == _SAVED and not path.is_dir():
        return api.saved_scan(path, include=options.include, exclude=options.exclude)
    progress = ProgressBar(sys.stderr, quiet=False, no_color=wants_no_color(options.no_color))
    try:
        return api.scan(
            path,
            include=options.include,
            exclude=options.exclude,
            requires_grad=options.requires_grad,
            progress=progress.update,
            cache=cache_from(Config(no_cache=options.no_cache)),
        )
    finally:
        progress.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov diff",
        description="Tells what changed from one scan to another: ops that gained or lost support, models, versions. "
        "Line numbers, file names and ranks mean nothing.",
        allow_abbrev=False,
        epilog="Exit codes: 0 compared, also when they differ; 1 they differ and --exit-code was given; "
        "2 could not compare, or not all of it. No settings of the project are read.",
    )
    for name, which in (("old", "what was"), ("new", "what is")):
        parser.add_argument(
            name,
            metavar=name.upper(),
            type=path_from,
            help=f"{which}: a corpus, or a result that --format json:FILE saved (*{_SAVED})",
        )
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="how it is told (default: text)")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if they differ")
    parser.add_argument(
        "--include", metavar="PATTERN", action="append", default=[], help="only models whose name matches (repeatable)"
    )
    parser.add_argument(
        "--exclude", metavar="PATTERN", action="append", default=[], help="leave out models that match (repeatable)"
    )
    parser.add_argument("--requires-grad", action="store_true", help="judge with Parameters that require grad")
    parser.add_argument("--no-cache", action="store_true", help="judge everything, remember nothing; same results")
    parser.add_argument("--no-color", action="store_true", help="no colours, like a set NO_COLOR")
    return parser
