"""The command `opcov cache`: tells where verdicts are remembered and how much that is, and forgets them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opcov import config
from opcov.commands.streams import EXIT_FINE, path_from, printing, say
from opcov.config import Config
from opcov.problems import OutputError, UsageError

if TYPE_CHECKING:
    from opcov.cache import Options


def run(arguments: Sequence[str]) -> int:
    """Tells what the cache holds, or empties it.

    Args:
        arguments: those behind the name of the command.

    Returns:
        The exit code.

    Raises:
        UsageError: there is no place for a cache, or its file is not one.
        OutputError: it cannot be emptied.
        SystemExit: argparse has printed the help or an error.
    """
    options = _parser().parse_args(arguments)
    from opcov.cache import Options, clear, folder_of, mirrors_of, survey
    from opcov.cache.records import Kind

    folder = folder_of(Options(options.cache_dir or config.load().cache_dir))
    mirrors = mirrors_of(Options(folder))
    if folder is None or mirrors is None:
        raise UsageError("this user has no folder for caches; name one with --cache-dir")
    copied = _size(mirrors)
    if options.action == "clear":
        try:
            freed = clear(folder) + copied
            if mirrors.exists():
                from shutil import rmtree

                rmtree(mirrors)
        except OSError as error:
            raise OutputError(f"the cache in {folder} cannot be emptied: {error.strerror or error}") from error
        lines = [f"Cleared {folder}: {_megabytes(freed)} freed"]
    else:
        try:
            found = survey(folder)
        except OSError as error:
            raise UsageError(f"{folder} holds no cache that can be read: {error.strerror or error}") from error
        lines = [f"{found.path}: {_megabytes(found.size)}"]
        names = {
            Kind.TOLD: "corpora, with their reports",
            Kind.GRAPH: "judged graphs",
            Kind.PARSED: "parsed graphs",
            Kind.FILES: "folders of files",
            Kind.LOG: "run logs",
        }
        lines += [f"  {found.entries[kind]:,} {name}" for kind, name in names.items() if found.entries.get(kind)]
        if copied:
            lines.append(f"  copies of remote corpora: {_megabytes(copied)}")
    with printing("what is remembered"):
        print("\n".join(lines))
    return EXIT_FINE


def cache_from(settings: Config) -> Options | bool:
    """The cache of a scan as its settings have it; what is wrong with it is told on stderr."""
    if settings.no_cache:
        return False
    from opcov.cache import DEFAULT_MEGABYTES, Options

    megabytes = DEFAULT_MEGABYTES if settings.cache_size is None else settings.cache_size
    return Options(settings.cache_dir, megabytes, settings.paranoid, say)


def _size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opcov cache",
        description="Tells where verdicts are remembered and how much that is (info), or forgets them (clear).",
        allow_abbrev=False,
        epilog="Exit codes: 0 done; 2 could not be done.",
    )
    parser.add_argument("action", metavar="info|clear", choices=("info", "clear"), help="what to do")
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        type=path_from,
        help="the folder (default: cache-dir of the project, else OPCOV_CACHE_DIR, else the user's folder for caches)",
    )
    return parser
