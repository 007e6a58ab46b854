"""Captures what is compiled inside a `with` block: the face of `opcov capture` for notebooks and scripts."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opcov.capturing import session as sessions
from opcov.capturing.concluding import Account, begin, conclude, opened_log
from opcov.capturing.log import Log
from opcov.capturing.neutral import places_here
from opcov.capturing.room import Room, launcher_of, run_of
from opcov.capturing.session import Session, Setting
from opcov.problems import OutputError, UsageError

if TYPE_CHECKING:
    import torch

RUNS = ("eager", "thunderfx")


@contextmanager
def capture(
    folder: str | os.PathLike[str],
    *,
    run: str = "eager",
    prepare: Callable[[torch.fx.GraphModule], None] | None = None,
    stop_on_crash: bool = False,
    verdicts: bool = False,
    reproducible: bool = False,
    about: str = "",
) -> Iterator[Session]:
    """Saves every graph that torch.compile makes inside the `with` block, as a model of a corpus.

    Whatever backend a function was compiled with, inside or before, its graphs are saved, split by Thunder's own
    splitter, and run as `run` says. Dynamo's caches are empty before and afterwards: what was compiled is compiled
    again when it is next called. What Python prints inside is also in the model's log.txt; capture.json tells what was
    done. An exception goes on as it came, and both files tell of it.

    Args:
        folder: of the model: `gm/<org>/<model>`. An earlier capture there is replaced.
        run: what runs a graph once it is saved: `eager` for the graph itself, `thunderfx` for what ThunderFX compiles.
        prepare: changes each graph, in place, before it is saved and Thunder sees it; what runs is the graph as it was.
        stop_on_crash: whether an exception of Thunder's splitter goes on, as with ThunderFX; else the graph is saved
            unsplit, and runs.
        verdicts: whether capture.json gets Thunder's answer for every node.
        reproducible: whether times, memory addresses and this machine's folders are left out.
        about: what is captured, for capture.json.

    Yields:
        The session; its `parts` tell what was captured so far, by rank.

    Raises:
        UsageError: another capture is going on here or in that folder, which cannot be written, or holds graphs that
            opcov has not captured.
        OutputError: something could not be saved, or nothing was compiled inside.

    >>> import opcov, tempfile, torch
    >>> compiled = torch.compile(lambda x: torch.sinc(x) + 1)
    >>> with opcov.capture(tempfile.mkdtemp() + "/gm/my/model") as session:
    ...     result = compiled(torch.ones(2))
    >>> sorted(path.name for path in session.folder.iterdir())
    ['capture.json', 'log.txt', 'rank0_0.py']
    >>> opcov.scan(session.folder).ops[["op", "status"]].to_dict("split", index=False)["data"]
    [['torch.sinc', 'unsupported'], ['operator.add', 'supported']]
    """
    if run not in RUNS:
        raise UsageError(f"run={run!r} is neither {' nor '.join(RUNS)}")
    sessions.refuse_another()
    rank, ranks = launcher_of(os.environ)
    setting = Setting(
        str(Path(folder).resolve()),
        run=run,
        stops=stop_on_crash,
        keeps_verdicts=verdicts,
        reproducible=reproducible,
        rank=rank or 0,
        places=places_here() if reproducible else {},
    )
    account = Account(setting, ["opcov.capture"], about, {"run": run, "fake": "false"}, ranks, rank)
    with (
        Room(account.folder, run_of(os.environ, rank), rank or 0) as room,
        opened_log(account, echoes=False) as log,
    ):
        begin(account, room, log)
        yield from _captured(account, room, log, prepare)


def _captured(
    account: Account, room: Room, log: Log, prepare: Callable[[torch.fx.GraphModule], None] | None
) -> Iterator[Session]:
    """The block, and its end, whatever that is."""
    how, failures = "it came to its end", []
    try:
        with _diverted(account.setting, prepare) as session, _printed_to(log):
            try:
                yield session
            except BaseException:
                sys.stderr.flush()
                log.write(traceback.format_exc().encode("utf-8", errors="backslashreplace"))
                raise
    except BaseException as error:
        how = f"it raised {type(error).__name__}"
        failures = [how]
        raise
    finally:
        _, wrong = conclude(account, room, log, how, failures)
    if wrong:
        raise OutputError(f"{account.folder}: {'; '.join(wrong)}")


@contextmanager
def _diverted(setting: Setting, prepare: Callable[[torch.fx.GraphModule], None] | None) -> Iterator[Session]:
    import torch

    from opcov.capturing.diverting import diverted

    reset: Callable[[], None] = torch._dynamo.reset
    session = sessions.begin(setting, prepare)
    try:
        reset()
        with diverted():
            yield session
    finally:
        sessions.end()
        reset()


@contextmanager
def _printed_to(log: Log) -> Iterator[None]:
    """Until it ends, what Python prints is in the run log too."""
    copies = {name: _Copied(getattr(sys, name), log) for name in ("stdout", "stderr")}
    for name, copied in copies.items():
        setattr(sys, name, copied)
    try:
        yield
    finally:
        for name, copied in copies.items():
            if getattr(sys, name) is copied:
                setattr(sys, name, copied.stream)


class _Copied:
    """A stream whose text goes to the run log as well."""

    def __init__(self, stream: Any, log: Log) -> None:
        self.stream = stream
        self._log = log

    def write(self, text: str) -> int:
        """Writes to both."""
        self._log.write(text.encode("utf-8", errors="backslashreplace"))
        if self.stream is not None:
            self.stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes to both."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands over what the stream holds back."""
        if self.stream is not None:
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
