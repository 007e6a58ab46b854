"""Makes the questions that Thunder's check is asked: a call alone, its inputs with example values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

from opcov.graph import Argument, Graph, Kind, Node, TensorMeta, refs_in
from opcov.rebuild import rebuild
from opcov.rebuild.arguments import NoValue, plain_value
from opcov.rebuild.live import question_key
from opcov.rebuild.names import fx_target
from opcov.rebuild.parameters import requires_grad, with_grad
from opcov.rebuild.propagate import Findings, Gap, Known
from opcov.rebuild.values import Values, is_assumed

_NO_GRAPH = torch.fx.Graph()
"""The graph that nodes of a question say they are of. They are not in it: that would cost more than to make them."""


class Call:
    """One call of a graph, with what is known of its inputs."""

    def __init__(
        self, graph: Graph, node: Node, findings: Findings, attributes: Mapping[str, Node], assumes_grad: bool
    ) -> None:
        self.node = node
        self.inputs = {name: findings.known.get(name, Gap.MISSING) for name in node.inputs}
        self._graph = graph
        self._attributes = {name: attributes[name] for name in self.inputs if name in attributes}
        self._assumes_grad = assumes_grad
        self._key = findings.keys.get(node.name)
        self._has_assumed = not findings.assumed.isdisjoint(self.inputs)

    @property
    def key(self) -> str:
        """What tells this question from others: names of nodes and attributes are erased."""
        assumed = "assumed; " if self._has_assumed else ""
        if not self._attributes:
            return assumed + (self._key or question_key(self.node, self.inputs))
        described: dict[str, object] = dict(self.inputs)
        for name, attribute in self._attributes.items():
            content = self._graph.bodies.get(attribute.target, self.inputs[name])
            path = attribute.target if "." in attribute.target else ""
            described[name] = f"attribute {path}: {content!r}"
        return assumed + question_key(self.node, described)

    @property
    def bodies(self) -> list[Graph]:
        """The bodies that it reads."""
        paths = [attribute.target for attribute in self._attributes.values()]
        return [self._graph.bodies[path] for path in paths if path in self._graph.bodies]

    @property
    def rests_on_assumption(self) -> bool:
        """Whether an input's metadata was assumed."""
        if self._has_assumed or (self._assumes_grad and any(map(requires_grad, self.inputs.values()))):
            return True
        return any(
            not isinstance(value, Gap) and is_assumed(value, self._graph.hints) for value in self.inputs.values()
        )

    @property
    def has_tensor(self) -> bool:
        """Whether an input is a tensor, so that Thunder passes a proxy of one."""
        return any(isinstance(value, TensorMeta) for value in self.inputs.values())

    def question(self, values: Values) -> torch.fx.Node:
        """A graph of its own for the call: inputs with their example values, then the call.

        Raises:
            NoValue: an argument cannot be made.
        """
        if self._attributes:
            return self._question_with_attributes(values)
        refs: dict[str, torch.fx.Node] = {}
        for index, (name, value) in enumerate(self.inputs.items()):
            number = f"input_{index}"  # a node's own name must not get into the answer
            refs[name] = torch.fx.Node(_NO_GRAPH, number, "placeholder", number, (), {})
            if value is not Gap.ABSENT:
                refs[name].meta["example_value"] = _example_value(value, values)
        return torch.fx.Node(_NO_GRAPH, "call", *self._asked(refs))

    def _question_with_attributes(self, values: Values) -> torch.fx.Node:
        """The same in a graph with a module of its own, where Thunder looks attributes up."""
        graph = torch.fx.Graph()
        owner = torch.nn.Module()
        refs: dict[str, torch.fx.Node] = {}
        for index, (name, value) in enumerate(self.inputs.items()):
            attribute = self._attributes.get(name)
            if attribute is not None:
                _own(owner, attribute.target, self._body(attribute.target))
                refs[name] = graph.create_node("get_attr", attribute.target)
            else:
                refs[name] = graph.placeholder(f"input_{index}")
            if value is not Gap.ABSENT:
                refs[name].meta["example_value"] = _example_value(value, values)
        call = graph.create_node(*self._asked(refs), name="call")
        graph.owning_module = owner  # type: ignore[assignment]
        return call

    def _asked(
        self, refs: Mapping[str, torch.fx.Node]
    ) -> tuple[str, str | Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        args = tuple([plain_value(argument, refs) for argument in self.node.args])
        kwargs = {key: plain_value(argument, refs) for key, argument in self.node.kwargs}
        return self.node.kind.value, fx_target(self.node), args, kwargs

    def _body(self, path: str) -> torch.fx.GraphModule | None:
        """The body that an attribute holds. What requires grad in the call does so as an input of the body."""
        body = self._graph.bodies.get(path)
        if body is None:
            return None
        if not any(map(requires_grad, self.inputs.values())):
            return rebuild(body)
        given = [argument for argument in self.node.args if _names(argument).isdisjoint(self._attributes)]
        inputs = [node for node in body.nodes if node.kind is Kind.PLACEHOLDER]
        changed = {
            node.name: replace(node, meta=with_grad(node.meta))
            for node, argument in zip(reversed(inputs), reversed(given), strict=False)
            if node.meta is not None and any(requires_grad(self.inputs[name]) for name in _names(argument))
        }
        nodes = tuple(changed.get(node.name, node) for node in body.nodes)
        return rebuild(replace(body, nodes=nodes), requires_grad=True)


def _names(argument: Argument) -> frozenset[str]:
    return frozenset(refs_in(argument))


def _own(owner: torch.nn.Module, path: str, body: torch.fx.GraphModule | None) -> None:
    """Gives a module what a get_attr node reads, where Thunder can find it: it does not follow dots."""
    if path.isidentifier() and not hasattr(owner, path):
        setattr(owner, path, body)


def _example_value(value: Known, values: Values) -> Any:
    if isinstance(value, Gap):
        return _NOTHING_KNOWN
    try:
        made = values.shared(value)
    except NoValue:
        return _NOTHING_KNOWN
    if isinstance(made, FakeTensor):
        _copy_cheaply(made, values)
    return made


def _copy_cheaply(tensor: FakeTensor, values: Values) -> None:
    """Lets a fake tensor make each plain copy of itself once, and without dispatching.

    `thunder.dynamo.utils.get_proxy_inputs_from_node` asks every input for `new_ones` of the same size, only to make a
    proxy of what it gets; for a fake tensor that costs as much as the rest of the check. A tensor that is as plain as
    its copy would be is its own.
    """
    if "new_ones" in vars(tensor):
        return
    make = tensor.new_ones
    made: dict[object, torch.Tensor] = {}
    if _is_plain(tensor):
        made[(tuple(tensor.shape), ("device", tensor.device), ("dtype", tensor.dtype))] = tensor

    def new_ones(size: Sequence[int], **options: Any) -> torch.Tensor:
        key = (tuple(size), *options.items())
        copy = made.get(key)
        if copy is None:
            plain = options.keys() == {"device", "dtype"} and options["device"] == tensor.device
            copy = values.empty(size, None, options["dtype"]) if plain else make(size, **options)
            made[key] = copy
        return copy

    tensor.new_ones = new_ones  # type: ignore[method-assign,assignment]


def _is_plain(tensor: FakeTensor) -> bool:
    sizes = tensor.shape
    return not tensor.requires_grad and all(type(size) is int for size in sizes) and tensor.is_contiguous()


class _NothingKnown:
    """Stands for missing metadata. Thunder's errors name its type once they look at it: only then it matters."""


_NOTHING_KNOWN = _NothingKnown()

_NAMES_NO_TYPE = "`make_input_proxy` received example_value which wasn't Tensor or Tuple"
"""Thunder 0.2.3 says only so much of an example value that it does not take."""


def met_nothing_known(error: object, question: torch.fx.Node) -> bool:
    """Whether an error is about missing metadata, and not about anything that is known of the call."""
    text = str(error)
    if _NAMES_NO_TYPE not in text:
        return _NothingKnown.__name__ in text
    values = [node.meta["example_value"] for node in question.all_input_nodes if "example_value" in node.meta]
    refused = [value for value in values if not isinstance(value, (torch.Tensor, tuple))]
    return bool(refused) and all(value is _NOTHING_KNOWN for value in refused)
