"""The command `opcov explain`: what a word of a report means."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from opcov.commands.streams import EXIT_FINE, printing, wants_no_color


def run(arguments: Sequence[str]) -> int:
    """Explains a word, or lists all of them.

    Args:
        arguments: those behind the name of the command.

    Returns:
        The exit code.

    Raises:
        UsageError: the word is not known.
    """
    options = _parser().parse_args(arguments)
    from opcov import explanations

    if options.word:
        found = explanations.explain(" ".join(options.word))
        text = "\n\n".join(f"## {one.name} ({one.kind.lower()})\n\n{one.text}" for one in found)
    else:
        lists = [
            (kind, [f"- **{one.name}**: {one.summary}" for one in explanations.explanations() if one.kind == kind])
            for kind in explanations.names()
        ]
        text = "\n\n".join("\n".join((f"## {kind}", "", *lines)) for kind, lines in lists)
    with printing("the explanation"):
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.markdown import Markdown

            Console(file=sys.stdout, no_color=wants_no_color(options.no_color)).print(Markdown(text))
        else:
            print(explanations.plain(re.sub(r"^## ", "", text, flags=re.MULTILINE)))
    return EXIT_FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov explain",
        description="Tells what a word of a report means, why it is there and what to do about it.",
        allow_abbrev=False,
        epilog="Exit codes: 0 explained; 2 no such word.",
    )
    parser.add_argument("word", metavar="WORD", nargs="*", help="such as MISSING_OP_SUPPORT; all words without it")
    parser.add_argument("--no-color", action="store_true", help="no colours, like a set NO_COLOR")
    return parser
