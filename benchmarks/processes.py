"""Runs whole Python processes and tells what each of them cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
IMPORTS = ("-c", "from opcov.registries.thunder_import import import_thunder; import_thunder()")
"""Baseline (b)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run.

    Attributes:
        seconds: of wall time.
        memory: peak resident memory of the largest process, in MiB.
    """

    seconds: float
    memory: float


def run(arguments: Sequence[str]) -> Cost:
    """Runs a Python process to its end; what it prints is thrown away, errors are shown.

    Args:
        arguments: behind the name of the interpreter.

    Raises:
        RuntimeError: it failed, so its time says nothing.
    """
    launcher = _launcher()
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    launcher.stdin.write(json.dumps(list(arguments)) + "\n")
    launcher.stdin.flush()
    told = json.loads(launcher.stdout.readline())
    if told["status"]:
        raise RuntimeError(f"{' '.join(arguments)} failed")
    return Cost(told["seconds"], told["memory"])


@cache
def _launcher() -> subprocess.Popen[str]:
    """The one process that starts all others; it ends with this one, whose end closes its input."""
    command = [sys.executable, "-I", "-S", str(HERE / "launcher.py")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def scan(corpus: Path, *options: object, cache: Path | None = None) -> list[str]:
    """The arguments of Python for a scan.

    Args:
        corpus: what is scanned.
        options: of the command line.
        cache: where verdicts are remembered; None for a scan that remembers nothing.
    """
    kept = ["--no-cache"] if cache is None else ["--cache-dir", str(cache)]
    return ["-m", "opcov", str(corpus), "--no-config", "--quiet", *kept, *map(str, options)]


def told(arguments: Sequence[str], **environment: str) -> dict[str, str]:
    """What `--verbose` tells of a scan, by phase."""
    command = [sys.executable, *arguments, "--verbose"]
    text = subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True).stderr
    return dict(re.findall(r"^opcov: (\w+): (.*)$", text, re.MULTILINE))


def answer(program: str, corpus: Path, **environment: str) -> Any:
    """The line of JSON that one of the programs beside this one prints of a corpus."""
    command = [sys.executable, str(HERE / program), str(corpus)]
    output = subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
    return json.loads(output.stdout)


def baselines(corpus: Path) -> Mapping[str, Sequence[str]]:
    """Those that are processes by themselves: (a) the least that a scan could do, and (b) the imports."""
    return {"(a)": (str(HERE / "floor.py"), str(corpus)), "(b)": IMPORTS}
