"""Evaluates sympy's text of a symbolic size, with a hint for each symbol. Nothing of the text is ever executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

DEFAULT_HINT = 8
"""The size that a symbol stands for where nothing tells it. Equal for all, so that sizes which meet agree."""


@dataclass(frozen=True, slots=True)
class Hints:
    """The values that a graph's backed symbols stand for.

    Attributes:
        default: of every symbol that is not among the others.
        others: pairs of a symbol and its value, sorted.
    """

    default: int = DEFAULT_HINT
    others: tuple[tuple[str, int | float], ...] = ()

    def of(self, name: str) -> int | float:
        """The value of a symbol; `torch.utils._sympy.symbol` says what their prefixes mean."""
        for symbol, value in self.others:
            if symbol == name:
                return value
        return float(self.default) if name.rstrip("0123456789") in ("zf", "f") else self.default


DEFAULT_HINTS = Hints()

_LARGEST_POWER_BITS = 63

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _round(value: float) -> int:
    return round(value)  # never to a number of digits that a text chooses


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": abs,
    "And": lambda *values: all(values),
    "CeilDiv": lambda a, b: -(-a // b),
    "CeilToInt": math.ceil,
    "CleanDiv": operator.floordiv,
    "Eq": operator.eq,
    "FloatTrueDiv": operator.truediv,
    "FloorDiv": operator.floordiv,
    "FloorToInt": math.floor,
    "Identity": lambda value: value,
    "IntTrueDiv": operator.truediv,
    "Max": max,
    "Min": min,
    "Mod": operator.mod,
    "ModularIndexing": lambda base, divisor, modulus: base // divisor % modulus,
    "Ne": operator.ne,
    "Not": operator.not_,
    "OpaqueUnaryFn_exp": math.exp,
    "OpaqueUnaryFn_log": math.log,
    "OpaqueUnaryFn_sqrt": math.sqrt,
    "Or": lambda *values: any(values),
    "PythonMod": operator.mod,
    "RoundToInt": _round,
    "ToFloat": float,
    "TruncToFloat": lambda value: float(math.trunc(value)),
    "TruncToInt": math.trunc,
    "Where": lambda condition, yes, no: yes if condition else no,
    "ceiling": math.ceil,
    "floor": math.floor,
    "sqrt": math.sqrt,
}
"""The functions of `torch.utils._sympy.functions` and of sympy that `str(SymInt)` prints."""

_POWERS = frozenset({"FloatPow", "Pow", "PowByNatural"})
_FLOAT_SIGNS = ("ToFloat(", "TrueDiv(", "FloatPow(", "OpaqueUnaryFn_")
_COMPARISON_SIGNS = ("<", ">", "==", "!=", "Eq(", "Ne(")


@lru_cache(maxsize=65536)
def evaluate(expression: str, hints: Hints = DEFAULT_HINTS) -> int | float | bool | None:
    """The value of sympy's text for a size, with its hint for each backed symbol.

    Returns:
        None for a data-dependent (unbacked: `u0`, `zuf1`) symbol in it, and for text that is no such expression or
        whose value is not finite.
    """

    def lookup(name: str) -> int | float:
        if is_unbacked(name):
            raise ValueError("an unbacked symbol has no hint")
        return hints.of(name)

    value = compute(expression, lookup)
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def compute(expression: str, lookup: Callable[[str], Any]) -> Any:
    """What sympy's text gives when `lookup` has the value of each symbol, a number or a SymInt.

    Returns:
        None where the text is no such expression, `lookup` refuses a symbol, or the numbers allow no result.
    """
    try:
        return _compute(_parsed(expression), lookup)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, KeyError, RecursionError, MemoryError, RuntimeError):
        return None


@lru_cache(maxsize=65536)
def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


@lru_cache(maxsize=65536)
def symbols_in(expression: str) -> tuple[str, ...]:
    """The symbols of sympy's text, each once, in order; none for a text that is no expression."""
    try:
        nodes = list(ast.walk(_parsed(expression)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = (node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in called)
    return tuple(dict.fromkeys(name for name in names if name not in ("True", "False")))


def is_unbacked(name: str) -> bool:
    """Whether a symbol's value depends on data: `u0`, `zuf1`."""
    return name.rstrip("0123456789") in ("u", "zuf") and name[-1].isdecimal()


def _compute(tree: ast.expr, lookup: Callable[[str], Any]) -> Any:
    match tree:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.Name(id=name):
            return name == "True" if name in ("True", "False") else lookup(name)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_compute(left, lookup), _compute(right, lookup))
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return bool(_compute(left, lookup)) and bool(_compute(right, lookup))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return bool(_compute(left, lookup)) or bool(_compute(right, lookup))
        case ast.BinOp(left=left, op=binary, right=right):
            return _BINARY[type(binary)](_compute(left, lookup), _compute(right, lookup))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_compute(operand, lookup)
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return not _compute(operand, lookup)
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            return _COMPARE[type(comparison)](_compute(left, lookup), _compute(right, lookup))
        case ast.Call(func=ast.Name(id=name), args=[base, exponent], keywords=[]) if name in _POWERS:
            return _power(_compute(base, lookup), _compute(exponent, lookup))
        case ast.Call(func=ast.Name(id="Piecewise"), args=pieces, keywords=[]):
            return _first_that_holds(pieces, lookup)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _FUNCTIONS[name](*[_compute(argument, lookup) for argument in arguments])
    raise ValueError("no expression that sympy prints for a size")


def _first_that_holds(pieces: list[ast.expr], lookup: Callable[[str], Any]) -> Any:
    for piece in pieces:
        if isinstance(piece, ast.Tuple) and len(piece.elts) == 2 and _compute(piece.elts[1], lookup):
            return _compute(piece.elts[0], lookup)
    raise ValueError("no condition of it holds")


def _power(base: Any, exponent: Any) -> Any:
    if abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > _LARGEST_POWER_BITS:
        raise OverflowError("beyond any size")
    return base**exponent


def is_comparison(expression: str) -> bool:
    """Whether the text of a symbol without a hint is a bool's: `u0 >= 0`, `Eq(u0, 1)`."""
    return any(sign in expression for sign in _COMPARISON_SIGNS)


def is_float(expression: str) -> bool:
    """Whether the text of a symbol without a hint is a float's: `zuf0`, `ToFloat(u0)`."""
    return expression.startswith("zuf") or any(sign in expression for sign in _FLOAT_SIGNS)


@lru_cache(maxsize=65536)
def is_literal(expression: str) -> bool:
    """Whether the text holds no symbol: `7`, `-1.5`, `True`."""
    try:
        return isinstance(ast.literal_eval(expression), (int, float))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
