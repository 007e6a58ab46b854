"""Says how a judge is made, in this process and in another one, so that work can go where there are cores."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from opcov.problems import UsageError
from opcov.registries import Registry


@dataclass(frozen=True, slots=True)
class Judge:
    """The way to a registry.

    Attributes:
        here: makes it in this process.
        there: makes it in a worker; it has to be picklable.
        preload: modules that a worker needs for it: they are imported once for all workers, where that can be.
        packages: distributions that the verdicts depend on: a cluster has to have the same versions of them.
    """

    here: Callable[[], Registry]
    there: Callable[[], Registry]
    preload: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @classmethod
    def thunder(cls, *, requires_grad: bool, here: Callable[[], Registry] | None = None) -> Judge:
        """The installed lightning-thunder, as its package is: ops that only this process registers are not there.

        Args:
            requires_grad: whether Parameters require grad.
            here: makes it in this process, where more has to be done for that.
        """
        there = partial(installed_thunder, requires_grad=requires_grad)
        return cls(here or there, there, ("opcov.engine.preloaded",), ("lightning-thunder", "torch", "sympy"))

    @classmethod
    def given(cls, registry: Registry) -> Judge:
        """A registry that somebody made. A worker gets a copy of it.

        Args:
            registry: as it is.
        """
        there = partial(_itself, registry)
        return cls(there, there)

    def packed(self) -> bytes:
        """What goes to the workers.

        Raises:
            UsageError: the registry cannot be pickled.
        """
        try:
            return pickle.dumps(self.there)
        except Exception as error:  # pickling runs code of the registry's own
            raise UsageError(
                f"this registry cannot go to other processes ({type(error).__name__}: {error}); "
                "jobs=1 judges in this one, or make it picklable"
            ) from error


def installed_thunder(*, requires_grad: bool) -> Registry:
    """The installed lightning-thunder.

    Args:
        requires_grad: whether Parameters require grad.

    Raises:
        RegistryError: lightning-thunder cannot be imported.
    """
    from opcov.registries.thunder import ThunderRegistry

    return ThunderRegistry(requires_grad=requires_grad)


def _itself(registry: Registry) -> Registry:
    return registry
