"""Turns sympy's constructor text, `Add(Symbol('s0'), Integer(1))`, into the one that torch prints: `s0 + 1`.

`torch._export.serde.serialize` saves symbolic sizes as `sympy.srepr` (`_print_sympy`), older torch as plain text.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache

_LONGEST = 20_000
_DEEPEST = 100
_CONSTRUCTORS = ("Symbol(", "Integer(", "Rational(", "Float(", "true", "false")
_PLAIN = re.compile(r"[\w\s+\-*/%(),.<>=!&|~]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# `sympy.printing.precedence.PRECEDENCE`: what binds weaker than its surroundings is put in brackets.
_ATOM, _FUNCTION, _POWER, _PRODUCT, _SUM, _RELATION, _AND, _OR = 1000, 70, 60, 50, 40, 35, 30, 20

_RELATIONS = {
    "StrictGreaterThan": ">", "GreaterThan": ">=", "StrictLessThan": "<", "LessThan": "<=",
}  # fmt: skip
_RENAMED = {"Equality": "Eq", "Unequality": "Ne"}


@lru_cache(maxsize=65536)
def printed_expression(text: str) -> str | None:
    """The expression as `str` prints it.

    Returns:
        None for a text that is no such expression.
    """
    if len(text) > _LONGEST:
        return None
    if not any(constructor in text for constructor in _CONSTRUCTORS):
        return text if text and _PLAIN.fullmatch(text) else None
    try:
        return _printed(ast.parse(text, mode="eval").body, 0)[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _printed(tree: ast.expr, depth: int) -> tuple[str, int]:
    """The text of an expression, and how strongly it binds."""
    if depth > _DEEPEST:
        raise ValueError("it nests too deep")
    match tree:
        case ast.Name(id="true" | "false" as name):
            return name.capitalize(), _ATOM
        case ast.Name(id="oo" | "int_oo" | "zoo" | "nan" as name):
            return name, _ATOM
        case ast.Call(func=ast.Name(id="Symbol"), args=[ast.Constant(value=str(name))]) if _NAME.fullmatch(name):
            return name, _ATOM
        case ast.Call(func=ast.Name(id="Integer"), args=[number]):
            value = _integer(number)
            return str(value), _ATOM if value >= 0 else _SUM
        case ast.Call(func=ast.Name(id="Rational"), args=[number, ast.Constant(value=int(divisor))]):
            return f"{_integer(number)}/{divisor}", _PRODUCT
        case ast.Call(func=ast.Name(id="Float"), args=[ast.Constant(value=str(number)), *_]):
            value_text = repr(float(number))
            return value_text, _SUM if value_text.startswith("-") else _ATOM
        case ast.Call(func=ast.Name(id=function), args=arguments) if _NAME.fullmatch(function) and arguments:
            return _called(function, arguments, depth + 1)
    raise ValueError("sympy prints no such expression")


def _called(function: str, arguments: list[ast.expr], depth: int) -> tuple[str, int]:
    if function == "Mul":
        return _product(arguments, depth)
    parts = [_printed(argument, depth) for argument in arguments]
    match function, parts:
        case "Add", _:
            text = _bracketed(parts[0], _SUM)
            for part in parts[1:]:
                text += f" - {part[0][1:]}" if part[0].startswith("-") else f" + {_bracketed(part, _SUM)}"
            return text, _SUM
        case "Pow", [base, (exponent, _)]:
            if exponent == "1/2":
                return f"sqrt({base[0]})", _FUNCTION
            if exponent == "-1":
                return f"1/{_bracketed(base, _POWER)}", _PRODUCT
            return f"{_bracketed(base, _POWER + 1)}**{_bracketed(parts[1], _POWER)}", _POWER
        case "FloorDiv", [base, divisor]:
            return f"({_bracketed(base, _ATOM)}//{_bracketed(divisor, _ATOM)})", _RELATION
        case "Identity", [operand]:
            return f"({operand[0]})", _ATOM
        case "Not", [operand]:
            return f"~{_bracketed(operand, _ATOM)}", _ATOM
        case "And", _:
            return " & ".join(_bracketed(part, _RELATION + 1) for part in parts), _AND
        case "Or", _:
            return " | ".join(_bracketed(part, _RELATION + 1) for part in parts), _OR
        case _, [left, right] if function in _RELATIONS:
            return f"{left[0]} {_RELATIONS[function]} {right[0]}", _RELATION
    name = _RENAMED.get(function, function)
    return f"{name}({', '.join(text for text, _ in parts)})", _FUNCTION


def _product(arguments: list[ast.expr], depth: int) -> tuple[str, int]:
    """`2*s0`, `-s0`, `s0/2`: sympy prints the sign first and what is divided by last."""
    sign, above, below = "", [], []
    for argument in arguments:
        match argument:
            case ast.Call(func=ast.Name(id="Integer"), args=[number]) if _integer(number) == -1:
                sign = "" if sign else "-"
            case ast.Call(func=ast.Name(id="Rational"), args=[number, ast.Constant(value=int(divisor))]):
                value = _integer(number)
                sign = sign if value >= 0 else "" if sign else "-"
                above += [str(abs(value))] if abs(value) != 1 else []
                below.append(str(divisor))
            case ast.Call(
                func=ast.Name(id="Pow"), args=[base, ast.Call(func=ast.Name(id="Integer"), args=[exponent])]
            ) if _integer(exponent) == -1:
                below.append(_bracketed(_printed(base, depth), _POWER))
            case _:
                part = _printed(argument, depth)
                if part[0].startswith("-") and not above and part[1] == _SUM and _is_number(argument):
                    sign, part = ("" if sign else "-"), (part[0][1:], _ATOM)
                above.append(_bracketed(part, _PRODUCT))
    text = sign + ("*".join(above) or "1")
    if len(below) == 1:
        text += f"/{below[0]}"
    elif below:
        text += f"/({'*'.join(below)})"
    return text, _SUM if sign else _PRODUCT


def _is_number(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in ("Integer", "Float")


def _integer(tree: ast.expr) -> int:
    value = tree.operand if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub) else tree
    if not isinstance(value, ast.Constant) or type(value.value) is not int or value.value.bit_length() > 4096:
        raise ValueError("it is no integer")
    return -value.value if value is not tree else value.value


def _bracketed(part: tuple[str, int], strength: int) -> str:
    text, own = part
    return f"({text})" if own < strength else text
