"""Which Triton kernel a line of the model's code launches, as far as the line says it."""

from __future__ import annotations

import re
from functools import lru_cache

_PATH = r"(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"
_INDEXED = re.compile(rf"(?<![\w.]){_PATH}\[")
_WRAPPED = re.compile(rf"(?:wrap_triton|capture_triton)\({_PATH}\)\[")
_VARIABLES = frozenset({"kernel", "fn", "func", "function", "jit_fn", "jit_function", "launcher", "self", "cls"})
"""Names that stand for any kernel."""
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_LONGEST_CODE = 1000
"""Lines are read up to here, so that a hostile one takes no time."""


@lru_cache(maxsize=2048)
def kernel_in(code: str) -> str:
    """The name of the Triton kernel that a line of code launches as `name[grid](...)`, "" where it names none.

    A line may show only the start of a launch. A variable such as `kernel` is no name, and of two launches in one line
    it is not known which is meant.

    Args:
        code: a source line, as recorded.

    >>> kernel_in("self.scale_kernel[(n // 4, 1)](x, y)"), kernel_in("kernel[grid](x)")
    ('scale_kernel', '')
    """
    code = code[:_LONGEST_CODE]
    found = set()
    end = 0
    for match in sorted((*_WRAPPED.finditer(code), *_INDEXED.finditer(code)), key=lambda match: match.start()):
        if match.start() < end:
            continue  # within a grid
        closing = _closing(code, match.end() - 1)
        if closing is None or code[closing + 1 :].lstrip()[:1] == "(":
            found.add(match["path"].rpartition(".")[2])
            end = len(code) if closing is None else closing
    name = found.pop() if len(found) == 1 else ""
    return "" if name in _VARIABLES else name


def _closing(code: str, opening: int) -> int | None:
    """Where the bracket at a place is closed; None where the line ends before."""
    awaited: list[str] = []
    for place in range(opening, len(code)):
        character = code[place]
        if character in _CLOSING:
            awaited.append(_CLOSING[character])
        elif awaited and character == awaited[-1]:
            awaited.pop()
            if not awaited:
                return place
    return None
