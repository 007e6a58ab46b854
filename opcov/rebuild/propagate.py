"""Finds the metadata of every node: as annotated, else by a run on fake tensors that changes nothing in the process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, Union

from opcov.graph import (
    Graph,
    Kind,
    Metadata,
    Node,
    Ref,
    SequenceMeta,
    SymbolMeta,
    TensorMeta,
)
from opcov.ops import ENTER_AUTOCAST, EXIT_AUTOCAST, SET_GRAD, VMAP_BRACKETS
from opcov.rebuild.cost import is_costly
from opcov.rebuild.functorch import Levels, crossed, unwrapped, wrapped
from opcov.rebuild.live import Live, fake_run, question_key
from opcov.rebuild.modes import Modes, neutral
from opcov.rebuild.parameters import is_parameter, requires_grad, with_grad
from opcov.rebuild.rules import by_rule
from opcov.rebuild.running import changes_first_argument, runnable
from opcov.rebuild.storageless import Storageless
from opcov.rebuild.symbols import evaluate, symbols_in
from opcov.rebuild.values import Values, is_assumed, is_data_dependent


class Gap(Enum):
    """Why a node has no metadata."""

    ABSENT = "absent"
    """It had none when it was captured either: a context, a stream, nothing. Thunder is handed the node itself."""
    MISSING = "missing"
    """It had some, or may have had, and the text does not tell."""


Known: TypeAlias = Union[Metadata, Gap]

_VALUELESS = frozenset(
    {
        ENTER_AUTOCAST,
        EXIT_AUTOCAST,
        SET_GRAD,
        *VMAP_BRACKETS,
        "torch._C._log_api_usage_once",
        "torch._functorch.predispatch._vmap_increment_nesting",
        "torch._functorch.predispatch._vmap_decrement_nesting",
        "torch._functorch.predispatch.lazy_load_decompositions",
        "torch._functorch.vmap.lazy_load_decompositions",
        "operator.setitem",
        "operator.delitem",
    }
)
"""Calls whose node has no `example_value` in any graph that Dynamo makes: they return nothing or a context."""

_WITHOUT_TENSORS = ("torch.cuda.", "torch.xpu.", "torch.accelerator.", "torch.amp.")
"""Calls that return no tensor: a stream, a capability, a context."""

_MAX_ELEMENTS = 1024
"""No op returns more tensors than this; an index beyond it is a mistake in the text."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out of a graph's values.

    Attributes:
        known: what is known of each node's value, by the node's name.
        assumed: names of nodes whose metadata is not stated and follows from something that was assumed.
        keys: `question_key` of the calls for which it was needed, with their inputs as they are in `known`.
    """

    known: dict[str, Known]
    assumed: frozenset[str]
    keys: Mapping[str, str]


class Propagator:
    """Finds metadata, asking each distinct question once.

    Sizes that depend on data are asked about anew in each graph: there, and only there, the same one is the same.
    """

    def __init__(self, values: Values, *, requires_grad: bool = False) -> None:
        """Starts with an empty memory.

        Args:
            values: makes the fake tensors.
            requires_grad: whether parameters require grad, and all that is computed from them.
        """
        self.values = values
        self.requires_grad = requires_grad
        self._memo: dict[str, Metadata | None] = {}
        self._data_dependent: set[str] = set()
        self._storageless = Storageless(values.hints)

    def known(self, graph: Graph) -> dict[str, Known]:
        """What is known of each node's value, by the node's name."""
        return self.explore(graph).known

    def explore(self, graph: Graph) -> Findings:
        """Finds out what is known of each node's value."""
        walk = _Walk(graph, self)
        with neutral():
            for node in graph.nodes:
                walk.visit(node)
        return Findings(walk.known, frozenset(walk.assumed), walk.keys)

    def ask(self, node: Node, inputs: Mapping[str, Metadata], modes: Modes, live: Live, key: str) -> Metadata | None:
        """What a node returns for such inputs; None where it cannot or may not be run.

        Args:
            node: the call.
            inputs: metadata of the nodes that it reads, by name.
            modes: what it runs under.
            live: runs it where it depends on data.
            key: its `question_key`.
        """
        grad = modes.grad and any(map(requires_grad, inputs.values()))
        if grad or modes.autocast is not None:
            key = f"{key}; {grad} {modes.autocast}"
        if key in self._memo:
            return self._memo[key]
        target = None if key in self._data_dependent else runnable(node)
        if key in self._data_dependent or any(map(is_data_dependent, inputs.values())):
            return live.run(node, inputs, modes, grad=grad)
        found = None
        if target is not None and not is_costly(node, inputs):
            if not grad and modes.autocast is None:
                found = by_rule(node, inputs) or self._storageless.run(node, inputs)
            if found is None:
                found = self._run(node, inputs, modes, grad=grad)
            if is_data_dependent(found):
                self._data_dependent.add(key)
                return live.run(node, inputs, modes, grad=grad)
        self._memo[key] = found
        return found

    def _run(self, node: Node, inputs: Mapping[str, Metadata], modes: Modes, *, grad: bool) -> Metadata | None:
        make = self.values.fresh if grad or changes_first_argument(node) else self.values.shared
        with suppress(Exception):  # whatever it raises on such inputs: nothing is known of what it returns
            return fake_run(node, {name: make(meta) for name, meta in inputs.items()}, self.values, modes, grad=grad)
        return None


def _symbols(graph: Graph) -> set[str]:
    """The symbols in the text of a graph's sizes."""
    found: set[str] = set()
    for node in graph.nodes:
        match node.meta:
            case TensorMeta(shape=shape):
                for size in shape:
                    if isinstance(size, str):
                        found.update(symbols_in(size))
            case SymbolMeta(expression):
                found.update(symbols_in(expression))
    return found


