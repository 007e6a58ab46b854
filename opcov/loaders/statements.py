"""Reads the statements of one printed `forward` as nodes, in printed order.

The statements are those that `torch.fx.graph.CodeGen._gen_python_code` prints. The syntax tree is only looked at:
nothing of it is compiled or run, and no name in it is imported.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from opcov.graph import Argument, Construct, DictArg, Global, Kind, ListArg, Metadata, Node, Ref, SliceArg, Source
from opcov.loaders.annotations import UnknownAnnotation, parse_annotation
from opcov.loaders.targets import attribute_op, function_op, method_op, module_op
from opcov.problems import Problem, Slug

UNREADABLE = "unreadable"
"""The op and target of a statement that no rule knows. It stays a node so that nothing is lost in silence."""

_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.Pow: "pow", ast.LShift: "lshift", ast.RShift: "rshift", ast.BitAnd: "and_", ast.BitOr: "or_",
    ast.BitXor: "xor", ast.MatMult: "matmul",
}  # fmt: skip
_INPLACE = {
    operator: "i" + name.rstrip("_") for operator, name in _BINARY.items()
}
_COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}
_UNARY = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert", ast.Not: "not_"}

_FLOATS = {"inf": float("inf"), "nan": float("nan")}
_MAX_DEPTH = 100
"""How deep an argument may nest; torch.fx prints a handful of levels."""

_PROVENANCE = re.compile(r"File: (?P<file>.*?):(?P<line>\d+)(?: in (?P<function>.*?))?, code: (?P<code>.*)")


class UnknownStatement(ValueError):
    """The statement is none that torch.fx prints."""


class SourceComments:
    """The provenance comments of a file: each holds for all nodes up to the next comment.

    Args:
        lines: the lines of the file.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines: list[int] = []
        self._sources: list[Source | None] = []
        for number, line in enumerate(lines, 1):
            text = line.lstrip()
            if text.startswith("#"):
                self._lines.append(number)
                self._sources.append(_source(text))

    def before(self, line: int, start: int) -> Source | None:
        """The source that holds at a line: from the last comment between the line `start` and it."""
        position = bisect_left(self._lines, line) - 1
        if position < 0 or self._lines[position] <= start:
            return None
        return self._sources[position]


def _source(comment: str) -> Source | None:
    found = _PROVENANCE.search(comment)
    if found is None:
        return None
    return Source(found["file"], int(found["line"]), found["function"] or "", found["code"].rstrip())


@dataclass(slots=True)
class Forward:
    """What one `forward` says.

    Attributes:
        placeholders: in order of the parameters.
        nodes: get_attr and call nodes in printed order.
        output: what it returns; None for `return None` and where there is no return.
        names: every local name, aliases included, with the name of the node that it stands for.
        annotated: whether any annotation was printed.
        problems: what could not be read; without file names.
        line: of the `def`.
    """

    line: int
    placeholders: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    output: Argument = None
    output_line: int = 0
    names: dict[str, str] = field(default_factory=dict)
    annotated: bool = False
    problems: list[Problem] = field(default_factory=list)


def read_forward(function: ast.FunctionDef, lines: Sequence[str], comments: SourceComments) -> Forward:
    """Reads one function.

    Args:
        function: the `def forward(self, ...)`.
        lines: the lines of the file, for the text of expressions.
        comments: the file's provenance comments.
    """
    return _Reader(function, lines, comments).read()


