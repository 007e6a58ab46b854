"""Hands docstrings to Sphinx as they are meant: code between single backticks, and no types in sentences.

Between single backticks reStructuredText expects the name of something. And napoleon reads `One row an op: those on
top first.` below a property or `Returns:` as a type and a description; here types stand in signatures only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_CODE = re.compile(r"(?<![:`])`([^`\n]+)`(?!`)")
_COLON = "\ue000"
"""Stands for a colon while napoleon reads; no text has this character."""


def _before(_app: Sphinx, what: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    lines[:] = [_CODE.sub(lambda found: f"``{found[1].strip()}``", line) for line in lines]
    if what in {"property", "attribute", "data"} and lines:
        lines[0] = lines[0].replace(":", _COLON)
    inside = False
    for number, line in enumerate(lines):
        if line and not line.startswith(" "):
            inside = line in {"Returns:", "Yields:"}
        elif inside:
            lines[number] = line.replace(":", _COLON)


def _after(_app: Sphinx, _what: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers with Sphinx: before and after napoleon, which has the priority 500."""
    app.connect("autodoc-process-docstring", _before, priority=400)
    app.connect("autodoc-process-docstring", _after, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
