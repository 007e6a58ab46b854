"""Counts the cores that this process may use, which on shared machines are fewer than there are."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use in each period of time, both in microseconds: `200000 100000`, or `max 100000`."""


def usable_cores() -> int:
    """The number of cores that this process may keep busy, at least 1."""
    count = getattr(os, "process_cpu_count", None)  # since Python 3.13
    if count is not None:
        cores = count()
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    return max(1, min(cores or 1, _quota() or cores or 1))


def _quota() -> int | None:
    """The whole cores of the control group; None where nothing limits them."""
    with suppress(OSError, ValueError):
        share, period = map(int, _QUOTA.read_text(encoding="ascii").split())
        return max(1, share // period) if period > 0 else None
    return None