class _Walk:
    """The way through one graph, in node order."""

    def __init__(self, graph: Graph, propagator: Propagator) -> None:
        self.known: dict[str, Known] = {}
        self.assumed: set[str] = set()
        self._graph = graph
        self._propagator = propagator
        self._live = Live(lambda: _symbols(graph), propagator.values.hints)
        self.keys: dict[str, str] = {}
        self._levels = Levels()
        self._modes = Modes()
        self._assumed_inputs: dict[str, bool] = {}
        self._nodes = {node.name: node for node in graph.nodes}

    def visit(self, node: Node) -> None:
        """Finds out what is known of a node, once all that it reads has been visited."""
        if node.kind.is_call:
            self._modes.visit(node)
            self.known[node.name] = self._call(node)
            if self._propagator.requires_grad and changes_first_argument(node):
                self._mark_changed(node)
        elif node.kind is Kind.PLACEHOLDER or node.kind is Kind.GET_ATTR:
            found: Known = Gap.MISSING
            if node.meta is not None:
                found = node.meta
                if self._propagator.requires_grad and is_parameter(node):
                    found = with_grad(node.meta)
            elif node.kind is Kind.GET_ATTR and self._graph.annotated:
                found = Gap.ABSENT
            self.known[node.name] = found

    def _call(self, node: Node) -> Known:
        is_wrapped = self._levels.visit(node)
        if node.meta is not None:
            if is_wrapped:
                return wrapped(node.meta)
            return self._with_derived_grad(node, node.meta) if self._propagator.requires_grad else node.meta
        if not self._graph.users[node.name] or node.op in _VALUELESS:
            return Gap.ABSENT
        found = self._propagated(node)
        if found is None:
            return self._taken_apart(node, is_wrapped=is_wrapped) or self._gap(node)
        if self._graph.annotated and isinstance(found, (TensorMeta, SymbolMeta)):
            return Gap.ABSENT  # it would have been printed
        if any(name in self.assumed or self._rests_on_assumption(name) for name in node.inputs):
            self.assumed.add(node.name)
        return wrapped(found) if is_wrapped else found

    def _with_derived_grad(self, node: Node, meta: Metadata) -> Metadata:
        """The stated metadata with what the inputs say of requires_grad; an op that cannot be run passes it on."""
        if node.op == "torch.Tensor.requires_grad_":
            return with_grad(meta, flag=node.args[1:2] != (False,) and node.kwargs != (("requires_grad", False),))
        if not self._modes.grad or not self._reads_grad(node):
            return meta
        found = self._propagated(node)
        return with_grad(meta, flag=requires_grad(found) if found is not None else True)

    def _mark_changed(self, node: Node) -> None:
        """What is changed in place by a value that requires grad requires grad from there on."""
        target = node.args[0] if node.args else None
        if not self._modes.grad or not isinstance(target, Ref):
            return
        meta = self.known.get(target.name)
        if isinstance(meta, TensorMeta) and self._reads_grad(node):
            self.known[target.name] = with_grad(meta)

    def _rests_on_assumption(self, name: str) -> bool:
        found = self._assumed_inputs.get(name)
        if found is None:
            value = self.known[name]
            found = not isinstance(value, Gap) and is_assumed(value, self._graph.hints)
            self._assumed_inputs[name] = found
        return found

    def _reads_grad(self, node: Node) -> bool:
        return any(requires_grad(self.known.get(name)) for name in node.inputs)

    def _propagated(self, node: Node) -> Metadata | None:
        inputs: dict[str, Metadata] = {}
        are_wrapped = False
        for name in node.inputs:
            value = self.known.get(name, Gap.MISSING)
            if isinstance(value, Gap):
                return None
            inputs[name] = bare = unwrapped(value)
            are_wrapped = are_wrapped or bare is not value
        number = _wrapped_number(node, inputs)
        if number is not None:
            return number
        found = crossed(node, inputs)
        if found is not None:
            return found
        key = question_key(node, inputs)
        if not are_wrapped and not self._propagator.requires_grad:  # else what is known of an input may change later
            self.keys[node.name] = key
        return self._propagator.ask(node, inputs, self._modes, self._live, key)

    def _taken_apart(self, node: Node, *, is_wrapped: bool) -> Metadata | None:
        """The tuple that annotated `getitem` users take apart; elements that nobody reads are like the first read one.

        A list cannot be told from a tuple here. Ops of which nothing is known return tuples as a rule.
        """
        elements: dict[int, Metadata] = {}
        for name in self._graph.users[node.name]:
            user = self._nodes[name]
            if user.op == "operator.getitem" and user.args[:1] == (Ref(node.name),) and user.meta is not None:
                index = user.args[1] if len(user.args) == 2 else None
                if isinstance(index, int) and 0 <= index < _MAX_ELEMENTS:
                    elements[index] = wrapped(user.meta) if is_wrapped else user.meta
        if not elements:
            return None
        if self._propagator.requires_grad and self._modes.grad and self._reads_grad(node):
            elements = {index: with_grad(meta) for index, meta in elements.items()}
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


def _wrapped_number(node: Node, inputs: Mapping[str, Metadata]) -> SymbolMeta | None:
    """What `.item()` gives on a tensor that stands for a Python number: Dynamo has that number as hint of a symbol."""
    if node.op != "torch.Tensor.item" or len(inputs) != 1:
        return None
    (tensor,) = inputs.values()
    if isinstance(tensor, TensorMeta) and tensor.value is not None and evaluate(text := repr(tensor.value)) is not None:
        return SymbolMeta(text)
    return None
