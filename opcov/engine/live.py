"""Judges the graphs of this process as if each had been saved before any split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.engine.judging import judge_loaded
from opcov.engine.scanning import siblings_of
from opcov.graphfile import GraphFile, printable
from opcov.judged import JudgedBody, ModelScan
from opcov.loaders.captured import Captured
from opcov.problems import Problem
from opcov.registries import Registry


def judge_live(name: str, graphs: Sequence[Captured], registry: Registry) -> tuple[Coverage, Mapping[str, str]]:
    """Judges live graphs.

    Args:
        name: of the model that they are shown as.
        graphs: each with its text.
        registry: the judge.

    Returns:
        The coverage, and the texts by digest.
    """
    files: list[GraphFile] = []
    bodies: dict[str, JudgedBody] = {}
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for index, live in enumerate(graphs):
        content = live.text.encode()
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        path = f"{printable(name)}/graph_{index}"
        files.append(GraphFile(path, None, index, live.graph.form, digest, len(content), claimed_by=("live",)))
        if digest not in bodies:
            bodies[digest] = judge_loaded(digest, ((live.graph,), ()), registry)
        texts[digest] = live.text
        problems += [replace(problem, file=path) for problem in bodies[digest].problems]
    model = ModelScan(printable(name), tuple(files), Diagnosis(Health.OK))
    siblings = siblings_of(bodies.values(), lambda ops: {op: registry.siblings(op) for op in ops})
    found = Coverage({model.name: model}, bodies, dict(registry.versions), tuple(sorted(set(problems))), siblings)
    return found, texts
