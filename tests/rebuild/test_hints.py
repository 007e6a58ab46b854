"""What symbols stand for: sizes that a tensor can have, equal where nothing tells them apart."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch

from opcov.graph import Form, Graph, Kind, Metadata, Node, SequenceMeta, SymbolMeta, TensorMeta
from opcov.loaders import load_text
from opcov.rebuild.hints import hints_of
from opcov.rebuild.symbols import DEFAULT_HINTS, evaluate


def graph_of(*metas: Metadata) -> Graph:
    nodes = [Node(f"n{index}", Kind.PLACEHOLDER, f"n{index}", "", meta=meta) for index, meta in enumerate(metas)]
    return Graph("GraphModule", Form.UNSPLIT, tuple(nodes))


def sized(*sizes: int | str) -> TensorMeta:
    return TensorMeta("f32", sizes)


@pytest.mark.parametrize(
    "meta",
    [sized(4), sized("s0", "s1 + 1"), sized("u0 - 90"), SymbolMeta("s0"), SymbolMeta("Eq(s0, 99)"), sized("f(")],
    ids=str,
)
def test_where_nothing_asks_for_more_the_default_holds(meta: Metadata) -> None:
    assert hints_of(graph_of(meta)) is DEFAULT_HINTS


@pytest.mark.parametrize(
    "meta",
    [
        sized("s0 - 9"),
        sized(4, "s0 - 8"),
        sized("(s0//16)"),
        sized("((s0 - 1)//32)"),
        sized("s0 - 5000"),
        sized("s0 - s1"),
        sized("s0 - s1 - 100"),
        sized("s1 - 2*s0"),
        SymbolMeta("s0 - 20"),
        SequenceMeta("tuple", (sized("s0 - 9"),)),
    ],
    ids=str,
)
def test_every_size_in_the_text_is_one_that_a_tensor_can_have(meta: Metadata) -> None:
    hints = hints_of(graph_of(meta, sized("s0", "s1")))
    texts = [str(meta).removeprefix("Sym(").removesuffix(")")] if isinstance(meta, SymbolMeta) else []
    tensors = meta.items if isinstance(meta, SequenceMeta) else (meta,)
    texts += [size for one in tensors if isinstance(one, TensorMeta) for size in one.shape if isinstance(size, str)]
    values = [evaluate(text, hints) for text in (*texts, "s0", "s1")]
    assert all(value is not None and value > 0 for value in values), (hints, values)


@pytest.mark.parametrize("text", ["s27 > 3", "s27 > 100", "s27 >= 9", "3*s27 > 2*s5 + 40", "s27 > s5"])
def test_an_order_that_the_text_states_holds(text: str) -> None:
    assert evaluate(text, hints_of(graph_of(SymbolMeta(text), sized("s27", "s5")))) is True


def test_symbols_stay_equal_as_long_as_one_value_does() -> None:
    hints = hints_of(graph_of(sized("s0 - 9"), sized("s1")))
    assert evaluate("s0", hints) == evaluate("s1", hints)


def test_what_a_source_states_wins() -> None:
    graph = replace(graph_of(sized("s0", "s1 - 9")), hints={"s0": 3})
    hints = hints_of(graph)
    assert evaluate("s0", hints) == 3
    assert evaluate("s1 - 9", hints) == 7


def test_sizes_of_a_body_count() -> None:
    graph = replace(graph_of(sized("s0")), bodies={"body_0": graph_of(sized("s0 - 9"))})
    assert evaluate("s0 - 9", hints_of(graph)) == 7


def test_a_graph_that_dynamo_captured_gets_sizes_that_exist() -> None:
    printed: list[str] = []

    def backend(module: torch.fx.GraphModule, _inputs: object) -> object:
        printed.append(module.print_readable(print_output=False))
        return module.forward

    def trim(x: torch.Tensor) -> torch.Tensor:
        return x[20:].relu()

    torch._dynamo.reset()
    torch.compile(trim, backend=backend, dynamic=True)(torch.ones(50, 4))
    (graph,), _ = load_text(printed[0])
    shapes = [node.meta["example_value"].shape for node in graph.to_fx().graph.nodes if node.name.startswith("relu")]
    assert [size.node.hint > 0 for size in shapes[0] if isinstance(size, torch.SymInt)] == [True, True]


@pytest.mark.parametrize("text", ["s0 - 99999999999999", "-s0", "-(s0**9)**9", " + ".join(["s0"] * 900), "(" * 300])
def test_a_size_that_nothing_satisfies_ends_the_search(text: str) -> None:
    start = time.perf_counter()
    hints_of(graph_of(sized(text), *(sized(f"{text} - s{index}") for index in range(20))))
    assert time.perf_counter() - start < 2


def test_many_symbols_that_cannot_be_satisfied_end_the_search() -> None:
    sizes = [sized(f"s{index} - s{index + 1}", f"s{index} - s{index - 1} - {index}") for index in range(1, 3000)]
    start = time.perf_counter()
    hints_of(graph_of(*sizes))
    assert time.perf_counter() - start < 2
