"""Imports lightning-thunder on torch releases that have removed names which it refers to.

lightning-thunder up to 0.2.6 reads, while it is imported, attributes that newer torch no longer has. Only their
existence matters: Thunder puts them into tables of torch functions, and a function that torch removed cannot occur in a
graph of that torch. `import_thunder` therefore places stand-ins, imports, and takes the stand-ins away again.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from opcov.problems import RegistryError

OLDEST_TORCH = "2.7.1"
"""The oldest torch that lightning-thunder 0.2.6 accepts."""

NEXT_TORCH = "2.16"
"""The first torch release for which `STAND_INS` is not known to be complete."""

TESTED_THUNDER = ("0.2.3", "0.2.4", "0.2.5", "0.2.6")


def function_named(_lost: Any, name: str) -> Any:
    """A function with a true `__name__`: Thunder derives the names of its fallback symbols from it."""

    def removed_from_torch(*_args: Any, **_kwargs: Any) -> Any:
        raise NotImplementedError(f"{name} does not exist in this torch release")

    removed_from_torch.__name__ = name
    removed_from_torch.__qualname__ = name
    return removed_from_torch


def bound_python_method(method: Any, name: str) -> Any:
    """A class method in Python around a built-in one, so that it has the `__func__` which built-in methods lack."""

    def call(cls: type, *args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    call.__name__ = name
    return classmethod(call)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A name that lightning-thunder reads on import and that some torch release no longer has.

    Attributes:
        owner: dotted path, from `torch`, of the object that holds (or lost) the attribute.
        name: the attribute to place.
        lacks: the dotted path, from `owner`, whose absence calls for the stand-in.
        reason: who reads it, and since which torch it is gone.
        make: builds what is placed, from what is there now (None where nothing is) and the name.
    """

    owner: str
    name: str
    lacks: str
    reason: str
    make: Callable[[Any, str], Any]


_NAMED_TENSORS = "read by thunder.torch.default_torch_ops as an automatic fallback; named tensors left torch in 2.13"

STAND_INS = (
    StandIn("torch.Tensor", "align_as", "align_as", _NAMED_TENSORS, function_named),
    StandIn("torch.Tensor", "align_to", "align_to", _NAMED_TENSORS, function_named),
    StandIn("torch.Tensor", "has_names", "has_names", _NAMED_TENSORS, function_named),
    StandIn("torch.Tensor", "refine_names", "refine_names", _NAMED_TENSORS, function_named),
    StandIn("torch.Tensor", "rename", "rename", _NAMED_TENSORS, function_named),
    StandIn(
        "torch.autograd.function.Function",
        "apply",
        "apply.__func__",
        "read by thunder.core.jit_ext to look aside autograd functions; built-in, so without __func__, by torch 2.15",
        bound_python_method,
    ),
)
"""Everything that any tested lightning-thunder needs on any torch from `OLDEST_TORCH` up to, not with, `NEXT_TORCH`."""


def import_thunder() -> ModuleType:
    """Imports lightning-thunder, with `thunder.dynamo`'s splitter, and leaves torch as it was.

    The first call takes about a second beyond torch's own import; later ones return at once.

    Returns:
        The top-level module `thunder`; `thunder.dynamo.utils` and `thunder.dynamo.splitter` are loaded.

    Raises:
        RegistryError: lightning-thunder is absent or cannot be imported with the installed torch. The message names
            both versions and what to install.
    """
    already = sys.modules.get("thunder")
    if already is not None and "thunder.dynamo.splitter" in sys.modules:
        return already
    try:
        import torch
    except ImportError as error:
        raise RegistryError(f"torch cannot be imported ({error}); install it with: {_advice()}") from error
    try:
        with stand_ins(torch), warnings.catch_warnings():
            # Optional executors (TransformerEngine, nvFuser) announce their absence; it has no bearing on verdicts.
            warnings.simplefilter("ignore")
            thunder = importlib.import_module("thunder")
            importlib.import_module("thunder.dynamo.splitter")
    except Exception as error:
        for name in [name for name in sys.modules if name.partition(".")[0] == "thunder"]:
            del sys.modules[name]
        raise RegistryError(_failure(torch.__version__, error)) from error
    return thunder


@contextmanager
def stand_ins(torch: ModuleType) -> Iterator[None]:
    """Places each of `STAND_INS` that the given torch needs, and takes them away on leaving, also after an error."""
    placed: list[tuple[Any, str, Any]] = []
    try:
        for entry in STAND_INS:
            owner = _resolve(torch, entry.owner.split(".")[1:])
            if owner is None or _resolve(owner, entry.lacks.split(".")) is not None:
                continue
            own = vars(owner).get(entry.name, _ABSENT)
            setattr(owner, entry.name, entry.make(getattr(owner, entry.name, None), entry.name))
            placed.append((owner, entry.name, own))
        yield
    finally:
        for owner, name, own in reversed(placed):
            if own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)


_ABSENT = object()


def _resolve(start: Any, path: list[str]) -> Any:
    for name in path:
        start = getattr(start, name, None)
        if start is None:
            return None
    return start


def _failure(torch_version: str, error: Exception) -> str:
    try:
        thunder_version = importlib.metadata.version("lightning-thunder")
    except importlib.metadata.PackageNotFoundError:
        if isinstance(error, ModuleNotFoundError) and error.name == "thunder":
            return f"lightning-thunder is not installed (torch is {torch_version}); install it with: {_advice()}"
        thunder_version = "of an unknown version (a source checkout?)"
    what = " ".join(str(error).split())
    return (
        f"lightning-thunder {thunder_version} cannot be imported with torch {torch_version}: "
        f"{type(error).__name__}: {what}. Tested are lightning-thunder {TESTED_THUNDER[0]} to {TESTED_THUNDER[-1]} "
        f"with torch from {OLDEST_TORCH} up to, not with, {NEXT_TORCH}; install such a pair with: {_advice()}"
    )


def _advice() -> str:
    return f'pip install "lightning-thunder=={TESTED_THUNDER[-1]}" "torch>={OLDEST_TORCH},<{NEXT_TORCH}"'
