"""Decides which targets may be run on fake tensors: those that compute on tensors and numbers and do nothing else."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from opcov.graph import Kind, Node
from opcov.rebuild.names import ATEN_NAMESPACES, PURE_BUILTINS, is_missing, resolve_function

_COMPOSITES = ("torch.functional.", "torch.nn.functional.")
"""Modules of Python functions that only call tensor ops."""

_COMPOSITE_MODULES = frozenset({"torch.functional", "torch.nn.functional", "torch._tensor", "torch", "torch._VF"})

_REFUSED_METHODS = frozenset(
    {"requires_grad_", "retain_grad", "set_", "set_data", "backward", "resize_", "record_stream"}
)
"""Methods that change what autograd, memory or a stream know of a tensor."""


_CASTS = frozenset(
    "bfloat16 bool byte cdouble cfloat char double float half int long short type unique ndimension nelement dim_order "
    "new_tensor".split()
)
"""Methods without an ATen op of their name that only compute."""

_ARITHMETIC = frozenset("add and floordiv lshift matmul mod mul or pow rshift sub truediv xor".split())
_OPERATORS = _ARITHMETIC | frozenset("abs eq ge getitem gt invert le lt ne neg pos".split())
"""What Python calls methods of for `x + y`, `-x`, `x[y]`."""

_TO_DEVICE = frozenset({"cuda", "xpu", "hpu", "ipu", "mtia"})
"""Methods that copy to a device, which a fake tensor need not."""

_IN_PLACE_NAMES = frozenset(
    "iadd iand iconcat ifloordiv ilshift imatmul imod imul ior ipow irshift isub itruediv ixor setitem".split()
)


def changes_first_argument(node: Node) -> bool:
    """Whether a call changes its first argument, or one given as `out`, in place, as far as its name tells."""
    name = node.op.removesuffix(".default").rpartition(".")[2]
    return (
        (name in _IN_PLACE_NAMES and node.op.startswith("operator."))
        or (name.endswith("_") and not name.endswith("__"))
        or (name.startswith("__") and name[2:-2] in _IN_PLACE_NAMES)
        or any(key == "out" or (key == "inplace" and value is not False) for key, value in node.kwargs)
    )


def is_symbolic(node: Node) -> bool:
    """Whether a call computes on numbers as well, so that a symbol goes in and a symbol comes out."""
    return node.op.startswith(("operator.", "math.", "torch.sym_")) or node.op in PURE_BUILTINS


def runnable(node: Node) -> Callable[..., Any] | None:
    """The function to call for a node on fake tensors, None if it might do more than compute.

    Only tensor ops, Python functions made of them, operators and attribute reads are; never anything that sets a mode,
    a seed or a stream.
    """
    if node.kind is Kind.CALL_METHOD:
        return _runnable_method(node.target)
    if node.kind is not Kind.CALL_FUNCTION:
        return None
    if node.target == "getattr":
        attribute = node.args[1] if len(node.args) == 2 else None
        return getattr if isinstance(attribute, str) and not attribute.startswith("_") else None
    return _runnable_function(node.op)


@cache
def _runnable_method(name: str) -> Callable[..., Any] | None:
    if name in _TO_DEVICE:
        return _stay
    is_known = name in _CASTS or is_operator_method(name) or (name[0] != "_" and computes_on_tensors(name))
    if name in _REFUSED_METHODS or not is_known:
        return None
    method: Callable[..., Any] | None = getattr(torch.Tensor, name, None)
    return method


def is_operator_method(name: str) -> bool:
    """Whether a method is an operator's: `__eq__`, `__radd__` with its operands exchanged, `__iadd__` in place."""
    inner = name[2:-2]
    return name == f"__{inner}__" and (inner in _OPERATORS or (inner[:1] in ("r", "i") and inner[1:] in _ARITHMETIC))


def _stay(tensor: torch.Tensor, *_args: Any, **_kwargs: Any) -> torch.Tensor:
    return tensor.view_as(tensor)


@cache
def _runnable_function(op: str) -> Callable[..., Any] | None:
    target = resolve_function(op)
    if is_missing(target):
        return None
    if isinstance(target, torch._ops.OpOverload):
        return target if target.namespace in ("aten", "prims") and _has_tensor(target) else None
    if isinstance(target, torch._ops.OpOverloadPacket):
        namespace, _, name = target._qualified_op_name.partition("::")
        return target if namespace == "aten" and computes_on_tensors(name) else None
    if isinstance(target, types.BuiltinFunctionType):
        return target if is_operator(target) or is_aten_binding(op) else None
    if not isinstance(target, types.FunctionType) or target.__module__ not in _COMPOSITE_MODULES:
        return None
    return target if op.startswith((*_COMPOSITES, "torch.sym_")) or _is_torch_function(op, target) else None


def _is_torch_function(op: str, function: Callable[..., Any]) -> bool:
    return op.count(".") == 1 and function in _overridable()


@cache
def _overridable() -> frozenset[Callable[..., Any]]:
    """Functions of tensors: what `torch.overrides` lets tensor subclasses override."""
    return frozenset(torch.overrides.get_testing_overrides()) - frozenset(torch.overrides.get_ignored_functions())


def is_operator(function: object) -> bool:
    """Whether a built-in function is one of `operator` or `math`."""
    return getattr(function, "__module__", None) in ("_operator", "math")


@cache
def is_aten_binding(op: str) -> bool:
    """Whether the built-in function that an op names is the binding of an ATen op on tensors."""
    namespace, _, name = op.rpartition(".")
    return (namespace in ATEN_NAMESPACES or namespace == "torch.nn.functional") and computes_on_tensors(name)


@cache
def computes_on_tensors(name: str) -> bool:
    """Whether an ATen op takes or returns a tensor. Those that do not set seeds and modes, print, or save files."""
    packet = getattr(torch.ops.aten, name, None)
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return False
    return any(_has_tensor(getattr(packet, overload)) for overload in packet.overloads())  # type: ignore[no-untyped-call]


def _has_tensor(overload: torch._ops.OpOverload) -> bool:
    schema = overload._schema
    return any("Tensor" in str(part.type) for part in (*schema.arguments, *schema.returns))
