"""The examples in docstrings really run, and every public name has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import opcov

PROJECT = Path(__file__).resolve().parent.parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

MODULES = ["opcov", *sorted(found.name for found in pkgutil.walk_packages(opcov.__path__, "opcov."))]
MODULES.remove("opcov.__main__")  # importing it runs the command

WITH_METHODS = ("Differences", "Matrix", "ModelView", "OpView", "Scan")
"""Public classes of which every public method and property has an example; the others are plain values."""


def examples_of(module: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [found for found in finder.find(importlib.import_module(module), module) if found.examples]


def members(name: str) -> Iterator[str]:
    """The public methods and properties of a class, those that its base classes of opcov define included."""
    for base in getattr(opcov, name).__mro__:
        if base.__module__.startswith("opcov."):
            for member, value in vars(base).items():
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, _PROPERTIES)):
                    yield f"{base.__name__}.{member}"


_PROPERTIES = (property, cached_property, classmethod)


@pytest.mark.recorded
@pytest.mark.parametrize("module", MODULES)
def test_examples_give_what_they_say(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)  # they name fixtures/gm
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    reports: list[str] = []
    for example in examples_of(module):
        runner.run(example, out=reports.append)
    assert not reports, "".join(reports)


@pytest.mark.parametrize("module", MODULES)
def test_no_example_is_skipped(module: str) -> None:
    skipped = [
        (found.name, example.source)
        for found in examples_of(module)
        for example in found.examples
        if example.options.get(doctest.SKIP)
    ]
    assert skipped == []


def test_every_public_name_has_an_example() -> None:
    bare = [name for name in opcov.__all__ if ">>>" not in (inspect.getdoc(getattr(opcov, name)) or "")]
    assert bare == []


def test_every_public_method_has_an_example() -> None:
    names = {member for name in WITH_METHODS for member in members(name)}
    names |= {"Graph.to_fx", "Coverage.merge", "Coverage.of_model"}
    assert len(names) > 25
    bare = []
    for name in sorted(names):
        owner, _, member = name.partition(".")
        text = inspect.getdoc(inspect.getattr_static(getattr(opcov, owner), member)) or ""
        bare += [] if ">>>" in text else [name]
    assert bare == []
