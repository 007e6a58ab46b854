"""Resolves printed names to Python objects, through an allow-list of namespaces.

A name in a dump is data. It may only ever lead to torch's own functions, types and constants, to `operator` and `math`,
and to a few builtins without effects; everything else becomes a placeholder that has the name and does nothing.
"""

from __future__ import annotations

import builtins
import math
import operator
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from opcov.graph import Kind, Node

PURE_BUILTINS = frozenset(
    "abs all any bool complex dict divmod float getattr int isinstance len list max min pow range reversed round set "
    "slice sorted str sum tuple zip".split()
)
"""Builtins that torch.fx graphs call and that have no effect beyond their result."""

TENSOR_FUNCTION_NAMESPACES = frozenset(
    {"torch", "torch._C._nn", "torch._C._fft", "torch._C._linalg", "torch._C._special", "torch._C._sparse", "torch._C._nested"}
)
"""Modules of built-in functions that are bindings of ATen ops: they compute on tensors and change nothing else."""

_ALLOWED_C_FUNCTIONS = frozenset(
    {
        "torch._C._set_grad_enabled",
        "torch._C._log_api_usage_once",
        "torch._C._autograd._get_data_attr",
    }
)
_REFUSED = frozenset({"torch.from_file", "torch.load", "torch.save", "torch.import_ir_module", "torch.set_printoptions"})
_FUNCTORCH = "torch._C._functorch."


@lru_cache(maxsize=65536)
def resolve_function(op: str) -> Callable[..., Any]:
    """The function that a canonical op names, or a placeholder of that name.

    Args:
        op: as `Node.op` or the target of a call_function: `operator.add`, `torch._C._nn.linear`, `max`.
    """
    found: Any = None
    root, _, rest = op.partition(".")
    if root == "operator" and rest:
        found = getattr(operator, rest, None) if not rest.startswith("attrgetter") else None
    elif root == "math" and rest:
        found = getattr(math, rest, None)
    elif root == "torch" and rest:
        found = resolve_torch(op)
    elif op in PURE_BUILTINS:
        found = getattr(builtins, op)
    return found if callable(found) else missing_function(op)


@lru_cache(maxsize=65536)
def resolve_torch(dotted: str) -> Any:
    """The object below `torch` that a dotted name leads to; None where there is none or the way leaves torch."""
    if dotted in _REFUSED or dotted.startswith("torch._C.") and not _allowed_c_function(dotted):
        return None
    found: Any = torch
    for part in dotted.split(".")[1:]:
        if part.startswith("__"):
            return None
        try:
            found = getattr(found, part)
        except Exception:  # torch.ops raises errors of several kinds for a name that it does not know
            return None
        if isinstance(found, types.ModuleType) and found.__name__.partition(".")[0] not in ("torch", "functorch"):
            if not isinstance(found, (torch._ops._OpNamespace, torch._ops._Ops)):
                return None
    return found if _belongs_to_torch(found) else None


def _allowed_c_function(dotted: str) -> bool:
    return (
        dotted in _ALLOWED_C_FUNCTIONS
        or dotted.rpartition(".")[0] in TENSOR_FUNCTION_NAMESPACES
        or dotted.startswith(_FUNCTORCH)
    )


def _belongs_to_torch(found: object) -> bool:
    if isinstance(found, (torch.dtype, torch.layout, torch.memory_format, torch.device, bool, int, float)):
        return True
    module = getattr(found, "__module__", None) or getattr(type(found), "__module__", "") or ""
    return module.partition(".")[0] == "torch" or isinstance(found, (types.MethodDescriptorType, types.BuiltinFunctionType))


@lru_cache(maxsize=65536)
def missing_function(name: str) -> Callable[..., Any]:
    """A function with the given name that cannot be called: the target of an op that this process does not have."""

    def missing(*_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError(f"{name} does not exist in this process")

    missing.__name__ = name.rpartition(".")[2]
    missing.__qualname__ = missing.__name__
    missing.__module__ = name.rpartition(".")[0]
    missing.opcov_missing = True  # type: ignore[attr-defined]
    return missing


def is_missing(function: object) -> bool:
    """Whether a target is a placeholder of `missing_function`."""
    return getattr(function, "opcov_missing", False) is True


def fx_target(node: Node) -> str | Callable[..., Any]:
    """What torch.fx holds as the target of a node: a string, or for a call_function the function."""
    if node.kind is not Kind.CALL_FUNCTION:
        return node.target
    return resolve_function(node.target if node.target == "getattr" else node.op)
