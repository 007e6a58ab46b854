"""Signatures from memory bind as those of `inspect` do, and the module gets `inspect` back."""

from __future__ import annotations

import inspect
import itertools
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from opcov.registries.thunder_import import import_thunder
from opcov.registries.thunder_signatures import Quick, Signatures


def plain(a: Any, b: Any = 2, *, c: Any = 3, d: Any) -> None: ...
def unnamed(a: Any, /, b: Any = 2, c: Any = 3) -> None: ...
def further(a: Any, b: Any = 2, *more: Any, c: Any = 3) -> None: ...
def any_name(a: Any, **names: Any) -> None: ...
def nothing() -> None: ...


def bound(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """All that a caller can see of a binding, before and after the defaults; or how it was refused."""
    try:
        found = signature.bind(*args, **kwargs)
    except TypeError as error:
        return str(error)
    before = (found.args, found.kwargs, list(found.arguments.items()))
    found.apply_defaults()
    return before, found.args, found.kwargs, list(found.arguments.items()), found.signature


@pytest.mark.parametrize("function", [plain, unnamed, further, any_name, nothing])
def test_arguments_are_bound_as_inspect_binds_them(function: Callable[..., Any]) -> None:
    real = inspect.signature(function)
    quick = Quick.like(real)
    assert quick == real
    for count, names in itertools.product(
        range(5), itertools.chain.from_iterable(itertools.combinations("abcdx", size) for size in range(4))
    ):
        args, kwargs = tuple(range(count)), {name: f"<{name}>" for name in names}
        assert bound(quick, args, kwargs) == bound(real, args, kwargs), (args, kwargs)


def test_symbols_of_thunder_have_signatures_that_are_bound_quickly() -> None:
    import_thunder()
    symbols = vars(sys.modules["thunder.torch"]).values()
    metas = [value.meta for value in symbols if type(value).__name__ == "Symbol" and value.meta is not None]
    kept = Signatures()
    found = [kept.signature(meta) for meta in metas]
    assert found == [inspect.signature(meta) for meta in metas]
    named = [each for each in found if all(part.kind is not part.VAR_KEYWORD for part in each.parameters.values())]
    assert len(named) > 300
    assert all(isinstance(signature, Quick) for signature in named)


def test_signature_is_looked_up_once() -> None:
    kept = Signatures()
    assert kept.signature(plain) is kept.signature(plain)


def test_everything_else_of_inspect_is_there() -> None:
    assert Signatures().getmodule is inspect.getmodule
    assert Signatures().signature(plain, follow_wrapped=False) == inspect.signature(plain)


def test_module_has_inspect_again_after_an_error() -> None:
    module = types.ModuleType("symbols")
    module.inspect = inspect  # type: ignore[attr-defined]
    kept = Signatures()
    with pytest.raises(ValueError, match="in the check"), kept.used_by(module):
        assert module.inspect is kept
        raise ValueError("in the check")
    assert module.inspect is inspect


def test_module_keeps_what_another_thread_has_put_there() -> None:
    module = types.ModuleType("symbols")
    module.inspect = inspect  # type: ignore[attr-defined]
    first, second = Signatures(), Signatures()
    with first.used_by(module):
        with second.used_by(module):
            assert module.inspect is first
        assert module.inspect is first
    assert module.inspect is inspect


def test_module_without_inspect_is_left_alone() -> None:
    module = types.ModuleType("symbols")
    with Signatures().used_by(module), Signatures().used_by(None):
        assert not hasattr(module, "inspect")
