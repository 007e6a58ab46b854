"""Workers that only just start: an interrupt ends the scan at once and quietly, whatever they are doing then."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from building import FakeRegistry

from opcov.engine import InProcess

PROJECT = Path(__file__).resolve().parent.parent.parent

# A shell that starts the tests in the background has them ignore the signal, and so would this process.
SCANNING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from opcov.__main__ import run; run()"
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def living(session: int) -> list[str]:
    """The command lines of the processes of a session that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _parent, _group, of_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of_session) == session and state not in "ZX":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found


def wait_until(condition: object, seconds: float = 60) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("delay", [0, 0.3, 0.8, 1.3])
@pytest.mark.parametrize("engine", ["process", "dask"])
def test_interrupt_ends_the_scan_at_once_and_says_so_in_one_line(engine: str, delay: float) -> None:
    if engine == "dask" and importlib.util.find_spec("distributed") is None:
        pytest.skip("needs Dask's distributed")
    options = ["--no-config", "--no-cache", "--quiet", "--jobs", "2", "--engine", engine]
    command = [sys.executable, "-c", SCANNING, str(PROJECT / "fixtures" / "gm"), *options]
    process = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert wait_until(lambda: any("forkserver" in command for command in living(process.pid)))
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        start = time.monotonic()
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - start < 3
        assert errors == "opcov: interrupted; no file is half-written\n"
        # Python itself ends with -2 where the signal met code that is made from a string, as dataclasses are.
        assert process.returncode in (130, -signal.SIGINT)
        assert wait_until(lambda: not living(process.pid), 10), living(process.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_interrupt_that_the_judge_swallows_while_it_is_made_ends_the_scan_all_the_same() -> None:
    def made() -> FakeRegistry:
        with suppress(KeyboardInterrupt):  # as torch does where it imports numpy
            signal.raise_signal(signal.SIGINT)
        return FakeRegistry()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            InProcess(made).versions()
    finally:
        signal.signal(signal.SIGINT, before)
