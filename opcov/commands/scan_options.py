"""The options of a scan: what the command line says, laid over the settings of the project."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opcov import __version__, config
from opcov.commands.streams import path_from
from opcov.config import Config


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to do.

    Attributes:
        corpus: what is scanned.
        settings: the project's, as the command line changes them.
        update: the baseline to rewrite; None for none.
        today: the day on which waivers are judged; None for the clock's.
    """

    corpus: Path
    settings: Config
    update: Path | None
    today: dt.date | None


def read(arguments: Sequence[str]) -> Options:
    """The options of a command line.

    Args:
        arguments: of the process, without its name.

    Raises:
        UsageError: the settings of the project cannot be read.
        SystemExit: argparse has printed the help, the version or an error.
    """
    parser = _parser()
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    corpus = given.pop("corpus")
    update, today = given.pop("update", None), given.pop("today", None)
    file, ignored = given.pop("config", None), given.pop("no_config", False)
    settings = Config() if ignored else config.load(file)
    if update is not None:
        # One judges and the other accepts: who asks for that on the command line means no gate of the project.
        settings = replace(settings, check=None, fail_under=None, max_unsupported=None)
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    if "scheduler" in given:
        given.setdefault("engine", "dask")
    elif given.get("engine") == "process":
        given["scheduler"] = ""  # that of the project is another engine's
    settings = replace(settings, **{**given, **lists})
    corpus = corpus or settings.corpus
    if corpus is None:
        parser.error(f"the following arguments are required: CORPUS, or corpus in [tool.opcov] of {config.FILE}")
    return Options(corpus, settings, update, today)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov",
        usage="opcov [CORPUS] [options]\n       opcov capture script|hf|sglang ...\n"
        "       opcov diff OLD NEW [options]\n       opcov explain [WORD]\n       opcov cache info|clear",
        description="Tells which ops in saved FX graphs lightning-thunder does not support, why, and where.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,  # what is not given is left to the settings
        epilog="A project sets its own defaults under the names of the long options in [tool.opcov] of pyproject.toml; "
        "the command line wins, a list replaces the project's, and --no-strict and the like turn a switch off. "
        "`opcov capture` makes a corpus, `opcov diff` compares two corpora or saved scans, `opcov explain` tells what "
        "the words of a report mean, `opcov cache` tells what is remembered; a corpus of such a name is ./diff. "
        "Exit codes: 0 fine, also when ops are unsupported; 1 --check, --fail-under, --max-unsupported or --strict "
        "found something; 2 could not do the job, or not all of it.",
    )
    parser.add_argument(
        "corpus",
        metavar="CORPUS",
        type=path_from,
        nargs="?",
        default=None,
        help="a gm/ tree, one model's folder in it, or one graph file",
    )
    _add_results(parser.add_argument_group("results"))
    _add_gate(parser.add_argument_group("gate"))
    _add_rest(parser)
    return parser


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--out", metavar="FILE", type=path_from, help="write the list of unsupported ops (all_ops.py)")
    group.add_argument(
        "--csv", metavar="DIR", type=path_from, help="write nodes, graphs, ops, variants and models as CSV tables"
    )
    group.add_argument("--html", metavar="DIR", type=path_from, help="write a site to look at: open DIR/index.html")
    group.add_argument(
        "--format",
        metavar="KIND[:FILE]",
        action="append",
        help="write another kind of report, without FILE or with - to stdout (repeatable): csv, html and parquet need "
        "a folder; json, jsonl, markdown, text, all_ops, and for CI github, sarif, junit, gitlab",
    )


