"""Finds a configuration: a bundled one by its name, or a config.json on this machine; nothing is downloaded."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from opcov.problems import UsageError

FILE = "config.json"
_BUNDLED = Path(__file__).with_name("configurations")
_LIMIT = 1 << 24
"""Bytes; no configuration comes near."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration as somebody published it.

    Attributes:
        name: of the model, which names its folder in a corpus.
        source: what it was found by, and is found again by in another process.
        content: of its config.json.
    """

    name: str
    source: str
    content: Mapping[str, Any]


@cache
def bundled() -> tuple[str, ...]:
    """The names of the configurations that come with opcov, sorted."""
    found = (path.relative_to(_BUNDLED).with_suffix("") if path.suffix == ".json" else None for path in _files())
    return tuple(sorted((path.as_posix() for path in found if path is not None), key=str.casefold))


def found(what: str) -> Configuration:
    """Finds a configuration.

    Args:
        what: a bundled name, in any case; a config.json; or a folder with one. A bundled name wins over a folder.

    Raises:
        UsageError: there is none, or it is no configuration of a model.
    """
    names = {name.casefold(): name for name in bundled()}
    name = names.get(what.casefold())
    if name is not None:
        return Configuration(name, name, _read(_BUNDLED / f"{name}.json"))
    path = Path(what)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise UsageError(_unknown(what, path))
    path = path.resolve()
    local = path.parent.name if path.name == FILE else path.stem
    return Configuration(local or "model", str(path), _read(path))


def name_from(text: str) -> str:
    """A model's name as the path of a folder below the corpus.

    Raises:
        UsageError: it leads elsewhere.
    """
    path = PurePosixPath(text)
    if not text or path.is_absolute() or not path.parts or any(part in ("..", "") for part in path.parts):
        raise UsageError(f"{text!r} is no name of a model: write it as ORG/MODEL")
    return path.as_posix()


def _files() -> list[Path]:
    return sorted(_BUNDLED.rglob("*.json"))


def _unknown(what: str, path: Path) -> str:
    if path.name == FILE and path.parent.is_dir():
        return f"{what} holds no {FILE}"
    near = difflib.get_close_matches(what.casefold(), [name.casefold() for name in bundled()], n=3, cutoff=0.4)
    tails = {name.rpartition("/")[2].casefold(): name.casefold() for name in bundled()}
    near += [tails[tail] for tail in difflib.get_close_matches(what.rpartition("/")[2].casefold(), tails, n=3)]
    names = {name.casefold(): name for name in bundled()}
    told = ", ".join(dict.fromkeys(names[name] for name in near))
    hint = f"; bundled is {told}" if told else ""
    return f"{what} is neither a bundled configuration nor a file{hint}; `opcov capture hf --list` tells all"


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LIMIT:
            raise UsageError(f"{path} is no configuration of a model: it is larger than {_LIMIT >> 20} MiB")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise UsageError(f"{path} is no configuration of a transformers model: it names no model_type")
    return content
