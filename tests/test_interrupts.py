"""An interrupt that is dropped comes again; whatever else is dropped is told as ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from opcov.interrupts import insisting

IN_A_CALLBACK = """
import signal, time, weakref
from opcov import interrupts

class Thing: pass

def fails(_reference):
    {what}
    time.sleep(0)

signal.signal(signal.SIGINT, signal.default_int_handler)
interrupts.never_dropped()
thing = Thing()
reference = weakref.ref(thing, fails)
try:
    del thing
    print("went on", flush=True)
    time.sleep({patience})
    print("to the end")
except KeyboardInterrupt:
    print("interrupted")
"""

CLEARED = """
import signal, time
from contextlib import suppress
from opcov.interrupts import insisting

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with insisting():
        with suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
            time.sleep(60)
        print("cleared", flush=True)
        {then}
    print("to the end")
except KeyboardInterrupt:
    print("interrupted")
time.sleep(0.2)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def ran(program: str, **parts: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program.format_map(parts)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_interrupt_that_meets_a_callback_comes_again() -> None:
    found = ran(IN_A_CALLBACK, what="signal.raise_signal(signal.SIGINT)", patience=60)
    assert found.stdout == "went on\ninterrupted\n"
    assert found.stderr == ""


def test_any_other_exception_of_a_callback_is_told_and_interrupts_nothing() -> None:
    found = ran(IN_A_CALLBACK, what="raise ValueError('of a callback')", patience=0.3)
    assert found.stdout == "went on\nto the end\n"
    assert "ValueError: of a callback" in found.stderr


@pytest.mark.parametrize("then", ["time.sleep(60)", "pass"])
def test_interrupt_that_is_cleared_ends_the_block_all_the_same_and_once(then: str) -> None:
    found = ran(CLEARED, then=then)
    assert found.stdout == "cleared\ninterrupted\nTrue\n"
    assert found.stderr == ""


def test_what_another_thread_does_is_not_interrupted() -> None:
    done: list[bool] = []

    def run() -> None:
        with insisting():
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]


def test_whoever_handles_interrupts_already_goes_on_doing_so() -> None:
    def handler(_number: int, _frame: object) -> None: ...

    before = signal.signal(signal.SIGINT, handler)
    try:
        with insisting():
            assert signal.getsignal(signal.SIGINT) is handler
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
