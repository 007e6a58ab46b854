"""Reads the statements of one printed `forward` as nodes, in printed order.

The statements are those that `torch.fx.graph.CodeGen._gen_python_code` prints. The syntax tree is only looked at:
nothing of it is compiled or run, and no name in it is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from opcov.graph import Argument, Kind, Metadata, Node
from opcov.loaders.text.annotations import UnknownAnnotation, parse_annotation
from opcov.loaders.text.expressions import INPLACE, Call, Expressions, NotPrinted
from opcov.loaders.text.provenance import SourceComments
from opcov.ops import UNREADABLE
from opcov.problems import Problem, Slug

_UNREADABLE_CALL = Call(Kind.CALL_FUNCTION, UNREADABLE, UNREADABLE)


@dataclass(slots=True)
class Forward:
    """What one `forward` says.

    Attributes:
        line: of the `def`.
        placeholders: in order of the parameters.
        nodes: get_attr and call nodes in printed order; no two nodes have one name.
        output: what it returns; None for `return None` and where there is no return that can be read.
        output_line: of the `return`.
        names: every local name, aliases included, with the name of the node that it stands for.
        annotated: whether any annotation was printed.
        problems: what could not be read; without file names.
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
    """Reads one function; a statement that no rule knows becomes an unreadable node and a problem.

    Args:
        function: the `def forward(self, ...)`.
        lines: the lines of the file, for the text of expressions.
        comments: the file's provenance comments.
    """
    return _Reader(function, lines, comments).read()


@dataclass(frozen=True, slots=True)
class _Inplace:
    """`a += b` or `a[i] = b`: the statement after it, `a_1 = a`, names its node."""

    statement: ast.stmt
    operator: str
    args: tuple[Argument, ...]


