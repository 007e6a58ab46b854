"""Live modules read as the loader reads the text that torch prints of them."""

from __future__ import annotations

from typing import Any

import fx_graphs
import pytest
import torch
from hypothesis import given, settings
from torch import fx, nn

from opcov.graph import Form, Global, Graph, Kind, Node, Ref, TensorMeta
from opcov.loaders import readable
from opcov.loaders.live import graph_of
from opcov.problems import UsageError


def printed(module: fx.GraphModule) -> Graph:
    (graph,), problems = readable.load(module.print_readable(print_output=False))
    assert (problems, graph.problems) == ((), ())
    return graph


def assert_equal(module: fx.GraphModule) -> None:
    live, text = graph_of(module), printed(module)
    assert fx_graphs.differences(fx_graphs.as_text_holds_it(live), fx_graphs.as_text_holds_it(text)) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*fx_graphs.FUNCTIONS, *fx_graphs.DYNAMIC])
def test_a_captured_module_is_read_as_its_text(name: str) -> None:
    seen: list[fx.GraphModule] = []

    def look(module: fx.GraphModule) -> None:
        seen.append(module)
        assert_equal(module)

    fx_graphs.capture(name, look)
    assert seen


@settings(max_examples=400, deadline=None)
@given(fx_graphs.annotated_graphs())
def test_a_random_graph_is_read_as_its_text(graph: fx.Graph) -> None:
    assert_equal(fx.GraphModule(fx_graphs.root(), graph))


EXPORTED = ["pointwise", "split", "several results", "indexing", "modules", "attention", "conditional"]


class Called(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize("form", ["lifted", "unlifted"])
def test_an_exported_program_is_read_as_its_text(name: str, form: str) -> None:
    function, inputs = fx_graphs.FUNCTIONS[name]
    program = torch.export.export(Called(function), inputs)
    if form == "lifted":
        assert graph_of(program) == graph_of(program.graph_module)
    assert_equal(program.graph_module if form == "lifted" else program.module())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["modules", "attention", "convolution"])
def test_a_traced_module_is_read_as_its_text(name: str) -> None:
    module = fx_graphs.FUNCTIONS[name][0]
    assert isinstance(module, nn.Module)
    assert_equal(fx.symbolic_trace(module))


# --- one thing at a time ----------------------------------------------------------------------------------------------


def one_call(target: Any, *args: Any, value: Any = None, **kwargs: Any) -> Node:
    """The call node of a graph with the input `x` that calls a function with it and with more arguments."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    call = graph.call_function(target, (x, *args), kwargs)
    if value is not None:
        call.meta["example_value"] = value
    graph.output(call)
    (node,) = graph_of(fx.GraphModule(nn.Module(), graph)).calls
    return node


def test_a_call_is_read_with_its_printed_expression() -> None:
    node = one_call(torch.clamp, 1, max=2.5)
    assert (node.kind, node.op, node.expression) == (Kind.CALL_FUNCTION, "torch.clamp", "torch.clamp(x, 1, max = 2.5)")
    assert (node.args, node.kwargs) == ((Ref("x"), 1), (("max", 2.5),))


def sine(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(x)


def test_a_live_graph_is_one_before_the_split() -> None:
    module = fx.symbolic_trace(sine)
    assert (graph_of(module).form, graph_of(module).regions) == (Form.UNSPLIT, ())


def test_a_live_tensor_tells_whether_it_requires_grad() -> None:
    meta = one_call(torch.sin, value=torch.ones(2, requires_grad=True)).meta
    assert meta == TensorMeta("f32", (2,), requires_grad=True)


@pytest.mark.parametrize(("key", "others"), [("val", ("tensor_meta", "example_value")), ("tensor_meta", ())])
def test_metadata_is_taken_in_the_order_in_which_torch_prints_it(key: str, others: tuple[str, ...]) -> None:
    module = fx.symbolic_trace(sine)
    (call,) = [node for node in module.graph.nodes if node.op == "call_function"]
    call.meta = {key: torch.ones(3), **dict.fromkeys(others, torch.ones(9)), "example_value": torch.ones(9)}
    (node,) = graph_of(module).calls
    assert node.meta == TensorMeta("f32", (3,))


def test_shape_propagation_is_metadata_too() -> None:
    module = fx.symbolic_trace(sine)
    fx.passes.shape_prop.ShapeProp(module).propagate(torch.ones(3, dtype=torch.float64))
    (node,) = graph_of(module).calls
    assert node.meta == TensorMeta("f64", (3,))
    assert_equal(module)


def test_a_layout_that_torch_prints_nothing_of_is_no_metadata() -> None:
    assert one_call(torch.sin, value=torch.eye(2).to_sparse_csr()).meta is None


def test_symbols_keep_what_they_stood_for() -> None:
    hints: dict[str, int | float] = {}
    fx_graphs.capture("dynamic arithmetic", lambda module: hints.update(graph_of(module).hints))
    assert sorted(hints.values()) == [4, 6]


def test_what_prints_as_no_python_is_read_by_its_name_without_an_address() -> None:
    module = fx.symbolic_trace(sine)
    (call,) = [node for node in module.graph.nodes if node.op == "call_function"]
    call.args = (*call.args, object(), [1].append)  # after the code was made: it would not compile
    (node,) = graph_of(module).calls
    assert "0x" not in repr(node)
    assert node.args == (Ref("x"), Global("object"), Global("append"))


def test_a_global_that_has_the_name_of_a_node_is_told_from_it_as_torch_does() -> None:
    def f(x: Any) -> Any:
        return x

    f.__module__ = "m"
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_method("sin", (x,))
    y._rename("m_f")
    graph.output(graph.call_function(f, (y,)))
    module = fx.GraphModule(nn.Module(), graph)
    assert [node.expression for node in graph_of(module).calls] == ["x.sin()", "m_f_1(m_f)"]
    assert_equal(module)


def test_what_has_no_graph_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a Linear is no torch\.fx\.GraphModule"):
        graph_of(nn.Linear(1, 1))
