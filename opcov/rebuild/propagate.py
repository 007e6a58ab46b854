"""Finds the metadata of every node: as annotated, else by a run on fake tensors that changes nothing in the process."""

from __future__ import annotations

import types
from collections.abc import Mapping
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
from opcov.rebuild.cost import is_costly
from opcov.rebuild.names import TENSOR_FUNCTION_NAMESPACES, is_missing, resolve_function
from opcov.rebuild.values import FUNCTORCH_WRAPPER, NoValue, Values, metadata_of, plain_value


class Gap(Enum):
    """Why a node has no metadata."""

    ABSENT = "absent"
    """It had none when it was captured either: a context, a stream, nothing. Thunder is handed the node itself."""
    MISSING = "missing"
    """It had some, or may have had, and the text does not tell."""


Known: TypeAlias = Union[Metadata, Gap]

_PYTHON_COMPOSITES = frozenset({"torch.functional", "torch.nn.functional", "torch._tensor", "torch", "torch._VF"})
"""Modules of Python functions that only call tensor ops."""

_PURE_ATEN_METHODS_REFUSED = frozenset({"requires_grad_", "retain_grad", "set_", "set_data", "backward", "resize_", "record_stream"})

_ADD_BATCH = frozenset({"_add_batch_dim", "_wrap_for_grad"})
_REMOVE_BATCH = frozenset({"_remove_batch_dim", "_unwrap_for_grad"})
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


