"""Calls and arguments, checked against the torch.fx graph that was printed.

Each test builds a node with torch.fx, prints it, loads the text, and expects what the node was built from.
"""

from __future__ import annotations

import collections
import enum
import math
import operator

import pytest
import torch
from torch import fx, nn

from opcov.graph import Construct, DictArg, Global, Kind, ListArg, Node, Ref, SliceArg
from opcov.loaders import readable
from opcov.problems import Slug

Pair = collections.namedtuple("Pair", "first second")


class Color(enum.Enum):
    RED = 1


X, Y = Ref("x"), Ref("y")


def printed(build, root=None) -> tuple[Node, str]:
    """The last node but the output of a graph with the placeholders x and y, printed and loaded, and the text."""
    graph = fx.Graph()
    build(graph, graph.placeholder("x"), graph.placeholder("y"))
    graph.output(())
    module = fx.GraphModule(root or nn.Module(), graph)
    text = module.print_readable(print_output=False)
    (loaded,), problems = readable.load(text)
    assert (problems, loaded.problems) == ((), ())
    assert [node.name for node in loaded.nodes] == [node.name for node in graph.nodes]
    return loaded.nodes[-2], text


def function(target, *args, **kwargs) -> Node:
    """A call of a function; "x" and "y" stand for the placeholders."""

    def build(graph, x, y):
        def filled(value):
            return fx.node.map_aggregate(
                value, lambda leaf: {"x": x, "y": y}.get(leaf, leaf) if isinstance(leaf, str) else leaf
            )

        graph.call_function(target, filled(args), filled(kwargs))

    return printed(build)[0]


def argument(value):
    """A value as the second argument of a call."""
    return function(torch.add, "x", value).args[1]


def one(statement: str, *before: str) -> Node:
    """The node that one written statement gives, after others."""
    lines = "".join(f"        {line}\n" for line in (*before, statement))
    (graph,), _ = readable.load(f"class G(torch.nn.Module):\n    def forward(self, x, y):\n{lines}        return x\n")
    return graph.nodes[-2]


# --- operators --------------------------------------------------------------------------------------------------------

BINARY = "add sub mul floordiv truediv mod pow lshift rshift and_ or_ xor getitem matmul eq ne lt gt le ge".split()


@pytest.mark.parametrize("name", BINARY)
def test_a_binary_operator_is_the_function_it_was_printed_from(name):
    node = function(getattr(operator, name), "x", "y")
    assert (node.kind, node.op, node.args) == (Kind.CALL_FUNCTION, f"operator.{name}", (X, Y))


@pytest.mark.parametrize("name", sorted({*BINARY} - {"getitem"}))
def test_a_reflected_operator_keeps_its_order(name):
    node = function(getattr(operator, name), 2, "x")
    assert (node.op, node.args) == (f"operator.{name}", (2, X))


@pytest.mark.parametrize("name", ["pos", "neg", "invert"])
def test_a_unary_operator_is_the_function_it_was_printed_from(name):
    assert function(getattr(operator, name), "x").op == f"operator.{name}"


@pytest.mark.parametrize("base", [-1, -0.5])
def test_a_power_of_a_negative_number_is_a_power(base):
    # torch.fx prints `-1 ** x` without brackets, which Python reads as -(1 ** x).
    node = function(operator.pow, base, "x")
    assert (node.op, node.args) == ("operator.pow", (base, X))


def test_a_negative_exponent_is_a_number():
    assert function(operator.pow, "x", -1).args == (X, -1)


def test_the_negative_of_a_negative_number_is_a_node():
    node = function(operator.neg, -1)
    assert (node.op, node.args) == ("operator.neg", (-1,))


def test_not_is_a_mangled_function():
    node = function(operator.not_, "x")
    assert (node.target, node.op) == ("_operator_not_", "operator.not_")


# --- indices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, 0), (-1, -1), (None, None), (..., ...), ((), ()), ((0,), (0,)), ([0, 1], ListArg((0, 1))),
        (slice(None, 2, None), SliceArg(None, 2, None)),
        ((..., slice(None, 2, None)), (..., SliceArg(None, 2, None))),
        ((None, slice(0, -1, 2), 3), (None, SliceArg(0, -1, 2), 3)),
    ],
)  # fmt: skip
def test_an_index_is_kept_as_it_was(index, expected):
    assert function(operator.getitem, "x", index).args == (X, expected)


def test_a_node_may_be_an_index_and_part_of_a_slice():
    node = printed(lambda graph, x, y: graph.call_function(operator.getitem, (x, (y, slice(y, None, None)))))[0]
    assert node.args == (X, (Y, SliceArg(Y, None, None)))


def test_a_tuple_of_nodes_can_be_indexed():
    node = printed(lambda graph, x, y: graph.call_function(operator.getitem, ((x, y), 0)))[0]
    assert node.args == ((X, Y), 0)


def test_an_index_written_by_hand_is_the_slice_that_torch_prints():
    assert one("a = x[..., 1:2, ::3]").args == (X, (..., SliceArg(1, 2, None), SliceArg(None, None, 3)))


