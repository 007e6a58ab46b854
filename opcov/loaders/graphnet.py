"""Loads GraphNet samples: a `model.py` without annotations, with shapes and dtypes in a `weight_meta.py` beside it.

The dialect is that of PaddlePaddle/GraphNet's torch samples: one `class GraphModule`, reformatted by black, parameters
typed `torch.Tensor`, `torch.nn.parameter.Parameter` or `torch.SymInt`. `weight_meta.py` has a class for each parameter;
it is data in the form of Python and is read as syntax, class by class, never imported.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from keyword import iskeyword

from opcov.graph import Graph, Kind, Metadata, Node, SymbolMeta, TensorMeta
from opcov.loaders import readable
from opcov.loaders.loader import Loaded, Loader, SavedFile, text_of
from opcov.loaders.text.annotations import abbreviate
from opcov.problems import Problem, Slug

META_FILES = ("weight_meta.py", "input_meta.py")
"""Where a sample describes its parameters. The second is empty in most samples and absent in some."""

_CLASS = re.compile(r"^class \w+.*:[ \t]*$", re.MULTILINE)
_SIGNATURE = re.compile(r"^    def forward\((?P<parameters>.*?)\)\s*(?:->[^:]*)?:", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"(\w+)\s*:\s*(torch[\w.]+)")
_LARGEST_VALUE = 4096
"""Characters of a `data` list that are looked at: only scalars matter, and lists of weights can be megabytes."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a class of `weight_meta.py` says of a parameter."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    device: str | None
    value: int | float | None


def detect(name: str, head: bytes) -> bool:
    """Whether a file is a printed module whose parameters have Python types; GraphNet calls it `model.py`."""
    if b"class GraphModule(" not in head or readable.has_star_import(head):
        return False
    return readable.TYPED_PARAMETERS.search(head) is not None


def load(file: SavedFile) -> Loaded:
    """Reads a sample.

    Where a parameter is not described, its node has no metadata: what depends on it is unknown.
    """
    text = text_of(file)
    if isinstance(text, Problem):
        return (), (text,)
    graphs, problems = readable.load(text)
    found = list(problems)
    described: dict[str, Described] = {}
    for companion in META_FILES:
        content = file.companions.get(companion)
        if content is None:
            continue
        for entry in _entries(content.decode("utf-8-sig", errors="replace")):
            if isinstance(entry, Problem):
                found.append(replace(entry, message=f"{companion}: {entry.message}"))
            else:
                described[entry.name] = entry
    if graphs and not described:
        found.append(Problem("", 0, Slug.NO_SHAPES, f"there is no {META_FILES[0]} beside it, so no shape is known"))
    signature = _SIGNATURE.search(text)
    types = dict(_PARAMETER.findall(signature["parameters"])) if signature else {}
    return tuple(_with_metadata(graph, types, described) for graph in graphs), tuple(found)


LOADER = Loader("graphnet", detect, load, companions=META_FILES)


def _with_metadata(graph: Graph, types: dict[str, str], described: dict[str, Described]) -> Graph:
    nodes = tuple(
        _described_as(node, _metadata(node, types.get(node.target, ""), described.get(node.target)))
        if node.kind is Kind.PLACEHOLDER
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes, annotated=False)


def _described_as(node: Node, meta: Metadata | None) -> Node:
    return Node(
        node.name,
        node.kind,
        node.target,
        node.op,
        node.args,
        node.kwargs,
        meta,
        node.line,
        node.expression,
        node.region,
        node.source,
    )


def _metadata(node: Node, type_name: str, described: Described | None) -> Metadata | None:
    if type_name == "torch.SymInt":
        return SymbolMeta(node.target)  # the value described is a dummy
    if described is None:
        return None
    dtype = abbreviate(described.dtype)
    if dtype is None:
        return None
    wrapper = "Parameter" if type_name == "torch.nn.parameter.Parameter" else None
    # Dynamo passes a Python float, such as an epsilon, as a 0-d tensor of f64.
    value = described.value if dtype == "f64" and not described.shape else None
    return TensorMeta(dtype, described.shape, None, described.device, wrapper, value=value)


