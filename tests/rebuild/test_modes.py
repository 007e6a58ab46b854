"""Grad mode and autocast of a graph, held against what torch itself returns under them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from opcov.graph import Graph, TensorMeta
from opcov.loaders import load_text
from opcov.rebuild.modes import Modes, applied, neutral
from opcov.rebuild.propagate import Propagator
from opcov.rebuild.values import Values, metadata_of

ENTER = "torch.amp.autocast_mode._enter_autocast"
EXIT = "torch.amp.autocast_mode._exit_autocast"


def bare(*statements: str) -> Graph:
    """A graph without annotations, with two f32 tensors made in it."""
    lines = ["a = torch.zeros(4, 4)", "b = torch.zeros(4, 4)", *statements]
    body = "\n".join(f"        {line}" for line in lines)
    (graph,), _ = load_text(
        f"class GraphModule(torch.nn.Module):\n    def forward(self):\n{body}\n        return (y,)\n"
    )
    return graph


def dtype_of(graph: Graph, name: str = "z") -> str | None:
    meta = Propagator(Values()).known(graph)[name]
    return meta.dtype if isinstance(meta, TensorMeta) else None


CALLS: dict[str, Callable[..., torch.Tensor]] = {
    "torch.matmul(a, b)": torch.matmul,
    "a @ b": lambda a, b: a @ b,
    "torch._C._nn.linear(a, b)": torch.nn.functional.linear,
    "torch.add(a, b)": torch.add,
    "torch.nn.functional.softmax(a, dim=-1)": lambda a, b: torch.nn.functional.softmax(a, dim=-1),
    "a.sum()": lambda a, b: a.sum(),
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("call", CALLS)
def test_a_result_inside_an_autocast_has_the_dtype_that_torch_gives_it(call: str, dtype: str) -> None:
    graph = bare(
        f"c = {ENTER}('cpu', torch.{dtype}, True, None)",
        f"z = {call}",
        f"e = {EXIT}(c)",
        "y = torch.ops.a.b(z)",
    )
    with torch.autocast("cpu", dtype=getattr(torch, dtype)):
        expected = metadata_of(CALLS[call](torch.zeros(4, 4), torch.zeros(4, 4)))
    assert isinstance(expected, TensorMeta)
    assert dtype_of(graph) == expected.dtype


@pytest.mark.parametrize(
    ("before", "dtype"),
    [
        ([f"c = {ENTER}('cpu', torch.bfloat16, True, None)", f"e = {EXIT}(c)"], "f32"),  # it was left
        ([f"c = {ENTER}('cpu', torch.bfloat16, False, None)"], "f32"),  # disabled
        ([f"c = {ENTER}('cpu', None, True, None)"], "bf16"),  # torch.get_autocast_dtype("cpu")
        ([f"c = {ENTER}('cuda', None, True, None)"], "f16"),  # torch.get_autocast_dtype("cuda")
        (
            [
                f"c = {ENTER}('cpu', torch.bfloat16, True, None)",
                f"d = {ENTER}('cpu', None, False, None)",
            ],
            "f32",
        ),  # the inner one counts
        (
            [
                f"c = {ENTER}('cpu', torch.bfloat16, True, None)",
                f"d = {ENTER}('cpu', None, False, None)",
                f"e = {EXIT}(d)",
            ],
            "bf16",
        ),
    ],
)
def test_the_innermost_autocast_that_was_not_left_counts(before: list[str], dtype: str) -> None:
    assert dtype_of(bare(*before, "z = torch.matmul(a, b)", "y = torch.ops.a.b(z)")) == dtype


def test_equal_calls_inside_and_outside_of_an_autocast_are_two_questions() -> None:
    graph = bare(
        "z = torch.matmul(a, b)",
        f"c = {ENTER}('cpu', torch.bfloat16, True, None)",
        "w = torch.matmul(a, b)",
        f"e = {EXIT}(c)",
        "y = torch.ops.a.b(z, w)",
    )
    assert [dtype_of(graph, name) for name in ("z", "w")] == ["f32", "bf16"]


def test_grad_mode_is_the_one_that_was_set_last() -> None:
    modes = Modes()
    seen = []
    for node in bare("s = torch._C._set_grad_enabled(False)", "t = torch._C._set_grad_enabled(True)").calls:
        modes.visit(node)
        seen.append(modes.grad)
    assert seen == [True, True, False, True]


@pytest.mark.parametrize(
    "outer", [torch.inference_mode(), torch.no_grad(), torch.autocast("cpu"), torch.device("meta")]
)
def test_a_fake_run_starts_from_the_same_modes_whatever_the_process_is_in(outer: object) -> None:
    with outer, neutral():  # type: ignore[attr-defined]
        state = (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"))
        assert (*state, torch.empty(0).device.type) == (False, False, False, "cpu")


@pytest.mark.parametrize("outer", [torch.inference_mode(), torch.no_grad(), torch.enable_grad(), torch.autocast("cpu")])
def test_a_fake_run_leaves_the_modes_of_the_process(outer: object) -> None:
    def state() -> tuple[object, ...]:
        autocast = (
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
            torch.is_autocast_cache_enabled(),
        )
        return (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *autocast)

    with outer:  # type: ignore[attr-defined]
        before = state()
        with neutral(), applied(torch.float16, grad=True):
            assert state() != before
        assert state() == before


def test_a_graph_that_leaves_its_modes_set_does_not_set_them_here(
    process_state: Callable[[], dict[str, object]],
) -> None:
    graph = bare(
        f"c = {ENTER}('cpu', torch.float16, True, None)",
        "s = torch._C._set_grad_enabled(True)",
        "z = torch.matmul(a, b)",
        "y = torch.ops.a.b(z)",
    )
    before = process_state()
    Propagator(Values(), requires_grad=True).known(graph)
    assert process_state() == before
