"""Turns metadata, which is plain data, into example values (fake tensors, symbols with hints), and back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Sequence
from typing import Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.sym_node import SymNode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.fx.graph import dtype_abbrs  # type: ignore[attr-defined]  # here in every torch; its own module is newer
from torch.utils._sympy.value_ranges import ValueRanges

from opcov.graph import ConstantMeta, Construct, Dimension, Global, Metadata, SequenceMeta, SymbolMeta, TensorMeta
from opcov.rebuild.arguments import NoValue, plain_value
from opcov.rebuild.symbols import (
    DEFAULT_HINTS,
    Hints,
    compute,
    evaluate,
    is_comparison,
    is_float,
    is_literal,
    is_unbacked,
    symbols_in,
)

FUNCTORCH_WRAPPER = "functorch"
"""`TensorMeta.wrapper` of a value that functorch wraps, between a vmap's or grad's enter and exit."""

_DTYPES: dict[str, torch.dtype] = {abbreviation: dtype for dtype, abbreviation in dtype_abbrs.items()}
_MAX_ELEMENTS = 2**62


def torch_dtype(meta: TensorMeta) -> torch.dtype:
    """The dtype of a tensor.

    Raises:
        NoValue: this torch does not have it.
    """
    dtype = _DTYPES.get(meta.dtype)
    if dtype is None:
        raise NoValue(f"torch {torch.__version__} has no dtype {meta.dtype}")
    return dtype


def plain_size(dimension: Dimension, hints: Hints) -> int | float:
    """The number that a size or a symbol stands for.

    Raises:
        NoValue: it depends on data.
    """
    if isinstance(dimension, int):
        return dimension
    value = evaluate(dimension, hints)
    if value is None:
        raise NoValue(f"{dimension} depends on data")
    return value


class _Shapes(ShapeEnv):
    """Symbols that do not know which line of this process made them: finding out costs more than all else about one."""

    def _get_user_frame(self) -> None:
        return None

    def _log_create_unbacked_symbol(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_UNBACKED = re.compile(r"\b(?:u|zuf)[0-9]+\b")


class Values:
    """Makes example values: fake tensors on CPU, symbols with hints.

    One FakeTensorMode serves all; a shared value is made once per metadata, so nobody may change it in place.
    """

    def __init__(
        self, hints: Hints = DEFAULT_HINTS, *, symbolic: bool = False, taken_names: Container[str] = frozenset()
    ) -> None:
        """Starts without values.

        Args:
            hints: what symbols stand for.
            symbolic: whether a symbolic size becomes a SymInt that prints as in the text, as a user wants to see it,
                or its hint, which is what Thunder's check looks at and costs less.
            taken_names: symbols of the text; a new data-dependent size does not get one of their names.
        """
        self.hints = hints
        self._shapes = _Shapes()
        self.mode = FakeTensorMode(shape_env=self._shapes, allow_non_fake_inputs=True)
        self.mode.cache_enabled = False  # who runs an op here remembers what it returned; torch's own cache costs more
        self._symbolic = symbolic
        self._shared: dict[Metadata, Any] = {}
        self._unbacked: dict[str, torch.SymInt] = {}
        self._taken = taken_names
        self._texts: dict[str, str] = {}

    def shared(self, meta: Metadata) -> Any:
        """The value for a metadata, made at most once.

        Raises:
            NoValue: none can be made.
        """
        try:
            return self._shared[meta]
        except KeyError:
            self._shared[meta] = made = self.fresh(meta)
            return made

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
                values = [self._element(item) for item in items]
                if kind == "size":
                    return torch.Size(values)
                return values if kind == "list" else tuple(values)
            case ConstantMeta(value):
                return plain_value(value)

    def metadata_of(self, value: Any) -> Metadata | None:
        """The metadata of a value that these values led to: data-dependent symbols have the names of the text."""
        return metadata_of(value, self._renamed)

    def _renamed(self, expression: str) -> str:
        if expression in self._texts:
            return self._texts[expression]
        return _UNBACKED.sub(self._text_of, expression)

    def _text_of(self, symbol: re.Match[str]) -> str:
        name = symbol[0]
        if name not in self._texts:
            prefix = name.rstrip("0123456789")
            free = (f"{prefix}{number}" for number in range(len(self._texts) + 1_000_000))
            used = self._texts.values()
            self._texts[name] = next(text for text in free if text not in used and text not in self._taken)
        text = self._texts[name]
        return text if text.isidentifier() else f"({text})"

    def _element(self, meta: Metadata | None) -> Any:
        if meta is None:
            raise NoValue("an element of it is not known")
        return self.fresh(meta)

    def _tensor(self, meta: TensorMeta) -> torch.Tensor:
        dtype = torch_dtype(meta)
        if meta.wrapper == FUNCTORCH_WRAPPER:
            # Thunder's check sees such a value as a plain torch.Tensor, which requires grad under grad.
            return torch.empty([0], dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)
        sizes = [self._size(dimension) for dimension in meta.shape]
        if math.prod(size for size in sizes if isinstance(size, int)) > _MAX_ELEMENTS:
            raise NoValue(f"{meta} has more elements than torch can count")
        try:
            strides = None if meta.stride is None else [self._size(stride) for stride in meta.stride]
            tensor = self.empty(sizes, strides, dtype)
        except Exception as error:
            raise NoValue(f"torch makes no tensor of {meta}: {error}") from error
        if meta.requires_grad and (dtype.is_floating_point or dtype.is_complex):
            tensor.requires_grad_()
        return tensor

    def empty(self, sizes: Sequence[Any], strides: Sequence[Any] | None, dtype: torch.dtype) -> torch.Tensor:
        """A fake tensor on CPU.

        Args:
            sizes: integers, or SymInts of these values.
            strides: in elements; None for a contiguous tensor.
            dtype: of its elements.
        """
        if all(type(number) is int for number in (*sizes, *(strides or ()))):
            # What a factory function under the mode makes, at a twentieth of its cost: nothing is dispatched.
            return FakeTensor(self.mode, _made(sizes, strides, dtype, _META), _CPU)
        with self.mode:
            return _made(sizes, strides, dtype, _CPU)

    def _size(self, dimension: Dimension) -> Any:
        if isinstance(dimension, int):
            return dimension
        value = evaluate(dimension, self.hints)
        if value is None:
            return self._unbacked_int(dimension)
        if self._symbolic and not is_literal(dimension):
            return self._symbol(dimension)
        return int(value)

    def _symbol(self, expression: str) -> Any:
        value = evaluate(expression, self.hints)
        if isinstance(value, bool) or (value is None and is_comparison(expression)):
            truth = sympy.Symbol(expression)
            # Where there is no hint, SymNode looks for the range of the symbol.
            self._shapes.var_to_range.setdefault(truth, ValueRanges.unknown_bool())
            return _wrap(torch.SymBool, SymNode(truth, self._shapes, bool, value))
        literal = is_literal(expression)
        if isinstance(value, float) or (value is None and is_float(expression)):
            number = sympy.Float(value) if literal else sympy.Symbol(expression, real=True)
            if not literal:
                self._shapes.var_to_range.setdefault(number, ValueRanges.unknown())
            return _wrap(torch.SymFloat, SymNode(number, self._shapes, float, value))
        if value is None:
            return self._unbacked_int(expression)
        # An opaque symbol prints as the text does, whatever the text is; no guard is ever taken on it.
        assumption = {"positive": True} if value > 0 else {}
        name = expression if self._symbolic or expression.isidentifier() else f"({expression})"
        symbol = sympy.Integer(value) if literal else sympy.Symbol(name, integer=True, **assumption)
        return _wrap(torch.SymInt, SymNode(symbol, self._shapes, int, value))

    def _unbacked_int(self, expression: str) -> Any:
        """The size that a text with data-dependent symbols stands for: the same symbol is the same in all of them."""
        if expression not in self._unbacked:
            names = symbols_in(expression)
            computed = None if names in ((expression,), ()) else compute(expression, self._looked_up)
            if isinstance(computed, torch.SymInt):
                return computed
            self._unbacked[expression] = symbol = self._shapes.create_unbacked_symint()
            self._texts[str(symbol.node.expr)] = expression
        return self._unbacked[expression]

    def _looked_up(self, name: str) -> Any:
        return self._unbacked_int(name) if is_unbacked(name) else self.hints.of(name)


_META = torch.device("meta")
_CPU = torch.device("cpu")


def _made(
    sizes: Sequence[Any], strides: Sequence[Any] | None, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    if strides is None:
        return torch.empty(sizes, dtype=dtype, device=device)
    return torch.empty_strided(sizes, strides, dtype=dtype, device=device)


def _wrap(kind: Callable[[SymNode], Any], node: SymNode) -> Any:
    return kind(node)


def is_assumed(meta: Metadata, stated: Container[str] = frozenset()) -> bool:
    """Whether the value for a metadata rests on something that the source does not tell.

    That is a hint, a tuple that was inferred, or a tensor subclass (`DTensor`), which is taken for a plain tensor.

    Args:
        meta: what is known of a value.
        stated: symbols of which the source tells the value.
    """
    match meta:
        case TensorMeta(shape=shape, stride=stride, wrapper=wrapper):
            if wrapper not in (None, "Parameter", FUNCTORCH_WRAPPER):
                return True
            return any(isinstance(size, str) and not _is_stated(size, stated) for size in (*shape, *(stride or ())))
        case SymbolMeta(expression):
            return not _is_stated(expression, stated)
        case SequenceMeta(items=items, inferred=inferred):
            return inferred or any(item is not None and is_assumed(item, stated) for item in items)
        case ConstantMeta():
            return False


def _is_stated(expression: str, stated: Container[str]) -> bool:
    if is_literal(expression):
        return True
    names = symbols_in(expression)
    return bool(names) and all(name in stated for name in names)


def is_data_dependent(meta: Metadata | None) -> bool:
    """Whether a size or symbol in a metadata depends on data, so that which one it is matters and no hint tells it."""
    match meta:
        case TensorMeta(shape=shape, stride=stride):
            return any(isinstance(size, str) and _has_unbacked(size) for size in (*shape, *(stride or ())))
        case SymbolMeta(expression):
            return _has_unbacked(expression)
        case SequenceMeta(items=items):
            return any(map(is_data_dependent, items))
    return False


def _has_unbacked(expression: str) -> bool:
    return any(map(is_unbacked, symbols_in(expression)))


def metadata_of(value: Any, text_of: Callable[[str], str] = str) -> Metadata | None:
    """The metadata of a value that a fake run returned; None for a value that has none, such as None or a stream.

    Args:
        value: what an op returned.
        text_of: gives a symbolic expression's text.
    """
    if isinstance(value, torch.Tensor):
        abbreviation = dtype_abbrs.get(value.dtype)
        if abbreviation is None or value.layout is not torch.strided:
            return None
        shape = tuple([size if type(size) is int else _dimension(size, text_of) for size in value.shape])
        stride = None if _is_contiguous(value) else tuple(_dimension(step, text_of) for step in value.stride())
        return TensorMeta(abbreviation, shape, stride, None, None, value.requires_grad)
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return SymbolMeta(_text(value, text_of))
    if isinstance(value, torch.Size):
        return SequenceMeta("size", tuple(_element_of(item, text_of) for item in value))
    if isinstance(value, (tuple, list)):
        kind = "list" if isinstance(value, list) else "tuple"
        return SequenceMeta(kind, tuple(_element_of(item, text_of) for item in value))
    if isinstance(value, (bool, int, float, complex, str)):
        return ConstantMeta(value)
    if isinstance(value, torch.dtype):
        return ConstantMeta(Global(str(value)))
    if isinstance(value, torch.device):
        return ConstantMeta(Construct("device", (str(value),), ()))
    return None


def _element_of(value: Any, text_of: Callable[[str], str]) -> Metadata | None:
    return ConstantMeta(None) if value is None else metadata_of(value, text_of)


def _is_contiguous(tensor: torch.Tensor) -> bool:
    """Whether it is, as far as data-dependent sizes let torch tell."""
    try:
        return tensor.is_contiguous()
    except RuntimeError:
        return True


def _text(value: Any, text_of: Callable[[str], str]) -> str:
    expression = value.node.expr
    if expression.is_Float:
        return repr(float(expression))
    if expression.is_Symbol and str(expression).startswith("("):
        return str(expression)[1:-1]
    return text_of(str(expression))


def _dimension(size: Any, text_of: Callable[[str], str]) -> Dimension:
    return size if isinstance(size, int) else text_of(str(size.node.expr))
