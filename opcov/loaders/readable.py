"""Loads graphs from the text of `GraphModule.print_readable()`, before or after Thunder's splitter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from opcov.form import Form
from opcov.graph import Argument, Graph, Kind, Node
from opcov.loaders.loader import Loaded, Loader, SavedFile, text_of
from opcov.loaders.text.provenance import SourceComments
from opcov.loaders.text.regions import SavedRegion, called_region, join
from opcov.loaders.text.statements import Forward, read_forward
from opcov.loaders.text.syntax import parse
from opcov.problems import Problem, Slug

TYPED_PARAMETERS = re.compile(
    rb"^    def forward\(\s*self,\s*\w+ ?: ?torch\.(?:Tensor|SymInt|nn\.parameter\.Parameter)\b", re.MULTILINE
)
"""A forward whose parameters have Python types: print_readable quotes its annotations."""

_STAR_IMPORT = re.compile(rb"^from torch\.nn import \*\r?$", re.MULTILINE)
_PRINTED_CLASS = re.compile(rb"^class (?:GraphModule|<lambda>)\(", re.MULTILINE)
_MODULE_CLASS = re.compile(r"^[ \t]*class (?:\w+|<[^>\n]*>)\((?:torch\.)?(?:nn\.)?Module\)\s*:", re.MULTILINE)


def detect(text: str) -> bool:
    """Whether a text looks like the output of print_readable: it holds a class that derives from `torch.nn.Module`."""
    return _MODULE_CLASS.search(text) is not None


def has_star_import(head: bytes) -> bool:
    """Whether a file imports all of torch.nn, as `GraphModule.to_folder` and Dynamo's repros do: no mere print."""
    return b"import *" in head and _STAR_IMPORT.search(head) is not None  # a plain search is ten times as fast


def _detect_file(name: str, head: bytes) -> bool:
    """Whether a file holds a class of the name that print_readable gives, annotated as print_readable does."""
    if b"class GraphModule(" not in head and b"class <lambda>(" not in head:
        return False
    if _PRINTED_CLASS.search(head) is None or has_star_import(head):
        return False
    return TYPED_PARAMETERS.search(head) is None


def _load_file(file: SavedFile) -> Loaded:
    text = text_of(file)
    return ((), (text,)) if isinstance(text, Problem) else load(text)


LOADER = Loader("readable", _detect_file, _load_file)


def load(text: str) -> Loaded:
    """Reads every printed GraphModule of a file.

    Nothing in the text is imported, evaluated or run, and no text makes this raise.

    Args:
        text: the whole file; colour codes, a comment before the class and several modules in one file are fine.

    Returns:
        The graphs in order, and the problems of the file as a whole; a graph's own problems are in the graph. Neither
        names the file.
    """
    if not text.strip():
        return (), (Problem("", 0, Slug.EMPTY, "the file is empty"),)
    if "\x00" in text:
        return (), (Problem("", 0, Slug.NOT_TEXT, "the file is binary, not a printed GraphModule"),)
    tree, lines, problems = parse(text)
    graphs: list[Graph] = []
    if tree is not None:
        comments = SourceComments(lines)
        reader = _FileReader(lines, comments)
        graphs = [reader.graph(module) for module in _modules(tree.body)]
        if not graphs and not problems:
            problems.append(Problem("", 0, Slug.EMPTY, "the file holds no class with a forward, so no graph"))
    if graphs:
        left_out = {problem.line for problem in problems}
        kept = [problem for problem in graphs[0].problems if problem.line not in left_out]
        graphs[0] = replace(graphs[0], problems=tuple(sorted((*problems, *kept))))
        problems = []
    return tuple(graphs), tuple(problems)


def read_class(module: ast.ClassDef, lines: list[str], comments: SourceComments) -> Graph:
    """Reads one class of a parsed file, and the bodies in it.

    Args:
        module: a class with a forward.
        lines: the lines of the file.
        comments: its provenance comments.
    """
    return _FileReader(lines, comments).graph(module)


