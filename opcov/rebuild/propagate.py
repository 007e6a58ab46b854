"""Finds the metadata of every node: as annotated, else by a run on fake tensors that changes nothing in the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, TypeAlias, Union

import torch

from opcov.graph import (
    Construct,
    Graph,
    Kind,
    Metadata,
    Node,
    Ref,
    SequenceMeta,
    SymbolMeta,
    TensorMeta,
    map_refs,
)
from opcov.rebuild.arguments import plain_value
from opcov.rebuild.cost import is_costly
from opcov.rebuild.running import runnable
from opcov.rebuild.values import FUNCTORCH_WRAPPER, Values, metadata_of


class Gap(Enum):
    """Why a node has no metadata."""

    ABSENT = "absent"
    """It had none when it was captured either: a context, a stream, nothing. Thunder is handed the node itself."""
    MISSING = "missing"
    """It had some, or may have had, and the text does not tell."""


Known: TypeAlias = Union[Metadata, Gap]

_WRAPS = frozenset({"_add_batch_dim", "_wrap_for_grad", "_make_dual"})
_UNWRAPS = frozenset({"_remove_batch_dim", "_unwrap_for_grad", "_unpack_dual"})
_VALUELESS = frozenset(
    {
        "torch.amp.autocast_mode._enter_autocast",
        "torch.amp.autocast_mode._exit_autocast",
        "torch._C._set_grad_enabled",
        "torch._C._log_api_usage_once",
        "torch._C._functorch._vmap_increment_nesting",
        "torch._C._functorch._vmap_decrement_nesting",
        "torch._functorch.predispatch._vmap_increment_nesting",
        "torch._functorch.predispatch._vmap_decrement_nesting",
        "torch._functorch.predispatch.lazy_load_decompositions",
        "operator.setitem",
        "operator.delitem",
    }
)
"""Calls whose node has no `example_value` in any graph that Dynamo makes: they return nothing or a context."""

_WITHOUT_TENSORS = ("torch.cuda.", "torch.xpu.", "torch.accelerator.", "torch.amp.")
"""Calls that return no tensor: a stream, a capability, a context."""

_MAX_ELEMENTS = 1024
"""No op returns more tensors than this; an index beyond it is a mistake in the text."""


class Propagator:
    """Finds metadata, asking each distinct question once."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._memo: dict[str, Metadata | None] = {}

    def known(self, graph: Graph) -> dict[str, Known]:
        """What is known of each node's value, by the node's name."""
        walk = _Walk(graph, self._fake_run)
        for node in graph.nodes:
            walk.visit(node)
        return walk.known

    def _fake_run(self, node: Node, inputs: Mapping[str, Metadata]) -> Metadata | None:
        """What a node returns for such inputs; None where it cannot or may not be run."""
        key = question_key(node, inputs)
        if key not in self._memo:
            self._memo[key] = self._run(node, inputs)
        return self._memo[key]

    def _run(self, node: Node, inputs: Mapping[str, Metadata]) -> Metadata | None:
        target = runnable(node)
        if target is None or is_costly(node, inputs):
            return None
        try:
            values = {name: self._values.fresh(meta) for name, meta in inputs.items()}
            args = [plain_value(_on_cpu(argument), values) for argument in node.args]
            kwargs = {name: plain_value(_on_cpu(argument), values) for name, argument in node.kwargs}
            with self._values.mode, torch.device("cpu"):
                return metadata_of(target(*args, **kwargs))
        except Exception:  # noqa: BLE001 - whatever an op raises on such inputs: nothing is known of what it returns
            return None


