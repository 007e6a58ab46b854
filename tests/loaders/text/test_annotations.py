"""Annotations, as torch.fx.graph.CodeGen._gen_python_code writes them between the quotes."""

from __future__ import annotations

import pytest

from opcov.graph import SymbolMeta, TensorMeta
from opcov.loaders.text.annotations import DTYPES, UnknownAnnotation, parse_annotation, split_top_level


def test_every_dtype_that_torch_abbreviates_is_known():
    from torch.utils._dtype_abbrs import dtype_abbrs

    assert set(dtype_abbrs.values()) <= DTYPES


@pytest.mark.parametrize("dtype", ["b8", "bf16", "f8e4m3fn", "i64", "u32", "c64"])
def test_a_dtype_is_kept_as_abbreviated(dtype):
    assert parse_annotation(f"{dtype}[2]") == TensorMeta(dtype, (2,))


def test_a_tensor_without_dimensions_prints_an_empty_bracket():
    assert parse_annotation("f32[]") == TensorMeta("f32", ())


def test_integer_dimensions_are_numbers_and_symbolic_ones_text():
    assert parse_annotation("bf16[1, s27 + 1, (s27//2), u0]").shape == (1, "s27 + 1", "(s27//2)", "u0")


def test_a_comma_inside_a_function_does_not_end_a_dimension():
    assert parse_annotation("f32[Min(3, s27), 4]").shape == ("Min(3, s27)", 4)


def test_a_comma_splits_at_depth_zero_only():
    assert split_top_level("Max(1, Min(2, s0)), [3, 4], 5") == ["Max(1, Min(2, s0))", "[3, 4]", "5"]


def test_strides_follow_the_sizes():
    assert parse_annotation("f32[1, 8][8, 1]") == TensorMeta("f32", (1, 8), stride=(8, 1))


def test_symbolic_strides_are_text():
    assert parse_annotation("f32[s0, 8][8*s1, 1]").stride == ("8*s1", 1)


@pytest.mark.parametrize("device", ["cpu", "cuda:0", "meta", "privateuseone:3"])
def test_the_device_is_kept_as_printed(device):
    assert parse_annotation(f"f32[1, 8][8, 1]{device}") == TensorMeta("f32", (1, 8), (8, 1), device)


def test_a_device_may_follow_the_sizes_alone():
    # include_device without include_stride
    assert parse_annotation("f32[2]cuda:1") == TensorMeta("f32", (2,), device="cuda:1")


@pytest.mark.parametrize("wrapper", ["Parameter", "Sub", "FunctionalTensor"])
def test_a_subclass_is_printed_around_the_tensor(wrapper):
    assert parse_annotation(f"{wrapper}(f32[2])") == TensorMeta("f32", (2,), wrapper=wrapper)


def test_a_distributed_tensor_prints_its_placement_after_the_tensor():
    assert parse_annotation("DTensor(f32[4, 4][4, 1]cuda:0, S(0)R)") == TensorMeta(
        "f32", (4, 4), (4, 1), "cuda:0", "DTensor"
    )


def test_colour_codes_inside_the_string_say_nothing():
    assert parse_annotation("\x1b[31mf32\x1b[0m\x1b[34m[2, 3]\x1b[0m") == TensorMeta("f32", (2, 3))


@pytest.mark.parametrize("expression", ["s86", "s27 > 3", "7", "Max(1, u0)", "(s0 + 1)/2"])
def test_a_symbol_keeps_its_expression_whole(expression):
    assert parse_annotation(f"Sym({expression})") == SymbolMeta(expression)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "f32",
        "f33[2]",
        "f32[2",
        "f32[2][1, 1]",
        "f32[2]!!",
        "f32[,]",
        "f32[2,]",
        "Tensor",
        "(f32[2])",
        "[2]",
        "f32][",
    ],
)
def test_text_that_torch_does_not_print_is_unknown(text):
    with pytest.raises(UnknownAnnotation):
        parse_annotation(text)


def test_a_size_too_long_to_be_a_number_stays_text():
    digits = "9" * 5000  # int() refuses more than 4300 digits
    assert parse_annotation(f"f32[{digits}]").shape == (digits,)


def test_a_huge_shape_is_only_a_pair_of_numbers():
    assert parse_annotation("f32[99999999999, 99999999999]").shape == (99999999999, 99999999999)


def test_the_message_does_not_repeat_a_long_annotation_whole():
    with pytest.raises(UnknownAnnotation) as raised:
        parse_annotation("f32[" + "[" * 100_000)
    assert len(str(raised.value)) < 200
