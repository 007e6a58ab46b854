"""Statements of a forward: what is a node, what its name is, and what is none."""

from __future__ import annotations

import operator

import pytest
import torch
from torch import fx, nn

from opcov.graph import Argument, Graph, Kind, ListArg, Ref, Source, SymbolMeta, TensorMeta
from opcov.loaders import readable
from opcov.problems import Slug


def load(*statements: str, parameters: str = 'x: "f32[2]", y: "f32[2]"') -> Graph:
    lines = "".join(f"        {line}\n" for statement in statements for line in statement.split("\n"))
    text = f"class G(torch.nn.Module):\n    def forward(self, {parameters}):\n{lines}"
    (graph,), problems = readable.load(text)
    assert problems == ()
    return graph


def calls(graph: Graph) -> list[tuple[str, str, tuple[Argument, ...]]]:
    return [(node.name, node.op, node.args) for node in graph.calls]


def placeholders(graph: Graph) -> list[tuple[str, str]]:
    return [(node.name, node.target) for node in graph.nodes if node.kind is Kind.PLACEHOLDER]


X, Y = Ref("x"), Ref("y")
SIN = ("a", "torch.sin", (X,))


# --- assignments and deletions ----------------------------------------------------------------------------------------


def test_an_assignment_is_a_node_with_name_and_annotation():
    graph = load('a: "f32[2, 3]" = torch.sin(x)', "return a")
    assert (calls(graph), graph.calls[0].meta) == ([SIN], TensorMeta("f32", (2, 3)))


@pytest.mark.parametrize("tail", ["x = None", "x = y = None", "x = y = a = None"])
def test_the_tail_that_deletes_names_is_no_node(tail):
    assert calls(load(f"a = torch.sin(x);  {tail}")) == [SIN]


def test_a_string_may_hold_a_semicolon_and_quotes():
    graph = load("""a = torch.sin(x, "it's; b = None", 'c = "f32"');  x = None""")
    assert calls(graph) == [("a", "torch.sin", (X, "it's; b = None", 'c = "f32"'))]


def test_nodes_carry_their_lines():
    assert [node.line for node in load("a = torch.sin(x)", "", "b = torch.cos(a)").calls] == [3, 5]


def test_no_annotation_is_no_metadata():
    assert load("a = torch.functional.split(x, 1)").calls[0].meta is None


def test_a_symbol_is_its_annotation():
    assert load('n: "Sym(s27 + 1)" = x.size(0)').calls[0].meta == SymbolMeta("s27 + 1")


def test_an_unknown_annotation_loses_the_metadata_and_not_the_node():
    graph = load('a: "q7[2]" = torch.sin(x)')
    assert (calls(graph), graph.calls[0].meta) == ([SIN], None)
    assert [problem.slug for problem in graph.problems] == [Slug.UNKNOWN_ANNOTATION]


@pytest.mark.parametrize(("parameters", "expected"), [('x: "f32[2]"', True), ("x", False), ("x : torch.Tensor", False)])
def test_a_graph_knows_whether_its_text_has_annotations(parameters, expected):
    assert load("a = torch.sin(x)", parameters=parameters).annotated is expected


# --- in place ---------------------------------------------------------------------------------------------------------

INPLACE = "iadd iand ifloordiv ilshift imod imul imatmul ior ipow irshift isub itruediv ixor".split()


@pytest.mark.parametrize("name", INPLACE)
def test_an_in_place_operator_is_named_by_the_statement_after_it(name):
    graph = fx.Graph()
    x = graph.placeholder("x")
    node = graph.call_function(getattr(operator, name), (x, 2), name="named_so")
    graph.output(node)
    (loaded,), _ = readable.load(fx.GraphModule(nn.Module(), graph).print_readable(print_output=False))
    assert calls(loaded) == [("named_so", f"operator.{name}", (X, 2))]


def test_the_annotation_of_an_in_place_operation_is_in_its_tail():
    assert load('x += y;  a: "f32[4]" = x;  x = None').calls[0].meta == TensorMeta("f32", (4,))


def test_an_index_store_is_named_by_the_statement_after_it():
    graph = load("x[(Ellipsis, 0)] = y;  setitem = x;  setitem = None")
    assert calls(graph) == [("setitem", "operator.setitem", (X, (..., 0), Y))]


def test_an_index_store_into_a_tuple_is_named_as_well():
    # torch.fx repeats the whole first argument in the tail: `(x, y)[0] = 3;  setitem = (x, y)`.
    assert calls(load("(x, y)[0] = 3;  setitem = (x, y)")) == [("setitem", "operator.setitem", ((X, Y), 0, 3))]


