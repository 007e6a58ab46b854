"""Lets Thunder's check read the signature of each of its symbols once: that is a quarter of the check's time.

A `Symbol` asks `inspect.signature(meta).bind(...)` at each call of it, for a function that never changes. Here it gets
the same answer from memory. Only the name `inspect` in the module of `Symbol` is exchanged, only while a question is
asked, and whatever is not plain is left to the real `inspect`.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_MOST = 4096
"""Signatures that are kept: Thunder has some hundred symbols, but functions made for one call must not pile up."""

_LOCK = threading.Lock()


class Signatures:
    """Stands for the module `inspect` in a module of Thunder's."""

    def __init__(self) -> None:
        """Starts without signatures."""
        self._kept: dict[Callable[..., Any], inspect.Signature] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(inspect, name)

    def signature(self, function: Callable[..., Any], **options: Any) -> inspect.Signature:
        """What `inspect.signature` gives."""
        if options:
            return inspect.signature(function, **options)
        found = self._kept.get(function)
        if found is None:
            found = Quick.like(inspect.signature(function))
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[function] = found
        return found

    @contextmanager
    def used_by(self, module: ModuleType | None) -> Iterator[None]:
        """Takes the place of `inspect` in a module, and gives it back; not where another thread has done so.

        Args:
            module: the one that defines `Symbol`; nothing happens where it has no `inspect`.
        """
        with _LOCK:
            taken = getattr(module, "inspect", None) is inspect
            if taken:
                module.inspect = self  # type: ignore[union-attr]
        try:
            yield
        finally:
            if taken:
                module.inspect = inspect  # type: ignore[union-attr]


class Quick(inspect.Signature):
    """A signature that binds arguments without looking at each parameter's kind anew."""

    __slots__ = ("_all", "_by_keyword", "_more", "_names", "_required", "_unnamed")

    _all: list[tuple[str, Any]]
    """Each parameter with its default."""
    _names: list[str]
    """Those that may be given by position."""
    _unnamed: int
    """How many of these take no keyword."""
    _more: str | None
    """The parameter that takes all further positional arguments."""
    _by_keyword: list[str]
    _required: list[str]

    @classmethod
    def like(cls, signature: inspect.Signature) -> inspect.Signature:
        """The quick form of a signature; the signature itself where it takes keywords of any name."""
        of_kind: dict[object, list[str]] = {}
        for parameter in signature.parameters.values():
            of_kind.setdefault(parameter.kind, []).append(parameter.name)
        if inspect.Parameter.VAR_KEYWORD in of_kind:
            return signature
        made = cls(tuple(signature.parameters.values()), return_annotation=signature.return_annotation)
        unnamed = of_kind.get(inspect.Parameter.POSITIONAL_ONLY, [])
        made._names = unnamed + of_kind.get(inspect.Parameter.POSITIONAL_OR_KEYWORD, [])
        made._unnamed = len(unnamed)
        made._more = next(iter(of_kind.get(inspect.Parameter.VAR_POSITIONAL, [])), None)
        made._by_keyword = of_kind.get(inspect.Parameter.KEYWORD_ONLY, [])
        made._all = [
            (each.name, () if each.name == made._more else each.default) for each in signature.parameters.values()
        ]
        made._required = [name for name, default in made._all if default is inspect.Parameter.empty]
        return made

    def bind(self, /, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """What `inspect.Signature.bind` gives; arguments that do not fit are left to it."""
        arguments = dict(zip(self._names, args, strict=False))
        given, wanted, used = len(args), len(self._names), 0
        for name in self._names[max(given, self._unnamed) :] if kwargs else ():
            if name in kwargs:
                arguments[name] = kwargs[name]
                used += 1
        if given > wanted:
            if self._more is None:
                return super().bind(*args, **kwargs)
            arguments[self._more] = args[wanted:]
        for name in self._by_keyword if kwargs else ():
            if name in kwargs:
                arguments[name] = kwargs[name]
                used += 1
        if used != len(kwargs) or not all(name in arguments for name in self._required):
            return super().bind(*args, **kwargs)
        return _Bound(self, arguments)


class _Bound(inspect.BoundArguments):
    """Bound arguments that know the kinds of their parameters."""

    _signature: Quick
    arguments: dict[str, Any]

    __slots__ = ("_is_complete",)

    def __init__(self, signature: Quick, arguments: dict[str, Any]) -> None:
        self._signature, self.arguments, self._is_complete = signature, arguments, False

    def apply_defaults(self) -> None:
        given = self.arguments
        self.arguments = {name: given.get(name, default) for name, default in self._signature._all}
        self._is_complete = True

    @property
    def args(self) -> tuple[Any, ...]:
        if not self._is_complete:
            return super().args
        arguments, signature = self.arguments, self._signature
        named = [arguments[name] for name in signature._names]
        return tuple(named) if signature._more is None else (*named, *arguments[signature._more])

    @property
    def kwargs(self) -> dict[str, Any]:
        if not self._is_complete:
            return super().kwargs
        return {name: self.arguments[name] for name in self._signature._by_keyword}
