"""Reads the JSON of an exported graph as nodes, by the rules of torch's own `GraphModuleDeserializer`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from opcov.form import Form
from opcov.graph import (
    Argument,
    ConstantMeta,
    Graph,
    Kind,
    Metadata,
    Node,
    Ref,
    SequenceMeta,
    Source,
)
from opcov.loaders.pt2.exported_values import (
    Malformed,
    argument,
    as_list,
    as_name,
    as_object,
    metadata,
    printed_target,
    union,
)
from opcov.loaders.text.printed import printed_call
from opcov.loaders.text.targets import function_op
from opcov.ops import UNREADABLE
from opcov.problems import Problem, Slug

_POSITIONAL, _KEYWORD = 1, 2
"""`schema.ArgumentKind`; older torch does not write it."""

_KEYWORD_ONLY = frozenset(
    "alpha beta device dtype generator implicit layout memory_format non_blocking out pin_memory scale".split()
)
"""Arguments that ATen's schemas take by keyword only, for archives that do not tell."""

_SYMBOLIC = ("as_sym_int", "as_sym_float", "as_sym_bool")
_CONSTANTS = ("as_none", "as_int", "as_float", "as_bool", "as_string")
_FRAME = re.compile(r'File "(.+)", line (\d{1,9}), in (.+)')
_HIGHER_ORDER = "torch.ops.higher_order."
_DEEPEST = 16


def read_program(program: object) -> Graph:
    """The graph of an exported program.

    Args:
        program: `schema.ExportedProgram` as JSON; whatever it is, nothing is raised but `Malformed`.

    Raises:
        Malformed: there is no graph in it.
    """
    module = as_object(as_object(program).get("graph_module"))
    graph = as_object(module.get("graph"))
    signature = module.get("signature")
    hints: dict[str, int | float] = {}
    return _Reader(graph, _input_names(signature), hints, 0).read("GraphModule")


def _input_names(signature: Any) -> list[str | None]:
    """The names of the inputs that the signature states: those of constants are nowhere else."""
    if not isinstance(signature, dict) or not isinstance(signature.get("input_specs"), list):
        return []
    names: list[str | None] = []
    for spec in signature["input_specs"]:
        constant = spec.get("constant_input") if isinstance(spec, dict) else None
        name = constant.get("name") if isinstance(constant, dict) else None
        names.append(name if isinstance(name, str) and name.isidentifier() else None)
    return names


