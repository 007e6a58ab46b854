"""Runs a command that captures: its output becomes the run log, and however it ends, the model's folder tells."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from opcov.capturing import gathering
from opcov.capturing.concluding import Account, begin, conclude, opened_log
from opcov.capturing.neutral import places_here
from opcov.capturing.processes import held_signals, run_to_end
from opcov.capturing.room import Room, run_of
from opcov.capturing.session import VARIABLE, Setting

PACKAGES = gathering.PACKAGES
"""Whose versions decide what a capture looks like."""


@dataclass(frozen=True, slots=True)
class Run:
    """A command that captures.

    Attributes:
        command: the program and its arguments; it finds the setting in its environment.
        setting: how graphs are captured, and where.
        told: the command as its user gave it.
        about: what is captured, for the record.
        options: of the capture, for the record.
        environment: more variables for it.
        ranks: that have to write graphs.
        rank: of this command under a launcher such as torchrun; None where it is the whole run.
        timeout: seconds after which it is ended; None for none.
        reads_input: whether it gets this process's stdin.
    """

    command: Sequence[str]
    setting: Setting
    told: Sequence[str]
    about: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ranks: int = 1
    rank: int | None = None
    timeout: float | None = None
    reads_input: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        graphs: how many it saved.
        failures: what went wrong, in plain words; none where all is well.
        exit: how the command ended.
        crashes: what Thunder's splitter raised, with the name of the graph.
    """

    graphs: int
    failures: tuple[str, ...]
    exit: str
    crashes: tuple[str, ...] = ()


def launch(run: Run) -> Outcome:
    """Runs a command to its end, whatever that is.

    Its output goes to the run log as it comes, and to this process's own.

    Args:
        run: what to do.

    Raises:
        UsageError: the folder cannot be written, holds graphs that opcov has not captured, or another capture is going
            on there.
        KeyboardInterrupt: as it came, once all processes have ended and the folder tells.
        SystemExit: likewise, where this process was told to end.
    """
    account = _account(run)
    room = Room(account.folder, run_of(os.environ, run.rank), run.rank or 0)
    with room, opened_log(account) as log, held_signals() as held:
        begin(account, room, log)
        setting = msgspec.json.encode(account.setting).decode()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **run.environment, VARIABLE: setting}
        ending = run_to_end(run.command, environment, log, held, timeout=run.timeout, reads_input=run.reads_input)
        failures = [] if ending.is_fine else [ending.how]
        capture, failures = conclude(account, room, log, ending.how, failures)
    if held.number == signal.SIGINT:
        raise KeyboardInterrupt
    if held.number:
        raise SystemExit(128 + held.number)
    mine = [part for part in capture.parts if run.rank in (None, part.rank)]
    graphs = [graph for part in mine for graph in part.graphs]
    crashes = tuple(f"{graph.file}: {graph.crash}" for graph in graphs if graph.crash)
    return Outcome(len(graphs), tuple(failures), ending.how, crashes)


def _account(run: Run) -> Account:
    setting = run.setting
    if setting.reproducible:
        places = {**places_here(), **setting.places}
        setting = msgspec.structs.replace(setting, places=places)
    return Account(setting, run.told, run.about, dict(run.options), run.ranks, run.rank)