# --- attributes and modules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["shape", "T", "is_cpu", "dtype", "real"])
def test_an_attribute_of_a_value_is_a_getattr(attribute):
    node = function(getattr, "x", attribute)
    assert (node.kind, node.target, node.op, node.args) == (
        Kind.CALL_FUNCTION, "getattr", f"torch.Tensor.{attribute}", (X, attribute),
    )  # fmt: skip


def test_a_getattr_with_a_name_that_is_no_identifier_is_printed_as_a_call():
    assert function(getattr, "x", "a b").args == (X, "a b")


def test_a_getattr_with_a_default_is_a_call_of_getattr():
    node = function(getattr, "x", "missing", None)
    assert (node.op, node.args) == ("getattr", (X, "missing", None))


def module_with(path: str, value) -> nn.Module:
    root = parent = nn.Module()
    *folders, name = path.split(".")
    for folder in folders:
        parent.add_module(folder, nn.Module())
        parent = getattr(parent, folder)
    if isinstance(value, nn.Module):
        parent.add_module(name, value)
    else:
        parent.register_buffer(name, value)
    return root


@pytest.mark.parametrize("path", ["p", "sub.w", "_tensor_constant0", "layers.0.weight", "layers.0.1.w"])
def test_an_attribute_of_the_module_is_a_get_attr(path):
    root = module_with(path, torch.zeros(1))
    node = printed(lambda graph, x, y: graph.get_attr(path), root)[0]
    assert (node.kind, node.target, node.op, node.args) == (Kind.GET_ATTR, path, "", ())


@pytest.mark.parametrize("path", ["l", "sub.l", "0", "layers.0", "layers.0.mlp"])
def test_a_call_of_a_submodule_is_a_call_module(path):
    node = printed(lambda graph, x, y: graph.call_module(path, (x,), {"k": y}), module_with(path, nn.Identity()))[0]
    assert (node.kind, node.target, node.op, node.args, node.kwargs) == (
        Kind.CALL_MODULE, path, f"self.{path}", (X,), (("k", Y),),
    )  # fmt: skip


# --- functions and methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (torch.sin, "torch.sin"), (torch.functional.split, "torch.functional.split"),
        (nn.functional.silu, "torch.nn.functional.silu"), (torch._C._nn.gelu, "torch._C._nn.gelu"),
        (torch.ops.aten.sin.default, "torch.ops.aten.sin.default"), (torch.ops.aten.sin, "torch.ops.aten.sin"),
        (max, "max"), (len, "len"), (int, "int"), (abs, "abs"), (pow, "pow"), (iter, "iter"), (next, "next"),
        (math.floor, "math.floor"), (operator.not_, "operator.not_"), (torch.Tensor.sin, "torch.Tensor.sin"),
        (torch.device, "torch.device"), (torch._C._set_grad_enabled, "torch._C._set_grad_enabled"),
    ],
)  # fmt: skip
def test_a_function_has_the_op_of_its_qualified_name(target, expected):
    node = function(target, "x")
    assert (node.kind, node.op, node.args) == (Kind.CALL_FUNCTION, expected, (X,))


def test_a_higher_order_op_is_named_below_torch_ops():
    assert one("c = torch.ops.higher_order.cond(x, y, y, (x,))").op == "torch.ops.higher_order.cond"


def test_keyword_arguments_keep_their_order():
    assert function(torch.full, (2,), fill_value=1, dtype=None).kwargs == (("fill_value", 1), ("dtype", None))


def test_a_method_has_its_receiver_first():
    node = printed(lambda graph, x, y: graph.call_method("view", (x, -1, 2)))[0]
    assert (node.kind, node.target, node.op, node.args) == (Kind.CALL_METHOD, "view", "torch.Tensor.view", (X, -1, 2))


def test_a_dunder_method_is_a_method_and_no_operator():
    assert one("a = x.__and__(y)").op == "torch.Tensor.__and__"


def test_a_method_of_a_literal_has_the_literal_first():
    node = printed(lambda graph, x, y: graph.call_method("join", (", ", [x, y])))[0]
    assert node.args == (", ", ListArg((X, Y)))


def test_a_bare_device_on_the_right_is_a_node():
    node = function(torch.device, "cuda", 1)
    assert (node.op, node.args) == ("torch.device", ("cuda", 1))


def test_a_local_that_is_called_like_a_module_is_the_local():
    split = "split = torch.functional.split(y, 1)"
    assert one("a = split[0]", split).args == (Ref("split"), 0)
    assert one("a = split.view(1)", split).op == "torch.Tensor.view"


# --- literals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        0, -1, 2**63 - 1, -(2**63), True, False, None, ..., 1.5, 1e300, 1e-45, 5e-324, float("inf"), -float("inf"),
        1 + 2j, -1j, 0.5 - 1e10j, "", "a", "cuda:0", "a;  b = None", "it's \"quoted\"", "# File: no", "\n\t\\", "é",
    ],
)  # fmt: skip
def test_a_python_literal_is_itself(value):
    found = argument(value)
    assert (found, type(found)) == (value, type(value))


def test_bytes_are_bytes():
    assert argument(b"a\xff") == b"a\xff"


