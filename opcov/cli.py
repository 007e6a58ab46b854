"""The command line: chooses the command, and turns what a user can meet into a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from opcov.commands.streams import EXIT_COULD_NOT, EXIT_INTERRUPTED, prepare_streams, printing, say
from opcov.problems import OpcovError, OutputError

_COMMANDS = ("cache", "capture", "diff", "explain")
"""What a first argument stands for that is no corpus, each with a module that runs it on the other arguments."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; those of the process where None.

    Returns:
        The exit code: 0 fine, 1 the gate or --strict found something, 2 could not do the job or not all of it, 130
        interrupted.
    """
    prepare_streams()
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        named = bool(arguments) and arguments[0] in _COMMANDS
        module = import_module(f"opcov.commands.{arguments[0] if named else 'scan'}")
        command: Callable[[Sequence[str]], int] = module.run
        return command(arguments[1:] if named else arguments)
    except SystemExit:
        # argparse has printed help, version or an error; whoever read that may have gone, as `head` does.
        try:
            with printing("the help"):
                pass
        except OutputError as error:
            say(f"error: {error}")
            return EXIT_COULD_NOT
        raise
    except OpcovError as error:
        say(f"error: {error}")
        return EXIT_COULD_NOT
    except KeyboardInterrupt:
        say("interrupted; no file is half-written")
        return EXIT_INTERRUPTED
