"""The command `opcov capture script`: runs a program, and saves every graph that it compiles."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from opcov.capturing.launching import Run, launch
from opcov.capturing.neutral import PROGRAM
from opcov.capturing.room import launcher_of
from opcov.commands.capture.options import add_shared, parted, setting_from, tell
from opcov.problems import UsageError


def run(arguments: Sequence[str]) -> int:
    """Captures and tells.

    Args:
        arguments: those behind the name of the command; behind `--` those of the program.

    Returns:
        The exit code.

    Raises:
        UsageError: nothing can be captured.
        SystemExit: argparse has printed the help or an error.
    """
    own, program = parted(arguments)
    options = _parser().parse_args(own)
    target = ["-m", options.module] if options.module else [options.script]
    if not options.module and not Path(options.script).is_file():
        raise UsageError(f"{options.script} is no file; name a Python script, or a module with -m")
    rank, ranks = launcher_of(os.environ)
    home = Path(options.script or ".").resolve().parent
    is_elsewhere = options.script and not home.is_relative_to(Path.cwd())
    outcome = launch(
        Run(
            [sys.executable, "-m", "opcov.capturing.child", *target, *program],
            setting_from(options, options.out, rank=rank or 0, places={str(home): PROGRAM} if is_elsewhere else None),
            ["opcov", "capture", "script", *arguments],
            about=options.about,
            options={"run": options.run, "fake": str(options.fake).lower()},
            ranks=ranks,
            rank=rank,
            timeout=options.timeout,
            reads_input=True,
        )
    )
    return tell(outcome, options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov capture script",
        usage="opcov capture script (SCRIPT | -m MODULE) --out DIR [options] [-- ARGUMENT ...]",
        description="Runs a Python program and saves every graph that it hands to torch.compile, whatever backend it "
        "names. Under torchrun every rank saves its own: torchrun --nproc-per-node 4 -m opcov capture script ...",
        allow_abbrev=False,
        epilog="Exit codes: 0 captured; 1 the run failed or saved less than it should; 2 nothing could be captured.",
    )
    program = parser.add_mutually_exclusive_group(required=True)
    program.add_argument("script", metavar="SCRIPT", nargs="?", help="the program")
    program.add_argument("-m", dest="module", metavar="MODULE", help="a module that is run as a program")
    add_shared(parser, "the folder of the model: gm/<org>/<model>")
    return parser