def test_nan_is_a_number():
    assert math.isnan(argument(float("nan")))


def test_a_negative_zero_keeps_its_sign():
    assert math.copysign(1, argument(-0.0)) == -1


@pytest.mark.parametrize("value", [complex(1, math.nan), complex(1, math.inf), complex(-math.inf, 1)])
def test_a_complex_number_may_hold_nan_and_infinity(value):
    # Python's repr is (1+nanj) and (1+infj).
    assert repr(argument(value)) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((), ()), ((1,), (1,)), ([], ListArg(())), ((1, [2, (3,)]), (1, ListArg((2, (3,))))),
        ({"a": [1], 2: None}, DictArg((("a", ListArg((1,))), (2, None)))),
        (slice(1, 2, 3), SliceArg(1, 2, 3)),
        (torch.Size([1, 2]), (1, 2)),
        (torch.float16, Global("torch.float16")), (torch.strided, Global("torch.strided")),
        (torch.preserve_format, Global("torch.preserve_format")),
        (torch.ops.aten.add.Tensor, Global("torch.ops.aten.add.Tensor")),
        (torch.device("cuda", 0), Construct("device", (), (("type", "cuda"), ("index", 0)))),
        (torch.device("cpu"), Construct("device", (), (("type", "cpu"),))),
        (range(3), Construct("range", (0, 3), ())),
    ],
)  # fmt: skip
def test_a_composed_value_keeps_its_form(value, expected):
    assert argument(value) == expected


def test_lists_and_tuples_differ():
    assert argument([1]) != argument((1,))


def test_an_enum_member_is_a_global():
    assert argument(Color.RED) == Global("Color.RED")


def test_an_enum_member_may_have_a_mangled_class():
    # as a class of the main module is printed by its qualified name
    assert one("a = torch.add(x, __main___Color.RED)").args[1] == Global("__main___Color.RED")


def test_a_namedtuple_is_constructed_by_its_mangled_class():
    found = printed(lambda graph, x, y: graph.call_function(torch.add, (x, Pair(1, y))))[0].args[1]
    assert isinstance(found, Construct)
    assert (found.name.rpartition("_")[2], found.args) == ("Pair", (1, Y))


def test_a_constant_tensor_keeps_its_size_and_dtype():
    # torch.fx prints torch.Tensor(size=[2], dtype=float32): the dtype without its module.
    assert argument(torch.ones(2)) == Construct(
        "torch.Tensor", (), (("size", ListArg((2,))), ("dtype", Global("torch.float32")))
    )


def test_a_class_as_a_value_is_a_global():
    assert one("a = isinstance(x, NoneType)").args[1] == Global("NoneType")


# --- what torch.fx does not print -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "lambda: x", "(z := x)", "x if y else x", "x and y", "not_defined", "f'{x}'", "[i for i in x]", "x < y < x",
        "x is y", "x in y", "torch.add(*x)", "torch.add(**x)", "torch.add(x, {**y})", "torch.add(x, x + y)",
        "torch.add(x, z)", "torch.add(x, lambda: 1)", "x(y)", "torch.float16", "yield", "await x", "(x, y)", "3",
        "9**9**9", "torch.add(x, 9**9**9)", "torch.add(x, 0x" + "f" * 5000 + ")", "torch.add(x, " + "9" * 4000 + "+1j)",
        "torch.add(x, " + "[" * 150 + "]" * 150 + ")", "x.a.b", "eval('1').real()", "__import__('os')",
        "__import__('os').system('true')", "torch.add(x, __import__('os'))", "__builtins__.eval('1')",
        "torch.add(x, __builtins__.open)", "open('f').read()", "x[__import__('os'):]",
    ],
)  # fmt: skip
def test_another_expression_is_an_unreadable_node_with_a_problem(expression):
    (graph,), _ = readable.load(
        f"class G(torch.nn.Module):\n    def forward(self, x, y):\n        a = {expression}\n        return x\n"
    )
    assert [(node.name, node.op) for node in graph.calls] == [("a", "unreadable")]
    assert [(problem.line, problem.slug) for problem in graph.problems] == [(3, Slug.UNKNOWN_STATEMENT)]


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression", ["torch.add(x, 2)", "x[(Ellipsis, None)]", "x.view(-1)", "torch.add(x, 'é;', 'è')", "-x", "x.shape"]
)
def test_an_expression_keeps_its_printed_text(expression):
    assert one(f'a: "f32[2]" = {expression};  x = None').expression == expression


def test_an_expression_after_wide_characters_on_its_line_keeps_its_text():
    # ast counts columns in bytes of UTF-8.
    assert one("é = torch.sin(x);  è = torch.cos(y)").expression == "torch.cos(y)"


def test_an_expression_of_several_lines_is_one_line_of_text():
    assert one("a = torch.add(x,\n    y)").expression == "torch.add(x, y)"


def test_an_in_place_operation_keeps_its_statement_as_text():
    assert one("x[0] = y;  setitem = x;  y = None").expression == "x[0] = y"


def test_an_attribute_of_the_module_has_no_call_to_keep():
    assert one("a = self.p").expression == ""