class _Reader:
    """Walks the statements of one function once."""

    def __init__(self, function: ast.FunctionDef, lines: Sequence[str], comments: SourceComments) -> None:
        self._function = function
        self._lines = lines
        self._comments = comments
        self._forward = Forward(function.lineno)
        self._names = self._forward.names
        self._placeholder_index: dict[str, int] = {}
        self._late_annotations: dict[str, Metadata] = {}
        self._pending: tuple[ast.stmt, str, tuple[Argument, ...]] | None = None
        arguments = function.args
        self._self = arguments.args[0].arg if arguments.args else ""

    def read(self) -> Forward:
        self._read_parameters()
        for statement in self._function.body:
            try:
                self._statement(statement)
            except UnknownStatement as error:
                self._lose(statement, str(error))
            except RecursionError:
                self._lose(statement, "it nests too deep")
        if self._pending is not None:
            self._lose(self._pending[0], "the result of an in-place operation is not named")
        return self._forward

    # --- parameters ---------------------------------------------------------------------------------------------------

    def _read_parameters(self) -> None:
        arguments = self._function.args
        parameters = [(argument.arg, argument) for argument in (arguments.posonlyargs + arguments.args)[1:]]
        if arguments.vararg:
            parameters.append(("*" + arguments.vararg.arg, arguments.vararg))
        parameters += [(argument.arg, argument) for argument in arguments.kwonlyargs]
        if arguments.kwarg:
            parameters.append(("**" + arguments.kwarg.arg, arguments.kwarg))
        for target, argument in parameters:
            self._placeholder(target.lstrip("*"), target, self._annotation(argument.annotation), argument.lineno)

    def _placeholder(self, name: str, target: str, meta: Metadata | None, line: int) -> None:
        self._placeholder_index[name] = len(self._forward.placeholders)
        self._forward.placeholders.append(Node(name, Kind.PLACEHOLDER, target, "", meta=meta, line=line))
        self._names[name] = name

    def _rename_placeholder(self, old: str, new: str) -> None:
        """`l_x_ = L_x_` is no node: the placeholder with target `L_x_` is named `l_x_`."""
        index = self._placeholder_index.pop(old)
        node = self._forward.placeholders[index]
        self._forward.placeholders[index] = Node(new, node.kind, node.target, "", meta=node.meta, line=node.line)
        self._placeholder_index[new] = index
        self._names[old] = self._names[new] = new

    def _replace_placeholders(self, names: Sequence[str], line: int) -> None:
        """`x, y, = fx_pytree.tree_flatten_spec(([x, y], {}), self._in_spec)`: the left side names the placeholders."""
        known = {node.name: node for node in self._forward.placeholders}
        self._forward.placeholders.clear()
        self._placeholder_index.clear()
        for name in names:
            meta = self._late_annotations.get(name) or (known[name].meta if name in known else None)
            self._placeholder(name, name, meta, line)

    # --- statements ---------------------------------------------------------------------------------------------------

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=None):
                meta = self._annotation(annotation)
                if meta is not None:
                    self._late_annotations[name] = meta
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value) if value is not None:
                self._assign(statement, name, value, self._annotation(annotation))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not _is_none(value):
                self._assign(statement, name, value, None)
            case ast.Assign(targets=targets, value=value) if _is_none(value) and all(
                isinstance(target, ast.Name) for target in targets
            ):
                pass  # `x = y = None` frees values and is no node
            case ast.Assign(targets=[ast.Subscript(value=base, slice=index)], value=value):
                arguments = (self._argument(base), self._index(index), self._argument(value))
                self._begin_inplace(statement, "setitem", arguments)
            case ast.AugAssign(target=target, op=operator, value=value) if type(operator) in _INPLACE:
                arguments = (self._argument(target), self._argument(value))
                self._begin_inplace(statement, _INPLACE[type(operator)], arguments)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Call(func=ast.Attribute(attr="tree_flatten_spec"))):
                self._replace_placeholders([name.id for name in names if isinstance(name, ast.Name)], statement.lineno)
            case ast.Return(value=value):
                self._forward.output = self._output(value)
                self._forward.output_line = statement.lineno
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="args_list"), attr="clear"))):
                pass  # the boxed calling convention of torch.fx.graph._BoxedCodeGen
            case _:
                raise UnknownStatement("torch.fx prints no such statement")

    def _begin_inplace(self, statement: ast.stmt, operator: str, arguments: tuple[Argument, ...]) -> None:
        """`a += b;  a_1 = a`: the second statement names the node of the first."""
        if self._pending is not None:
            self._lose(self._pending[0], "the result of an in-place operation is not named")
        self._pending = (statement, operator, arguments)

    def _assign(self, statement: ast.stmt, name: str, value: ast.expr, meta: Metadata | None) -> None:
        if isinstance(value, ast.Name):
            self._assign_name(statement, name, value.id, meta)
            return
        if _is_call_of(value, "iter") or _is_call_of(value, "next"):
            if _is_call_of(value, "next"):
                self._take_boxed(name, statement.lineno)
            return
        try:
            kind, target, op, args, kwargs = self._call(value)
        except UnknownStatement as error:
            self._forward.problems.append(_problem(statement, str(error)))
            kind, target, op, args, kwargs = Kind.CALL_FUNCTION, UNREADABLE, UNREADABLE, (), ()
        self._add(statement, value, name, kind, target, op, args, kwargs, meta)

    def _assign_name(self, statement: ast.stmt, name: str, value: str, meta: Metadata | None) -> None:
        if self._pending is not None:
            inplace, operator, args = self._pending
            self._pending = None
            op = f"operator.{operator}"
            self._add(inplace, inplace, name, Kind.CALL_FUNCTION, op, op, args, (), meta)
        elif value in self._placeholder_index:
            self._rename_placeholder(value, name)
        elif value in self._names:
            self._names[name] = self._names[value]
        else:
            raise UnknownStatement(f"nothing before it defines {value!r}")

    def _take_boxed(self, name: str, line: int) -> None:
        self._forward.placeholders = [node for node in self._forward.placeholders if node.name != "args_list"]
        self._placeholder_index = {node.name: i for i, node in enumerate(self._forward.placeholders)}
        self._placeholder(name, name, None, line)

    def _add(
        self,
        statement: ast.stmt,
        printed: ast.AST,
        name: str,
        kind: Kind,
        target: str,
        op: str,
        args: tuple[Argument, ...],
        kwargs: tuple[tuple[str, Argument], ...],
        meta: Metadata | None,
    ) -> None:
        line = statement.lineno
        self._names[name] = name
        self._forward.nodes.append(
            Node(
                name,
                kind,
                target,
                op,
                args,
                kwargs,
                meta,
                line,
                "" if kind is Kind.GET_ATTR else self._text(printed),
                None,
                self._comments.before(line, self._forward.line),
            )
        )

    def _lose(self, statement: ast.stmt, why: str) -> None:
        """Keeps a statement that could not be read as an unreadable node, under the name that it assigns."""
        self._forward.problems.append(_problem(statement, why))
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]):
                meta = None
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                meta = self._annotation(annotation)
            case _:
                name, meta = f"{UNREADABLE}_{statement.lineno}", None
        self._add(statement, statement, name, Kind.CALL_FUNCTION, UNREADABLE, UNREADABLE, (), (), meta)

    # --- expressions --------------------------------------------------------------------------------------------------

    def _call(
        self, value: ast.expr
    ) -> tuple[Kind, str, str, tuple[Argument, ...], tuple[tuple[str, Argument], ...]]:
        """Kind, target, op, args and kwargs of the node that an assigned expression prints."""
        function: str
        args: tuple[Argument, ...]
        match value:
            case ast.Call():
                return self._printed_call(value)
            case ast.BinOp(left=left, op=binary, right=right):
                function, args = _BINARY[type(binary)], (self._argument(left), self._argument(right))
            case ast.UnaryOp(op=ast.USub(), operand=ast.BinOp(left=left, op=ast.Pow(), right=right)):
                # Python reads `-1 ** x` as -(1 ** x), but torch.fx prints operator.pow(-1, x) so.
                base = self._argument(ast.UnaryOp(op=ast.USub(), operand=left))
                function, args = "pow", (base, self._argument(right))
            case ast.UnaryOp(op=unary, operand=operand):
                function, args = _UNARY[type(unary)], (self._argument(operand),)
            case ast.Compare(left=left, ops=[comparison], comparators=[right]) if type(comparison) in _COMPARE:
                function, args = _COMPARE[type(comparison)], (self._argument(left), self._argument(right))
            case ast.Subscript(value=base_expression, slice=index):
                function, args = "getitem", (self._argument(base_expression), self._index(index))
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self._names:
                read: tuple[Argument, ...] = (Ref(self._names[name]), attribute)
                return Kind.CALL_FUNCTION, "getattr", attribute_op(attribute), read, ()
            case _:
                path = self._attribute_path(value)
                if path is None:
                    raise UnknownStatement("torch.fx prints no such expression")
                return Kind.GET_ATTR, path, "", (), ()
        return Kind.CALL_FUNCTION, f"operator.{function}", f"operator.{function}", args, ()

    def _printed_call(
        self, call: ast.Call
    ) -> tuple[Kind, str, str, tuple[Argument, ...], tuple[tuple[str, Argument], ...]]:
        path = self._attribute_path(call)
        if path is not None:  # getattr(self, "0")
            return Kind.GET_ATTR, path, "", (), ()
        args, kwargs = self._arguments(call)
        path = self._attribute_path(call.func)
        if path is not None:
            return Kind.CALL_MODULE, path, module_op(path), args, kwargs
        match call.func:
            case ast.Name(id=name) if name not in self._names:
                if name == "getattr" and len(args) == 2 and isinstance(args[1], str):
                    return Kind.CALL_FUNCTION, name, attribute_op(args[1]), args, kwargs
                return Kind.CALL_FUNCTION, name, function_op(name), args, kwargs
            case ast.Attribute(value=receiver, attr=method):
                dotted = self._global_name(call.func)
                if dotted is not None:
                    return Kind.CALL_FUNCTION, dotted, function_op(dotted), args, kwargs
                return Kind.CALL_METHOD, method, method_op(method), (self._argument(receiver), *args), kwargs
        raise UnknownStatement("it calls something that is no function, method or module")

    def _arguments(self, call: ast.Call) -> tuple[tuple[Argument, ...], tuple[tuple[str, Argument], ...]]:
        args = tuple(self._argument(argument) for argument in call.args)
        kwargs = []
        for keyword in call.keywords:
            if keyword.arg is None:
                raise UnknownStatement("it unpacks keyword arguments")
            kwargs.append((keyword.arg, self._argument(keyword.value)))
        return args, tuple(kwargs)

    def _argument(self, value: ast.expr, depth: int = 0) -> Argument:
        if depth > _MAX_DEPTH:
            raise UnknownStatement("an argument nests too deep")
        deeper = depth + 1
        match value:
            case ast.Name(id=name):
                return self._named_value(name)
            case ast.Constant(value=constant):
                return constant
            case ast.Tuple(elts=elements):
                return tuple(self._argument(element, deeper) for element in elements)
            case ast.List(elts=elements):
                return ListArg(tuple(self._argument(element, deeper) for element in elements))
            case ast.Dict(keys=keys, values=values):
                items = []
                for key, item in zip(keys, values):
                    if key is None:
                        raise UnknownStatement("it unpacks a dict")
                    items.append((self._argument(key, deeper), self._argument(item, deeper)))
                return DictArg(tuple(items))
            case ast.Set(elts=elements):
                return Construct("set", tuple(self._argument(element, deeper) for element in elements), ())
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self._argument(operand, deeper)
                if isinstance(number, (int, float, complex)) and not isinstance(number, bool):
                    return -number
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=ast.Constant(value=complex(imag=imaginary))):
                real = self._argument(left, deeper)
                if isinstance(real, (int, float)):
                    return complex(real, imaginary if isinstance(sign, ast.Add) else -imaginary)
            case ast.Slice():
                return self._index(value, deeper)
            case ast.Attribute():
                dotted = self._global_name(value)
                if dotted is not None:
                    return Global(dotted)
            case ast.Call(func=function):
                dotted = self._global_name(function)
                if dotted == "slice" and not value.keywords and len(value.args) == 3:
                    start, stop, step = (self._argument(part, deeper) for part in value.args)
                    return SliceArg(start, stop, step)
                if dotted is not None:
                    args = tuple(self._argument(argument, deeper) for argument in value.args)
                    if all(keyword.arg for keyword in value.keywords):
                        kwargs = tuple((str(k.arg), self._argument(k.value, deeper)) for k in value.keywords)
                        return Construct(dotted, args, kwargs)
        raise UnknownStatement(f"torch.fx prints no such argument: {self._text(value)[:80]}")

    def _index(self, index: ast.expr, depth: int = 0) -> Argument:
        """An index; Python's own `1:2` is read like the `slice(1, 2, None)` that torch.fx prints."""
        if isinstance(index, ast.Slice):
            parts = (index.lower, index.upper, index.step)
            start, stop, step = (None if part is None else self._argument(part, depth + 1) for part in parts)
            return SliceArg(start, stop, step)
        return self._argument(index, depth)

    def _named_value(self, name: str) -> Argument:
        if name in self._names:
            return Ref(self._names[name])
        if name in _FLOATS:
            return _FLOATS[name]
        if name == "Ellipsis":
            return ...
        if name == "NoneType" or "___" in name:
            return Global(name)
        raise UnknownStatement(f"nothing before it defines {name!r}")

    def _global_name(self, value: ast.expr) -> str | None:
        """The dotted text of an expression such as `torch.ops.aten.add.Tensor` whose root is no local value."""
        parts = []
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if not isinstance(value, ast.Name) or value.id in self._names or value.id == self._self:
            return None
        parts.append(value.id)
        return ".".join(reversed(parts))

    def _attribute_path(self, value: ast.expr) -> str | None:
        """The path of `self.sub.w`, `getattr(self, "0")` or `getattr(self.layers, "0").weight`."""
        parts: list[str] = []
        while True:
            match value:
                case ast.Attribute(value=base, attr=attribute):
                    parts.append(attribute)
                    value = base
                case ast.Call(func=ast.Name(id="getattr"), args=[base, ast.Constant(value=str(attribute))], keywords=[]):
                    parts.append(attribute)
                    value = base
                case ast.Name(id=name) if parts and name == self._self and name not in self._names:
                    return ".".join(reversed(parts))
                case _:
                    return None

    def _output(self, value: ast.expr | None) -> Argument:
        match value:
            case None:
                return None
            case ast.Call(func=ast.Attribute(attr="tree_unflatten"), args=[flat, _]):
                return self._argument(flat)
            case _:
                return self._argument(value)

    # --- text ---------------------------------------------------------------------------------------------------------

    def _annotation(self, annotation: ast.expr | None) -> Metadata | None:
        if not isinstance(annotation, ast.Constant) or not isinstance(annotation.value, str):
            return None  # a plain Python type says nothing about shapes
        self._forward.annotated = True
        try:
            return parse_annotation(annotation.value)
        except UnknownAnnotation as error:
            self._forward.problems.append(
                Problem("", annotation.lineno, Slug.UNKNOWN_ANNOTATION, f"{error}; its node has no metadata")
            )
            return None

    def _text(self, node: ast.AST) -> str:
        """The printed text of an expression or statement, on one line."""
        if not isinstance(node, (ast.expr, ast.stmt)) or node.end_lineno is None or node.end_col_offset is None:
            return ""
        first, last = node.lineno, node.end_lineno
        if first == last:
            return _columns(self._lines[first - 1], node.col_offset, node.end_col_offset)
        parts = [_columns(self._lines[first - 1], node.col_offset, None)]
        parts += self._lines[first : last - 1]
        parts.append(_columns(self._lines[last - 1], 0, node.end_col_offset))
        return " ".join(part.strip() for part in parts)


def _columns(line: str, start: int, end: int | None) -> str:
    """Part of a line by ast's column offsets, which count bytes of UTF-8."""
    if line.isascii():
        return line[start:end]
    return line.encode()[start:end].decode(errors="replace")


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _is_call_of(value: ast.expr, function: str) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == function


def _problem(statement: ast.stmt, why: str) -> Problem:
    return Problem("", statement.lineno, Slug.UNKNOWN_STATEMENT, f"a statement cannot be read: {why}; its node is unknown")
