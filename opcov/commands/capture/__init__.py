"""The command `opcov capture`: makes a corpus from a program, from a configuration, or from a serving engine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module

KINDS = {
    "script": "any Python program that calls torch.compile or thunderfx",
    "hf": "a transformers model from its configuration, without weights",
    "sglang": "a model as SGLang serves it",
}
"""What can be captured, each with the module here that does it."""


def run(arguments: Sequence[str]) -> int:
    """Captures and tells.

    Args:
        arguments: those behind the name of the command.

    Returns:
        The exit code.

    Raises:
        OpcovError: nothing can be captured.
        SystemExit: argparse has printed the help or an error.
    """
    if arguments and arguments[0] in KINDS:
        chosen: Callable[[Sequence[str]], int] = import_module(f"opcov.commands.capture.{arguments[0]}").run
        return chosen(arguments[1:])
    _parser().parse_args(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    kinds = "; ".join(f"{name}: {meaning}" for name, meaning in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="opcov capture",
        usage="opcov capture {script,hf,sglang} ...",
        description=f"Saves the graphs that torch.compile makes of a model, as Thunder's splitter cuts them. {kinds}.",
        allow_abbrev=False,
        epilog="`opcov capture script --help` and so on tell the options. Exit codes: 0 captured; 1 the run failed or "
        "saved less than it should, and log.txt and capture.json say what; 2 nothing could be captured.",
    )
    parser.add_argument("kind", choices=tuple(KINDS), metavar="script|hf|sglang", help="what to capture")
    return parser