class Propagator:
    """Finds metadata, asking each distinct question once."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._memo: dict[str, Metadata | None] = {}

    def known(self, graph: Graph) -> dict[str, Known]:
        """What is known of each node's value, by the node's name."""
        known: dict[str, Known] = {}
        levels: dict[str, frozenset[object]] = {}
        for node in graph.nodes:
            if node.kind.is_call:
                known[node.name] = self._call(graph, node, known, levels)
            elif node.kind is Kind.PLACEHOLDER:
                known[node.name] = node.meta or Gap.MISSING
            elif node.kind is Kind.GET_ATTR:
                known[node.name] = node.meta or (Gap.ABSENT if graph.annotated else Gap.MISSING)
        return known

    def _call(
        self, graph: Graph, node: Node, known: Mapping[str, Known], levels: dict[str, frozenset[object]]
    ) -> Known:
        level = _functorch_levels(node, levels)
        if level:
            levels[node.name] = level
        if node.meta is not None:
            if level and isinstance(node.meta, TensorMeta):
                return replace(node.meta, wrapper=FUNCTORCH_WRAPPER)
            return node.meta
        users = graph.users[node.name]
        if not users or node.op in _VALUELESS:
            return Gap.ABSENT
        found = self._run(node, known)
        if found is None:
            return self._from_elements(graph, node) or self._gap(graph, node, known)
        if graph.annotated and isinstance(found, (TensorMeta, SymbolMeta)):
            return Gap.ABSENT  # it would have been printed
        return found

    def _gap(self, graph: Graph, node: Node, known: Mapping[str, Known]) -> Gap:
        if _is_no_tensor_function(node):
            return Gap.ABSENT
        if graph.annotated and any(known.get(name) is Gap.ABSENT for name in node.inputs if name not in _attributes(graph)):
            return Gap.ABSENT  # where an input had no value, Dynamo had nothing to compute one from
        return Gap.MISSING

    def _run(self, node: Node, known: Mapping[str, Known]) -> Metadata | None:
        inputs: dict[str, Metadata] = {}
        for name in node.inputs:
            value = known.get(name)
            if value is None or isinstance(value, Gap):
                return None
            inputs[name] = value
        key = question_key(node, inputs)
        if key not in self._memo:
            self._memo[key] = self._fake_run(node, inputs)
        return self._memo[key]

    def _fake_run(self, node: Node, inputs: Mapping[str, Metadata]) -> Metadata | None:
        target = runnable(node)
        if target is None or is_costly(node, inputs):
            return None
        try:
            values = {name: self._values.fresh(meta) for name, meta in inputs.items()}
            args = [plain_value(_on_cpu(argument), values) for argument in node.args]
            kwargs = {name: plain_value(_on_cpu(argument), values) for name, argument in node.kwargs}
            with self._values.mode, torch.device("cpu"):
                return metadata_of(target(*args, **kwargs))
        except (NoValue, Exception):
            return None  # the op refuses such arguments: nothing is known of what it would return

    def _from_elements(self, graph: Graph, node: Node) -> Metadata | None:
        """The tuple that annotated `getitem` users take apart; elements that nobody reads are like the first read one."""
        elements: dict[int, Metadata] = {}
        readers = set(graph.users[node.name])
        for user in graph.calls:
            if user.name in readers and user.op == "operator.getitem" and user.args[0] == Ref(node.name) and user.meta:
                index = user.args[1]
                if isinstance(index, int) and 0 <= index < 1024:
                    elements[index] = user.meta
        if not elements:
            return None
        filler = elements[min(elements)]
        items = tuple(elements.get(index, filler) for index in range(max(elements) + 1))
        return SequenceMeta("tuple", items, inferred=True)


def _attributes(graph: Graph) -> frozenset[str]:
    return frozenset(node.name for node in graph.nodes if node.kind is Kind.GET_ATTR)


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


def runnable(node: Node) -> Any:
    """The function to call for a node on fake tensors, None if it might do more than compute.

    Only tensor ops, Python functions made of them, operators and attribute reads are; never anything that sets a
    mode, a seed or a stream.
    """
    if node.kind is Kind.CALL_METHOD:
        name = node.target
        if name.startswith("_") or name in _PURE_ATEN_METHODS_REFUSED or not hasattr(torch.ops.aten, name):
            return None
        return getattr(torch.Tensor, name, None)
    if node.kind is not Kind.CALL_FUNCTION:
        return None
    if node.target == "getattr":
        attribute = node.args[1] if len(node.args) == 2 else ""
        return getattr if isinstance(attribute, str) and not attribute.startswith("_") else None
    target = resolve_function(node.op)
    if is_missing(target):
        return None
    if isinstance(target, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        return target if str(target).startswith(("aten.", "prims.")) or node.op.startswith("torch.ops.aten.") else None
    module = getattr(target, "__module__", None) or ""
    if isinstance(target, types.BuiltinFunctionType):
        if module in ("_operator", "math"):
            return target
        return target if node.op.rpartition(".")[0] in TENSOR_FUNCTION_NAMESPACES else None
    if module in _PYTHON_COMPOSITES and isinstance(target, types.FunctionType) and _is_tensor_function(node.op):
        return target
    return None


def _is_tensor_function(op: str) -> bool:
    """Whether a Python function below torch is one of tensors: what `torch.overrides` lets subclasses override."""
    function = resolve_function(op)
    if op.startswith(("torch.functional.", "torch.nn.functional.")):
        return True
    return op.count(".") == 1 and (function in _overridable() or op.startswith("torch.sym_"))


def _overridable() -> frozenset[Any]:
    global _OVERRIDABLE
    if _OVERRIDABLE is None:
        ignored = torch.overrides.get_ignored_functions()
        _OVERRIDABLE = frozenset(torch.overrides.get_testing_overrides()) - frozenset(ignored)
    return _OVERRIDABLE


_OVERRIDABLE: frozenset[Any] | None = None


def _is_no_tensor_function(node: Node) -> bool:
    """Whether a call is known to return no tensor: a stream, a capability, a context."""
    return node.op.startswith(("torch.cuda.", "torch.xpu.", "torch.accelerator.", "torch.amp."))


def _functorch_levels(node: Node, levels: Mapping[str, frozenset[object]]) -> frozenset[object]:
    """The functorch levels that wrap a node's value: those of its inputs, plus or minus the one that it enters or leaves."""
    wrapped: frozenset[object] = frozenset()
    if levels:
        for name in node.inputs:
            wrapped |= levels.get(name, frozenset())
    function = node.op.rpartition(".")[2]
    if function in _ADD_BATCH:
        return wrapped | {_level(node)}
    if function in _REMOVE_BATCH:
        return wrapped - {_level(node)}
    return wrapped


def _level(node: Node) -> object:
    """`_add_batch_dim(x, dim, level)`, the other three functions `(x, level, ...)`."""
    position = 2 if node.op.endswith("_add_batch_dim") else 1
    return node.args[position] if len(node.args) > position else None
