"""Takes out of texts what differs between machines and runs, so that a capture can be made again byte for byte."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = f"/opt/venv/lib/{_PYTHON}/site-packages"
STANDARD_LIBRARY = f"/usr/lib/{_PYTHON}"
WORKING_FOLDER = "/opt/project"
PROGRAM = "/opt/program"
MODEL_FOLDER = "/opt/model"
"""What stands for the folders of this machine."""

_ADDRESS = re.compile(r"\b(at|thread) 0x[0-9a-f]{6,}", re.IGNORECASE)
_PACKAGE = Path(__file__).resolve().parents[1]


def neutral(text: str, places: Mapping[str, str] | None = None) -> str:
    """The text without this machine's folders and without memory addresses.

    Args:
        text: of a graph, of a log, of a command.
        places: folders of this machine, each with what stands for it; those of this process where there are none.
    """
    known = places or places_here()
    pattern = _pattern(tuple(known))
    text = pattern.sub(lambda found: known[found.group()], text)
    return _ADDRESS.sub(r"\1 0x7f0000000000", text)


def places_here() -> dict[str, str]:
    """The folders of this machine that texts show, each with what stands for it."""
    return dict(_places(str(Path.cwd())))


@cache
def _places(here: str) -> dict[str, str]:
    paths = sysconfig.get_paths()
    return {
        here: WORKING_FOLDER,
        paths["stdlib"]: STANDARD_LIBRARY,
        paths["platlib"]: SITE_PACKAGES,
        paths["purelib"]: SITE_PACKAGES,
        str(_PACKAGE): f"{SITE_PACKAGES}/opcov",
    }


@cache
def _pattern(places: tuple[str, ...]) -> re.Pattern[str]:
    """Finds whole folders, the longest first, since one may lie in another; never the root, which is in all paths."""
    folders = sorted((place for place in places if len(place) > 1), key=lambda place: (-len(place), place))
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, folders))})(?![\w-]|\.\w)")
