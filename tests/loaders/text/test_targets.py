"""Canonical names of targets. What torch.fx prints for a function is checked by printing it."""

from __future__ import annotations

import math
import operator

import pytest

from opcov.loaders.text.targets import attribute_op, function_op, method_op, module_op


def printed_target(function):
    """What torch.fx prints for a function before the bracket."""
    from torch import fx, nn

    graph = fx.Graph()
    graph.output(graph.call_function(function, (graph.placeholder("x"),)))
    text = fx.GraphModule(nn.Module(), graph).print_readable(print_output=False)
    line = next(line for line in text.splitlines() if "(x)" in line)
    return line.partition("= ")[2].partition("(")[0]


@pytest.mark.parametrize(
    "printed",
    [
        "torch.nn.functional.silu", "torch.functional.split", "torch._C._nn.gelu", "torch.ops.aten.add.Tensor",
        "torch.ops.sglang.inplace_all_reduce", "torch.ops.higher_order.cond", "torch.Tensor.add", "max", "len", "int",
        "abs", "pow",
    ],
)  # fmt: skip
def test_a_dotted_name_and_a_builtin_are_their_own_op(printed):
    assert function_op(printed) == printed


def test_a_mangled_operator_is_named_by_its_module():
    assert (printed_target(operator.not_), function_op("_operator_not_")) == ("_operator_not_", "operator.not_")


def test_a_mangled_math_function_is_named_by_its_module():
    assert (printed_target(math.floor), function_op("math_floor")) == ("math_floor", "math.floor")


def test_a_mangled_tensor_method_is_named_by_its_class():
    import torch

    assert (printed_target(torch.Tensor.add), function_op("torch_Tensor_add")) == (
        "torch_Tensor_add",
        "torch.Tensor.add",
    )


def test_a_function_of_the_main_module_is_named_by_it():
    assert function_op("__main___f") == "__main__.f"


def test_other_mangled_names_stay_as_printed():
    # `my_package.ops.f` and `my.package_ops.f` print alike, so that no inverse exists.
    assert function_op("my_package_ops_f") == "my_package_ops_f"


def test_a_prefix_alone_is_no_mangled_name():
    assert function_op("math_") == "math_"


def test_a_bare_device_is_the_function_that_makes_one():
    import torch

    assert (printed_target(torch.device), function_op("device")) == ("device", "torch.device")


def test_methods_and_attributes_are_those_of_the_tensor():
    assert (method_op("view"), attribute_op("is_cpu")) == ("torch.Tensor.view", "torch.Tensor.is_cpu")


def test_a_method_that_only_streams_have_is_the_streams():
    import torch

    assert not hasattr(torch.Tensor, "wait_stream")
    assert method_op("wait_stream") == "torch.cuda.Stream.wait_stream"


def test_a_module_is_named_by_its_path():
    assert module_op("layers.0.mlp") == "self.layers.0.mlp"
