"""Where graphs come from: each module here reads one form of saved graphs as `Graph` values."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from opcov import plugins
from opcov.loaders.loader import Loaded, Loader
from opcov.problems import UsageError

ENTRY_POINTS = "opcov.loaders"
"""Group of entry points under which other packages offer a `Loader`."""


def _built_in(name: str, **facts: Any) -> Loader:
    """The `LOADER` of a module here, which is loaded when a file has to be looked into."""

    def loader() -> Loader:
        found: Loader = import_module(f"opcov.loaders.{name}").LOADER
        return found

    return Loader(name, lambda file, head: loader().detect(file, head), lambda saved: loader().load(saved), **facts)


BUILT_IN = (
    _built_in("readable"),
    _built_in("graphnet", companions=("weight_meta.py", "input_meta.py")),
    _built_in("scripts"),
    _built_in("folder", companions=("model.safetensors", "state_dict.safetensors")),
    _built_in("export", suffixes=(".pt2",)),
)
"""The forms that this package reads; the first one that claims a file reads it. A scan of files that were all read
before loads none of their modules, so what finding files takes to know of each stands here as well."""


@cache
def available() -> tuple[Loader, ...]:
    """The loaders of this package, then those that installed packages offer, by name.

    Raises:
        UsageError: an entry point cannot be loaded, or leads to something that is no `Loader`.
    """
    offered = []
    for point in plugins.offered(ENTRY_POINTS):
        where = f"the entry point {point.name} of {ENTRY_POINTS} ({point.value})"
        try:
            loader = point.load()
        except Exception as error:  # another package's code may raise anything
            raise UsageError(f"{where} cannot be loaded: {error}; mend or uninstall its package") from error
        if not isinstance(loader, Loader):
            raise UsageError(f"{where} is no opcov Loader; mend or uninstall its package")
        offered.append(loader)
    return (*BUILT_IN, *offered)


def by_name(name: str) -> Loader:
    """The loader of a name that `available` knows."""
    return next(loader for loader in available() if loader.name == name)


def load_text(text: str) -> Loaded:
    """Reads all printed GraphModules of a text; no text makes this raise.

    Returns:
        The graphs in order, and the problems that belong to no graph; neither names a file.
    """
    from opcov.loaders import readable

    return readable.load(text)
