"""Reads one printed call by itself, without the graph that it comes from: a baseline keeps no more of it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping

from opcov.graph import Kind, Node
from opcov.loaders.text.expressions import INPLACE, NUMBERS, Call, Expressions, NotPrinted

_SELF = "self"
_GLOBAL_ROOTS = frozenset({"torch", "fx_pytree", "pytree"})
"""Modules that torch.fx prints as such (`torch.fx.graph._custom_builtins`); it gives their names to no value."""
_GLOBAL_NAMES = frozenset({*NUMBERS, "Ellipsis", "NoneType", _SELF, *_GLOBAL_ROOTS})


def read_call(expression: str) -> tuple[str, str] | None:
    """The op and the variant of a call as it is printed (`opcov.graph.Node.expression`).

    A name that is no global one is a value. A graph knows its values by name, so it can tell more: where a value is
    called like a module, the answer is another than the graph's.

    Args:
        expression: the text, nothing around it.

    Returns:
        None for a text that torch.fx prints for no call.

    >>> read_call("torch.bmm(a, b, out = c)")
    ('torch.bmm', 'torch.bmm(T, T, out=T)')
    >>> read_call("output_parallel.is_cpu"), read_call("import os")
    (('torch.Tensor.is_cpu', 'torch.Tensor.is_cpu(T)'), None)
    """
    statement = _only_statement(expression)
    return None if statement is None else read_statement(statement)


def read_statement(statement: ast.stmt) -> tuple[str, str] | None:
    """The op and the variant of a call by its syntax, however it is laid out.

    Args:
        statement: `a + b`, and for what torch.fx prints so `a += b` and `a[i] = b`.

    Returns:
        None for one that torch.fx prints for no call.
    """
    try:
        names = _Values(statement)
        call = _call(statement, Expressions(names, _SELF, ()))
    except (NotPrinted, KeyError, RecursionError):
        return None
    if not call.op:
        return None  # it reads an attribute of the module
    return call.op, Node("", call.kind, call.target, call.op, call.args, call.kwargs).variant


def _only_statement(text: str) -> ast.stmt | None:
    """The one statement that a text is from its first to its last character: no comment, no brackets around it."""
    try:
        with warnings.catch_warnings():
            # An odd escape in a string is a matter of the file that it was printed in.
            warnings.simplefilter("ignore")
            body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if len(body) != 1:
        return None
    printed = body[0].value if isinstance(body[0], ast.Expr) else body[0]
    whole = (printed.lineno, printed.col_offset, printed.end_lineno, printed.end_col_offset)
    return body[0] if whole == (1, 0, 1, len(text.encode())) else None


def _call(statement: ast.stmt, expressions: Expressions) -> Call:
    parts: tuple[ast.expr, ...]
    match statement:
        case ast.Expr(value=value):
            return expressions.call(value)
        case ast.Assign(targets=[ast.Subscript(value=base, slice=index)], value=value):
            name, parts = "setitem", (base, index, value)
        case ast.AugAssign(target=target, op=operator, value=value):
            name, parts = INPLACE[type(operator)], (target, value)
        case _:
            raise NotPrinted("it is no call")
    op = f"operator.{name}"
    return Call(Kind.CALL_FUNCTION, op, op, tuple([expressions.argument(part) for part in parts]))


class _Values(Mapping[str, str]):
    """The names in a call that stand for values, each for itself: all but those that are called or lead to a global."""

    def __init__(self, statement: ast.stmt) -> None:
        nodes = list(ast.walk(statement))
        receiver = _receiver(statement)
        not_values = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value is not receiver:
                not_values.add(node.value.id)
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        self._names = {name for name in names - not_values - _GLOBAL_NAMES if "___" not in name}

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise KeyError(name)
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def _receiver(statement: ast.stmt) -> ast.expr | None:
    """`x` of the method call `x.view(1)` and of the attribute `x.is_cpu`."""
    if not isinstance(statement, ast.Expr):
        return None
    value = statement.value.func if isinstance(statement.value, ast.Call) else statement.value
    return value.value if isinstance(value, ast.Attribute) else None
