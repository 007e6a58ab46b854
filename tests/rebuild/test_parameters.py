"""Which inputs are parameters and what requires grad because of them, held against graphs that Dynamo captured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from opcov.graph import Graph, Kind, Node, SequenceMeta, TensorMeta
from opcov.loaders import load_text
from opcov.rebuild.parameters import is_differentiable, is_parameter, requires_grad, with_grad
from opcov.rebuild.propagate import Gap, Propagator
from opcov.rebuild.values import Values


class Captured:
    """A graph as Dynamo made it, and the text that it prints."""

    def __init__(self, module: nn.Module, *inputs: torch.Tensor) -> None:
        self.parameters: dict[str, bool] = {}
        self.grad: dict[str, bool] = {}

        def backend(live: torch.fx.GraphModule, values: list[Any]) -> Callable[..., Any]:
            placeholders = live.graph.find_nodes(op="placeholder")
            known = {id(parameter) for parameter in module.parameters()}
            self.parameters = {node.name: id(value) in known for node, value in zip(placeholders, values, strict=True)}
            for node in live.graph.nodes:
                value = node.meta.get("example_value")
                values = list(value) if isinstance(value, (tuple, list)) else [value]
                self.grad[node.name] = any(isinstance(item, torch.Tensor) and item.requires_grad for item in values)
            self.text = live.print_readable(print_output=False)
            return live.forward

        torch._dynamo.reset()
        torch.compile(module, backend=backend)(*inputs)
        (self.graph,), _ = load_text(self.text)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.norm = nn.BatchNorm1d(8)
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8, bias=False)])
        self.scale = nn.Parameter(torch.ones(8))
        self.register_buffer("table", torch.ones(8))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.embed(tokens)) * self.scale + self.table
        for layer in self.layers:
            x = layer(x)
        return x


class GradModes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        plain = x.sin()
        grown = plain @ self.weight
        with torch.no_grad():
            shielded = grown.cos()
        again = grown.cos()
        cut = grown.detach().exp()
        where = grown.argmax(dim=-1)
        more = (grown > 0).to(torch.float32)
        return plain, shielded, again, cut, where, more


class Splits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.linear(x).chunk(2, dim=-1)
        values, indices = right.max(dim=-1)
        return left * values[..., None] + indices[..., None]


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        y = nn.functional.relu(y, inplace=True)
        y += x
        y.mul_(2)
        return y.clamp(max=1)


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.utils.checkpoint.checkpoint(self.linear, x, use_reentrant=False).sin()


MODULES: list[tuple[type[nn.Module], torch.Tensor]] = [
    (Encoder, torch.ones(2, dtype=torch.int64)),
    (GradModes, torch.ones(4, 4)),
    (Splits, torch.ones(3, 4)),
    (InPlace, torch.ones(3, 4)),
    (Checkpointed, torch.ones(3, 4)),
]


@pytest.mark.parametrize(("module", "example"), MODULES, ids=lambda value: getattr(value, "__name__", ""))
def test_parameters_are_told_by_the_names_that_dynamo_gives_them(module: type[nn.Module], example: Any) -> None:
    captured = Captured(module(), example)
    inputs = [node for node in captured.graph.nodes if node.kind is Kind.PLACEHOLDER]
    assert {node.name: is_parameter(node) for node in inputs} == captured.parameters


@pytest.mark.parametrize(("module", "example"), MODULES, ids=lambda value: getattr(value, "__name__", ""))
def test_what_requires_grad_in_the_captured_graph_does_so_here(module: type[nn.Module], example: Any) -> None:
    captured = Captured(module(), example)
    known = Propagator(Values(), requires_grad=True).known(captured.graph)
    found = {name: requires_grad(value) for name, value in known.items() if value is not Gap.ABSENT}
    assert any(found.values())
    assert found == {name: captured.grad[name] for name in found}


@pytest.mark.parametrize(("module", "example"), MODULES, ids=lambda value: getattr(value, "__name__", ""))
def test_nothing_requires_grad_unless_it_is_asked_for(module: type[nn.Module], example: Any) -> None:
    known = Propagator(Values()).known(Captured(module(), example).graph)
    assert not any(map(requires_grad, known.values()))


def test_the_wrapper_alone_makes_a_parameter() -> None:
    node = Node("w", Kind.PLACEHOLDER, "w", "", meta=TensorMeta("f32", (2,), wrapper="Parameter"))
    assert is_parameter(node)


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("L_self_modules_fc_parameters_weight_", True),
        ("l_self_modules_layers_modules_0_parameters_bias_", True),
        ("L_self_parameters_scale_", True),
        ("L_self_modules_bn_buffers_running_mean_", False),
        ("L_x_", False),
        ("L_parameters_", False),  # a local variable of that name
    ],
)
def test_a_name_tells_a_parameter_from_a_buffer(target: str, answer: bool) -> None:
    assert is_parameter(Node("w", Kind.PLACEHOLDER, target, "", meta=TensorMeta("f32", (2,)))) is answer


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "f64", "c64", "i64", "b8", "u8", "f8e4m3fn"])
def test_only_what_torch_lets_require_grad_does(dtype: str) -> None:
    torch_dtype = Values().fresh(TensorMeta(dtype, (2,))).dtype
    assert is_differentiable(TensorMeta(dtype, (2,))) == (torch_dtype.is_floating_point or torch_dtype.is_complex)


def test_an_int_tensor_never_gets_grad() -> None:
    assert with_grad(TensorMeta("i64", (2,))) == TensorMeta("i64", (2,))


def test_a_tuple_with_one_tensor_that_requires_grad_does() -> None:
    tensors = (TensorMeta("i64", (2,)), TensorMeta("f32", (2,), requires_grad=True))
    assert requires_grad(SequenceMeta("tuple", tensors))


def test_an_op_that_cannot_be_run_passes_grad_on() -> None:
    text = (
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, l_self_parameters_w_: "f32[4]", x: "f32[4]"):\n'
        '        a: "f32[4]" = torch.ops.a.b(l_self_parameters_w_)\n'
        '        i: "i64[4]" = torch.ops.a.b(l_self_parameters_w_)\n'
        '        c: "f32[4]" = torch.ops.a.b(x)\n'
        "        return (a, i, c)\n"
    )
    graphs: tuple[Graph, ...] = load_text(text)[0]
    known = Propagator(Values(), requires_grad=True).known(graphs[0])
    assert {name: requires_grad(known[name]) for name in ("a", "i", "c")} == {"a": True, "i": False, "c": False}
