"""Names in a dump lead to torch, operators and pure builtins, or to a placeholder that prints alike."""

from __future__ import annotations

import builtins
import math
import operator
import sys

import pytest
import torch

from opcov.rebuild.names import is_missing, missing_function, resolve_function, resolve_torch

HOSTILE = """
torch.os.system torch.sys.exit torch.__builtins__ torch.__dict__ torch._C._abort torch._C._crash_if_csrc_asan
torch.load torch.save torch.from_file torch.import_ir_module torch.hub.sys.exit torch.utils.cpp_extension.os.system
operator.attrgetter operator.itemgetter operator.methodcaller operator.call operator.__builtins__ operator.__loader__
math.__loader__ math.__spec__ os.system sys.exit subprocess.run eval exec open compile __import__ input breakpoint
print vars globals setattr delattr exit help memoryview object type super torch.Tensor.__class__
""".split()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_outside_the_allow_list_gives_a_placeholder(name: str) -> None:
    assert is_missing(resolve_function(name))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("torch.sin", torch.sin),
        ("torch.nn.functional.silu", torch.nn.functional.silu),
        ("torch._C._nn.linear", torch._C._nn.linear),
        ("torch._C._fft.fft_fft", torch._C._fft.fft_fft),
        ("torch._C._set_grad_enabled", torch._C._set_grad_enabled),
        ("torch.amp.autocast_mode._enter_autocast", torch.amp.autocast_mode._enter_autocast),
        ("torch.ops.aten.sin.default", torch.ops.aten.sin.default),
        ("torch.ops.aten.sin", torch.ops.aten.sin),
        ("torch.ops.higher_order.cond", torch.ops.higher_order.cond),
        ("operator.add", operator.add),
        ("operator.getitem", operator.getitem),
        ("math.floor", math.floor),
        ("max", builtins.max),
        ("getattr", builtins.getattr),
    ],
)
def test_a_known_name_gives_the_object_itself(name: str, function: object) -> None:
    assert resolve_function(name) is function or resolve_function(name) == function


@pytest.mark.parametrize("name", ["torch.float16", "torch.strided", "torch.channels_last", "torch.pi"])
def test_constants_of_torch_resolve(name: str) -> None:
    assert resolve_torch(name) == getattr(torch, name.partition(".")[2])


def test_resolving_imports_nothing() -> None:
    before = set(sys.modules)
    assert resolve_torch("torch.onnx.export_that_is_not_there") is None
    assert resolve_torch("torch._export.nothing") is None
    assert {name for name in set(sys.modules) - before if name.startswith("torch.")} == set()


@pytest.mark.parametrize("name", ["torch.ops.sglang.silu_and_mul", "torch.ops.sgl_kernel.rmsnorm.default", "my_ext_f"])
def test_a_placeholder_prints_as_the_graph_printed_it(name: str) -> None:
    graph = torch.fx.Graph()
    graph.output(graph.call_function(resolve_function(name), (graph.placeholder("x"),)))
    assert f"= {name}(x)" in torch.fx.GraphModule(torch.nn.Module(), graph).code


def test_a_placeholder_cannot_be_called() -> None:
    with pytest.raises(NotImplementedError, match=r"a\.b does not exist"):
        missing_function("a.b")()


def test_a_placeholder_is_one_object_per_name() -> None:
    assert missing_function("torch.ops.a.b") is missing_function("torch.ops.a.b")


def test_a_print_of_a_graph_with_placeholders_holds_no_address() -> None:
    graph = torch.fx.Graph()
    graph.output(graph.call_function(resolve_function("torch.ops.a.b"), (graph.placeholder("x"),)))
    assert "0x" not in str(graph)
