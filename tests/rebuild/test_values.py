"""Example values made from metadata, and metadata read back from them."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.graph import dtype_abbrs

from opcov.graph import ConstantMeta, Construct, Global, ListArg, Metadata, Ref, SequenceMeta, SymbolMeta, TensorMeta
from opcov.rebuild.arguments import NoValue, plain_value
from opcov.rebuild.symbols import DEFAULT_HINT
from opcov.rebuild.values import Values, is_assumed, metadata_of

F32 = TensorMeta("f32", (2, 3))


@pytest.fixture(scope="module")
def values() -> Values:
    return Values()


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("dtype", sorted(set(dtype_abbrs) - {torch.quint4x2, torch.quint2x4}, key=str), ids=str)
def test_every_dtype_that_torch_prints_gives_a_tensor_of_it_or_no_value(values: Values, dtype: torch.dtype) -> None:
    try:
        value = values.fresh(TensorMeta(dtype_abbrs[dtype], (2,)))
    except NoValue:
        assert str(dtype).startswith(("torch.q", "torch.bits", "torch.uint", "torch.int"))  # no kernels for those
    else:
        assert value.dtype is dtype


def test_a_tensor_is_fake_and_on_the_cpu(values: Values) -> None:
    value = values.fresh(TensorMeta("bf16", (4, 1024), device="cuda:0"))
    assert isinstance(value, FakeTensor)
    assert (value.device.type, tuple(value.shape), value.dtype) == ("cpu", (4, 1024), torch.bfloat16)


def test_strides_are_those_of_the_text(values: Values) -> None:
    assert values.fresh(TensorMeta("f32", (2, 3), (1, 2))).stride() == (1, 2)


def test_without_strides_a_tensor_is_contiguous(values: Values) -> None:
    assert values.fresh(F32).is_contiguous()


def test_a_symbolic_size_becomes_its_hint(values: Values) -> None:
    assert tuple(values.fresh(TensorMeta("f32", ("s27 + 1", 4))).shape) == (DEFAULT_HINT + 1, 4)


def test_for_users_a_symbolic_size_prints_as_in_the_text() -> None:
    value = Values(symbolic=True).fresh(TensorMeta("f32", ("s27", "2*s27 + 1", 4)))
    assert str(value.shape) == "torch.Size([s27, 2*s27 + 1, 4])"


def test_for_users_a_symbolic_size_has_its_hint() -> None:
    size = Values(symbolic=True).fresh(TensorMeta("f32", ("s27 + 1",))).shape[0]
    assert size.node.hint == DEFAULT_HINT + 1


def test_the_same_unbacked_symbol_is_one_symbol(values: Values) -> None:
    one, other = (values.fresh(TensorMeta("f32", ("u0",))).shape[0] for _ in range(2))
    assert one.node.expr == other.node.expr


def test_an_unbacked_size_has_no_hint(values: Values) -> None:
    assert not values.fresh(SymbolMeta("u0")).node.has_hint()


@pytest.mark.parametrize(
    ("text", "kind", "hint"),
    [
        ("s27", torch.SymInt, DEFAULT_HINT),
        ("s27 > 3", torch.SymBool, True),
        ("ToFloat(s27)/2", torch.SymFloat, DEFAULT_HINT / 2),
        ("7", torch.SymInt, 7),
        ("zf1", torch.SymFloat, float(DEFAULT_HINT)),
    ],
)
def test_a_symbol_has_the_type_and_hint_of_its_expression(values: Values, text: str, kind: type, hint: float) -> None:
    value = values.fresh(SymbolMeta(text))
    assert isinstance(value, kind)
    assert value.node.hint == hint


@pytest.mark.parametrize(("text", "kind"), [("u0 >= 2", torch.SymBool), ("zuf0", torch.SymFloat), ("u0", torch.SymInt)])
def test_an_unbacked_symbol_has_the_type_that_its_text_tells(values: Values, text: str, kind: type) -> None:
    assert isinstance(values.fresh(SymbolMeta(text)), kind)


def test_tuples_lists_and_sizes_stay_apart(values: Values) -> None:
    # Thunder's make_input_proxy takes tuples only.
    kinds = {kind: type(values.fresh(SequenceMeta(kind, (SymbolMeta("3"),)))) for kind in ("tuple", "list")}
    assert kinds == {"tuple": tuple, "list": list}


def test_an_unknown_element_leaves_no_value(values: Values) -> None:
    with pytest.raises(NoValue):
        values.fresh(SequenceMeta("tuple", (F32, None)))


@pytest.mark.parametrize(
    "meta",
    [
        TensorMeta("f33", (2,)),
        TensorMeta("f32", (99999999999, 99999999999)),
        TensorMeta("f32", (2**70,)),
        TensorMeta("f32", (0, 2**70)),
        TensorMeta("f32", (-1,)),
        TensorMeta("f32", ("s27 - 9",)),
    ],
    ids=str,
)
def test_what_torch_cannot_count_gives_no_value_and_no_other_error(values: Values, meta: Metadata) -> None:
    with pytest.raises(NoValue):
        values.fresh(meta)


def test_shared_values_are_made_once(values: Values) -> None:
    assert values.shared(F32) is values.shared(TensorMeta("f32", (2, 3)))


@pytest.mark.parametrize(
    "meta",
    [
        F32,
        TensorMeta("i64", (3, 2), (1, 3)),
        TensorMeta("b8", ()),
        TensorMeta("f32", (2,), requires_grad=True),
        SymbolMeta("s27"),
        SequenceMeta("tuple", (F32, SymbolMeta("s27 + 1"))),
        SequenceMeta("list", (F32,)),
        ConstantMeta(True),
        ConstantMeta(1.5),
        ConstantMeta(Global("torch.float16")),
    ],
    ids=str,
)
def test_metadata_survives_the_way_to_a_value_and_back(values: Values, meta: Metadata) -> None:
    assert metadata_of(values.fresh(meta)) == meta


@pytest.mark.parametrize("value", [None, object(), torch.autocast("cpu")], ids=["none", "object", "context"])
def test_other_values_have_no_metadata(value: object) -> None:
    assert metadata_of(value) is None


@pytest.mark.parametrize(
    ("meta", "answer"),
    [
        (F32, False),
        (TensorMeta("f32", ("s27",)), True),
        (SymbolMeta("7"), False),
        (SymbolMeta("s27"), True),
        (ConstantMeta(3), False),
        (SequenceMeta("tuple", (F32,)), False),
        (SequenceMeta("tuple", (F32,), inferred=True), True),
    ],
)
def test_what_the_text_does_not_print_counts_as_assumed(meta: Metadata, answer: bool) -> None:
    assert is_assumed(meta) is answer


# --- arguments --------------------------------------------------------------------------------------------------------


def test_lists_and_tuples_of_arguments_stay_apart() -> None:
    assert plain_value((1, ListArg((2, Ref("x")))), {"x": 3}) == (1, [2, 3])


def test_an_unknown_node_has_no_value() -> None:
    with pytest.raises(NoValue, match="nothing is known of x"):
        plain_value(Ref("x"), {})


def test_a_device_is_made_without_the_device() -> None:
    assert plain_value(Construct("device", (), (("type", "cuda"), ("index", 0)))) == torch.device("cuda", 0)


def test_a_constructor_call_that_makes_no_sense_has_no_value() -> None:
    with pytest.raises(NoValue):
        plain_value(Construct("device", ("nowhere",), ()))


@pytest.mark.parametrize("name", ["torch.hub.load", "torch.nn.functional.silu", "os.system", "__main___Color.RED"])
def test_a_function_as_an_argument_cannot_be_called_and_prints_as_its_name(name: str) -> None:
    value = plain_value(Global(name))
    assert not callable(value)
    assert repr(value) == name


def test_a_dtype_as_an_argument_is_the_dtype() -> None:
    assert plain_value(Global("torch.float16")) is torch.float16


def test_a_name_that_is_no_name_is_never_printed() -> None:
    assert repr(plain_value(Global("x); import os #"))) == "unprintable"
