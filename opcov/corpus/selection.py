"""Chooses the models of a corpus that a scan looks at, and says which part of it that is."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from opcov.corpus.model import LOG_NAME, Corpus
from opcov.problems import UsageError


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of a corpus a scan has looked at.

    Attributes:
        include: patterns of names of models; empty for all.
        exclude: patterns of names of models that were left out.
        one_model: whether it was one model's folder, or a model that was not saved at all.
        one_file: whether it was one graph file of a model.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    one_model: bool = False
    one_file: bool = False

    @property
    def partial(self) -> bool:
        """Whether there may be models in the corpus that were not looked at."""
        return bool(self.include or self.exclude or self.one_model or self.one_file)

    def selects(self, model: str) -> bool:
        """Whether the patterns let a model of that name through."""
        return (not self.include or _matches(model, self.include)) and not _matches(model, self.exclude)

    def is_partial_to(self, known: Collection[str] | None) -> bool:
        """Whether a baseline knows, or may know, models that were not looked at.

        A project that always leaves out the same models has a baseline without them: nothing of it may get lost.

        Args:
            known: names of the models that the baseline knows; None where it does not tell.
        """
        if self.one_model or self.one_file or known is None:
            return self.partial
        return not all(map(self.selects, known))


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def scope_of(corpus: Corpus, include: Sequence[str], exclude: Sequence[str]) -> Scope:
    """Which part of a corpus is looked at: what its path names, less what patterns leave out."""
    if len(corpus.models) > 1:
        return Scope(tuple(include), tuple(exclude))
    (model,) = corpus.models
    # What lies in the root itself, not in a folder of it, belongs to a model that was named by its own path.
    lies_in_root = [*(file.path for file in model.files), *filter(None, [model.run_log])]
    one_model = any("/" not in path for path in lies_in_root)
    return Scope(tuple(include), tuple(exclude), one_model, not model.whole)


def selected(corpus: Corpus, scope: Scope) -> Corpus:
    """The models that the patterns of a scope let through, with their problems.

    Raises:
        UsageError: there is none; the message names some that there are.
    """
    if not scope.include and not scope.exclude:
        return corpus
    models = tuple(model for model in corpus.models if scope.selects(model.name))
    if not models:
        raise nothing_selected([model.name for model in corpus.models])
    kept = {model.name for model in models}
    dropped = [model for model in corpus.models if model.name not in kept]
    lost = {file.path for model in dropped for file in model.files}
    # Not only the graphs of a model can have problems: a run log that cannot be opened has no path here.
    logs = {f"{model.name}/{LOG_NAME}" for model in dropped}
    problems = tuple(problem for problem in corpus.problems if problem.file not in lost | logs)
    return replace(corpus, models=models, problems=problems)


def nothing_selected(names: Sequence[str]) -> UsageError:
    """The error for patterns that let no model through, with some that there are."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    there = ", ".join(names[:_MOST_NAMED])
    return UsageError(f"no model is left by what to include and exclude; there are: {there}{more}")


_MOST_NAMED = 5


def path_below(root: Path) -> str:
    """A folder as seen from the working directory, with forward slashes; "" where it lies elsewhere."""
    here = Path.cwd()
    # As it was named first: a link in a repository is what systems that show the repository know.
    for place in (Path(os.path.abspath(root)), root.resolve()):  # noqa: PTH100
        if place == here or here in place.parents:
            return place.relative_to(here).as_posix()
    return ""