class _Walk:
    """The way through one graph, in node order."""

    def __init__(self, graph: Graph, run: Callable[[Node, Mapping[str, Metadata]], Metadata | None]) -> None:
        self.known: dict[str, Known] = {}
        self._graph = graph
        self._run = run
        self._levels: dict[str, frozenset[object]] = {}
        self._nodes = {node.name: node for node in graph.nodes}

    def visit(self, node: Node) -> None:
        """Finds out what is known of a node, once all that it reads has been visited."""
        if node.kind.is_call:
            self.known[node.name] = self._call(node)
        elif node.kind is Kind.PLACEHOLDER:
            self.known[node.name] = node.meta or Gap.MISSING
        elif node.kind is Kind.GET_ATTR:
            self.known[node.name] = node.meta or (Gap.ABSENT if self._graph.annotated else Gap.MISSING)

    def _call(self, node: Node) -> Known:
        levels = self._functorch_levels(node)
        if node.meta is not None:
            return _wrapped(node.meta) if levels else node.meta
        if not self._graph.users[node.name] or node.op in _VALUELESS:
            return Gap.ABSENT
        found = self._propagated(node)
        if found is None:
            return self._taken_apart(node, wrapped=bool(levels)) or self._gap(node)
        if self._graph.annotated and isinstance(found, (TensorMeta, SymbolMeta)):
            return Gap.ABSENT  # it would have been printed
        return found

    def _propagated(self, node: Node) -> Metadata | None:
        inputs: dict[str, Metadata] = {}
        for name in node.inputs:
            value = self.known.get(name, Gap.MISSING)
            if isinstance(value, Gap):
                return None
            inputs[name] = value
        return self._run(node, inputs)

    def _taken_apart(self, node: Node, *, wrapped: bool) -> Metadata | None:
        """The tuple that annotated `getitem` users take apart; elements that nobody reads are like the first read one.

        A list cannot be told from a tuple here. Ops of which nothing is known return tuples as a rule.
        """
        elements: dict[int, Metadata] = {}
        for name in self._graph.users[node.name]:
            user = self._nodes[name]
            if user.op == "operator.getitem" and user.args[:1] == (Ref(node.name),) and user.meta is not None:
                index = user.args[1] if len(user.args) == 2 else None
                if isinstance(index, int) and 0 <= index < _MAX_ELEMENTS:
                    elements[index] = _wrapped(user.meta) if wrapped else user.meta
        if not elements:
            return None
        filler = elements[min(elements)]
        items = tuple(elements.get(index, filler) for index in range(max(elements) + 1))
        return SequenceMeta("tuple", items, inferred=True)

    def _gap(self, node: Node) -> Gap:
        if node.op.startswith(_WITHOUT_TENSORS):
            return Gap.ABSENT
        if self._graph.annotated and any(self._is_absent(name) for name in node.inputs):
            return Gap.ABSENT  # where an input had no value, Dynamo had nothing to compute one from
        return Gap.MISSING

    def _is_absent(self, name: str) -> bool:
        """Whether a call had no value; an attribute never has one in the text."""
        return self.known.get(name) is Gap.ABSENT and self._nodes[name].kind is not Kind.GET_ATTR

    def _functorch_levels(self, node: Node) -> frozenset[object]:
        """The functorch levels that wrap a node's value: those of its inputs, and what it enters or leaves itself."""
        wrapped: frozenset[object] = frozenset()
        for name in node.inputs if self._levels else ():
            wrapped |= self._levels.get(name, frozenset())
        function = node.op.rpartition(".")[2]
        if function in _WRAPS:
            wrapped |= {_level(node)}
        elif function in _UNWRAPS:
            wrapped -= {_level(node)}
        if wrapped:
            self._levels[node.name] = wrapped
        return wrapped


def _wrapped(meta: Metadata) -> Metadata:
    return replace(meta, wrapper=FUNCTORCH_WRAPPER) if isinstance(meta, TensorMeta) else meta


def _level(node: Node) -> object:
    """`_add_batch_dim(x, dim, level)`, the others `(x, level, ...)`; dual numbers have a level of their own."""
    if node.op.endswith("_dual"):
        return "dual"
    position = 2 if node.op.endswith("_add_batch_dim") else 1
    return node.args[position] if len(node.args) > position else None


def question_key(node: Node, inputs: Mapping[str, object]) -> str:
    """The text that tells one question from another: the call with metadata in place of nodes.

    A node that holds an int and a literal int differ, and so do True, 1 and 1.0.
    """
    parts = [f"{node.kind.value} {node.target if node.kind is not Kind.CALL_FUNCTION else node.op}"]
    parts += [_text(argument, inputs) for argument in node.args]
    parts += [f"{name}={_text(value, inputs)}" for name, value in node.kwargs]
    return "; ".join(parts)


def _text(argument: Any, inputs: Mapping[str, object]) -> str:
    if isinstance(argument, Ref):
        return f"<{inputs.get(argument.name)}>"
    return repr(map_refs(argument, lambda ref: Construct("node", (str(inputs.get(ref.name)),), ())))


def _on_cpu(argument: Any) -> Any:
    """The argument with every device in it replaced by the CPU: fake tensors live there."""
    match argument:
        case Construct(name="device" | "torch.device"):
            return Construct("device", ("cpu",), ())
        case str() if argument.partition(":")[0] in ("cuda", "xpu", "hpu", "mps"):
            return "cpu"
    return argument
