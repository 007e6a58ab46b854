"""Runs the command line: `python -m opcov`, and the command `opcov`."""

from __future__ import annotations

import sys

from opcov import collector, interrupts


def run() -> None:
    """Runs one command in a process of its own.

    Raises:
        SystemExit: always, with the exit code.
    """
    collector.this_process_ends_soon()
    interrupts.never_dropped()
    try:
        from opcov.cli import main

        sys.exit(main())
    finally:
        collector.leave()


if __name__ == "__main__":
    run()
