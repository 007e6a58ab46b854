"""What the gate is asked and what it answers: rules, and the judgement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from opcov.gate.changes import Change
from opcov.wording import counted


class Level(str, Enum):
    """How finely unsupported calls are told apart."""

    OP = "op"
    VARIANT = "variant"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate lets pass.

    Attributes:
        level: whether a new call shape of a listed op fails.
        per_model: whether a listed op in a model that its entry does not name fails.
        allow_lost: whether models and graphs may be lost and captures get worse. Nodes that became unknown are not
            meant: an unsupported op may hide behind each of them while its graph is still there.
        strict: whether entries that are fixed fail, so that the file is kept short.
        fail_under: lowest percentage of supported nodes, exact: 100 means every node. None for any.
        max_unsupported: highest number of ops that are not supported. None for any.
    """

    level: Level = Level.VARIANT
    per_model: bool = False
    allow_lost: bool = False
    strict: bool = False
    fail_under: float | None = None
    max_unsupported: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Judgement:
    """What the gate found; every change stands in one of the three. A notebook shows it in one line.

    Attributes:
        baseline: the file, as messages call it; "" where there is none.
        failures: what must not be merged so, the gravest first.
        notes: what is worth knowing and fails nothing.
        known: what is as the baseline says, so that reports can show what passed.
    """

    baseline: str
    failures: tuple[Change, ...] = ()
    notes: tuple[Change, ...] = ()
    known: tuple[Change, ...] = ()

    def __repr__(self) -> str:
        against = f" against {self.baseline!r}" if self.baseline else ""
        parts = (counted(len(self.failures), "failure"), counted(len(self.notes), "note"), f"{len(self.known)} known")
        return f"<Judgement{against}: {'passes' if self.passes else 'fails'}, {', '.join(parts)}>"

    @property
    def passes(self) -> bool:
        """Whether nothing fails."""
        return not self.failures