def _modules(body: list[ast.stmt]) -> Iterator[ast.ClassDef]:
    for statement in body:
        if isinstance(statement, ast.ClassDef) and _forward_of(statement) is not None:
            yield statement


def _forward_of(module: ast.ClassDef) -> ast.FunctionDef | None:
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "forward":
            return statement
    return None


class _FileReader:
    """Reads the classes of one file."""

    def __init__(self, lines: list[str], comments: SourceComments) -> None:
        self._lines = lines
        self._comments = comments
        self._graphs: dict[ast.ClassDef, Graph] = {}

    def graph(self, module: ast.ClassDef) -> Graph:
        """The graph of a class: joined from its regions where its forward calls some.

        A class is read once, however many names lead to it: deeply nested ones would take forever otherwise.
        """
        if module not in self._graphs:
            self._graphs[module] = self._read(module)
        return self._graphs[module]

    def _read(self, module: ast.ClassDef) -> Graph:
        function = _forward_of(module)
        assert function is not None, "only classes with a forward are modules"
        forward = read_forward(function, self._lines, self._comments)
        children = {child.name: child for child in _modules(module.body)}
        if any(called_region(node) for node in forward.nodes):
            return self._split_graph(module.name, forward, children)
        return self._graph(module.name, forward, self._bodies(forward, children))

    def _graph(self, name: str, forward: Forward, bodies: Mapping[str, Graph]) -> Graph:
        nodes = with_output([*forward.placeholders, *forward.nodes], forward.output, forward.output_line)
        return Graph(name, Form.UNSPLIT, nodes, (), bodies, forward.annotated, tuple(forward.problems))

    def _split_graph(self, name: str, outer: Forward, children: Mapping[str, ast.ClassDef]) -> Graph:
        forwards = [outer]

        def body_of(region: str) -> SavedRegion | None:
            child = children.get(region)
            function = _forward_of(child) if child is not None else None
            if child is None or function is None:
                return None
            forward = read_forward(function, self._lines, self._comments)
            forwards.append(forward)
            return SavedRegion(forward, self._bodies(forward, {inner.name: inner for inner in _modules(child.body)}))

        joined = join(outer, body_of)
        problems = [problem for forward in forwards for problem in forward.problems] + joined.problems
        return Graph(
            name,
            Form.SPLIT,
            with_output([*outer.placeholders, *joined.nodes], joined.output, outer.output_line),
            joined.regions,
            joined.bodies,
            any(forward.annotated for forward in forwards),
            tuple(problems),
        )

    def _bodies(self, forward: Forward, children: Mapping[str, ast.ClassDef]) -> dict[str, Graph]:
        """The bodies that a forward reads as attributes: beside it, or in a region only inside the repeated body."""
        found: dict[str, Graph] = {}
        for node in forward.nodes:
            if node.kind in (Kind.GET_ATTR, Kind.CALL_MODULE) and node.target not in found:
                body = _find_class(node.target, children)
                if body is not None:
                    found[node.target] = self.graph(body)
        return found


def with_output(nodes: list[Node], value: Argument, line: int) -> tuple[Node, ...]:
    """Adds the output node, whose name is not printed: `output`, or the first free one if a call is named so."""
    names = {node.name for node in nodes}
    name, number = "output", 0
    while name in names:
        number += 1
        name = f"output_{number}"
    return (*nodes, Node(name, Kind.OUTPUT, "output", "", (value,), line=line))


def _find_class(path: str, children: Mapping[str, ast.ClassDef]) -> ast.ClassDef | None:
    first, _, rest = path.partition(".")
    # print_readable turns the dots and indices of an attribute into a class name with underscores.
    found = children.get(first if not rest else path.replace(".", "_")) or children.get(first)
    if found is not None and rest and found.name == first:
        return _find_class(rest, {inner.name: inner for inner in _modules(found.body)})
    if found is None:
        for child in children.values():
            inner = {inner.name: inner for inner in _modules(child.body)}
            if first in inner:
                return _find_class(path, inner)
    return found
