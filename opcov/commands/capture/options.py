"""The options that all captures share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from opcov.capturing.launching import Outcome
from opcov.capturing.session import Setting
from opcov.commands.streams import EXIT_FINE, EXIT_GATE, path_from, printing, say
from opcov.wording import counted


def parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of a command and, behind `--`, those of what it runs."""
    if "--" in arguments:
        place = list(arguments).index("--")
        return list(arguments[:place]), list(arguments[place + 1 :])
    return list(arguments), []


def add_shared(parser: argparse.ArgumentParser, out: str, *, can_fake: bool = True) -> None:
    """Adds them.

    Args:
        parser: of one kind of capture.
        out: what `--out` names: the folder of the model, or the corpus.
        can_fake: whether what is captured runs on fake tensors; where it does not, only who asks for them is told.
    """
    group = parser.add_argument_group("capture")
    group.add_argument("--out", metavar="DIR", type=path_from, required=True, help=out)
    group.add_argument(
        "--run",
        choices=("eager", "thunderfx"),
        default="eager",
        help="what runs a graph once it is saved: the graph itself (default), or what ThunderFX compiles",
    )
    fake = "run on fake tensors: shapes without data, so any size fits into memory"
    group.add_argument("--fake", action="store_true", help=fake if can_fake else argparse.SUPPRESS)
    group.add_argument(
        "--stop-on-crash",
        action="store_true",
        help="end the run when Thunder's splitter raises, as ThunderFX does, rather than go on eagerly",
    )
    group.add_argument("--verdicts", action="store_true", help="keep Thunder's answer for every node in capture.json")
    group.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="end the run, with all its processes, after that long"
    )
    group.add_argument("--about", metavar="TEXT", default="", help="what is captured, for capture.json")
    group.add_argument(
        "--reproducible",
        action="store_true",
        help="leave out times, memory addresses and this machine's folders, so that the same bytes come again",
    )


def setting_from(
    options: argparse.Namespace,
    folder: Path,
    *,
    rank: int = 0,
    device: str = "",
    places: Mapping[str, str] | None = None,
) -> Setting:
    """How graphs are captured, as the options have it.

    Args:
        options: of the command line.
        folder: of the model.
        rank: of the processes, where nothing else tells it.
        device: what the record says that graphs ran on.
        places: folders of this machine, each with what stands for it in a reproducible capture.
    """
    return Setting(
        str(folder.resolve()),
        run=options.run,
        fake=options.fake,
        stops=options.stop_on_crash,
        keeps_verdicts=options.verdicts,
        reproducible=options.reproducible,
        rank=rank,
        device=device or ("fake" if options.fake else ""),
        places=dict(places or {}),
    )


def tell(outcome: Outcome, folder: Path) -> int:
    """Says what became of a run, on stderr: stdout is the run's own.

    Returns:
        The exit code.
    """
    with printing("what the run printed"):
        pass
    for failure in outcome.failures:
        say(f"{folder}: {failure}")
    if outcome.crashes:
        say(f"{counted(len(outcome.crashes), 'graph')} on which Thunder's splitter raised, first: {outcome.crashes[0]}")
    say(f"{counted(outcome.graphs, 'graph')} in {folder}; opcov {folder} scans them")
    return EXIT_GATE if outcome.failures else EXIT_FINE


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return number
