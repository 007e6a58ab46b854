"""Reads the settings that a project commits, [tool.opcov] in pyproject.toml, so that its CI and its people run alike.

The keys are the long options of the command line. A mistake in them is an error that names the file, the line and the
nearest key that there is: a setting that is silently ignored would be a gate that is silently open.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from opcov.problems import UsageError

FILE = "pyproject.toml"
LEVELS = ("op", "variant")
ENGINES = ("process", "dask")
_TABLE = "tool.opcov"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a run; each is the long option of its name, `per_model` for `--per-model`.

    Attributes:
        corpus: what is scanned; None where neither file nor command line says.
        out: where `all_ops.py` goes.
        csv: the folder of the tables.
        html: the folder of the site.
        format: `KIND` or `KIND:FILE` of other reports.
        include: patterns of names of models to scan; empty for all.
        exclude: patterns of names of models to leave out.
        check: the baseline that the scan is held against.
        level: one of `LEVELS`.
        per_model: whether a listed op in another model fails.
        allow_lost: whether models and graphs may be lost.
        fail_under: lowest percentage of supported nodes.
        max_unsupported: highest number of ops that are not supported.
        requires_grad: whether Parameters require grad.
        strict: whether unexplained placements, and entries of the baseline that are fixed, fail.
        jobs: how many processes judge; "auto" for as many as there are cores to use.
        engine: one of `ENGINES`.
        scheduler: the address of a Dask cluster; "" for one of this machine's cores.
        cache_dir: the folder in which verdicts are remembered; None for that of `OPCOV_CACHE_DIR` or the platform's.
        cache_size: megabytes that it may take; None for the default.
        no_cache: whether nothing is remembered.
        paranoid: whether files are read again whose size and times are as they were.
        quiet: whether nothing but problems is printed.
        verbose: whether every problem is printed.
        no_color: whether a terminal gets no colours.
    """

    corpus: Path | None = None
    out: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    format: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    check: Path | None = None
    level: str = "variant"
    per_model: bool = False
    allow_lost: bool = False
    fail_under: float | None = None
    max_unsupported: int | None = None
    requires_grad: bool = False
    strict: bool = False
    jobs: int | Literal["auto"] = 1
    engine: str = "process"
    scheduler: str = ""
    cache_dir: Path | None = None
    cache_size: int | None = None
    no_cache: bool = False
    paranoid: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False


_TYPES = {field.name.replace("_", "-"): str(field.type) for field in fields(Config)}
"""The type of each key, as it is spelled above."""

COMMAND_LINE_ONLY = ("update", "today", "config", "no-config", "help", "version")
"""Options that make no sense as a setting: each says what one run is for."""


def percentage_from(text: object) -> float:
    """A percentage for `fail-under`.

    Raises:
        ValueError: it is no number from 0 to 100.
    """
    number = float(text)  # type: ignore[arg-type]
    if not 0 <= number <= 100:  # NaN is not either
        raise ValueError
    return number


def load(file: Path | None = None) -> Config:
    """The settings of a file, or of the nearest pyproject.toml that has some; the defaults where there is none.

    Without a file, pyproject.toml is looked for in the working directory and, inside a repository, in the folders above
    it up to the one that holds `.git`. Outside of a repository the folders above may be anybody's. One without a table
    `[tool.opcov]` is passed over.

    Args:
        file: as named by its user: then it has to be there and to hold the table.

    Raises:
        UsageError: the file cannot be read, is no TOML, or holds a key or a value that means nothing.
    """
    if file is not None:
        text = _read(file)
        table = _table(file, text)
        if table is None:
            raise UsageError(f"{_shown(file)} has no table [{_TABLE}]")
        return _config(file, text, table)
    for candidate in _candidates(Path.cwd()):
        if not candidate.is_file():
            continue
        text = _read(candidate)
        # Other tools say what is wrong with a file that is not about opcov.
        table = _table(candidate, text) if "opcov" in text else None
        if table is not None:
            return _config(candidate, text, table)
    return Config()


def _candidates(folder: Path) -> list[Path]:
    found = []
    for place in (folder, *folder.parents):
        found.append(place / FILE)
        if (place / ".git").exists():
            return found
    return found[:1]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{_shown(file)} is not UTF-8, and so no TOML") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a valid path"
        raise UsageError(f"{_shown(file)} cannot be read: {reason}") from error


