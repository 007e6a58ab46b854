"""Models held against how they stood: lost, new, captured worse."""

from __future__ import annotations

from collections.abc import Iterator

from opcov.baseline import ModelFacts
from opcov.corpus.health import Health
from opcov.gate.changes import (
    Change,
    GraphCrashes,
    GraphsLost,
    HealthFell,
    ModelLost,
    NewModel,
    NoModelFacts,
    Place,
    UnknownRose,
)
from opcov.gate.scene import HEALTHS, Scene, place_of
from opcov.judged import ModelScan
from opcov.verdict import Status


def model_changes(scene: Scene) -> Iterator[Change]:
    """What became of the models."""
    if scene.is_whole:
        yield from (ModelLost(model) for model in scene.known_models if model not in scene.facts)
    if scene.baseline.models is None:
        yield NoModelFacts(scene.baseline.name)
        return
    for name, scan in scene.coverage.models.items():
        before, now = scene.baseline.models.get(scene.names[name]), scene.facts[scene.names[name]]
        if before is None:
            if scene.names[name] not in scene.known_models:
                yield NewModel(name)
        else:
            yield from _of_model(scene, scan, before, now)


def _of_model(scene: Scene, scan: ModelScan, before: ModelFacts, now: ModelFacts) -> Iterator[Change]:
    fell = HEALTHS.index(now.health) > HEALTHS.index(before.health)
    if fell:
        yield HealthFell(scan.name, before.health, now.health, "; ".join(scan.diagnosis.reasons))
    # That a model without graphs has fewer of them is what its health says.
    if now.graphs < before.graphs and not (fell and now.health is Health.FAILED):
        yield GraphsLost(scan.name, before.graphs, now.graphs)
    if now.unknown > before.unknown:
        yield UnknownRose(scan.name, before.unknown, now.unknown)
    if now.lost > before.lost:
        yield GraphCrashes(scan.name, before.lost, now.lost, *_crash(scene, scan))


def _crash(scene: Scene, scan: ModelScan) -> tuple[str, Place]:
    """Why the first lost graph of a model is lost, and where."""
    bodies = scene.coverage.bodies
    first = ("", Place("", 0, "", ""))
    for file in scan.files:
        for graph in bodies[file.digest].graphs if file.digest in bodies else ():
            for node in graph.nodes:
                if node.status is Status.CRASH:
                    return node.detail or graph.crash, place_of(file.path, file.digest, node)
            if graph.crash and not first[0]:
                first = (graph.crash, Place(file.path, 0, "", "", file.digest))
    return first
