"""Resolves printed names to Python objects, through an allow-list of namespaces.

A name in a dump is data. It may only ever lead to torch's own functions, types and constants, to the operators and the
functions of `math`, and to a few builtins without effects; everything else becomes a placeholder that has the name and
does nothing.
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

ATEN_NAMESPACES = frozenset(
    {
        "torch",
        "torch._C._nn",
        "torch._C._fft",
        "torch._C._linalg",
        "torch._C._special",
        "torch._C._sparse",
        "torch._C._nested",
    }
)
"""Modules of built-in functions that are bindings of ATen ops."""

_OPERATORS = frozenset(operator.__all__) - {"attrgetter", "itemgetter", "methodcaller", "call"}
"""What computes. The others make functions or call one."""

_MATH = frozenset(name for name in dir(math) if isinstance(getattr(math, name), types.BuiltinFunctionType))

_ALLOWED_C_FUNCTIONS = frozenset(
    {
        "torch._C._set_grad_enabled",
        "torch._C._log_api_usage_once",
        "torch._C._autograd._get_data_attr",
    }
)
_FUNCTORCH = "torch._C._functorch."
_REFUSED = frozenset({"torch.from_file", "torch.load", "torch.save", "torch.import_ir_module"})
_CONSTANTS = (torch.dtype, torch.layout, torch.memory_format, torch.device, bool, int, float)


def is_dotted_name(name: str) -> bool:
    """Whether a text is one or more identifiers with dots between them, and so safe to print into code."""
    return all(part.isidentifier() for part in name.split("."))


@lru_cache(maxsize=65536)
def resolve_function(op: str) -> Callable[..., Any]:
    """The function that a canonical op names, or a placeholder of that name.

    Args:
        op: as `Node.op` or the target of a call_function: `operator.add`, `torch._C._nn.linear`, `max`.
    """
    found: Any = None
    root, _, rest = op.partition(".")
    if root == "operator":
        found = getattr(operator, rest) if rest in _OPERATORS else None
    elif root == "math":
        found = getattr(math, rest) if rest in _MATH else None
    elif op in PURE_BUILTINS:
        found = getattr(builtins, op)
    else:
        found = resolve_torch(op)
    return found if callable(found) else missing_function(op)


@lru_cache(maxsize=65536)
def resolve_torch(dotted: str) -> Any:
    """The object below `torch` that a dotted name leads to; None where there is none or the way leaves torch."""
    root, *parts = dotted.split(".")
    if root != "torch" or dotted in _REFUSED or (parts[:1] == ["_C"] and not _is_allowed_c_function(dotted)):
        return None
    found: Any = torch
    for part in parts:
        if part.startswith("__"):
            return None
        if isinstance(found, types.ModuleType) and not _leads_on(found, part):
            return None
        try:
            found = getattr(found, part)
        except Exception:  # noqa: BLE001 - torch.ops raises errors of several kinds for a name that it does not know
            return None
    return found if _belongs_to_torch(found) else None


def _leads_on(module: types.ModuleType, part: str) -> bool:
    """Whether a module of torch has a name itself, without importing anything for it."""
    if module.__name__.startswith("torch.ops"):
        return True  # the registry of ops, which looks a name up when it is asked for it
    return module.__name__.partition(".")[0] in ("torch", "functorch") and part in vars(module)


def _is_allowed_c_function(dotted: str) -> bool:
    return (
        dotted in _ALLOWED_C_FUNCTIONS or dotted.rpartition(".")[0] in ATEN_NAMESPACES or dotted.startswith(_FUNCTORCH)
    )


def _belongs_to_torch(found: object) -> bool:
    if isinstance(found, _CONSTANTS):
        return True
    if isinstance(found, (types.MethodDescriptorType, types.BuiltinFunctionType)):
        module = getattr(found, "__module__", None) or "torch"  # bindings of ATen ops name none
    else:
        module = getattr(found, "__module__", None) or type(found).__module__
    return isinstance(module, str) and module.partition(".")[0] == "torch"


@lru_cache(maxsize=65536)
def missing_function(name: str) -> Callable[..., Any]:
    """A function that prints as the given name and cannot be called: an op that this process does not have."""

    def missing(*_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError(f"{name} does not exist in this process")

    module, _, last = name.rpartition(".")
    if not module and "_" in last[1:]:
        # torch.fx prints the function `f` of module `m` as `m_f`; any module and name that join to it print alike.
        split = last.index("_", 1)
        module, last = last[:split], last[split + 1 :]
    missing.__name__ = missing.__qualname__ = last
    missing.__module__ = module or "builtins"
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
