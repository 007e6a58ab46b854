"""Takes damaged text apart without parsing it: where statements start, how deep they nest, what can be kept of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword

MAX_NESTING = 20_000
"""How many operators and brackets a statement may have: torch.fx prints hundreds, Python 3.10 crashes at 100,000."""

_TOKEN = re.compile(
    r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*|[\[({]|[\])}]|\\$',
)
_STATEMENT = re.compile(
    r"""[ \t]*(?:class\b|(?:async[ \t]+)?def\b|return\b|[A-Za-z_]\w*(?:[ \t]*:[ \t]*"[^"\\\n]*")?[ \t]*=(?!=))"""
)
"""What the statements that torch.fx prints start with: such a line is no continuation, whatever brackets are open."""

_ASSIGNMENT = re.compile(r"""([A-Za-z_]\w*)([ \t]*:[ \t]*"[^"\\\n]*")?[ \t]*=(?!=)""")
_INPLACE_TAIL = re.compile(r""";  ([A-Za-z_]\w*)([ \t]*:[ \t]*"[^"\\\n]*")?[ \t]*=(?!=)(?![^;\n]*None[ \t]*$)""")
_REGION_CALL = re.compile(r"\bself\.((?:thunder|inductor)_[0-9]+)\(")
_HEADER = re.compile(r"\bclass\b|\bdef\b|\bforward\b|Module\)|\(self\b|:\s*$")
_CLASS = re.compile(r"(?:class[ \t]+(\w+))|(\w+)\((?:torch\.)?(?:nn\.)?Module\)")
_FORWARD = re.compile(r"\b(?:def[ \t]+(\w+)|(forward)[ \t]*\()")
_PARAMETER = re.compile(r"""(?<![\w.\[+*/-])([A-Za-z_]\w*)([ \t]*:[ \t]*"[^"\\\n]*")?[ \t]*(?=[,):=]|$)""")

_NESTING = ".([{+-*/%@&|^~"


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement, or the header of a block: lines `start` to `stop`, counted from 0, `stop` excluded."""

    start: int
    stop: int


def nesting(text: str) -> int:
    """An upper limit of how deep a text nests: the number of its brackets, dots and operators."""
    return sum(map(text.count, _NESTING))


def pieces(lines: list[str]) -> list[Piece]:
    """The statements of a text, by brackets and triple quotes; blank and comment lines belong to none."""
    found: list[Piece] = []
    start, depth, quote = 0, 0, ""
    for number, line in enumerate(lines):
        inside = bool(depth > 0 or quote)
        if inside and _STATEMENT.match(line):
            found.append(Piece(start, number))
            inside, depth, quote = False, 0, ""
        if not inside:
            text = line.lstrip()
            if not text or text.startswith("#"):
                continue
            start, depth = number, 0
        depth, quote = _scan(line, depth, quote)
        if depth <= 0 and not quote:
            found.append(Piece(start, number + 1))
    if depth > 0 or quote:
        found.append(Piece(start, len(lines)))
    return found


def _scan(line: str, depth: int, quote: str) -> tuple[int, str]:
    """The brackets that are open after a line, at least one after a backslash, and the triple quote that is."""
    position = 0
    if depth >= _CONTINUED:
        depth -= _CONTINUED
    while position < len(line):
        if quote:
            end = line.find(quote, position)
            if end < 0:
                return depth, quote
            position, quote = end + 3, ""
            continue
        token = _TOKEN.search(line, position)
        if token is None:
            break
        position = token.end()
        match token[0]:
            case '"""' | "'''" as opened:
                quote = opened
            case "[" | "(" | "{":
                depth += 1
            case "]" | ")" | "}":
                depth -= 1
            case "\\":
                depth += _CONTINUED
    return depth, quote


_CONTINUED = 1_000_000_000


def indentation(line: str) -> int:
    """How many blanks and tabs a line starts with."""
    return len(line) - len(line.lstrip(" \t\f"))


def reindent(line: str, level: int) -> str:
    """The line with another indentation."""
    return " " * level + line.lstrip(" \t\f")


def hollow(text: str, opens_block: bool) -> str:
    """One line that parses, in place of a statement that does not: what can be kept of it.

    An assignment keeps its name and annotation, with `...` as the value; a class its name; a `def` its name and those
    parameters that can be read; another header becomes an `if`, so that its block has one; the rest is `pass`.

    Args:
        text: the statement, with its indentation.
        opens_block: whether a block stands below it.
    """
    code = text.strip()
    indent = " " * indentation(text)
    if opens_block and _HEADER.search(code):
        return indent + _header(code)
    kept = _ASSIGNMENT.match(code)
    if kept is None and (call := _REGION_CALL.search(code)) is not None:
        return f"{indent}{call[1]} = ..."  # torch's split_module names a call after the module
    kept = kept or _INPLACE_TAIL.search(code)
    if kept is None or iskeyword(kept[1]):
        return f"{indent}pass"
    return f"{indent}{kept[1]}{kept[2] or ''} = ..."


def _header(code: str) -> str:
    function = _FORWARD.search(code)
    if function is not None:
        notes = dict(_PARAMETER.findall(code, function.end()))
        parameters = [f", {name}{note}" for name, note in notes.items() if name != "self" and not iskeyword(name)]
        name = "forward" if "(self" in code else _name(function)  # the only method that torch.fx prints
        return f"def {name}(self{''.join(parameters)}):"
    named = _CLASS.search(code)
    return "if ...:" if named is None else f"class {_name(named)}:"


def _name(found: re.Match[str]) -> str:
    name: str = found[1] or found[2]
    return name if name.isidentifier() and not iskeyword(name) else "_unnamed"