class _Reader:
    """Reads one graph once; a subgraph gets a reader of its own."""

    def __init__(
        self, graph: dict[str, Any], names: list[str | None], hints: dict[str, int | float], depth: int
    ) -> None:
        self._graph = graph
        self._names = names
        self._hints = hints
        self._depth = depth
        self._nodes: list[Node] = []
        self._known: dict[str, str] = {}
        self._used: dict[str, int] = {}
        self._bodies: dict[str, Graph] = {}
        self._problems: list[Problem] = []
        self._read_by_any = _names_read(graph)
        self._source: Source | None = None

    def read(self, name: str) -> Graph:
        for position, value in enumerate(as_list(self._graph.get("inputs"))):
            try:
                self._input(position, value)
            except Malformed as error:
                self._report(f"input {position}", error)
                self._add(Node(self._unused(f"arg{position}"), Kind.PLACEHOLDER, f"arg{position}", ""))
        for position, value in enumerate(as_list(self._graph.get("nodes"))):
            before = len(self._nodes)
            try:
                self._node(as_object(value))
            except Malformed as error:
                del self._nodes[before:]
                self._report(f"node {position}", error)
                self._lose(value)
        self._output()
        return Graph(
            name, Form.UNSPLIT, tuple(self._nodes), (), self._bodies, True, tuple(self._problems), hints=self._hints
        )

    # --- inputs and outputs -------------------------------------------------------------------------------------------

    def _input(self, position: int, value: Any) -> None:
        tag, content = union(value)
        meta: Metadata | None = None
        if tag in ("as_tensor", "as_custom_obj"):
            name = as_name(as_object(content).get("name"))
        elif tag in _SYMBOLIC:
            name = as_name(as_object(content).get("as_name"))
        elif tag in _CONSTANTS:
            stated = self._names[position] if position < len(self._names) else None
            name = stated or f"arg{position}"
            meta = ConstantMeta(self._argument(value))
        else:
            raise Malformed("it is of a kind that torch does not know")
        unused = self._unused(name)
        self._known[name] = unused
        self._add(Node(unused, Kind.PLACEHOLDER, name, "", meta=meta or self._meta(name)))

    def _output(self) -> None:
        result: Argument = None
        try:
            values = [self._argument(value) for value in as_list(self._graph.get("outputs"))]
            is_single = self._graph.get("is_single_tensor_return") is True and len(values) == 1
            result = values[0] if is_single else tuple(values)
        except Malformed as error:
            self._report("the output", error, "what the graph returns is unknown")
        self._add(Node(self._unused("output"), Kind.OUTPUT, "output", "", (result,)))

    # --- nodes --------------------------------------------------------------------------------------------------------

    def _node(self, value: dict[str, Any]) -> None:
        target = printed_target(value.get("target"))
        self._source = source = _source(value.get("metadata"))
        args, kwargs = self._arguments(target, as_list(value.get("inputs")))
        outputs = [union(output) for output in as_list(value.get("outputs"))]
        stated = value.get("name")
        single = self._single(target, value, outputs)
        name = single or (as_name(stated) if stated is not None else _fx_name(target))
        is_list = not target.startswith(_HIGHER_ORDER)
        meta = self._meta(single) if single else _sequence(outputs, self._meta, "list" if is_list else "tuple")
        unused = self._unused(name)
        if single:
            self._known[single] = unused
        expression = printed_call(target, args, kwargs)
        op = function_op(target)
        self._add(Node(unused, Kind.CALL_FUNCTION, target, op, args, kwargs, meta, 0, expression, None, source))
        if not single:
            self._take_apart(unused, name, outputs, source)

    @staticmethod
    def _single(target: str, value: dict[str, Any], outputs: list[tuple[str, Any]]) -> str:
        """The name of the only value that a node returns by itself; "" for none, several, or a tuple of one.

        `GraphModuleDeserializer.deserialize_outputs`: an old archive says nothing of a higher-order op's tuple of one
        and means the value itself.
        """
        if len(outputs) != 1:
            return ""
        tag, content = outputs[0]
        if target.startswith(_HIGHER_ORDER) and value.get("is_hop_single_tensor_return", True) is False:
            return ""
        if tag in ("as_tensor", "as_custom_obj"):
            return as_name(as_object(content).get("name"))
        if tag in _SYMBOLIC:
            return as_name(as_object(content).get("as_name"))
        return ""

    def _take_apart(self, producer: str, name: str, outputs: list[tuple[str, Any]], source: Source | None) -> None:
        """Adds the `getitem` nodes for the values of a node that returns several.

        An archive names the values and not the nodes that took them, nor where these stood: they follow their producer.
        Values that nobody took have made-up names (`GraphModuleSerializer._output_node_name_at_index`); no node is made
        for them.
        """
        values = outputs
        if len(outputs) == 1 and outputs[0][0] == "as_tensors":
            values = [("as_tensor", item) for item in as_list(outputs[0][1])]
        for position, (tag, content) in enumerate(values):
            if tag == "as_none":
                continue
            if tag == "as_tensors":
                names = [as_name(as_object(item).get("name")) for item in as_list(content)]
                if any(self._is_taken(inner, f"{name}_unused_{position}_") for inner in names):
                    part = self._getitem(producer, position, "getitem", None, source)
                    for index, inner in enumerate(names):
                        if self._is_taken(inner, f"{name}_unused_{position}_"):
                            self._known[inner] = self._getitem(part, index, inner, self._meta(inner), source)
                continue
            key = "as_name" if tag in _SYMBOLIC else "name"
            inner = as_name(as_object(content).get(key))
            if self._is_taken(inner, f"{name}_unused_{position}"):
                self._known[inner] = self._getitem(producer, position, inner, self._meta(inner), source)

    def _is_taken(self, name: str, made_up: str) -> bool:
        return name in self._read_by_any or not name.startswith(made_up)

    def _getitem(self, producer: str, index: int, name: str, meta: Metadata | None, source: Source | None) -> str:
        unused = self._unused(name)
        args: tuple[Argument, ...] = (Ref(producer), index)
        expression = printed_call("operator.getitem", args, ())
        op = "operator.getitem"
        self._add(Node(unused, Kind.CALL_FUNCTION, op, op, args, (), meta, 0, expression, None, source))
        return unused

    def _lose(self, value: Any) -> None:
        """Keeps a node that could not be read as an unreadable one, under the names that others read."""
        names = _names_in(value.get("outputs") if isinstance(value, dict) else None)
        for name in names or [UNREADABLE]:
            unused = self._unused(name)
            self._known[name] = unused
            self._add(Node(unused, Kind.CALL_FUNCTION, UNREADABLE, UNREADABLE))

    # --- arguments ----------------------------------------------------------------------------------------------------

    def _arguments(
        self, target: str, inputs: list[Any]
    ) -> tuple[tuple[Argument, ...], tuple[tuple[str, Argument], ...]]:
        args: list[Argument] = []
        kwargs: list[tuple[str, Argument]] = []
        for position, entry in enumerate(map(as_object, inputs)):
            value = self._argument(entry.get("arg"))
            name = entry.get("name")
            if _is_positional(target, position, name, entry.get("kind")):
                args.append(value)
            else:
                kwargs.append((as_name(name), value))
        return tuple(args), tuple(kwargs)

    def _argument(self, value: Any) -> Argument:
        return argument(value, self._ref, self._subgraph)

    def _ref(self, name: Any) -> Argument:
        known = self._known.get(as_name(name))
        if known is None:
            raise Malformed(f"nothing before it defines {name[:80]}")
        return Ref(known)

    def _subgraph(self, value: Any) -> Argument:
        """A body: it becomes an attribute, and a get_attr node reads it."""
        name = as_name(as_object(value).get("name"))
        if self._depth >= _DEEPEST:
            raise Malformed("a body nests too deep")
        if name not in self._bodies:
            body = _Reader(as_object(value.get("graph")), [], self._hints, self._depth + 1).read(name)
            self._bodies[name] = body
        unused = self._unused(name)
        self._add(Node(unused, Kind.GET_ATTR, name, "", source=self._source))
        return Ref(unused)

    def _meta(self, name: str) -> Metadata | None:
        try:
            return metadata(self._graph, name, self._hints)
        except Malformed as error:
            message = f"what is stated of {name} cannot be read: {error}; its node has no metadata"
            self._problems.append(Problem("", 0, Slug.UNKNOWN_ANNOTATION, message))
            return None

    # --- results ------------------------------------------------------------------------------------------------------

    def _add(self, node: Node) -> None:
        self._nodes.append(node)

    def _unused(self, name: str) -> str:
        unused = name
        while unused in self._used:
            self._used[name] = self._used.get(name, 0) + 1
            unused = f"{name}_{self._used[name]}"
        self._used[unused] = 0
        return unused

    def _report(self, what: str, error: Malformed, effect: str = "its node is unknown") -> None:
        message = f"{what} of the exported graph cannot be read: {error}; {effect}"
        self._problems.append(Problem("", 0, Slug.UNKNOWN_STATEMENT, message))


