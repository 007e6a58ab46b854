"""Who says what is supported: each module here is one judge of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from opcov.graph import Graph
from opcov.verdict import Verdict


class Registry(Protocol):
    """A judge of graphs."""

    @property
    def versions(self) -> Mapping[str, str]:
        """What the verdicts hold for: names and versions of the packages that were asked."""

    def judge(self, graph: Graph) -> tuple[dict[str, Verdict], Mapping[str, object]]:
        """Judges every call of a graph.

        Returns:
            The own verdict of each call by its name, in the order of `graph.calls`, and what is known of each node's
            value.
        """
