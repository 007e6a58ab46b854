"""Random torch.fx graphs, printed by torch and loaded: the same nodes come back."""

from __future__ import annotations

import operator
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn
from torch.fx.node import _get_qualified_name

from opcov.graph import Argument, Construct, DictArg, Global, ListArg, Ref, SliceArg
from opcov.loaders import readable

FUNCTIONS = [
    torch.sin, torch.add, torch.functional.split, nn.functional.silu, torch._C._nn.gelu, torch.ops.aten.add.Tensor,
    max, len, abs, operator.not_, torch.device, torch._C._set_grad_enabled,
]  # fmt: skip
BINARY = [
    getattr(operator, name)
    for name in "add sub mul truediv floordiv mod pow and_ or_ xor matmul eq lt ge getitem".split()
]
UNARY = [operator.neg, operator.pos, operator.invert]
INPLACE = [
    getattr(operator, name) for name in "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor imatmul".split()
]
ATTRIBUTES = ["p", "sub.w", "layers.0.weight"]


def root() -> nn.Module:
    module = nn.Module()
    module.register_buffer("p", torch.zeros(1))
    module.sub = nn.Module()
    module.sub.register_buffer("w", torch.zeros(1))
    module.layers = nn.ModuleList([nn.Linear(1, 1)])
    return module


literals = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.builds(complex, st.floats(0.1, 9), st.floats(-9, -0.1)), st.text(max_size=8), st.binary(max_size=4),
    st.sampled_from([..., torch.float16, torch.strided, torch.device("cpu"), torch.device("cuda", 1)]),
)  # fmt: skip


@st.composite
def graphs(draw: Any) -> fx.Graph:
    graph = fx.Graph()
    names = draw(st.lists(st.sampled_from(["x", "L_y_", "s0", "*args"]), min_size=1, unique=True))
    values = [graph.placeholder(name) for name in names]
    node = st.deferred(lambda: st.sampled_from(values))
    argument = st.recursive(
        st.one_of(node, literals),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.tuples(inner, inner, inner).map(lambda parts: slice(*parts)),
            st.dictionaries(st.text(max_size=4), st.one_of(node, st.integers()), max_size=2),
        ),
        max_leaves=6,
    )
    for _ in range(draw(st.integers(1, 8))):
        # Python's grammar gives operators their operands only as names and plain numbers.
        operand = draw(st.one_of(node, st.integers(-9, 9), st.floats(0, 9)))
        value = draw(node)
        match draw(
            st.sampled_from(
                [
                    "function",
                    "binary",
                    "reflected",
                    "unary",
                    "inplace",
                    "store",
                    "method",
                    "attribute",
                    "getattr",
                    "module",
                ]
            )
        ):
            case "function":
                keywords = draw(st.dictionaries(st.sampled_from(["out", "dim", "k_1"]), argument, max_size=2))
                new = graph.call_function(
                    draw(st.sampled_from(FUNCTIONS)), tuple(draw(st.lists(argument, max_size=3))), keywords
                )
            case "binary":
                new = graph.call_function(draw(st.sampled_from(BINARY)), (value, operand))
            case "reflected":
                # `1 < x`, `-1 ** x`: all but an index may have a number first
                new = graph.call_function(draw(st.sampled_from(BINARY[:-1])), (operand, value))
            case "unary":
                new = graph.call_function(draw(st.sampled_from(UNARY)), (value,))
            case "inplace":
                new = graph.call_function(draw(st.sampled_from(INPLACE)), (value, operand))
            case "store":
                new = graph.call_function(operator.setitem, (value, draw(argument), operand))
            case "method":
                new = graph.call_method(
                    draw(st.sampled_from(["view", "__and__", "size"])), (value, *draw(st.lists(argument, max_size=2)))
                )
            case "attribute":
                new = graph.get_attr(draw(st.sampled_from(ATTRIBUTES)))
            case "getattr":
                new = graph.call_function(getattr, (value, draw(st.sampled_from(["shape", "T", "a b"]))))
            case _:
                new = graph.call_module("layers.0", (value,))
        values.append(new)
    graph.output(draw(argument))
    return graph


def plain(value: Any) -> Argument:
    """A torch.fx argument in opcov's words."""
    match value:
        case fx.Node():
            return Ref(value.name)
        case slice():
            return SliceArg(plain(value.start), plain(value.stop), plain(value.step))
        case list():
            return ListArg(tuple(map(plain, value)))
        case tuple():
            return tuple(map(plain, value))
        case dict():
            return DictArg(tuple((key, plain(item)) for key, item in value.items()))
        case torch.dtype() | torch.layout():
            return Global(str(value))
        case torch.device():
            index = () if value.index is None else (("index", value.index),)
            return Construct("device", (), (("type", value.type), *index))
    return value


def target(node: fx.Node) -> str:
    """torch.fx's own qualified name; names outside of torch are printed with underscores for dots."""
    if callable(node.target):
        name = _get_qualified_name(node.target)
        return name.replace("_operator.", "operator.").replace("torch.device", "device")
    return str(node.target)


@settings(max_examples=400, deadline=None)
@given(graphs())
def test_a_printed_graph_is_loaded_as_it_was(graph: fx.Graph) -> None:
    text = fx.GraphModule(root(), graph).print_readable(print_output=False)
    (loaded,), problems = readable.load(text)
    assert (problems, loaded.problems) == ((), ())
    for read, made in zip(loaded.nodes, graph.nodes, strict=True):
        found = read.target.replace("_operator_not_", "operator.not_")
        assert (read.name, read.kind.value, found) == (made.name, made.op, target(made))
        assert repr(read.args) == repr(
            plain(made.args) if made.op != "placeholder" else ()
        )  # repr: nan, -0.0, True and 1
        assert repr(read.kwargs) == repr(tuple((key, plain(value)) for key, value in made.kwargs.items()))
