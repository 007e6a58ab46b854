"""Reads the classes of a script that hold a graph: `forward` as nodes, `__init__` for what it says of attributes."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from opcov.graph import Dimension, Graph, Kind, Metadata, Node, SymbolMeta, TensorMeta
from opcov.loaders import readable
from opcov.loaders.text.provenance import SourceComments
from opcov.loaders.text.syntax import parse
from opcov.loaders.text.tensors import dotted_name, tensor_of
from opcov.problems import Problem, Slug

_INSTANTIATED = re.compile(r"(\bself\.\w+)\(\)(?=\w)")
"""`self.wrap_body_1()0`: Thunder adds `()` behind every `self.wrap_body_1`, also where a longer name starts so."""


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed script.

    Attributes:
        tree: its syntax tree; None where it had to be given up.
        lines: its lines.
        comments: its provenance comments.
        problems: what could not be parsed, by line.
    """

    tree: ast.Module | None
    lines: list[str]
    comments: SourceComments
    problems: tuple[Problem, ...]


def parse_script(text: str) -> Script:
    """Parses a script; nothing in it is compiled or run, and no text makes this raise."""
    tree, lines, problems = parse(_INSTANTIATED.sub(r"\1", text))
    return Script(tree, lines, SourceComments(lines), tuple(sorted(problems, key=_line)))


def module_classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """The classes at the left margin that derive from `torch.nn.Module` and have a forward."""
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and forward_of(statement) and any(map(_is_module, statement.bases)):
            yield statement


def forward_of(module: ast.ClassDef) -> ast.FunctionDef | None:
    """The forward of a class, None where it has none."""
    return _function(module, "forward")


