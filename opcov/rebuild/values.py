"""Turns metadata, which is plain data, into example values (fake tensors, symbols with hints), and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.sym_node import SymNode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.fx.graph import dtype_abbrs  # type: ignore[attr-defined]  # here in every torch; its own module is newer

from opcov.graph import ConstantMeta, Construct, Dimension, Global, Metadata, SequenceMeta, SymbolMeta, TensorMeta
from opcov.rebuild.arguments import NoValue, plain_value
from opcov.rebuild.symbols import evaluate, is_comparison, is_float, is_literal

FUNCTORCH_WRAPPER = "functorch"
"""`TensorMeta.wrapper` of a value that functorch wraps, between a vmap's or grad's enter and exit."""

_DTYPES: dict[str, torch.dtype] = {abbreviation: dtype for dtype, abbreviation in dtype_abbrs.items()}
_MAX_ELEMENTS = 2**62


class Values:
    """Makes example values: fake tensors on CPU, symbols with hints.

    One FakeTensorMode serves all; a shared value is made once per metadata, so nobody may change it in place.
    """

    def __init__(self, *, symbolic: bool = False) -> None:
        """Starts without values.

        Args:
            symbolic: whether a symbolic size becomes a SymInt that prints as in the text, as a user wants to see it,
                or its hint, which is what Thunder's check looks at and costs less.
        """
        self._shapes = ShapeEnv()
        self.mode = FakeTensorMode(shape_env=self._shapes, allow_non_fake_inputs=True)
        self._symbolic = symbolic
        self._shared: dict[Metadata, Any] = {}
        self._unbacked: dict[str, torch.SymInt] = {}

    def shared(self, meta: Metadata) -> Any:
        """The value for a metadata, made at most once.

        Raises:
            NoValue: none can be made.
        """
        if meta not in self._shared:
            self._shared[meta] = self.fresh(meta)
        return self._shared[meta]

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

    def _element(self, meta: Metadata | None) -> Any:
        if meta is None:
            raise NoValue("an element of it is not known")
        return self.fresh(meta)

    def _tensor(self, meta: TensorMeta) -> torch.Tensor:
        dtype = _DTYPES.get(meta.dtype)
        if dtype is None:
            raise NoValue(f"torch {torch.__version__} has no dtype {meta.dtype}")
        if meta.wrapper == FUNCTORCH_WRAPPER:
            # Thunder's check sees such a value as a plain torch.Tensor, which requires grad under grad.
            return torch.empty([0], dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)
        sizes = [self._size(dimension) for dimension in meta.shape]
        if math.prod(size for size in sizes if isinstance(size, int)) > _MAX_ELEMENTS:
            raise NoValue(f"{meta} has more elements than torch can count")
        try:
            with self.mode:
                if meta.stride is None:
                    tensor = torch.empty(sizes, dtype=dtype, device="cpu")
                else:
                    strides = [self._size(stride) for stride in meta.stride]
                    tensor = torch.empty_strided(sizes, strides, dtype=dtype, device="cpu")
        except Exception as error:
            raise NoValue(f"torch makes no tensor of {meta}: {error}") from error
        if meta.requires_grad and (dtype.is_floating_point or dtype.is_complex):
            tensor.requires_grad_()
        return tensor

    def _size(self, dimension: Dimension) -> Any:
        if isinstance(dimension, int):
            return dimension
        value = evaluate(dimension)
        if value is None:
            return self._unbacked_int(dimension)
        if self._symbolic and not is_literal(dimension):
            return self._symbol(dimension)
        return int(value)

    def _symbol(self, expression: str) -> Any:
        value = evaluate(expression)
        if isinstance(value, bool) or (value is None and is_comparison(expression)):
            return _wrap(torch.SymBool, SymNode(sympy.Symbol(expression), self._shapes, bool, value))
        if isinstance(value, float) or (value is None and is_float(expression)):
            return _wrap(torch.SymFloat, SymNode(sympy.Symbol(expression, real=True), self._shapes, float, value))
        if value is None:
            return self._unbacked_int(expression)
        # An opaque symbol prints as the text does, whatever the text is; no guard is ever taken on it.
        assumption = {"positive": True} if value > 0 else {}
        symbol = sympy.Symbol(expression, integer=True, **assumption)
        return _wrap(torch.SymInt, SymNode(symbol, self._shapes, int, value))

    def _unbacked_int(self, expression: str) -> torch.SymInt:
        if expression not in self._unbacked:
            self._unbacked[expression] = self._shapes.create_unbacked_symint()
        return self._unbacked[expression]


def _wrap(kind: Callable[[SymNode], Any], node: SymNode) -> Any:
    return kind(node)


def is_assumed(meta: Metadata) -> bool:
    """Whether the value for a metadata rests on something that the text does not print: a hint, an inferred tuple."""
    match meta:
        case TensorMeta(shape=shape, stride=stride):
            return any(isinstance(dimension, str) for dimension in (*shape, *(stride or ())))
        case SymbolMeta(expression):
            return not is_literal(expression)
        case SequenceMeta(items=items, inferred=inferred):
            return inferred or any(item is not None and is_assumed(item) for item in items)
        case ConstantMeta():
            return False


def metadata_of(value: Any) -> Metadata | None:
    """The metadata of a value that a fake run returned; None for a value that has none, such as None or a stream."""
    if isinstance(value, torch.Tensor):
        abbreviation = dtype_abbrs.get(value.dtype)
        if abbreviation is None or value.layout is not torch.strided:
            return None
        shape = tuple(_dimension(size) for size in value.shape)
        stride = None if value.is_contiguous() else tuple(_dimension(step) for step in value.stride())
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
