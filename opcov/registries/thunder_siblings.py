"""Other names of an op that Thunder may know it by: spellings of one computation, from torch's names and docstrings.

Two ops are siblings where they have one name in namespaces that torch keeps in step (function, method, functional,
ATen), where one is documented as alias of the other, as its in-place or out-of-place version, or where Python has a
function and a method for one operator. What only looks alike is none: `torch.linalg.qr` is not `torch.qr`.
"""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch

from opcov.rebuild.names import is_missing, resolve_function, resolve_torch

_METHODS = "torch.Tensor"
_OVERLOADS = "torch.ops.aten"
_OPERATORS = "operator"
_FUNCTIONS = (
    "torch",
    "torch.functional",
    "torch.nn.functional",
    "torch._C._nn",
    "torch._C._special",
    "torch._C._linalg",
    "torch._C._fft",
)
_PUBLIC = {"torch.special": "torch._C._special", "torch.linalg": "torch._C._linalg", "torch.fft": "torch._C._fft"}
"""Modules whose functions print under another name: `torch.special.expit` as `torch._C._special.special_expit`."""

_ALIAS = re.compile(r"^\s*Alias (?:for|of) :(?:func|meth|attr):`(?P<name>[^`]+)`\.?\s*$", re.MULTILINE)
_IN_PLACE = re.compile(r"\bIn-?place version of\b", re.IGNORECASE)
_OUT_OF_PLACE = re.compile(r"\bOut-of-place version of\b", re.IGNORECASE)
_SYMBOL = re.compile(r"Same as (?:[-+~]a|a [^\w\s]+ b|abs\(a\))\.")
"""How `operator` documents what computes on numbers, unlike what works on sequences or asks an object."""


def registered_siblings(op: str, is_registered: Callable[[str], bool]) -> tuple[str, ...]:
    """The siblings of an op that are registered, sorted; none where the op itself is, as no alias helps it.

    An op that returns a new tensor has in-place siblings only where it has no others, as none of them can stand for it.

    Args:
        op: a canonical name.
        is_registered: whether a judge has an operation of its own for the op of a canonical name.
    """
    if is_registered(op):
        return ()
    found = tuple(name for name in spellings(op) if is_registered(name))
    others = () if _is_in_place(op) else tuple(name for name in found if not _is_in_place(name))
    return others or found


def _is_in_place(op: str) -> bool:
    namespace, name = _taken_apart(op)
    stem = _stem(namespace, name)
    if stem.startswith("__"):
        return any(other.startswith("__") and stem == f"__i{other[2:]}" for other in _links().get(stem, ()))
    return stem.endswith("_")


@lru_cache(maxsize=4096)
def spellings(op: str) -> tuple[str, ...]:
    """Canonical names of all that torch has for the computation of an op, sorted, without the op.

    Args:
        op: a canonical name; one of no namespace of torch has none.

    >>> [name for name in spellings("torch.concat") if name.startswith("torch.c")]
    ['torch.cat', 'torch.concatenate']
    """
    namespace, name = _taken_apart(op)
    if not name:
        return ()
    own = _resolve(op)
    found = {
        _canonical(place, other)
        for stem in _stems(namespace, name)
        for place, other in _places(stem)
        if _resolve(f"{place}.{other}") not in (None, own) and not _only_look_alike(op, f"{place}.{other}")
    }
    return tuple(sorted(found - {op}))


def _taken_apart(op: str) -> tuple[str, str]:
    """Namespace and name of an op, without its overload; no name where the namespace is none of those compared."""
    if op.startswith(f"{_OVERLOADS}."):
        return _OVERLOADS, op.split(".")[3]
    namespace, _, name = op.rpartition(".")
    if namespace in _PUBLIC:
        return _taken_apart(_canonical(namespace, name))
    known = namespace in (_METHODS, _OPERATORS, *_FUNCTIONS)
    return (namespace, name) if known else ("", "")


def _stems(namespace: str, name: str) -> set[str]:
    """Names of one computation: those that the given one is linked to, over any number of links."""
    stems: set[str] = set()
    waiting = [_stem(namespace, name)]
    while waiting:
        stem = waiting.pop()
        if stem not in stems:
            stems.add(stem)
            waiting += _links().get(stem, ())
    return stems


def _stem(namespace: str, name: str) -> str:
    """A name as it is compared: operators and Python's methods for them as `__and__`."""
    return f"__{name.strip('_')}__" if namespace == _OPERATORS else name


def _places(stem: str) -> Iterator[tuple[str, str]]:
    """Where a stem may be found."""
    yield _METHODS, stem
    if stem.startswith("__"):
        yield _OPERATORS, stem.strip("_")
        yield _OPERATORS, f"{stem.strip('_')}_"
        return
    for namespace in (*_FUNCTIONS, _OVERLOADS):
        yield namespace, stem