def _table(file: Path, text: str) -> Mapping[str, Any] | None:
    """The table as TOML has it; None where there is none."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        message, place = str(error), re.search(r"\s*\(at line (\d+), column \d+\)", str(error))
        line = int(place[1]) if place else 0
        raise _error(file, line, f"no TOML: {message[: place.start()] if place else message}") from error
    except RecursionError as error:
        raise _error(file, 0, "no TOML that can be read: it nests too deep") from error
    table = tool.get("opcov") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise _error(file, 0, f"{_TABLE} has to be a table")
    return table


def _config(file: Path, text: str, table: Mapping[str, Any]) -> Config:
    values: dict[str, Any] = {}
    for key, value in table.items():
        line = _line_of(key, text)
        if key not in _TYPES:
            raise _error(file, line, f"{_TABLE} has no setting {key!r}; {_hint(key)}")
        try:
            values[key.replace("-", "_")] = _value(key, value, file.parent)
        except ValueError as error:
            raise _error(file, line, f"{_TABLE}.{key} has to be {error}") from None
    return Config(**values)


def _hint(key: str) -> str:
    dashed = key.replace("_", "-").lower()
    if dashed in COMMAND_LINE_ONLY:
        return f"--{dashed} is for the command line alone"
    import difflib

    close = [dashed] if dashed in _TYPES else difflib.get_close_matches(dashed, _TYPES, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(_TYPES)}"


def _value(key: str, value: object, folder: Path) -> object:
    """The value of a setting.

    Raises:
        ValueError: it is of another type, or out of range; the message says what it has to be.
    """
    match _TYPES[key]:
        case "bool":
            if isinstance(value, bool):
                return value
            raise ValueError("true or false")
        case "tuple[str, ...]":
            if isinstance(value, list) and all(isinstance(one, str) and one for one in value):
                return tuple(_placed(one, folder) if key == "format" else one for one in value)
            raise ValueError(f'a list of texts: {key} = ["..."]')
        case "Path | None":
            if isinstance(value, str) and value:
                return _below(folder, value)
            raise ValueError(f'a path as a text: {key} = "..."')
        case "float | None":
            if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 100:
                return float(value)
            raise ValueError("a number from 0 to 100")
        case "int | None":
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
            raise ValueError("a whole number that is not negative")
        case "int | Literal['auto']":
            if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
                return value
            raise ValueError('a whole number from 1, or "auto"')
    return _word(key, value)


def _word(key: str, value: object) -> object:
    choices = {"level": LEVELS, "engine": ENGINES}.get(key)
    if choices is None:
        if isinstance(value, str):
            return value
        raise ValueError(f'a text: {key} = "..."')
    if value in choices:
        return value
    raise ValueError(f"one of: {', '.join(map(repr, choices))}")


def _placed(chosen: str, folder: Path) -> str:
    """A `KIND:FILE` with its file as seen from the working directory."""
    kind, colon, place = chosen.partition(":")
    return f"{kind}:{_below(folder, place)}" if colon and place not in ("", "-") else chosen


def _below(folder: Path, place: str) -> Path:
    """A path of the file as seen from the working directory, so that no message shows an absolute one."""
    if "://" in place:
        return Path(place)
    return Path(place) if Path(place).is_absolute() else Path(_relative(folder / place))


def _relative(path: Path) -> str:
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive of Windows
        return str(path)


def _line_of(key: str, text: str) -> int:
    """The 1-based line of a key, as far as a table that is spelled plainly shows it; 0 where it does not."""
    header = re.compile(r"\s*\[\s*tool\s*\.\s*(?:opcov|\"opcov\"|'opcov')\s*\]")
    spelled = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]")
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            inside = header.match(line) is not None
        elif inside and spelled.match(line):
            return number
    return 0


def _error(file: Path, line: int, message: str) -> UsageError:
    return UsageError(f"{_shown(file)}{f':{line}' if line else ''}: {message}")


def _shown(file: Path) -> str:
    return _relative(file) if str(file) else str(file)
