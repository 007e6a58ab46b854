"""Reads printed expressions as calls and arguments, by looking at the syntax tree: nothing of it is compiled or run."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from opcov.graph import Argument, Construct, DictArg, Global, Kind, ListArg, Ref, SliceArg
from opcov.loaders.text.targets import attribute_op, function_op, method_op, module_op

_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.Pow: "pow", ast.LShift: "lshift", ast.RShift: "rshift", ast.BitAnd: "and_", ast.BitOr: "or_",
    ast.BitXor: "xor", ast.MatMult: "matmul",
}  # fmt: skip
"""`torch.fx.graph.reflectable_magic_methods`."""

INPLACE = {operator: "i" + name.rstrip("_") for operator, name in _BINARY.items()}
"""`torch.fx.graph.inplace_methods`, by the operator of the augmented assignment that it prints."""

_COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_UNARY = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert", ast.Not: "not_"}

NUMBERS = {
    "inf": float("inf"), "nan": float("nan"), "infj": complex(0, float("inf")), "nanj": complex(0, float("nan")),
}  # fmt: skip
"""Python's repr writes these as names; torch.fx makes `inf` and `nan` globals (`_register_custom_builtin`)."""

_MAX_DEPTH = 100
"""How deep an argument may nest; torch.fx prints a handful of levels."""

_MAX_BITS = 4096
"""How large an integer may be; torch's have 64 bits, and Python refuses to print one of 4300 digits."""


class NotPrinted(ValueError):
    """The expression or statement is none that torch.fx prints."""


class Call(NamedTuple):
    """What an assigned expression says of its node: the fields of `opcov.graph.Node` that it gives."""

    kind: Kind
    target: str
    op: str
    args: tuple[Argument, ...] = ()
    kwargs: tuple[tuple[str, Argument], ...] = ()


