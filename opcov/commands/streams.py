"""What all commands share: exit codes, and streams that may be closed, full or unable to encode a name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from opcov.problems import OutputError

EXIT_FINE = 0
EXIT_GATE = 1
EXIT_COULD_NOT = 2
EXIT_INTERRUPTED = 130


def prepare_streams() -> None:
    """Makes both streams safe to print on: a closed one is None, and not every name can be encoded everywhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def printing(what: str) -> Iterator[None]:
    """Hands over to stdout what is printed inside. A reader that has gone, as `head` does, is no error.

    Args:
        what: is printed, for the message: `the summary`.

    Raises:
        OutputError: stdout cannot take it, for example because the disk is full.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # Python would complain again when it flushes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"cannot print {what}: {error.strerror or error}") from error


def say(message: str) -> None:
    """Prints a diagnostic; that nobody can read it is no reason to fail."""
    from opcov.wording import inert, one_line

    with suppress(OSError):
        print(inert(f"opcov: {one_line(message)}"), file=sys.stderr, flush=True)


def path_from(text: str) -> Path:
    """A path of the command line. An empty one would mean the working directory, and comes from an unset variable."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    return Path(text)


def wants_no_color(option: bool) -> bool:
    """Whether colours are unwanted, by an option or by the variable that many programs know."""
    return bool(option or os.environ.get("NO_COLOR"))