def _add_gate(group: argparse._ArgumentGroup) -> None:
    file = group.add_mutually_exclusive_group()
    file.add_argument(
        "--check",
        metavar="FILE",
        type=path_from,
        help="fail on unsupported ops that a committed all_ops.py does not list, and on lost models and graphs",
    )
    file.add_argument(
        "--update",
        metavar="FILE",
        type=path_from,
        help="accept what is: rewrite that file, or make it, keeping what people wrote into it (#: lines)",
    )
    group.add_argument(
        "--level", choices=config.LEVELS, help="what has to be listed: each variant of an op (default), or the op"
    )
    _add_switch(group, "--per-model", "fail on a listed op in a model that its entry does not name")
    _add_switch(group, "--allow-lost", "let models and graphs be lost")
    group.add_argument(
        "--fail-under", metavar="PCT", type=_percentage, help="fail if less of the nodes is supported; 100 is exact"
    )
    group.add_argument(
        "--max-unsupported", metavar="N", type=_number, help="fail if more ops than that are not supported"
    )
    group.add_argument(
        "--today",
        metavar="YYYY-MM-DD",
        type=_day,
        help="the day on which waivers are judged (default: that of SOURCE_DATE_EPOCH, else of the clock, in UTC)",
    )


def _add_rest(parser: argparse.ArgumentParser) -> None:
    selection = parser.add_argument_group("selection")
    selection.add_argument(
        "--include",
        metavar="PATTERN",
        action="append",
        help="only models whose name matches, such as 'Qwen/*' (repeatable)",
    )
    selection.add_argument(
        "--exclude", metavar="PATTERN", action="append", help="leave out models whose name matches (repeatable)"
    )
    judging = parser.add_argument_group("judging")
    _add_switch(judging, "--requires-grad", "judge with Parameters that require grad, as in training")
    _add_switch(
        judging,
        "--strict",
        "fail on a placement that differs from the recorded one unexplained, and on entries of the checked file that "
        "are fixed",
    )
    workers = parser.add_argument_group("workers")
    workers.add_argument(
        "--jobs",
        metavar="N|auto",
        type=_jobs,
        help="judge with that many processes, or with as many as there are cores; same results (default: 1)",
    )
    workers.add_argument(
        "--engine",
        choices=config.ENGINES,
        help="what the processes are: of this machine (default), or Dask's (pip install opcov[dask])",
    )
    workers.add_argument(
        "--scheduler", metavar="ADDRESS", help="judge on a running Dask cluster, such as tcp://host:8786"
    )
    cache = parser.add_argument_group("cache")
    cache.add_argument(
        "--cache-dir",
        metavar="DIR",
        type=path_from,
        help="remember verdicts there (default: OPCOV_CACHE_DIR, else the user's folder for caches)",
    )
    cache.add_argument("--cache-size", metavar="MB", type=_number, help="let it grow to that many megabytes")
    cache.add_argument("--no-cache", action="store_true", help="judge everything, remember nothing; same results")
    cache.add_argument("--cache", dest="no_cache", action="store_false", help=argparse.SUPPRESS)
    _add_switch(cache, "--paranoid", "read files again whose size and times are as they were")
    settings = parser.add_argument_group("settings").add_mutually_exclusive_group()
    settings.add_argument("--config", metavar="FILE", type=path_from, help="read [tool.opcov] of this file")
    settings.add_argument("--no-config", action="store_true", help="read no settings of the project")
    terminal = parser.add_argument_group("terminal")
    _add_switch(terminal, "--quiet", "print no summary and no progress, only problems", "-q")
    _add_switch(
        terminal,
        "--verbose",
        "print every problem, every change, every placement that differs from the recorded one, and what the scan cost",
        "-v",
    )
    terminal.add_argument("--no-color", action="store_true", help="no colours, like a set NO_COLOR")
    terminal.add_argument("--color", dest="no_color", action="store_false", help=argparse.SUPPRESS)
    terminal.add_argument("--version", action="version", version=f"opcov {__version__}")


def _add_switch(group: argparse._ArgumentGroup, name: str, meaning: str, *short: str) -> None:
    """An option that is on or off. Its opposite is there for what a project has turned on, and not in the help."""
    group.add_argument(name, *short, action="store_true", help=meaning)
    negated, destination = f"--no-{name[2:]}", name[2:].replace("-", "_")
    group.add_argument(negated, dest=destination, action="store_false", help=argparse.SUPPRESS)


def _percentage(text: str) -> float:
    try:
        return config.percentage_from(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number that is not negative")
    return int(text)


def _jobs(text: str) -> int | str:
    if text == "auto":
        return text
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number from 1")
    return int(text)


def _day(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.timezone.utc).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2027-03-01") from None
