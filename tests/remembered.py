"""Judges whose verdicts may be remembered, and corpora that are old enough for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from building import FakeRegistry, graph_text, verdict

from opcov.cache.files import GRAIN
from opcov.verdict import Status

RELU = graph_text('a: "f32[4]" = torch.relu(x);  x = None', result="a")
TANH = graph_text('a: "f32[4]" = torch.tanh(x);  x = None', result="a")
SINC = graph_text('a: "f32[4]" = torch.sinc(x);  x = None', result="a")
LOG = (
    "Traceback (most recent call last):\n"
    '  File "/app/split.py", line 3, in split\n    raise ValueError("no way")\nValueError: no way\n'
)
TEXTS = {"m/rank0_0.py": RELU, "m/rank1_0.py": f"# Rank: 1, Graph 0\n{RELU}", "m/rank0_1.py": TANH, "m/log.txt": LOG}


class Remembered(FakeRegistry):
    """A judge whose verdicts may be remembered."""

    fingerprint: str | None = "fake 1"

    def __init__(self, *arguments: Mapping[str, object], fingerprint: str | None = "fake 1") -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.fingerprint = fingerprint
        self.relatives_asked: list[str] = []

    def siblings(self, op: str) -> tuple[str, ...]:
        self.relatives_asked.append(op)
        return super().siblings(op)


def refusing(**changes: str | None) -> Remembered:
    return Remembered({"torch.tanh": verdict(Status.UNSUPPORTED)}, {"torch.tanh": ("torch.tanh_",)}, **changes)


def aged(root: Path) -> Path:
    """Waits until no file below a folder is as young as the grain of a clock; a status cannot be set back."""
    newest = max((path.stat().st_ctime_ns for path in root.rglob("*")), default=0)
    time.sleep(max(0, newest + GRAIN // 50 - time.time_ns()) / 1e9 + 0.01)
    return root
