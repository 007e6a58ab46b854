"""Puts what could not be fetched back into a corpus, as a local walk shows what it cannot open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from opcov.corpus.model import LOG_NAME, Corpus, Model
from opcov.corpus.remote.candidates import fault_of
from opcov.graphfile import GraphFile, form_named, is_graph_name, natural_key, printable, rank_and_index
from opcov.problems import Problem, Slug


def with_lost(corpus: Corpus, lost: Mapping[str, str]) -> Corpus:
    """The corpus with a graph file and a problem for each graph that was not fetched, and a problem for all else.

    A model stays also where nothing of it came. What may have been a graph by its content only is a problem alone, and
    so is whatever had a name that leads elsewhere.

    Args:
        corpus: what was found among the files that came.
        lost: why the others did not come, by their path below the root.
    """
    if not lost:
        return corpus
    # The root is a model under a name of its own; here it goes by its place, like all others.
    by_folder = {_folder_of(model): model for model in corpus.models}
    problems = list(corpus.problems)
    for location, reason in lost.items():
        folder, _, name = location.rpartition("/")
        path = printable(location)
        inside = fault_of(location) is None
        what = "the run log" if name == LOG_NAME else "the file"
        problem = Problem(path, 0, Slug.UNREADABLE, f"{what} cannot be read: {reason}")
        problems.append(problem)
        if inside and (name == LOG_NAME or is_graph_name(name)):
            model = by_folder.setdefault(printable(folder), Model(printable(folder), ()))
            if name != LOG_NAME:
                rank, index = rank_and_index(name)
                lost_file = GraphFile(path, rank, index, form_named(name), "", 0, problem, location)
                files = (*model.files, lost_file)
                by_folder[printable(folder)] = replace(model, files=files)
    if "" in by_folder:
        own = printable(corpus.root.name) or "."
        taken = any(model.name == own for folder, model in by_folder.items() if folder)
        by_folder[""] = replace(by_folder[""], name="." if taken else own)
    models = [
        replace(model, files=tuple(sorted(model.files, key=lambda file: natural_key(file.location.rpartition("/")[2]))))
        for model in by_folder.values()
    ]
    models.sort(key=lambda model: natural_key(model.name))
    return replace(corpus, models=tuple(models), problems=tuple(sorted(set(problems))))


def _folder_of(model: Model) -> str:
    """The folder of a model below the corpus root, "" for the root itself, whatever it is called."""
    paths = [file.path for file in model.files] + ([] if model.run_log is None else [model.run_log])
    return model.name if not paths or "/" in paths[0] else ""