@lru_cache(maxsize=1)
def _links() -> dict[str, list[str]]:
    """For each name those of the same computation, as torch and Python document it."""
    links: dict[str, set[str]] = {}

    def link(one: str, other: str) -> None:
        links.setdefault(one, set()).add(other)
        links.setdefault(other, set()).add(one)

    for namespace in (_METHODS, *_FUNCTIONS, *_PUBLIC):
        owner = torch.Tensor if namespace == _METHODS else _module(namespace)
        for name in dir(owner):
            function = None if name.startswith("_") else _resolve(f"{namespace}.{name}")
            if function is None:
                continue
            document = function.__doc__ or ""
            own = _canonical(namespace, name).rpartition(".")[2]
            for alias in _ALIAS.finditer(document):
                target = _aliased(alias["name"], namespace)
                if target:
                    link(own, target)
            if name.endswith("_") and _is_in_place_form(namespace, name, document):
                link(own, own[:-1])
    for name in operator.__all__:
        stem = _stem(_OPERATORS, name)
        if _SYMBOL.fullmatch(getattr(operator, name).__doc__ or "") and hasattr(torch.Tensor, name):
            link(stem, name)
        if name.startswith("i") and any(hasattr(operator, other) for other in (name[1:], f"{name[1:]}_")):
            link(stem, _stem(_OPERATORS, name[1:]))
    return {name: sorted(others) for name, others in sorted(links.items())}


def _is_in_place_form(namespace: str, name: str, document: str) -> bool:
    """Whether `name_` is `name` in place: random fills, for one, are not."""
    other = _resolve(f"{namespace}.{name[:-1]}") or _resolve(f"torch.{name[:-1]}")
    if other is None:
        return False
    return bool(not document or _IN_PLACE.search(document) or _OUT_OF_PLACE.search(other.__doc__ or ""))


def _only_look_alike(one: str, other: str) -> bool:
    """Whether a function of `torch.nn.functional` has a name for something else: `unfold` is no method's `unfold`."""
    if one.rpartition(".")[2] != other.rpartition(".")[2]:
        return False
    if one.startswith(_NEURAL) is other.startswith(_NEURAL):
        return False
    parameters, others = _parameters(one), _parameters(other)
    return bool(parameters and others) and parameters.isdisjoint(others)


_NEURAL = "torch.nn.functional."
_HEAD = re.compile(r"\s*\w+\((?P<parameters>[^()]*)\)")


def _parameters(op: str) -> frozenset[str]:
    """Names of the parameters but the first tensor, as far as a signature or a docstring tells them."""
    function: Any = _resolve(op)
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # what is written in C has none
        head = _HEAD.match(getattr(function, "__doc__", None) or "")
        names = re.findall(r"(?:^|,)\s*(\w+)", head["parameters"]) if head else []
    return frozenset(names) - {"input", "self", "out", "args", "kwargs"}


def _aliased(reference: str, namespace: str) -> str:
    """The name that a reference in a docstring leads to, "" where it leads nowhere: `torch.abs`, `~Tensor.clamp`."""
    path = reference.lstrip("~").partition("(")[0].strip()
    for place in ("", "torch.", f"{namespace}."):
        if _resolve(f"{place}{path}") is not None:
            return _canonical(*f"{place}{path}".rpartition(".")[::2]).rpartition(".")[2]
    return ""


def _module(name: str) -> Any:
    """A module of torch by its name; attributes are read one by one, nothing is imported."""
    found: Any = torch
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


def _canonical(namespace: str, name: str) -> str:
    """The name under which torch.fx prints what is found in a place."""
    function = _resolve(f"{namespace}.{name}")
    if namespace in (_METHODS, _OPERATORS, _OVERLOADS) or function is None:
        return f"{namespace}.{name}"
    printed = f"{getattr(function, '__module__', None) or 'torch'}.{getattr(function, '__name__', name)}"
    return printed if _resolve(printed) is function else f"{namespace}.{name}"


@lru_cache(maxsize=16384)
def _resolve(op: str) -> Callable[..., Any] | None:
    """What an op names in this process, through the allow-list; methods of Python's operators too."""
    namespace, _, name = op.rpartition(".")
    if namespace == _METHODS and name.startswith("__") and name.endswith("__"):
        found = getattr(torch.Tensor, name, None)
        return found if callable(found) and hasattr(operator, name) else None
    if namespace == _OPERATORS:
        found = resolve_function(op)
        return None if is_missing(found) else found
    found = resolve_torch(op)
    return found if callable(found) and not isinstance(found, type) else None