def test_in_place_operations_may_follow_each_other():
    graph = load("x += 1;  a = x", "x[0] = a;  b = x", "return b")
    assert [(name, op) for name, op, _ in calls(graph)] == [("a", "operator.iadd"), ("b", "operator.setitem")]


def test_an_in_place_operation_without_a_name_is_lost_alone():
    graph = load("x += 1", "a = torch.sin(x)")
    assert [(name, op) for name, op, _ in calls(graph)] == [("unreadable_3", "unreadable"), ("a", "torch.sin")]


# --- placeholders -----------------------------------------------------------------------------------------------------


def test_an_alias_renames_the_placeholder():
    # torch.fx prints it where the node's name is not the parameter's: targets with capitals, as Dynamo's are.
    graph = fx.Graph()
    graph.output(graph.call_function(torch.sin, (graph.placeholder("L_x_"),)))
    (loaded,), _ = readable.load(fx.GraphModule(nn.Module(), graph).print_readable(print_output=False))
    assert (placeholders(loaded), loaded.calls[0].args) == ([("l_x_", "L_x_")], (Ref("l_x_"),))


def test_an_alias_keeps_the_annotation_of_the_parameter():
    assert load("l_x_ = L_x_", parameters='L_x_: "f32[3]"').nodes[0].meta == TensorMeta("f32", (3,))


def test_a_symbolic_placeholder_is_not_named_after_its_symbol():
    node = load(parameters='L_n_: "Sym(s86)"').nodes[0]
    assert (node.name, node.meta) == ("L_n_", SymbolMeta("s86"))


def test_a_default_is_part_of_the_parameter():
    assert placeholders(load(parameters='x: "f32[2]", y = None')) == [("x", "x"), ("y", "y")]


def test_star_parameters_keep_their_stars_as_target():
    graph = fx.Graph()
    for name in ("*args", "**kwargs"):
        graph.placeholder(name)
    graph.output(())
    (loaded,), _ = readable.load(fx.GraphModule(nn.Module(), graph).print_readable(print_output=False))
    assert placeholders(loaded) == [(node.name, node.target) for node in graph.nodes if node.op == "placeholder"]


# --- exported graphs --------------------------------------------------------------------------------------------------


class Exported(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x, *, y):
        return {"sum": self.linear(x) + y}


@pytest.mark.parametrize("expanded_def", [False, True])
def test_an_exported_graph_has_the_nodes_it_was_printed_from(expanded_def):
    exported = torch.export.export(Exported(), (torch.ones(3, 2),), {"y": torch.ones(2)})
    module = exported.module()
    text = module.print_readable(print_output=False, expanded_def=expanded_def)
    (loaded,), _ = readable.load(text)
    assert "tree_flatten_spec" in text
    # The text does not tell that export puts its get_attr nodes before the placeholders.
    in_text = sorted(module.graph.nodes, key=lambda node: node.op != "placeholder")
    assert [(node.name, node.kind.value) for node in loaded.nodes] == [(node.name, node.op) for node in in_text]
    assert loaded.problems == ()
    assert loaded.nodes[0].meta == TensorMeta("f32", (3, 2))


def test_an_exported_graph_returns_what_it_flattens():
    graph = load("return pytree.tree_unflatten([x, y], self._out_spec)")
    assert graph.nodes[-1].args == (ListArg((X, Y)),)


def test_flattened_inputs_are_the_placeholders():
    # A pytree parameter `batch` holds two leaves.
    graph = load(
        'a: "f32[2]"; b: "f32[3]"; ',
        "a, b, = fx_pytree.tree_flatten_spec(([batch], {}), self._in_spec)",
        "c = torch.add(a, b)",
        parameters="batch",
    )
    assert placeholders(graph) == [("a", "a"), ("b", "b")]
    assert [node.meta for node in graph.nodes[:2]] == [TensorMeta("f32", (2,)), TensorMeta("f32", (3,))]


def test_a_module_that_is_its_own_input_is_no_placeholder():
    # _PyTreeCodeGen puts `self` first where the traced function had it.
    graph = load("self, x, = fx_pytree.tree_flatten_spec([self, x], self._in_spec)", parameters="x")
    assert placeholders(graph) == [("x", "x")]


def test_shuffled_inputs_and_outputs_are_read_through():
    # torch.fx.graph._ExportCodeGen
    graph = load(
        "x, y, = pytree.tree_leaves((self, x, y,))",
        "y, w, = self._in_shuffle_graph(x, y)",
        "a = torch.add(y, w)",
        "return pytree.tree_unflatten(self._out_shuffle_graph(x, y, a, w), self._out_spec)",
    )
    assert placeholders(graph) == [("y", "y"), ("w", "w")]
    assert graph.nodes[-1].args == ((Ref("a"), Ref("w")),)
    assert graph.problems == ()


