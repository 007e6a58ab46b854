"""Where graphs come from: each module here reads one form of saved graphs as `Graph` values."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from opcov.loaders import export, folder, graphnet, readable, scripts
from opcov.loaders.loader import Loaded, Loader
from opcov.problems import UsageError

ENTRY_POINTS = "opcov.loaders"
"""Group of entry points under which other packages offer a `Loader`."""

BUILT_IN = (
    readable.LOADER,
    graphnet.LOADER,
    scripts.LOADER,
    folder.LOADER,
    export.LOADER,
)


@cache
def available() -> tuple[Loader, ...]:
    """The loaders of this package, then those that installed packages offer, by name.

    Raises:
        UsageError: an entry point cannot be loaded, or leads to something that is no `Loader`.
    """
    offered = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
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
    return readable.load(text)
