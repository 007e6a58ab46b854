"""Stands in for the compiled packages that SGLang imports and that a machine without a GPU does not have."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGES: Mapping[str, frozenset[str] | None] = {
    "sgl_kernel": None,
    "torchao": None,
    "vllm": frozenset(
        {
            "vllm",
            "vllm._custom_ops",
            "vllm.model_executor",
            "vllm.model_executor.layers",
            "vllm.model_executor.layers.activation",
            "vllm.model_executor.layers.layernorm",
        }
    ),
}
"""What is stood in for, each with the modules that it then has; None for any.

SGLang asks for most of vllm on trial, and does without where it is absent: only what it insists on is there.
"""
OWN = {
    "vllm.model_executor.layers.activation": "sglang.srt.layers.activation",
    "vllm.model_executor.layers.layernorm": "sglang.srt.layers.layernorm",
}
"""Modules whose classes SGLang takes in place of its own of the same name: with these it keeps its own."""


class _Module(ModuleType):
    """A module of which only the names exist."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        own = sys.modules.get(OWN.get(self.__name__, ""))
        if own is not None:
            return getattr(own, name)
        return _Absent(f"{self.__name__}.{name}")


class _Absent:
    """A name of such a module: it can be handed around, and does nothing else."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent(f"{self._name}.{name}")

    def __call__(self, *_arguments: Any, **_options: Any) -> Any:
        raise NotImplementedError(f"{self._name} is not there: opcov stands in for it, so that SGLang can be imported")


class StandIns(MetaPathFinder, Loader):
    """Finds the modules of packages that are not installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        """Keeps their names."""
        self.packages = tuple(packages)
        self.imported: list[str] = []

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The specification of a module, if it is one of these."""
        top = fullname.partition(".")[0]
        if top not in self.packages:
            return None
        modules = PACKAGES[top]
        if modules is not None and fullname not in modules:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module."""
        top = spec.name.partition(".")[0]
        if top not in self.imported:
            self.imported.append(top)
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is there to be run."""


def stand_in() -> StandIns:
    """From now on, packages that are not installed can be imported. Done once a process.

    Returns:
        What tells which of them were.
    """
    for finder in sys.meta_path:
        if isinstance(finder, StandIns):
            return finder
    found = StandIns([name for name in PACKAGES if importlib.util.find_spec(name) is None])
    sys.meta_path.append(found)
    return found
