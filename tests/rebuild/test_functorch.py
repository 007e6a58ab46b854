"""Shapes inside functorch's transforms, held against what torch.vmap itself shows there."""

from __future__ import annotations

import pytest
import torch

from opcov.graph import Graph, TensorMeta
from opcov.loaders import load_text
from opcov.rebuild.propagate import Gap, Known, Propagator
from opcov.rebuild.values import FUNCTORCH_WRAPPER, Values

NAMESPACES = ["torch._C._functorch", "torch._functorch.predispatch"]


def known(*statements: str) -> dict[str, Known]:
    body = "\n".join(f"        {line}" for line in ["x = torch.zeros(2, 3, 4)", *statements])
    text = f"class GraphModule(torch.nn.Module):\n    def forward(self):\n{body}\n        return (y,)\n"
    graphs: tuple[Graph, ...] = load_text(text)[0]
    return Propagator(Values()).known(graphs[0])


def shape(value: Known) -> tuple[int | str, ...]:
    assert isinstance(value, TensorMeta)
    return value.shape


@pytest.mark.parametrize("dimension", [0, 1, 2, -1])
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_value_inside_a_vmap_has_the_shape_of_one_sample(namespace: str, dimension: int) -> None:
    result = known(f"a = {namespace}._add_batch_dim(x, {dimension}, 1)", "y = torch.ops.a.b(a)")["a"]
    seen: list[tuple[int, ...]] = []
    torch.vmap(lambda x: seen.append(tuple(x.shape)) or x, in_dims=dimension)(torch.zeros(2, 3, 4))
    assert shape(result) == seen[0]


@pytest.mark.parametrize("out", [0, 1, 2, -1])
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_what_leaves_a_vmap_has_the_batch_where_it_says(namespace: str, out: int) -> None:
    result = known(
        f"a = {namespace}._add_batch_dim(x, 1, 1)",
        "b = a.sin()",
        f"c = {namespace}._remove_batch_dim(b, 1, 3, {out})",
        "y = torch.ops.a.b(c)",
    )
    assert shape(result["c"]) == torch.vmap(torch.sin, in_dims=1, out_dims=out)(torch.zeros(2, 3, 4)).shape
    assert isinstance(result["b"], TensorMeta)
    assert isinstance(result["c"], TensorMeta)
    assert (result["b"].wrapper, result["c"].wrapper) == (FUNCTORCH_WRAPPER, None)


def test_ops_inside_a_vmap_compute_on_one_sample() -> None:
    result = known(
        "a = torch._C._functorch._add_batch_dim(x, 0, 1)", "t = a.t()", "b = torch.matmul(a, t)", "y = b.sum()"
    )
    seen: list[tuple[int, ...]] = []
    torch.vmap(lambda a: seen.append(tuple(torch.matmul(a, a.t()).shape)) or a)(torch.zeros(2, 3, 4))
    assert shape(result["b"]) == seen[0]


def test_a_batch_dimension_that_is_not_there_gives_nothing() -> None:
    assert known("a = torch._C._functorch._add_batch_dim(x, 7, 1)", "y = torch.ops.a.b(a)")["a"] is Gap.MISSING
