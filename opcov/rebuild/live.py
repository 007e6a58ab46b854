"""Runs calls on fake tensors, alone or, where sizes depend on data, one after the other as their graph does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from opcov.graph import LITERALS, Construct, Kind, Metadata, Node, Ref, map_refs
from opcov.rebuild.arguments import on_device, plain_value
from opcov.rebuild.cost import is_costly
from opcov.rebuild.modes import Modes, applied
from opcov.rebuild.running import is_symbolic, runnable
from opcov.rebuild.symbols import Hints
from opcov.rebuild.values import Values

_SOME_FLOAT = 0.5
"""Stands for a data-dependent float in a fake run: no size depends on it, and torch takes none without a value."""


class Live:
    """Runs what depends on data with the values that earlier nodes of the same graph returned."""

    def __init__(self, symbols: Callable[[], set[str]], hints: Hints) -> None:
        """Starts before the first call of a graph.

        Args:
            symbols: tells those of the graph's text; no new size gets one of their names.
            hints: what symbols stand for.
        """
        self._symbols = symbols
        self._hints = hints
        self._made: Values | None = None
        self._of: dict[str, Any] = {}

    def run(self, node: Node, inputs: Mapping[str, Metadata], modes: Modes, *, grad: bool) -> Metadata | None:
        """What a call returns; None where it cannot or may not be run.

        Args:
            node: the call.
            inputs: metadata of the nodes that it reads, by name.
            modes: what it runs under.
            grad: whether it runs with grad enabled.
        """
        if runnable(node) is None or is_costly(node, inputs):
            return None
        try:
            inputs_of_run = {name: self._value(name, meta) for name, meta in inputs.items()}
            return fake_run(node, inputs_of_run, self._values, modes, grad=grad, keep=self._of)
        except Exception:  # noqa: BLE001 - whatever it raises: nothing is known of what it returns
            return None

    def _value(self, name: str, meta: Metadata) -> Any:
        if name not in self._of:
            self._of[name] = self._values.fresh(meta)
        return self._of[name]

    @property
    def _values(self) -> Values:
        if self._made is None:
            self._made = Values(self._hints, taken_names=frozenset(self._symbols()))
        return self._made


def fake_run(
    node: Node,
    inputs: Mapping[str, Any],
    values: Values,
    modes: Modes,
    *,
    grad: bool,
    keep: dict[str, Any] | None = None,
) -> Metadata | None:
    """Runs a call on fake tensors.

    Args:
        node: the call.
        inputs: the values of the nodes that it reads.
        values: where they come from.
        modes: what autocast it runs under.
        grad: whether it runs with grad enabled.
        keep: takes what it returned, under the node's name.
    """
    target = runnable(node)
    if target is None:
        return None
    if not is_symbolic(node):
        inputs = {name: _number(value) for name, value in inputs.items()}
    with applied(modes.autocast, grad=grad):
        if grad:
            with values.mode:  # autograd lets nobody change a leaf in place
                inputs = {name: value.clone() if _requires_grad(value) else value for name, value in inputs.items()}
        args = [plain_value(on_device(argument, "cpu"), inputs) for argument in node.args]
        kwargs = {name: plain_value(on_device(argument, "cpu"), inputs) for name, argument in node.kwargs}
        with values.mode:
            returned = target(*args, **kwargs)
    if keep is not None:
        keep[node.name] = returned
    return values.metadata_of(returned)


def _requires_grad(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad


def _number(value: Any) -> Any:
    """The number that a symbol stands for: tensor ops would ask for a guard on it."""
    if isinstance(value, (torch.SymInt, torch.SymFloat)):
        if value.node.has_hint():
            return value.node.hint
        return _SOME_FLOAT if isinstance(value, torch.SymFloat) else value
    return value


def question_key(node: Node, inputs: Mapping[str, object]) -> str:
    """The text that tells one question from another: the call with metadata in place of nodes.

    A node that holds an int and a literal int differ, and so do True, 1 and 1.0.
    """
    parts = [f"{node.kind.value} {node.target if node.kind is not Kind.CALL_FUNCTION else node.op}"]
    parts += [_text(argument, inputs) for argument in node.args]
    parts += [f"{name}={_text(value, inputs)}" for name, value in node.kwargs]
    return "; ".join(parts)


def _text(argument: Any, inputs: Mapping[str, object]) -> str:
    if type(argument) is Ref:
        return f"<{inputs.get(argument.name)}>"
    if type(argument) in LITERALS:
        return repr(argument)
    return repr(map_refs(argument, lambda ref: Construct("node", (str(inputs.get(ref.name)),), ())))
