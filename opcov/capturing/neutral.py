"""Takes out of texts what differs between machines and runs, so that a capture can be made again byte for byte."""

from __future__ import annotations

import re
import sys
import sysconfig
from functools import cache
from pathlib import Path

_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = f"/opt/venv/lib/{_PYTHON}/site-packages"
STANDARD_LIBRARY = f"/usr/lib/{_PYTHON}"
WORKING_FOLDER = "/opt/project"
"""What stands for the folders of this machine."""

_ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


def neutral(text: str) -> str:
    """The text without this machine's folders and without memory addresses."""
    for prefix, replacement in _prefixes(str(Path.cwd())).items():
        text = text.replace(prefix, replacement)
    return _ADDRESS.sub("at 0x7f0000000000", text)


@cache
def _prefixes(here: str) -> dict[str, str]:
    """Longest first, since one prefix may lie in another."""
    paths = sysconfig.get_paths()
    prefixes = {
        paths["purelib"]: SITE_PACKAGES,
        paths["platlib"]: SITE_PACKAGES,
        paths["stdlib"]: STANDARD_LIBRARY,
        here: WORKING_FOLDER,
    }
    return dict(sorted(prefixes.items(), key=lambda item: -len(item[0])))
