"""Makes the start page: how much is supported, what to do first, and the tables of ops and models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.coverage.agreement import Agreement, SelfCheck, check_itself
from opcov.document import totals
from opcov.problems import Problem, Slug
from opcov.reports.html.environment import render_page
from opcov.reports.html.groupings import Grouping
from opcov.reports.html.matrix import matrix
from opcov.reports.html.sentences import advice, only_together, words
from opcov.wording import fold_files


@dataclass(frozen=True, slots=True)
class Moved:
    """An op whose nodes are placed otherwise than recorded.

    Attributes:
        op: its name.
        was: recorded: `thunder`, `inductor` or `none`.
        now: placed.
        kind: what explains it.
        explanation: one sentence.
        nodes: how many.
        models: names of the models that first have those graphs.
    """

    op: str
    was: str
    now: str
    kind: Agreement
    explanation: str
    nodes: int
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """Problems of one kind with one message, and the files that have them."""

    slug: Slug
    message: str
    number: int
    files: tuple[str, ...]


def render_index(coverage: Coverage, grouping: Grouping) -> str:
    """The start page."""
    check = check_itself(coverage)
    models = [found.row for found in grouping.models.values()]
    return render_page(
        "index.html",
        coverage,
        root="",
        crumbs=(("Overview", "index.html"),),
        totals=totals(coverage),
        counts=coverage.counts,
        grouping=grouping,
        ops=[found.row for found in grouping.ops.values()],
        models=models,
        whole_models=sum(row.covered == row.distinct > 0 for row in models),
        sick=[row for row in models if row.scan.diagnosis.health is not Health.OK],
        steps=advice(coverage, grouping),
        together=only_together(grouping),
        matrix=matrix(grouping),
        check=check,
        moved=moved(check),
        problems=grouped_problems(coverage.problems),
        words=words(),
    )


def moved(check: SelfCheck) -> dict[str, Sequence[Moved]]:
    """Ops that are placed otherwise than recorded: those that Thunder gained, those that it lost, and the rest."""
    found: dict[tuple[str, str, str, Agreement, str], Counter[str]] = {}
    for disagreement in check.disagreements:
        row, node = disagreement.row, disagreement.row.node
        was, now = (compiler.value if compiler else "none" for compiler in (node.recorded, node.placed))
        key = (node.op, was, now, disagreement.kind, disagreement.explanation)
        found.setdefault(key, Counter())[row.model] += 1
    everything = [Moved(*key, sum(models.values()), tuple(models)) for key, models in found.items()]
    everything.sort(key=lambda one: (-one.nodes, one.op, one.explanation))
    sides: dict[str, list[Moved]] = {"gained": [], "lost": [], "otherwise": []}
    for one in everything:
        side = {("inductor", "thunder"): "gained", ("thunder", "inductor"): "lost"}.get((one.was, one.now), "otherwise")
        sides[side].append(one)
    return {side: ones for side, ones in sides.items() if ones}


def grouped_problems(problems: Iterable[Problem]) -> list[ProblemGroup]:
    """Problems by kind and message, the commonest first."""
    found: dict[tuple[Slug, str], list[str]] = {}
    for problem in problems:
        found.setdefault((problem.slug, problem.message), []).append(problem.file)
    groups = [
        ProblemGroup(slug, message, len(files), tuple(fold_files(dict.fromkeys(filter(None, files)))))
        for (slug, message), files in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.number, group.slug.value, group.message))
