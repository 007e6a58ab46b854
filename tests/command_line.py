"""Runs the command line in processes of its own, with a judge that starts in a tenth of Thunder's time."""

from __future__ import annotations

import os
import pty
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

WITH_FAKE = (
    "import sys; from building import FakeRegistry, verdict; from opcov import api, cli; "
    "from opcov.verdict import Status; "
    "api._thunder = lambda **_: FakeRegistry({'torch.bad': verdict(Status.UNSUPPORTED)}); "
    "sys.exit(cli.main())"
)
"""A program that is opcov with a judge that refuses torch.bad in Thunder's place."""


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", WITH_FAKE, *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    return {**kept, "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}", "TERM": "xterm-256color", **changes}


def on_a_terminal(arguments: list[str], **changes: str) -> tuple[int, str]:
    """Exit code and what a terminal of 90 columns receives."""
    process_id, terminal = pty.fork()
    if process_id == 0:  # pragma: no cover - the child
        os.execve(arguments[0], arguments, environment(COLUMNS="90", **changes))
    received = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux ends a terminal without a process so
            break
        if not piece:
            break
        received += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), received.decode()