class Expressions:
    """Reads the expressions of one function.

    A name that the function has assigned is its value even where a module has the same name.

    Args:
        names: every local name with the node that it stands for; the caller adds to it as it reads on.
        self_name: the first parameter, below which attributes and submodules are.
        lines: the lines of the file, for the text of expressions.
    """

    def __init__(self, names: Mapping[str, str], self_name: str, lines: Sequence[str]) -> None:
        self._names = names
        self._self = self_name
        self._lines = lines
        self._encoded: tuple[int, bytes] = (0, b"")

    # --- calls --------------------------------------------------------------------------------------------------------

    def call(self, value: ast.expr) -> Call:
        """The node that an assigned expression prints.

        Raises:
            NotPrinted: torch.fx prints no such expression.
        """
        function: str
        args: tuple[Argument, ...]
        match value:
            case ast.Call():
                return self._printed_call(value)
            case ast.BinOp(left=left, op=binary, right=right):
                function, args = _BINARY[type(binary)], (self.argument(left), self.argument(right))
            case ast.UnaryOp(op=ast.USub(), operand=ast.BinOp(left=left, op=ast.Pow(), right=right)):
                # Python reads `-1 ** x` as -(1 ** x), but torch.fx prints operator.pow(-1, x) so.
                base = self.argument(ast.UnaryOp(op=ast.USub(), operand=left))
                function, args = "pow", (base, self.argument(right))
            case ast.UnaryOp(op=unary, operand=operand):
                function, args = _UNARY[type(unary)], (self.argument(operand),)
            case ast.Compare(left=left, ops=[comparison], comparators=[right]) if type(comparison) in _COMPARE:
                function, args = _COMPARE[type(comparison)], (self.argument(left), self.argument(right))
            case ast.Subscript(value=base_expression, slice=index):
                function, args = "getitem", (self.argument(base_expression), self.argument(index))
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self._names:
                return Call(Kind.CALL_FUNCTION, "getattr", attribute_op(attribute), (Ref(self._names[name]), attribute))
            case _:
                path = self._attribute_path(value)
                if path is None:
                    raise NotPrinted("torch.fx prints no such expression")
                return Call(Kind.GET_ATTR, path, "")
        return Call(Kind.CALL_FUNCTION, f"operator.{function}", f"operator.{function}", args)

    def _printed_call(self, call: ast.Call) -> Call:
        path = self._attribute_path(call)
        if path is not None:  # getattr(self, "0")
            return Call(Kind.GET_ATTR, path, "")
        args, kwargs = self._arguments(call)
        path = self._attribute_path(call.func)
        if path is not None:
            return Call(Kind.CALL_MODULE, path, module_op(path), args, kwargs)
        match call.func:
            case ast.Name(id=name) if self._global_name(call.func) is not None:
                if name == "getattr" and len(args) == 2 and isinstance(args[1], str):
                    return Call(Kind.CALL_FUNCTION, name, attribute_op(args[1]), args, kwargs)
                return Call(Kind.CALL_FUNCTION, name, function_op(name), args, kwargs)
            case ast.Attribute(value=receiver, attr=method):
                dotted = self._global_name(call.func)
                if dotted is not None:
                    return Call(Kind.CALL_FUNCTION, dotted, function_op(dotted), args, kwargs)
                value = self.argument(receiver)
                if isinstance(value, Construct):
                    raise NotPrinted("it calls a method of what another call returns")
                return Call(Kind.CALL_METHOD, method, method_op(method), (value, *args), kwargs)
        raise NotPrinted("it calls something that is no function, method or module")

    def _arguments(
        self, call: ast.Call, depth: int = 0
    ) -> tuple[tuple[Argument, ...], tuple[tuple[str, Argument], ...]]:
        args = tuple([self.argument(argument, depth) for argument in call.args])
        kwargs = []
        for keyword in call.keywords:
            if keyword.arg is None:
                raise NotPrinted("it unpacks keyword arguments")
            kwargs.append((keyword.arg, self.argument(keyword.value, depth)))
        return args, tuple(kwargs)

    # --- arguments ----------------------------------------------------------------------------------------------------

    def argument(self, value: ast.expr, depth: int = 0) -> Argument:
        """One argument, as `torch.fx.graph.CodeGen._gen_python_code._get_repr` prints it.

        Python's own index `1:2` is read like the `slice(1, 2, None)` that torch.fx prints.

        Raises:
            NotPrinted: torch.fx prints no such argument.
        """
        if depth > _MAX_DEPTH:
            raise NotPrinted("an argument nests too deep")
        deeper = depth + 1
        match value:
            case ast.Name(id=name):
                return self._named_value(name)
            case ast.Constant(value=constant):
                if isinstance(constant, int) and constant.bit_length() > _MAX_BITS:
                    raise NotPrinted("a number is larger than any of torch's")
                return constant
            case ast.Tuple(elts=elements):
                return tuple([self.argument(element, deeper) for element in elements])
            case ast.List(elts=elements):
                return ListArg(tuple([self.argument(element, deeper) for element in elements]))
            case ast.Dict(keys=keys, values=values):
                items = []
                for key, item in zip(keys, values, strict=True):
                    if key is None:
                        raise NotPrinted("it unpacks a dict")
                    items.append((self.argument(key, deeper), self.argument(item, deeper)))
                return DictArg(tuple(items))
            case ast.Set(elts=elements):
                return Construct("set", tuple([self.argument(element, deeper) for element in elements]), ())
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self.argument(operand, deeper)
                if isinstance(number, (int, float, complex)) and not isinstance(number, bool):
                    return -number
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=ast.Constant() | ast.Name() as right):
                return self._complex(self.argument(left, deeper), sign, self.argument(right, deeper))
            case ast.Slice(lower=lower, upper=upper, step=step):
                parts = [None if part is None else self.argument(part, deeper) for part in (lower, upper, step)]
                return SliceArg(*parts)
            case ast.Attribute():
                dotted = self._global_name(value)
                if dotted is not None:
                    return Global(dotted)
            case ast.Call(func=function):
                dotted = self._global_name(function)
                if dotted is not None:
                    return self._constructed(dotted, value, deeper)
        raise NotPrinted(f"torch.fx prints no such argument: {self.text(value)[:80]}")

    def _constructed(self, name: str, call: ast.Call, depth: int) -> Argument:
        if name == "torch.Tensor":
            # A constant tensor prints its dtype without the module: `torch.Tensor(size=[2], dtype=float32)`.
            for keyword in call.keywords:
                if keyword.arg == "dtype" and isinstance(keyword.value, ast.Name):
                    keyword.value = ast.Attribute(ast.Name("torch"), keyword.value.id)
        args, kwargs = self._arguments(call, depth)
        if name == "slice" and len(args) == 3 and not kwargs:
            return SliceArg(*args)
        return Construct(name, args, kwargs)

    @staticmethod
    def _complex(real: Argument, sign: ast.operator, imaginary: Argument) -> complex:
        """`1-2j`: Python prints a complex number as a sum."""
        if not isinstance(real, (int, float)) or not isinstance(imaginary, complex):
            raise NotPrinted("an argument is a sum")
        try:
            return complex(real, imaginary.imag if isinstance(sign, ast.Add) else -imaginary.imag)
        except OverflowError:
            raise NotPrinted("a number is larger than any of torch's") from None

    def _named_value(self, name: str) -> Argument:
        if name in self._names:
            return Ref(self._names[name])
        if name in NUMBERS:
            return NUMBERS[name]
        if name == "Ellipsis":
            return ...
        if name == "NoneType" or "___" in name:
            return Global(name)
        raise NotPrinted(f"nothing before it defines {name[:80]!r}")

    def _global_name(self, value: ast.expr) -> str | None:
        """The dotted text of an expression such as `torch.ops.aten.add.Tensor` whose root is no local value."""
        parts = []
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if not isinstance(value, ast.Name) or value.id in self._names or value.id == self._self:
            return None
        if value.id.startswith("__") and value.id.endswith("__"):
            raise NotPrinted(f"torch.fx prints no name such as {value.id[:80]}")
        parts.append(value.id)
        return ".".join(reversed(parts))

    def _attribute_path(self, value: ast.expr) -> str | None:
        """The path of `self.sub.w`, `getattr(self, "0")` or `getattr(self.layers, "0").weight` (`_format_target`)."""
        parts: list[str] = []
        while True:
            match value:
                case ast.Attribute(value=base, attr=attribute):
                    parts.append(attribute)
                    value = base
                case ast.Call(
                    func=ast.Name(id="getattr"), args=[base, ast.Constant(value=str(attribute))], keywords=[]
                ):
                    parts.append(attribute)
                    value = base
                case ast.Name(id=name) if parts and name == self._self and name not in self._names:
                    return ".".join(reversed(parts))
                case _:
                    return None

    # --- text ---------------------------------------------------------------------------------------------------------

    def text(self, node: ast.expr | ast.stmt) -> str:
        """The printed text of an expression or statement, on one line; "" for one that the file does not hold."""
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if not first or not last or last > len(self._lines) or node.end_col_offset is None:
            return ""
        if first == last:
            return self._columns(first, node.col_offset, node.end_col_offset)
        parts = [self._columns(first, node.col_offset, None)]
        parts += self._lines[first : last - 1]
        parts.append(self._columns(last, 0, node.end_col_offset))
        return " ".join(part.strip() for part in parts)

    def _columns(self, number: int, start: int, end: int | None) -> str:
        """Part of a line by ast's column offsets, which count bytes of UTF-8."""
        line = self._lines[number - 1]
        if line.isascii():
            return line[start:end]
        if self._encoded[0] != number:
            self._encoded = (number, line.encode())
        return self._encoded[1][start:end].decode(errors="replace")
