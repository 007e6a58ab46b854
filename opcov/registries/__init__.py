"""Who says what is supported: each module here is one judge of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opcov.graph import Graph
    from opcov.verdict import Verdict


@dataclass(frozen=True, slots=True)
class SplitterRules:
    """How the splitter of a judge's compiler places nodes, where releases of Thunder differ; by default as the newest.

    Attributes:
        pins_tuples: a `getitem` of an unsupported node's tuple stays in that node's region, and any other reader of the
            tuple stops the splitter (Thunder since 0.2.6).
        takes_dtensor_prims: the closures that Dynamo makes for `parallelize_module` are taken unasked (since 0.2.6).
        avoids_vmap: all that follows a bracket of `torch.vmap` falls back (since 0.2.5).
    """

    pins_tuples: bool = True
    takes_dtensor_prims: bool = True
    avoids_vmap: bool = True


class Registry(Protocol):
    """A judge of graphs."""

    @property
    def versions(self) -> Mapping[str, str]:
        """What the verdicts hold for: names and versions of the packages that were asked."""

    @property
    def splitter(self) -> SplitterRules:
        """How the splitter that goes with the verdicts places nodes."""

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        """Judges every call of a graph.

        Returns:
            The own verdict of each call by its name, in the order of `graph.calls`, and what is known of each node's
            value.
        """

    def has_own(self, op: str) -> bool:
        """Whether the judge has an operation of its own for an op, whatever arguments it takes.

        Args:
            op: a canonical name.
        """

    def siblings(self, op: str) -> tuple[str, ...]:
        """Other spellings and near relatives of an op that the judge has registered, sorted.

        A function, method, overload, in-place or out-of-place form of the same computation: where there is one, an
        alias is all that support takes.

        Args:
            op: the canonical name of an op that is not supported.
        """
