"""Runs captures in tests: with children that save graphs without torch, or with the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from building import graph_text

from opcov.capturing import records
from opcov.capturing.launching import Outcome, Run, launch
from opcov.capturing.records import Capture
from opcov.capturing.session import Setting
from opcov.corpus import discover
from opcov.corpus.health import Diagnosis, diagnose
from opcov.loaders import available, load_text
from opcov.loaders.runlog import read_run_log

PROJECT = Path(__file__).resolve().parent.parent

SAVING = """
import os, signal, sys, time
from building import graph_text
from opcov.capturing.session import current
session = current()

def save(statement="y = torch.sin(x)"):
    record = session.save_before(graph_text(statement, result="y"), 1)
    session.save_split(record, f"# Rank: {record.rank}, Graph {record.index}\\n\\n" + graph_text(statement, result="y"))
    return record
"""
"""The beginning of a program that saves graphs as a backend would, in a tenth of the time."""


def saving(program: str) -> list[str]:
    """The command of a child that has `save()`."""
    return [sys.executable, "-c", SAVING + program]


def environment(**changes: str) -> dict[str, str]:
    """Of a process that finds this project and its tests; under no launcher of ranks."""
    taken = ("RANK", "WORLD_SIZE", "OPCOV_CAPTURE")
    kept = {name: value for name, value in os.environ.items() if name not in taken}
    return {**kept, "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}", **changes}


def launched(folder: Path, program: str, setting: dict[str, Any] | None = None, **options: Any) -> Outcome:
    """Runs a child that saves graphs, to its end."""
    given = {"environment": environment(), "told": ["opcov", "capture"], **options}
    return launch(Run(saving(program), Setting(str(folder), **(setting or {})), **given))


def launcher(folder: Path, program: str, **options: Any) -> list[str]:
    """The command of a process that does the same."""
    code = (
        "import sys; from pathlib import Path; import capture_runs; "
        f"outcome = capture_runs.launched(Path({str(folder)!r}), {program!r}, **{options!r}); "
        "print(*outcome.failures, sep='; ', file=sys.stderr); sys.exit(bool(outcome.failures))"
    )
    return [sys.executable, "-c", code]


def captured_script(
    folder: Path, source: str, *options: str, arguments: Sequence[str] = (), **more: Any
) -> subprocess.CompletedProcess[str]:
    """Writes a script beside the folder and captures it with the command."""
    script = folder.parent / f"{folder.name}.script.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "opcov", "capture", "script", str(script), "--out", str(folder), *options]
    more = {"env": environment(), "stdin": subprocess.DEVNULL, "cwd": folder.parent, "timeout": 120, **more}
    return subprocess.run([*command, "--", *arguments], capture_output=True, text=True, check=False, **more)


@dataclass(frozen=True)
class Found:
    """What a capture has left.

    Attributes:
        names: of the graphs.
        log: what the run log holds.
        record: capture.json; None where it is not there or not whole.
        others: names of all other files.
    """

    folder: Path
    names: tuple[str, ...]
    log: str
    record: Capture | None
    others: tuple[str, ...]

    @property
    def status(self) -> str:
        return "" if self.record is None else self.record.status

    @property
    def failures(self) -> list[str]:
        """What the record says that went wrong."""
        assert self.record is not None
        return [failure for one in self.record.launches for failure in one.failures]

    @property
    def diagnosis(self) -> Diagnosis:
        """What a scan says of the model."""
        (model,) = discover(self.folder, available()).models
        return diagnose(model, read_run_log(self.folder / "log.txt"))


def found(folder: Path) -> Found:
    """What a capture has left; each graph has to be whole."""
    graphs = [path for path in sorted(folder.iterdir()) if path.suffix == ".py"]
    for path in graphs:
        (graph,), problems = load_text(path.read_text(encoding="utf-8"))
        assert (problems, graph.problems) == ((), ()), f"{path.name} is not whole"
    log = folder / "log.txt"
    others = {path.name for path in folder.iterdir()} - {path.name for path in graphs} - {"log.txt", "capture.json"}
    return Found(
        folder,
        tuple(path.name for path in graphs),
        log.read_text(encoding="utf-8", errors="replace") if log.exists() else "",
        records.read(folder / records.FILE, Capture),
        tuple(sorted(others)),
    )


__all__ = ["captured_script", "environment", "found", "graph_text", "launched", "launcher", "saving"]
