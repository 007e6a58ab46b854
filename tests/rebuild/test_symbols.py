"""Sizes in sympy's text: the value is sympy's own, and nothing of the text is executed."""

from __future__ import annotations

import time

import pytest
import sympy
from torch.utils._sympy.functions import CeilToInt, CleanDiv, FloorDiv, Max, Min, Mod, ModularIndexing, PythonMod

from opcov.rebuild.symbols import DEFAULT_HINT, evaluate, is_comparison, is_float, is_literal

s, t = sympy.symbols("s27 s86", integer=True, positive=True)

EXPRESSIONS = [
    s, s + 1, 2 * s, s - 3, s * t, s**2, -s, s * t + 2 * s - 1, FloorDiv(s, 3), FloorDiv(s + 5, 2) + 1, Mod(s, 3),
    PythonMod(s + 1, 5), CleanDiv(s, 2), Min(s, 3), Max(s, 30), Max(Min(s, 4), t), ModularIndexing(s, 2, 3),
    sympy.Integer(7), sympy.floor(s / 3), sympy.ceiling(s / 3), CeilToInt(s / sympy.Integer(3)), s > 3, s <= t,
    sympy.Eq(s, 9), sympy.Ne(s, 9), sympy.And(s > 3, t > 100), sympy.Or(s > 3, t > 100), sympy.Not(sympy.Eq(s, 8)),
    sympy.Piecewise((s, s > 100), (t + 1, True)), sympy.Abs(-s - 1), s / 4, sympy.Rational(3, 2) * s,
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_the_value_is_the_one_that_sympy_computes(expression: sympy.Basic) -> None:
    expected = expression.subs({s: DEFAULT_HINT, t: DEFAULT_HINT})
    assert evaluate(str(expression)) == pytest.approx(float(expected) if expected.is_number else bool(expected))


@pytest.mark.parametrize("text", ["u0", "u0 + 1", "s27*u3", "zuf1", "Max(1, u0)", "u0 > 2"])
def test_a_data_dependent_symbol_has_no_value(text: str) -> None:
    assert evaluate(text) is None


def test_a_backed_float_symbol_has_a_float_as_hint() -> None:
    assert isinstance(evaluate("zf12"), float)


@pytest.mark.parametrize(
    "text",
    ["", "(", "s27 +", "lambda: 1", "__import__('os').system('true')", "[1]", "s27.real", "'a'*9", "f(s27)", "Max()",
     "1/0", "s27/(s27 - 8)", "1e999", "float('nan')", "s27 if s27 else 1", "-" * 5000 + "1", "(" * 500, "1 << 9999"],
)  # fmt: skip
def test_a_text_that_is_no_finite_size_has_no_value(text: str) -> None:
    assert evaluate(text) is None


@pytest.mark.parametrize(
    "text", ["9**9**9", "s27**999999999", "PowByNatural(9, 9**9)", "RoundToInt(8, -9**9)", "2**-99999999999", "10**400"]
)
def test_a_huge_power_is_never_computed(text: str) -> None:
    start = time.process_time()
    assert evaluate(text) is None
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(("text", "answer"), [("u0 >= 0", True), ("Eq(u0, 1)", True), ("u0 + 1", False)])
def test_a_comparison_is_told_from_a_size(text: str, answer: bool) -> None:
    assert is_comparison(text) is answer


@pytest.mark.parametrize(("text", "answer"), [("zuf0", True), ("ToFloat(u0)", True), ("u0", False)])
def test_a_float_is_told_from_a_size(text: str, answer: bool) -> None:
    assert is_float(text) is answer


@pytest.mark.parametrize(
    ("text", "answer"), [("7", True), ("-1.5", True), ("True", True), ("s27", False), ("(", False)]
)
def test_a_literal_is_told_from_an_expression(text: str, answer: bool) -> None:
    assert is_literal(text) is answer
