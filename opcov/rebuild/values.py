"""Turns metadata and arguments, which are plain data, into the values that torch.fx and Thunder work on."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.sym_node import SymNode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._dtype_abbrs import dtype_abbrs

from opcov.graph import (
    Argument,
    ConstantMeta,
    Construct,
    DictArg,
    Dimension,
    Global,
    ListArg,
    Metadata,
    Ref,
    SequenceMeta,
    SliceArg,
    SymbolMeta,
    TensorMeta,
)
from opcov.rebuild.names import missing_function, resolve_torch

FUNCTORCH_WRAPPER = "functorch"
"""`TensorMeta.wrapper` of a value that functorch wraps, between a vmap's or grad's enter and exit."""

DEFAULT_HINT = 8
"""The size that a symbol stands for where nothing tells it. Equal for all, so that sizes which meet agree."""

_DTYPES = {abbreviation: dtype for dtype, abbreviation in dtype_abbrs.items()}
_ABBREVIATIONS = dtype_abbrs
_MAX_ELEMENTS = 2**62


class NoValue(ValueError):
    """No value can be made from this metadata: a dtype that this torch lacks, a size beyond what torch can count."""


class Values:
    """Makes example values: fake tensors on CPU, symbols with hints.

    One FakeTensorMode serves all; a value is made once per metadata and shared, so nobody may change it in place.
    """

    def __init__(self) -> None:
        self.mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
        self._shared: dict[Metadata, Any] = {}

    def shared(self, meta: Metadata) -> Any:
        """The value for a metadata, made at most once.

        Raises:
            NoValue: none can be made.
        """
        value = self._shared.get(meta)
        if value is None:
            value = self._shared[meta] = self.fresh(meta)
        return value

    def fresh(self, meta: Metadata) -> Any:
        """A value of its own for a metadata: a fake tensor, SymInt, SymFloat, SymBool, tuple, list, Size or constant.

        Raises:
            NoValue: none can be made.
        """
        match meta:
            case TensorMeta():
                return self._tensor(meta)
            case SymbolMeta(expression):
                return self._symbol(expression)
            case SequenceMeta(kind, items):
                if any(item is None for item in items):
                    raise NoValue("an element of it is not known")
                values = [self.fresh(item) for item in items if item is not None]
                if kind == "size":
                    return torch.Size(values)
                return values if kind == "list" else tuple(values)
            case ConstantMeta(value):
                return plain_value(value)

    def _tensor(self, meta: TensorMeta) -> torch.Tensor:
        dtype = _DTYPES.get(meta.dtype)
        if dtype is None:
            raise NoValue(f"torch {torch.__version__} has no dtype {meta.dtype}")
        sizes = [self._size(dimension) for dimension in meta.shape]
        if math.prod(size for size in sizes if isinstance(size, int)) > _MAX_ELEMENTS:
            raise NoValue(f"{meta} has more elements than torch can count")
        if meta.wrapper == FUNCTORCH_WRAPPER:
            # Thunder's check sees such a value as a plain torch.Tensor, and raises on it.
            return torch.empty([0], dtype=dtype, device="meta")
        try:
            with self.mode, torch.device("cpu"):
                if meta.stride is None:
                    tensor = torch.empty(sizes, dtype=dtype)
                else:
                    tensor = torch.empty_strided(sizes, [self._size(stride) for stride in meta.stride], dtype=dtype)
        except Exception as error:
            raise NoValue(f"torch makes no tensor of {meta}: {error}") from error
        if meta.requires_grad and dtype.is_floating_point:
            tensor.requires_grad_()
        return tensor

    def _size(self, dimension: Dimension) -> Any:
        if isinstance(dimension, int):
            return dimension
        value = evaluate(dimension)
        if value is None:
            assert self.mode.shape_env is not None
            return self.mode.shape_env.create_unbacked_symint()
        return int(value)

    def _symbol(self, expression: str) -> Any:
        value = evaluate(expression)
        wrap: Any
        if isinstance(value, bool) or value is None and is_comparison(expression):
            pytype, wrap = bool, torch.SymBool
        elif isinstance(value, float) or value is None and is_float(expression):
            pytype, wrap = float, torch.SymFloat
        else:
            pytype, wrap = int, torch.SymInt
        if value is None and pytype is int:
            assert self.mode.shape_env is not None
            return self.mode.shape_env.create_unbacked_symint()
        symbol = sympy.Symbol(expression) if pytype is bool else sympy.Symbol(expression, integer=pytype is int)
        return wrap(SymNode(symbol, self.mode.shape_env, pytype, value))


# --- symbolic expressions ----------------------------------------------------------------------------------------------

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Min": min, "Max": max, "Mod": operator.mod, "PythonMod": operator.mod, "FloorDiv": operator.floordiv,
    "CleanDiv": operator.floordiv, "CeilDiv": lambda a, b: -(-a // b), "IntTrueDiv": operator.truediv,
    "FloatTrueDiv": operator.truediv, "ToFloat": float, "TruncToInt": math.trunc, "FloorToInt": math.floor,
    "CeilToInt": math.ceil, "RoundToInt": round, "floor": math.floor, "ceiling": math.ceil, "Abs": abs,
    "OpaqueUnaryFn_sqrt": math.sqrt, "sqrt": math.sqrt, "OpaqueUnaryFn_log": math.log, "OpaqueUnaryFn_exp": math.exp,
    "Eq": operator.eq, "Ne": operator.ne, "Not": operator.not_,
}  # fmt: skip
_LARGEST_POWER = 2.0**63


def evaluate(expression: str) -> int | float | bool | None:
    """The value of sympy's text for a size, with `DEFAULT_HINT` for each backed symbol.

    Returns:
        None for a data-dependent (unbacked: `u0`, `zuf1`) symbol in it, and for text that is no such expression.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
        value = _evaluate(tree)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, KeyError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, (int, float)) else None


