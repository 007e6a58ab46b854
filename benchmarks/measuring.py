"""Times whole processes, in turn with what they are compared to, so that both see the same machine."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """Several runs of one command.

    Attributes:
        seconds: wall time of each run.
        memory: peak resident memory of the largest process of each run, in MiB.
    """

    seconds: tuple[float, ...]
    memory: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """The largest memory, in MiB."""
        return max(self.memory)


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Runs a Python process.

    Args:
        arguments: behind the name of the interpreter.
        environment: variables beside those of this process.

    Returns:
        Its wall time in seconds and its peak resident memory in MiB.

    Raises:
        SystemExit: it failed, so its time says nothing.
    """
    silent = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        {**os.environ, **(environment or {})},
        file_actions=[(os.POSIX_SPAWN_DUP2, silent, 1)],
    )
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - start
    os.close(silent)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return seconds, usage.ru_maxrss / 1024


def in_turn(
    commands: Mapping[str, Sequence[str]],
    runs: int,
    environment: Mapping[str, str] | None = None,
    before: Callable[[str], None] | None = None,
) -> dict[str, Measured]:
    """Runs commands A B C A B C ..., once more at first than is counted.

    Args:
        commands: arguments of Python by a name for each.
        runs: counted runs of each.
        environment: variables for all of them.
        before: is told the name of a command before each of its runs, outside of the time.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, arguments in commands.items():
            if before is not None:
                before(name)
            result = run(arguments, environment)
            if number:  # the first of each warms the page cache
                found[name].append(result)
    return {
        name: Measured(tuple(seconds for seconds, _ in results), tuple(memory for _, memory in results))
        for name, results in found.items()
    }