def _function(module: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return statement
    return None


def _is_module(base: ast.expr) -> bool:
    return (isinstance(base, ast.Name) and base.id == "Module") or (
        isinstance(base, ast.Attribute) and base.attr == "Module"
    )


def read_class(script: Script, module: ast.ClassDef, stated: Mapping[str, TensorMeta] | None = None) -> Graph:
    """The graph of a class, with its bodies and with metadata for the attributes that it reads.

    Args:
        script: the script that holds it.
        module: one of `module_classes`.
        stated: metadata of tensors by their path below `self`, where something better than the script states them.
    """
    _do_not_instantiate(module)
    attributes = dict(_attributes(module))
    tensors = {name: made for name, value in attributes.items() if (made := tensor_of(value)) is not None}
    tensors |= stated or {}
    graph = readable.read_class(module, script.lines, script.comments)
    symbols = {name for name, type_name in _types(module).items() if type_name == "torch.SymInt"}
    nodes = tuple([_described(node, tensors, symbols) for node in graph.nodes])
    problems = _problems_within(script, module)
    for node in graph.nodes:
        if node.kind is Kind.GET_ATTR and _is_lost(node.target, attributes, tensors, graph):
            message = (
                f"self.{node.target} is not in the text, so if it is the body of a higher-order op that is missing"
            )
            problems.append(Problem("", node.line, Slug.BODIES_MISSING, message))
    left_out = {problem.line for problem in problems}
    problems += [problem for problem in graph.problems if problem.line not in left_out]
    return replace(graph, nodes=nodes, problems=tuple(sorted(problems)))


def _described(node: Node, tensors: Mapping[str, TensorMeta], symbols: Collection[str]) -> Node:
    if node.meta is None and node.kind is Kind.GET_ATTR and node.target in tensors:
        return replace(node, meta=tensors[node.target])
    if node.meta is None and node.kind is Kind.PLACEHOLDER and node.target in symbols:
        return replace(node, meta=SymbolMeta(node.target))
    return node


def _types(module: ast.ClassDef) -> dict[str, str]:
    """The Python types of forward's parameters, as Dynamo's graphs have them: `x : torch.Tensor`."""
    forward = forward_of(module)
    parameters = forward.args.args if forward is not None else []
    return {
        parameter.arg: dotted_name(parameter.annotation) or ""
        for parameter in parameters
        if parameter.annotation is not None
    }


def _is_lost(path: str, attributes: Mapping[str, ast.expr], tensors: Mapping[str, TensorMeta], graph: Graph) -> bool:
    return path in attributes and path not in tensors and path not in graph.bodies


def _problems_within(script: Script, module: ast.ClassDef) -> list[Problem]:
    """What could not be parsed of a class; the rest of a script is not looked at."""
    start = bisect_left(script.problems, module.lineno, key=_line)
    return list(script.problems[start : bisect_right(script.problems, module.end_lineno or 0, key=_line)])


def _line(problem: Problem) -> int:
    return problem.line


def with_inputs(
    graph: Graph, module: ast.ClassDef, inputs: list[Metadata | None], hints: Mapping[str, int | float]
) -> Graph:
    """The graph with metadata for its placeholders.

    An annotation says more than a script's inputs do, except whether the tensor requires grad. Inputs that are not as
    many as the placeholders describe something else and are left out.

    Args:
        graph: of the class.
        module: the class.
        inputs: what the script says of its inputs, in the order of forward's parameters.
        hints: the values that symbols had.
    """
    placeholders = [node for node in graph.nodes if node.kind is Kind.PLACEHOLDER]
    if len(inputs) != len(placeholders):
        if all(node.meta is not None for node in placeholders):
            return replace(graph, hints=hints)
        what = f"states {len(inputs)} inputs for {len(placeholders)} parameters" if inputs else "states no inputs"
        message = f"the script {what}, so the shapes that depend on them are unknown"
        problem = Problem("", placeholders[0].line, Slug.NO_SHAPES, message)
        return replace(graph, problems=tuple(sorted((*graph.problems, problem))), hints=hints)
    types = _types(module)
    merged = {}
    found = dict(hints)
    for node, stated in zip(placeholders, inputs, strict=True):
        found |= _values_of_symbols(node.meta, stated)
        meta = _merged(node.meta, stated, annotated=graph.annotated)
        if isinstance(meta, TensorMeta) and types.get(node.target, "").endswith(".Parameter"):
            meta = replace(meta, wrapper="Parameter")
        merged[node.name] = meta
    nodes = [replace(node, meta=merged[node.name]) if node.name in merged else node for node in graph.nodes]
    unknown = [node for node in placeholders if merged[node.name] is None and not graph.annotated]
    if unknown:
        message = f"the script states no shape of {len(unknown)} of {len(placeholders)} inputs"
        problem = Problem("", unknown[0].line, Slug.NO_SHAPES, f"{message}, so what depends on them is unknown")
        graph = replace(graph, problems=tuple(sorted((*graph.problems, problem))))
    floats = {name for name, meta in merged.items() if isinstance(meta, TensorMeta) and _is_float(meta)}
    return replace(graph, nodes=tuple(_with_symbols(nodes, floats)), hints=found)


def _is_float(meta: TensorMeta) -> bool:
    return meta.dtype == "f64" and meta.shape == () and meta.device == "cpu"


def _with_symbols(nodes: list[Node], floats: Collection[str]) -> Iterator[Node]:
    """The nodes, where Dynamo reads a Python float back with `.item()`, with the symbol that it stands for.

    `torch._dynamo.variables.builder.wrap_symfloat` passes a float as a tensor of no dimensions and prints the symbol as
    `zf0`; a script without annotations prints neither the symbol nor the value.
    """
    for node in nodes:
        reads_float = node.op == "torch.Tensor.item" and node.inputs and node.inputs[0] in floats
        yield replace(node, meta=SymbolMeta(f"zf_{node.name}")) if reads_float and node.meta is None else node


def _values_of_symbols(printed: Metadata | None, stated: Metadata | None) -> dict[str, int]:
    """What Thunder's inputs tell of symbols: tensors have the sizes that they had, and SymInts are numbers."""
    pairs: list[tuple[Dimension, Dimension]] = []
    if isinstance(printed, SymbolMeta) and isinstance(stated, SymbolMeta) and stated.expression.isdecimal():
        pairs = [(printed.expression, int(stated.expression))]
    elif isinstance(printed, TensorMeta) and isinstance(stated, TensorMeta) and len(printed.shape) == len(stated.shape):
        pairs = list(zip(printed.shape, stated.shape, strict=True))
    return {
        name: value for name, value in pairs if isinstance(name, str) and name.isidentifier() and isinstance(value, int)
    }


def _merged(printed: Metadata | None, stated: Metadata | None, *, annotated: bool) -> Metadata | None:
    if printed is None or (stated is not None and not annotated):
        return stated
    if isinstance(printed, TensorMeta) and isinstance(stated, TensorMeta) and stated.requires_grad:
        return replace(printed, requires_grad=True)
    return printed


# --- attributes -------------------------------------------------------------------------------------------------------


def _attributes(module: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """What `__init__` assigns below `self`: by assignment, `setattr`, `register_buffer` or `register_parameter`."""
    function = _function(module, "__init__")
    for statement in function.body if function else ():
        match statement:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                yield name, value
            case ast.Expr(
                value=ast.Call(
                    func=ast.Name(id="setattr"), args=[ast.Name(id="self"), ast.Constant(value=str(name)), value]
                )
            ):
                yield name, value
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id="self"), attr="register_buffer" | "register_parameter"),
                    args=[ast.Constant(value=str(name)), value, *_],
                )
            ):
                yield name, value


def _do_not_instantiate(module: ast.ClassDef) -> None:
    """Reads Thunder's `self.wrap_body_0()` as torch.fx's `self.wrap_body_0`, in place.

    `thunder.dynamo.utils._readable` adds `()` so that the class below, which prints the body, is instantiated.
    """
    waiting = [module]
    while waiting:
        current = waiting.pop()
        children = {child.name: child for child in current.body if isinstance(child, ast.ClassDef)}
        waiting += children.values()
        function = forward_of(current)
        if children and function is not None:
            for part in ast.walk(function):
                _uncall(part, children)


def _uncall(part: ast.AST, children: Collection[str]) -> None:
    for field, value in ast.iter_fields(part):
        if isinstance(value, list):
            value[:] = [_uncalled(item, children) for item in value]
        else:
            setattr(part, field, _uncalled(value, children))


def _uncalled(value: object, children: Collection[str]) -> object:
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name) as attribute, args=[], keywords=[]) if (
            name in children
        ):
            return attribute
        case _:
            return value