def _is_positional(target: str, position: int, name: Any, kind: Any) -> bool:
    if name in ("", None) or kind == _POSITIONAL:
        return True
    if kind == _KEYWORD:
        return False
    # Older archives leave it to the op's schema, which is torch's: all but what schemas take by keyword only.
    return not target.startswith(_HIGHER_ORDER) and (position == 0 or name not in _KEYWORD_ONLY)


def _sequence(
    outputs: list[tuple[str, Any]], meta: Callable[[str], Metadata | None], kind_of_tensors: str
) -> SequenceMeta | None:
    """Metadata of a node that returns several values: a list where ATen's schema says `Tensor[]`, else a tuple."""
    kind, values = "tuple", outputs
    if len(outputs) == 1 and outputs[0][0] == "as_tensors":
        kind, values = kind_of_tensors, [("as_tensor", item) for item in as_list(outputs[0][1])]
    elif not outputs or (len(outputs) == 1 and outputs[0][0] == "as_none"):
        return None
    items: list[Metadata | None] = []
    for tag, content in values:
        if tag == "as_tensors":
            items.append(_sequence([(tag, content)], meta, "list"))
        elif tag == "as_none":
            items.append(ConstantMeta(None))
        else:
            key = "as_name" if tag in _SYMBOLIC else "name"
            items.append(meta(as_name(as_object(content).get(key))))
    return SequenceMeta(kind, tuple(items))


def _fx_name(target: str) -> str:
    """The name that torch.fx makes of a target, for a node that an old archive does not name: `topk_default`."""
    name = "_".join(target.split(".")[3:]) if target.startswith("torch.ops.") else target.rpartition(".")[2]
    return name if name.isidentifier() else UNREADABLE


def _source(metadata_of_node: Any) -> Source | None:
    """The last frame of a stack trace (`torch.fx.graph._parse_stack_trace`)."""
    trace = metadata_of_node.get("stack_trace") if isinstance(metadata_of_node, dict) else None
    if not isinstance(trace, str):
        return None
    lines = trace.strip().split("\n")
    for position in range(len(lines) - 2, -1, -1):
        found = _FRAME.fullmatch(lines[position].strip())
        if found is not None:
            return Source(found[1], int(found[2]), found[3], lines[position + 1].strip())
    return None


def _names_read(graph: Mapping[str, Any]) -> frozenset[str]:
    """The names of all values that any node of a graph, or its output, reads."""
    found: set[str] = set()
    nodes = graph.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        found.update(_names_in(node.get("inputs") if isinstance(node, dict) else None))
    found.update(_names_in(graph.get("outputs")))
    return frozenset(found)


def _names_in(value: Any) -> list[str]:
    """The names of values in arguments, those of subgraphs left out."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting += reversed(current)
        elif isinstance(current, dict):
            for key, part in current.items():
                if key in ("name", "as_name") and isinstance(part, str) and part.isidentifier():
                    found.append(part)
                elif key != "graph":
                    waiting.append(part)
    return found