class _Reader:
    """Walks the statements of one function once."""

    def __init__(self, function: ast.FunctionDef, lines: Sequence[str], comments: SourceComments) -> None:
        self._function = function
        self._comments = comments
        self._forward = Forward(function.lineno)
        self._names = self._forward.names
        self._used: dict[str, int] = {}
        self._placeholder_index: dict[str, int] = {}
        self._late_annotations: dict[str, Metadata] = {}
        self._pending: _Inplace | None = None
        self._leaves = 0
        self._calls = False
        arguments = function.args
        self._parameters = arguments.posonlyargs + arguments.args
        self._self = self._parameters[0].arg if self._parameters else ""
        self._expressions = Expressions(self._names, self._self, lines)

    def read(self) -> Forward:
        self._read_parameters()
        for statement in self._function.body:
            if self._pending is not None and self._named_pending(statement):
                continue
            try:
                self._statement(statement)
            except NotPrinted as error:
                self._lose(statement, str(error))
            except RecursionError:
                self._lose(statement, "it nests too deep")
        self._drop_pending()
        return self._forward

    # --- parameters ---------------------------------------------------------------------------------------------------

    def _read_parameters(self) -> None:
        arguments = self._function.args
        parameters = [(argument.arg, argument) for argument in self._parameters[1:]]
        if arguments.vararg:
            parameters.append(("*" + arguments.vararg.arg, arguments.vararg))
        parameters += [(argument.arg, argument) for argument in arguments.kwonlyargs]
        if arguments.kwarg:
            parameters.append(("**" + arguments.kwarg.arg, arguments.kwarg))
        for target, argument in parameters:
            self._placeholder(target.lstrip("*"), target, self._annotation(argument.annotation), argument.lineno)

    def _placeholder(self, printed: str, target: str, meta: Metadata | None, line: int) -> None:
        name = self._unused(printed)
        self._placeholder_index[name] = len(self._forward.placeholders)
        self._forward.placeholders.append(Node(name, Kind.PLACEHOLDER, target, "", meta=meta, line=line))
        self._names[printed] = name

    def _rename_placeholder(self, old: str, printed: str) -> None:
        """`l_x_ = L_x_` is no node: the placeholder with target `L_x_` is named `l_x_`."""
        new = self._unused(printed)
        index = self._placeholder_index.pop(old)
        node = self._forward.placeholders[index]
        self._forward.placeholders[index] = Node(new, node.kind, node.target, "", meta=node.meta, line=node.line)
        self._placeholder_index[new] = index
        self._names[old] = self._names[printed] = new

    def _replace_placeholders(self, names: Sequence[str], line: int) -> None:
        """`x, y, = ...` after the `def`: the names on its left, not the parameters, are the placeholders."""
        known = {node.name: node for node in self._forward.placeholders}
        self._forget_placeholders()
        for name in names:
            if name != self._self:
                meta = self._late_annotations.get(name) or (known[name].meta if name in known else None)
                self._placeholder(name, name, meta, line)

    def _forget_placeholders(self) -> None:
        for node in self._forward.placeholders:
            self._names.pop(node.name, None)
        self._used.clear()
        self._forward.placeholders.clear()
        self._placeholder_index.clear()

    # --- statements ---------------------------------------------------------------------------------------------------

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=None):
                meta = self._annotation(annotation)
                if meta is not None:
                    self._late_annotations[name] = meta
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                self._assign(statement, name, value, self._annotation(annotation))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not _is_none(value):
                self._assign(statement, name, value, None)
            case ast.Assign(targets=targets, value=value) if _is_none(value) and _are_names(targets):
                pass  # `x = y = None` frees values and is no node
            case ast.Assign(targets=[ast.Subscript(value=base, slice=index)], value=value):
                argument = self._expressions.argument
                self._pending = _Inplace(statement, "setitem", (argument(base), argument(index), argument(value)))
            case ast.AugAssign(target=target, op=operator, value=value):
                argument = self._expressions.argument
                self._pending = _Inplace(statement, INPLACE[type(operator)], (argument(target), argument(value)))
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Call(func=ast.Attribute(attr=function))) if (
                _are_names(names)
            ):
                self._unpack([name.id for name in names if isinstance(name, ast.Name)], function, statement.lineno)
            case ast.Return(value=value):
                self._return(statement, value)
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                pass  # an empty body, and the docstrings that FX_GRAPH_SHOW_META prints
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="args_list"), attr="clear"))):
                pass  # the boxed calling convention of torch.fx.graph._BoxedCodeGen
            case _:
                raise NotPrinted("torch.fx prints no such statement")

    def _assign(self, statement: ast.stmt, name: str, value: ast.expr, meta: Metadata | None) -> None:
        match value:
            case ast.Name(id=other):
                self._alias(name, other)
            case ast.Call(func=ast.Name(id="iter"), args=[ast.Name(id="args_list")]) if name == "args_iter":
                self._forget_placeholders()  # torch.fx.graph._BoxedCodeGen
                self._names[name] = name
            case ast.Call(func=ast.Name(id="next"), args=[ast.Name(id="args_iter")]) if not self._calls:
                self._placeholder(name, name, None, statement.lineno)
            case _:
                try:
                    call = self._expressions.call(value)
                except NotPrinted as error:
                    self._report(statement, str(error))
                    call = _UNREADABLE_CALL
                self._add(statement, value, name, call, meta)

    def _alias(self, name: str, other: str) -> None:
        if other not in self._names:
            raise NotPrinted(f"nothing before it defines {other[:80]!r}")
        if other in self._placeholder_index and not self._calls:
            self._rename_placeholder(other, name)
        else:
            self._names[name] = self._names[other]

    def _unpack(self, names: Sequence[str], function: str, line: int) -> None:
        match function:
            case "tree_flatten_spec" | "_in_shuffle_graph":  # torch.fx.graph._PyTreeCodeGen and _ExportCodeGen
                self._replace_placeholders(names, line)
            case "tree_leaves":
                self._leaves = len(names)
                self._replace_placeholders(names, line)
            case _:
                raise NotPrinted("torch.fx prints no such statement")

    def _return(self, statement: ast.stmt, value: ast.expr | None) -> None:
        self._forward.output_line = statement.lineno
        try:
            match value:
                case None:
                    self._forward.output = None
                case ast.Call(func=ast.Attribute(attr="tree_unflatten"), args=[flat, _]):
                    self._forward.output = self._flat_output(flat)
                case _:
                    self._forward.output = self._expressions.argument(value)
        except NotPrinted as error:
            self._report(statement, str(error), "what the graph returns is unknown")

    def _flat_output(self, flat: ast.expr) -> Argument:
        match flat:
            case ast.Call(func=ast.Attribute(attr="_out_shuffle_graph"), args=[*leaves_and_results]):
                results = leaves_and_results[self._leaves :]  # torch.fx.graph._ExportCodeGen
                return tuple([self._expressions.argument(result) for result in results])
            case _:
                return self._expressions.argument(flat)

    # --- in-place operations ------------------------------------------------------------------------------------------

    def _named_pending(self, statement: ast.stmt) -> bool:
        """Whether the statement names the in-place operation before it, which then becomes a node."""
        assert self._pending is not None, "only asked after an in-place operation"
        pending = self._pending
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
                meta = self._annotation(annotation)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                meta = None
            case _:
                self._drop_pending()
                return False
        try:
            same = self._expressions.argument(value) == pending.args[0]
        except (NotPrinted, RecursionError):
            same = False
        if not same:
            self._drop_pending()
            return False
        self._pending = None
        op = f"operator.{pending.operator}"
        self._add(pending.statement, pending.statement, name, Call(Kind.CALL_FUNCTION, op, op, pending.args), meta)
        return True

    def _drop_pending(self) -> None:
        if self._pending is not None:
            self._lose(self._pending.statement, "the result of an in-place operation is not named")
            self._pending = None

    # --- results ------------------------------------------------------------------------------------------------------

    def _add(
        self, statement: ast.stmt, printed: ast.expr | ast.stmt, name: str, call: Call, meta: Metadata | None
    ) -> None:
        line = printed.lineno  # a formatter may have put the expression on a line below the name
        unused = self._unused(name)
        self._names[name] = unused
        text = "" if call.kind is Kind.GET_ATTR else self._expressions.text(printed)
        source = self._comments.before(line, self._forward.line)
        kind, target, op, args, kwargs = call
        self._calls = self._calls or kind is not Kind.GET_ATTR
        self._forward.nodes.append(Node(unused, kind, target, op, args, kwargs, meta, line, text, None, source))

    def _unused(self, name: str) -> str:
        """The name itself; torch.fx never prints one twice, so a text that does is not its work."""
        unused = name
        while unused in self._used:
            self._used[name] += 1
            unused = f"{name}_{self._used[name]}"
        self._used[unused] = 0
        return unused

    def _lose(self, statement: ast.stmt, why: str) -> None:
        """Keeps a statement that could not be read as an unreadable node, under the name that it assigns."""
        self._report(statement, why)
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]):
                meta = None
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                meta = self._annotation(annotation)
            case _:
                name, meta = f"{UNREADABLE}_{statement.lineno}", None
        self._add(statement, statement, name, _UNREADABLE_CALL, meta)

    def _report(self, statement: ast.stmt, why: str, effect: str = "its node is unknown") -> None:
        message = f"a statement cannot be read: {why}; {effect}"
        self._forward.problems.append(Problem("", statement.lineno, Slug.UNKNOWN_STATEMENT, message))

    def _annotation(self, annotation: ast.expr | None) -> Metadata | None:
        if not isinstance(annotation, ast.Constant) or not isinstance(annotation.value, str):
            return None  # a plain Python type says nothing about shapes
        self._forward.annotated = True
        try:
            return parse_annotation(annotation.value)
        except UnknownAnnotation as error:
            message = f"{error}; its node has no metadata"
            self._forward.problems.append(Problem("", annotation.lineno, Slug.UNKNOWN_ANNOTATION, message))
            return None


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _are_names(targets: Sequence[ast.expr]) -> bool:
    return all(isinstance(target, ast.Name) for target in targets)