def _evaluate(tree: ast.expr) -> Any:
    match tree:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.Name(id="True" | "False" as name):
            return name == "True"
        case ast.Name(id=name):
            if name.startswith("u"):
                raise ValueError("an unbacked symbol has no hint")
            return float(DEFAULT_HINT) if name.startswith(("zf", "f")) else DEFAULT_HINT
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_evaluate(left), _evaluate(right))
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            return bool(_evaluate(left)) and bool(_evaluate(right))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return bool(_evaluate(left)) or bool(_evaluate(right))
        case ast.BinOp(left=left, op=binary, right=right):
            return _BINARY[type(binary)](_evaluate(left), _evaluate(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return not _evaluate(operand)
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            return _COMPARE[type(comparison)](_evaluate(left), _evaluate(right))
        case ast.Call(func=ast.Name(id="FloatPow" | "PowByNatural" | "Pow"), args=[base, exponent]):
            return _power(_evaluate(base), _evaluate(exponent))
        case ast.Call(func=ast.Name(id="And"), args=arguments):
            return all([_evaluate(argument) for argument in arguments])
        case ast.Call(func=ast.Name(id="Or"), args=arguments):
            return any([_evaluate(argument) for argument in arguments])
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _FUNCTIONS[name](*[_evaluate(argument) for argument in arguments])
    raise ValueError("no expression that sympy prints for a size")


def _power(base: Any, exponent: Any) -> Any:
    if abs(base) > 1 and abs(exponent) * math.log2(abs(base)) > math.log2(_LARGEST_POWER):
        raise OverflowError("beyond any size")
    return base**exponent


def is_comparison(expression: str) -> bool:
    """Whether the text of a symbol without a hint is a bool's: `u0 >= 0`, `Eq(u0, 1)`."""
    return any(sign in expression for sign in ("<", ">", "==", "!=", "Eq(", "Ne("))


def is_float(expression: str) -> bool:
    """Whether the text of a symbol without a hint is a float's: `zuf0`, `ToFloat(u0)`."""
    return expression.startswith("zuf") or "ToFloat(" in expression or "Float" in expression or "OpaqueUnaryFn" in expression


def depends_on_hint(meta: Metadata) -> bool:
    """Whether the value for a metadata rests on a hint that the text does not print."""
    match meta:
        case TensorMeta(shape=shape, stride=stride):
            return any(isinstance(dimension, str) for dimension in (*shape, *(stride or ())))
        case SymbolMeta(expression):
            return not expression.lstrip("-").replace(".", "", 1).isdigit()
        case SequenceMeta(items=items):
            return any(item is not None and depends_on_hint(item) for item in items)
        case ConstantMeta():
            return False


# --- from values back to metadata ---------------------------------------------------------------------------------------


def metadata_of(value: Any) -> Metadata | None:
    """The metadata of a value that a fake run returned; None for a value that has none, such as None or a stream."""
    if isinstance(value, torch.Tensor):
        abbreviation = _ABBREVIATIONS.get(value.dtype)
        if abbreviation is None or value.layout is not torch.strided:
            return None
        shape = tuple(_dimension(size) for size in value.shape)
        contiguous = value.is_contiguous()
        stride = None if contiguous else tuple(_dimension(step) for step in value.stride())
        return TensorMeta(abbreviation, shape, stride, None, None, value.requires_grad)
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return SymbolMeta(str(value.node.expr))
    if isinstance(value, torch.Size):
        return SequenceMeta("size", tuple(metadata_of(item) for item in value))
    if isinstance(value, (tuple, list)):
        return SequenceMeta("list" if isinstance(value, list) else "tuple", tuple(metadata_of(item) for item in value))
    if isinstance(value, (bool, int, float, complex, str)):
        return ConstantMeta(value)
    if isinstance(value, torch.dtype):
        return ConstantMeta(Global(str(value)))
    if isinstance(value, torch.device):
        return ConstantMeta(Construct("device", (str(value),), ()))
    return None


def _dimension(size: Any) -> Dimension:
    return size if isinstance(size, int) else str(size.node.expr)


# --- arguments ---------------------------------------------------------------------------------------------------------


class Opaque:
    """A global value that this process does not have: an enum's member, a type of the model's code."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def plain_value(argument: Argument, refs: Mapping[str, Any] | None = None) -> Any:
    """The Python value of an argument.

    Args:
        argument: nodes in it are looked up in `refs`.
        refs: what stands for each node's name: an fx node, or a fake tensor.

    Raises:
        NoValue: it names a node that `refs` does not have.
    """
    match argument:
        case Ref(name):
            if refs is None or name not in refs:
                raise NoValue(f"nothing is known of {name}")
            return refs[name]
        case tuple():
            return tuple([plain_value(item, refs) for item in argument])
        case ListArg(items):
            return [plain_value(item, refs) for item in items]
        case DictArg(items):
            return {_hashable(plain_value(key, refs)): plain_value(value, refs) for key, value in items}
        case SliceArg(start, stop, step):
            return slice(plain_value(start, refs), plain_value(stop, refs), plain_value(step, refs))
        case Global(name):
            return _global_value(name)
        case Construct(name, args, kwargs):
            return _constructed(name, [plain_value(item, refs) for item in args], {k: plain_value(v, refs) for k, v in kwargs})
        case _:
            return argument


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _global_value(name: str) -> Any:
    if name == "NoneType":
        return type(None)
    if name.startswith("torch."):
        found = resolve_torch(name)
        if found is not None:
            return found
    return Opaque(name)


def _constructed(name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        match name:
            case "device" | "torch.device":
                return torch.device(*args, **kwargs)
            case "range":
                return range(*args)
            case "torch.Size":
                return torch.Size(*args)
            case "set":
                return set(args)
            case "frozenset":
                return frozenset(*args)
            case "torch.Tensor":
                return torch.empty(kwargs.get("size", [0]), dtype=kwargs.get("dtype"), device="meta")
            case "torch.finfo":
                return torch.finfo(*args)
    except Exception as error:
        raise NoValue(f"{name}(...) is no valid value: {error}") from error
    if "___" in name and not kwargs:
        return tuple(args)  # a namedtuple of the model's code
    return missing_function(name)
