"""A baseline and a scan side by side, with what all comparisons of the two share."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from opcov.baseline import Baseline, Key, ModelFacts, Waiver, facts_of, resolve_models
from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.gate.changes import OpFacts, Place
from opcov.gate.rules import Level, Rules
from opcov.graphfile import natural_key
from opcov.judged import JudgedNode
from opcov.verdict import Status
from opcov.wording import source_place

HEALTHS = (Health.OK, Health.PARTIAL, Health.FAILED)
"""From the best on."""

Found: TypeAlias = tuple[str, JudgedNode]
"""A node with the digest of its graph."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All that the entries of one call shape say together.

    Attributes:
        op: canonical target.
        models: that an entry names.
        names_models: whether each entry names some.
        waivers: of all entries; where there is one, the shape is listed only within them.
        line: of the first entry.
    """

    op: str
    models: frozenset[str]
    names_models: bool
    waivers: tuple[Waiver, ...]
    line: int


@dataclass(frozen=True)
class Scene:
    """A baseline and a scan, with what the comparisons share."""

    baseline: Baseline
    coverage: Coverage
    rules: Rules
    today: dt.date
    is_partial: bool

    @cached_property
    def listings(self) -> Mapping[Key, Listing]:
        """What is listed, by op and call shape, in the order of the file."""
        found: dict[Key, Listing] = {}
        for entry in self.baseline.entries:
            old = found.get(entry.key, Listing(entry.op, frozenset(), True, (), entry.line))
            models, names_models = old.models | {*entry.models}, old.names_models and bool(entry.models)
            found[entry.key] = replace(
                old, models=models, names_models=names_models, waivers=(*old.waivers, *entry.waivers)
            )
        return found

    @cached_property
    def listings_by_op(self) -> Mapping[str, Sequence[Listing]]:
        """What is listed, by op."""
        found: dict[str, list[Listing]] = {}
        for listing in self.listings.values():
            found.setdefault(listing.op, []).append(listing)
        return found

    @cached_property
    def known_models(self) -> frozenset[str]:
        """Names of all models that the baseline speaks of."""
        return frozenset(self.baseline.known_models)

    @cached_property
    def is_whole(self) -> bool:
        """Whether all models were looked at: not, where the scan began in a folder of the baseline's corpus."""
        return not self.is_partial and all(name == known for name, known in self.names.items())

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The baseline's names of the models of the scan, by their names there."""
        return resolve_models(self.coverage.models, self.known_models)

    @cached_property
    def facts(self) -> Mapping[str, ModelFacts]:
        """How the models stand, by the baseline's names."""
        return {self.names[name]: facts for name, facts in facts_of(self.coverage).items()}

    @cached_property
    def unsupported(self) -> Mapping[Key, Sequence[Found]]:
        """The nodes of each call shape that are not supported, in the order of their files."""
        found: dict[Key, list[Found]] = {}
        for digest in self.coverage.files_by_body:
            for node in self.coverage.bodies[digest].nodes:
                if node.status.is_refused:
                    found.setdefault((node.op, node.variant), []).append((digest, node))
        return found

    def key_of(self, op: str, variant: str) -> Key:
        """What call shapes are told apart by."""
        return (op, variant) if self.rules.level is Level.VARIANT else (op, "")

    def keys_with(self, *statuses: Status) -> frozenset[Key]:
        """What has a node of one of these statuses."""
        nodes = (node for digest in self.coverage.files_by_body for node in self.coverage.bodies[digest].nodes)
        return frozenset(self.key_of(node.op, node.variant) for node in nodes if node.status in statuses)

    def facts_of(self, key: Key, nodes: Iterable[Found], models: Collection[str]) -> OpFacts:
        """An op or call shape as it is in some models of the scan."""
        files_by_body = self.coverage.files_by_body
        touched = [
            (digest, node) for digest, node in nodes if any(model.name in models for model, _ in files_by_body[digest])
        ]
        reason = _commonest(node.reason.value if node.reason else node.status.value for _, node in touched)
        details = (node.detail for _, node in touched if (node.reason or node.status).value == reason)
        digest, node = touched[0]
        file = next(file for model, file in files_by_body[digest] if model.name in models)
        ordered = tuple(sorted(models, key=natural_key))
        place = place_of(file.path, digest, node)
        return OpFacts(*key, reason, _commonest(details), ordered, len(touched), place)


def place_of(file: str, digest: str, node: JudgedNode) -> Place:
    """Where a node shows."""
    source = source_place(node.source_file, node.source_line, node.source_function) if node.source_file else ""
    return Place(file, node.line, node.expression, source, digest)


def _commonest(texts: Iterable[str]) -> str:
    found = Counter(texts)
    return min(found, key=lambda text: (-found[text], text), default="")