def _entries(text: str) -> Iterator[Described | Problem]:
    """The described parameters of a meta file, one class at a time: the file can be megabytes, a class is small."""
    starts = [found.start() for found in _CLASS.finditer(text)]
    for start, end in pairwise([*starts, len(text)]):
        try:
            yield _regular(text[start:end]) or _described(_fields(text[start:end]))
        except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
            line = text.count("\n", 0, start) + 1
            message = f"the class at line {line} does not describe a tensor ({type(error).__name__}: {error})"
            yield Problem("", 0, Slug.UNKNOWN_ANNOTATION, message)


_NUMBER = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?"
_REGULAR = re.compile(
    r"class (?P<class>[A-Za-z_]\w*):\n"
    r'    name = (?:"(?P<name>[ !#-\[\]-~]*)"|\(\n        "(?P<long_name>[ !#-\[\]-~]*)"\n    \))\n'
    r"    shape = \[(?P<shape>[1-9][0-9]{0,17}(?:, [1-9][0-9]{0,17})*)\]\n"
    r'    dtype = "(?P<dtype>[\w.]*)"\n'
    r'    device = "(?P<device>[\w:]*)"\n'
    rf"    mean = (?:{_NUMBER}|None)\n"
    rf"    std = (?:{_NUMBER}|None)\n"
    rf"    data = (?:None|\[{_NUMBER}(?:, {_NUMBER})*\]|\[\n(?:        {_NUMBER},\n)+    \])\n"
    rf"(?:    (?:min|max)_val = {_NUMBER}\n)*\n*",
    re.ASCII,
)
"""A class as GraphNet writes all but some: then no syntax tree is needed to read it. No other text may match."""


def _regular(text: str) -> Described | None:
    found = _REGULAR.fullmatch(text)
    if found is None or iskeyword(found["class"]):
        return None
    name = found["name"] if found["long_name"] is None else found["long_name"]
    return Described(name, tuple(map(int, found["shape"].split(", "))), found["dtype"], found["device"], None)


def _fields(text: str) -> dict[str, ast.expr]:
    lines = [line if len(line) < _LARGEST_VALUE else _without_data(line) for line in text.splitlines()]
    (described,) = ast.parse("\n".join(lines)).body
    if not isinstance(described, ast.ClassDef):
        raise ValueError("it is no class")
    return {
        statement.targets[0].id: statement.value
        for statement in described.body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


def _without_data(line: str) -> str:
    name, equals, _ = line.partition("=")
    return f"{name}{equals} None" if equals else "    pass"


def _described(fields: dict[str, ast.expr]) -> Described:
    name, shape, dtype = (ast.literal_eval(fields[key]) for key in ("name", "shape", "dtype"))
    if not isinstance(name, str) or not isinstance(dtype, str):
        raise ValueError("its name and dtype must be strings")
    if not isinstance(shape, (list, tuple)) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"its shape is no list of sizes: {shape!r}"[:200])
    device = fields.get("device")
    where = device.value if isinstance(device, ast.Constant) and isinstance(device.value, str) else None
    return Described(name, tuple(shape), dtype, where, None if shape else _scalar(fields))


def _scalar(fields: dict[str, ast.expr]) -> int | float | None:
    """The value of a parameter without dimensions: its only element, or the mean of its only element."""
    for key in ("data", "mean"):
        value = fields.get(key)
        if isinstance(value, ast.List) and len(value.elts) == 1:
            value = value.elts[0]
        try:
            number = ast.literal_eval(value) if value is not None else None
        except ValueError:
            continue  # `float("nan")`
        if isinstance(number, (int, float)) and math.isfinite(number):
            return number
    return None
