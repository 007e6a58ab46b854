"""Loads what torch.export.save wrote: the graphs in a `.pt2` archive, from its JSON alone."""

from __future__ import annotations

from opcov.graph import Graph
from opcov.loaders.loader import Loaded, Loader, SavedFile
from opcov.loaders.pt2.archive import read_programs
from opcov.loaders.pt2.exported import read_program
from opcov.loaders.pt2.exported_values import Malformed
from opcov.problems import Problem, Slug


def detect(name: str, head: bytes) -> bool:
    """Whether a file has the suffix that torch asks for: `torch.export.save` warns about any other."""
    return name.endswith(".pt2")


def load(file: SavedFile) -> Loaded:
    """Reads the graph of each program in an archive; weights, constants and sample inputs are never opened.

    A value that its producer returned among others comes from a `getitem` right behind the producer, and a body of a
    higher-order op is read right before the op: an archive does not tell where these nodes stood.
    """
    programs, problems = read_programs(file.content)
    graphs: list[Graph] = []
    for name, program in programs:
        try:
            graphs.append(read_program(program))
        except Malformed as error:
            problems.append(Problem("", 0, Slug.SYNTAX, f"{name} is no exported program: {error}"))
        except RecursionError:
            problems.append(Problem("", 0, Slug.TOO_DEEP, f"{name} nests too deep"))
    return tuple(graphs), tuple(problems)


LOADER = Loader("export", detect, load, suffixes=(".pt2",))
