"""A progress bar on the terminal, for work that takes longer than its reader likes to look at nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """A bar on a terminal, once the work has taken longer than a second."""

    def __init__(self, stream: TextIO, *, quiet: bool, no_color: bool) -> None:
        """Shows nothing yet.

        Args:
            stream: stderr; a bar is shown only where it is a terminal.
            quiet: whether none is wanted.
            no_color: whether it has no colours.
        """
        self._wanted = stream.isatty() and not quiet
        self._no_color = no_color
        self._started = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def update(self, done: int, total: int) -> None:
        """Shows how far the work is."""
        if not self._wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._started < 1:
                return
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True, no_color=self._no_color), transient=True)
            self._task = self._bar.add_task("graphs", total=total)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=done)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