def test_boxed_inputs_are_the_placeholders():
    graph = fx.Graph()
    graph.set_codegen(fx.graph._BoxedCodeGen())
    graph.output(graph.call_function(torch.add, (graph.placeholder("x"), graph.placeholder("y"))))
    text = fx.GraphModule(nn.Module(), graph).print_readable(print_output=False)
    (loaded,), _ = readable.load(text)
    assert "next(args_iter)" in text
    assert [node.name for node in loaded.nodes] == [node.name for node in graph.nodes]
    assert loaded.problems == ()


def test_iter_and_next_of_a_value_are_nodes():
    assert [op for _, op, _ in calls(load("a = iter(x)", "b = next(a)"))] == ["iter", "next"]


# --- output -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("()", ()), ("(x,)", (X,)), ("x", X), ("[x, y]", ListArg((X, Y))),
        ("((x, [y]), None)", ((X, ListArg((Y,))), None)), ("None", None), ("", None), ("3", 3),
    ],
)  # fmt: skip
def test_what_is_returned_keeps_its_form(printed, expected):
    assert load(f"return {printed}").nodes[-1].args == (expected,)


def test_a_return_that_cannot_be_read_is_a_problem_and_no_call():
    graph = load("a = torch.sin(x)", "return lambda: a")
    assert (calls(graph), [problem.line for problem in graph.problems]) == ([SIN], [4])


def test_an_empty_forward_has_placeholders_and_an_output():
    assert [node.kind for node in load("pass").nodes] == [Kind.PLACEHOLDER, Kind.PLACEHOLDER, Kind.OUTPUT]


# --- comments ---------------------------------------------------------------------------------------------------------


def test_a_comment_holds_for_all_nodes_up_to_the_next():
    graph = load(
        "# File: m.py:1 in f, code: a",
        "a = torch.sin(x)",
        "b = torch.sin(a)",
        "",
        "# No stacktrace found for following nodes",
        "c = torch.sin(b)",
    )
    source = Source("m.py", 1, "f", "a")
    assert [node.source for node in graph.calls] == [source, source, None]


# --- what torch.fx does not print -------------------------------------------------------------------------------------

UNKNOWN = [
    "if x:\n    c = torch.sin(x)", "for i in x:\n    c = i", "while True:\n    pass", "with x:\n    pass", "del x",
    "import os", "from os import system", "global z", "def f():\n    pass", "async def f():\n    await x",
    "class C:\n    pass", "try:\n    pass\nfinally:\n    pass", "match x:\n    case 1:\n        pass", "raise x",
    "assert x", "@x\ndef f():\n    pass", "x", "torch.sin(x)", "x.a = y", "c, d = x", "c = d = x", "x.a += y",
    "lambda: x", "(z := x)", "yield x", "await x", '__import__("os").system("true")',
]  # fmt: skip


@pytest.mark.parametrize("statement", UNKNOWN)
def test_a_strange_statement_loses_one_node_at_most(statement):
    graph = load("a = torch.sin(x)", statement, "b = torch.cos(a)", "return b")
    assert [(name, op) for name, op, _ in calls(graph)][:: len(graph.calls) - 1] == [
        ("a", "torch.sin"),
        ("b", "torch.cos"),
    ]
    assert len(graph.calls) == 3
    assert graph.calls[1].op == "unreadable"
    assert {problem.slug for problem in graph.problems} == {Slug.UNKNOWN_STATEMENT}


def test_two_strange_statements_of_one_line_are_two_nodes():
    graph = load("import os; import sys")
    assert len({node.name for node in graph.calls}) == 2


def test_a_name_that_is_assigned_twice_names_two_nodes():
    # torch.fx gives every node a name of its own; readers of the second mean the second.
    graph = load("a = torch.sin(x)", "a = torch.cos(a)", "b = torch.tan(a)")
    names = [node.name for node in graph.calls]
    assert len(set(names)) == 3
    assert [node.args for node in graph.calls] == [(X,), (Ref(names[0]),), (Ref(names[1]),)]


def test_a_node_that_reads_an_unreadable_one_reads_it_by_name():
    assert calls(load("a = lambda: x", "b = torch.sin(a)"))[1] == ("b", "torch.sin", (Ref("a"),))


def test_many_statements_on_one_line_take_no_time():
    import time

    line = ";  ".join(f"é{i} = torch.sin(x)" for i in range(10_000))
    start = time.perf_counter()
    assert len(load(line).calls) == 10_000
    assert time.perf_counter() - start < 2
