"""Every rule says what a fake run says, and says nothing of what it cannot be sure of."""

from __future__ import annotations

from itertools import product

import pytest

from opcov.graph import Argument, Kind, ListArg, Node, Ref, TensorMeta
from opcov.rebuild.live import fake_run
from opcov.rebuild.modes import Modes, neutral
from opcov.rebuild.rules import _RULES, by_rule
from opcov.rebuild.values import Values

FUNCTIONAL = "torch.nn.functional."
DTYPES = ("f32", "bf16", "f16", "f64")
SHAPES = ((2, 3), (4,), (), (1,), (2, 1, 3), (2, 3, 4, 5), (2, 1, 5, 5), (1, 3, 1, 1), (5, 4), (2, 3, 1, 4))
A, B, C = Ref("a"), Ref("b"), Ref("c")


def call(op: str, *args: Argument, **kwargs: Argument) -> Node:
    return Node("y", Kind.CALL_FUNCTION, op, op, args, tuple(kwargs.items()))


def ruled_and_run(node: Node, **metas: TensorMeta) -> tuple[object, object]:
    """What the rule says, and what a run on fake tensors returns; None where torch refuses the call."""
    values = Values()
    try:
        with neutral():
            ran = fake_run(
                node, {name: values.fresh(meta) for name, meta in metas.items()}, values, Modes(), grad=False
            )
    except Exception:  # noqa: BLE001 - torch refuses bad arguments with errors of many kinds
        ran = None
    return by_rule(node, metas), ran


UNARY = [
    call(f"{FUNCTIONAL}relu", A),
    call(f"{FUNCTIONAL}relu", A, inplace=True),
    call(f"{FUNCTIONAL}silu", A, inplace=False),
    call("torch._C._nn.gelu", A),
    call("torch._C._nn.gelu", A, approximate="tanh"),
    call(f"{FUNCTIONAL}leaky_relu", A, 0.1),
    call(f"{FUNCTIONAL}dropout", A, 0.5, True, False),
    call(f"{FUNCTIONAL}dropout", A, p=0.0, training=False),
    call("torch._C._nn.softplus", A, 1, 20),
    call("operator.mul", A, 2),
    call("operator.add", 0.5, A),
    call("operator.truediv", A, 3),
    call("operator.sub", 1.0, A),
    call("operator.iadd", A, 1),
]


@pytest.mark.parametrize("node", UNARY, ids=lambda node: f"{node.op} {node.args[1:]}")
def test_op_on_one_tensor_keeps_its_shape_and_dtype(node: Node) -> None:
    for dtype, shape in product(DTYPES, SHAPES):
        ruled, ran = ruled_and_run(node, a=TensorMeta(dtype, shape))
        assert ruled == ran == TensorMeta(dtype, shape)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv", "iadd", "isub", "imul", "itruediv"])
def test_operator_on_two_tensors_broadcasts_as_torch_does(op: str) -> None:
    answered = 0
    for one, other in product(SHAPES, repeat=2):
        ruled, ran = ruled_and_run(call(f"operator.{op}", A, B), a=TensorMeta("f32", one), b=TensorMeta("f32", other))
        assert ruled == ran
        answered += ruled is not None
    assert answered >= len(SHAPES)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 3), (2, 4, 5, 6), (1, 4, 1, 1), (2, 1, 3, 3)])
def test_batch_norm_keeps_its_shape(shape: tuple[int, ...]) -> None:
    node = call(f"{FUNCTIONAL}batch_norm", A, B, B, C, C, False, 0.1, 1e-5)
    metas = {"a": TensorMeta("f32", shape), "b": TensorMeta("f32", shape[1:2]), "c": TensorMeta("f32", shape[1:2])}
    ruled, ran = ruled_and_run(node, **metas)
    assert ruled == ran == metas["a"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_layer_norm_keeps_its_shape(count: int) -> None:
    shape = (2, 3, 4)[-count:]
    node = call(f"{FUNCTIONAL}layer_norm", A, shape, B, B, 1e-5)
    ruled, ran = ruled_and_run(node, a=TensorMeta("bf16", (2, 3, 4)), b=TensorMeta("bf16", shape))
    assert ruled == ran == TensorMeta("bf16", (2, 3, 4))


@pytest.mark.parametrize("leading", [(2,), (1,), (2, 3), (2, 1, 3), (2, 3, 4, 1)])
def test_linear_changes_the_last_size(leading: tuple[int, ...]) -> None:
    metas = {"a": TensorMeta("f32", (*leading, 4)), "b": TensorMeta("f32", (6, 4)), "c": TensorMeta("f32", (6,))}
    for node in (call("torch._C._nn.linear", A, B, C), call("torch._C._nn.linear", A, B, None)):
        ruled, ran = ruled_and_run(node, **metas)
        assert ruled == ran == TensorMeta("f32", (*leading, 6))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(
    "size", [{"size": (7, 9)}, {"size": ListArg((2, 3))}, {"scale_factor": 2.0}, {"scale_factor": 4}]
)
def test_interpolation_gives_the_size_that_is_asked_for(mode: str, size: dict[str, Argument]) -> None:
    ruled, ran = ruled_and_run(
        call(f"{FUNCTIONAL}interpolate", A, mode=mode, **size), a=TensorMeta("f32", (2, 3, 4, 5))
    )
    assert ruled is not None
    assert ruled == ran


F32, WEIGHT = TensorMeta("f32", (2, 3)), TensorMeta("f32", (4, 3))
UNSURE = [
    (call("operator.add", A, B), F32, TensorMeta("f32", (2, 4))),
    (call("operator.add", A, B), F32, TensorMeta("bf16", (2, 3))),
    (call("operator.add", A, B), F32, TensorMeta("f32", (2, 3), stride=(1, 2))),
    (call("operator.add", A, B), TensorMeta("f32", ("s0", 3)), F32),
    (call("operator.iadd", A, B), TensorMeta("f32", (3,)), F32),
    (call("operator.add", A, True), F32, F32),
    (call("operator.add", A, 2**70), F32, F32),
    (call("operator.truediv", A, 2), TensorMeta("i64", (2,)), F32),
    (call("torch._C._nn.linear", A, B), TensorMeta("f32", (2, 5)), WEIGHT),
    (call("torch._C._nn.linear", A, B), TensorMeta("bf16", (2, 3)), WEIGHT),
    (call("torch._C._nn.gelu", A, approximate="none of them"), F32, F32),
    (call(f"{FUNCTIONAL}dropout", A, 1.5), F32, F32),
    (call(f"{FUNCTIONAL}layer_norm", A, (2,), B), F32, TensorMeta("f32", (2,))),
    (call(f"{FUNCTIONAL}batch_norm", A, B, B), F32, TensorMeta("f32", (2,))),
    (call(f"{FUNCTIONAL}relu", A, no_such="x"), F32, F32),
    (call(f"{FUNCTIONAL}relu"), F32, F32),
    (call(f"{FUNCTIONAL}relu", A), TensorMeta("f32", (2**30, 2**30)), F32),
    (call(f"{FUNCTIONAL}relu", A), TensorMeta("f32", (2, 0)), F32),
]


@pytest.mark.parametrize(("node", "a", "b"), UNSURE, ids=lambda value: getattr(value, "op", str(value)))
def test_no_rule_speaks_of_what_is_not_plain(node: Node, a: TensorMeta, b: TensorMeta) -> None:
    assert by_rule(node, {"a": a, "b": b}) is None


def test_every_rule_is_for_an_op_that_torch_has() -> None:
    from opcov.rebuild.names import is_missing, resolve_function

    assert [op for op in _RULES if is_missing(resolve_function(op))] == []
