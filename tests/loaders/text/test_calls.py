"""A call read by itself, without the graph that it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import opcov
from opcov.graph import Node
from opcov.graphfile import is_graph_name
from opcov.loaders.text.calls import read_call
from opcov.ops import UNREADABLE

FIXTURES = Path(__file__).resolve().parent.parent.parent.parent / "fixtures"


def calls_below(folder: Path) -> Iterator[Node]:
    for path in sorted(folder.rglob("*.py")):
        if is_graph_name(path.name):
            for graph in opcov.load(path):
                yield from graph.calls


def told_otherwise(nodes: Iterator[Node]) -> tuple[int, list[tuple[str, str, object]]]:
    """How many different expressions there are, and those of which the graph tells another op or variant."""
    told = {(node.expression, node.op, node.variant) for node in nodes if node.op != UNREADABLE}
    return len(told), [
        (expression, variant, read_call(expression))
        for expression, op, variant in told
        if read_call(expression) != (op, variant)
    ]


@pytest.mark.parametrize(
    ("expression", "op", "variant"),
    [
        ("torch.bmm(a, b, out = c)", "torch.bmm", "torch.bmm(T, T, out=T)"),
        ("transpose[slice(None, 1, None)]", "operator.getitem", "operator.getitem(T, slice(None, N, None))"),
        ("output_parallel.is_cpu", "torch.Tensor.is_cpu", "torch.Tensor.is_cpu(T)"),
        ("stream.wait_stream(s)", "torch.cuda.Stream.wait_stream", "torch.cuda.Stream.wait_stream(T, T)"),
        ("x + 1", "operator.add", "operator.add(T, N)"),
        ("x += y", "operator.iadd", "operator.iadd(T, T)"),
        ("x[0] = y", "operator.setitem", "operator.setitem(T, N, T)"),
        (
            "torch.empty(1, device = device(type='cuda', index=0))",
            "torch.empty",
            "torch.empty(N, device=device(type='cuda', index=N))",
        ),
        ("torch.full(inf, nan)", "torch.full", "torch.full(N, N)"),
        ("self.layer(x)", "self.layer", "self.layer(T)"),
        ("_operator_not_(x)", "operator.not_", "operator.not_(T)"),
        ("getattr(x, 'device')", "torch.Tensor.device", "torch.Tensor.device(T)"),
    ],
)
def test_op_and_variant_are_told_by_the_expression_alone(expression: str, op: str, variant: str) -> None:
    assert read_call(expression) == (op, variant)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "1", "'text'", "x = 1", "x: int = 1", "import os", "f(x); g(x)", "f(x)\ng(x)", "f(x", "f(*x)",
        "f(**x)", "lambda: x", "[x for x in y]", "await x", "x and y", "x in y", "x < y < z", "f(x)(y)", "self.weight",
        "f(x)  #: allow", "(f(x))", " f(x)", "f(x) ", "f(x);", "f(\nx)", "__import__('os').system('x')", "f(x\0)",
        "\ufefff(x)", "x." + "a." * 5000 + "b", "(" * 300 + ")" * 300, "f(" + "9" * 5000 + ")",
    ],
    ids=lambda text: repr(text)[:20],
)  # fmt: skip
def test_what_no_graph_prints_as_a_call_is_none(text: str) -> None:
    assert read_call(text) is None


@given(st.text() | st.text("xtorch.()[],=' 1+-#:\n\\{}*"))
@example("x[y:=1]")
@example("\ud800")
def test_no_text_makes_it_raise(text: str) -> None:
    found = read_call(text)
    assert found is None or all(isinstance(part, str) for part in found)


def test_all_calls_of_the_fixtures_are_told_by_their_expressions() -> None:
    number, wrong = told_otherwise(calls_below(FIXTURES))
    assert number > 500
    assert wrong == []


@pytest.mark.parametrize("corpus", ["gm", "oracle"])
def test_all_calls_of_the_recorded_corpora_are_told_by_their_expressions(shared: Path, corpus: str) -> None:
    number, wrong = told_otherwise(calls_below(shared / corpus))
    assert number > 500
    assert wrong == []
