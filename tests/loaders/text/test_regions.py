"""Joining a split graph. Where a rule is torch's, torch's own split_module makes the text."""

from __future__ import annotations

import re
import textwrap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn
from torch.amp.autocast_mode import _enter_autocast, _exit_autocast
from torch.fx.passes.split_module import split_module

from opcov.graph import Compiler, Form, Graph, Kind, ListArg, Ref, Region
from opcov.loaders import readable
from opcov.loaders.text.regions import region_of
from opcov.problems import Slug


def load(text: str) -> Graph:
    (graph,), problems = readable.load(textwrap.dedent(text))
    assert problems == ()
    return graph


def split_text(graph: fx.Graph, region_of_node: dict[str, int]) -> str:
    """Prints a graph split as thunder.dynamo.splitter._splitter does it, every region Thunder's."""
    split = split_module(
        fx.GraphModule(nn.Module(), graph),
        None,
        lambda node: region_of_node[node.name],
        keep_original_order=True,
        keep_original_node_name=True,
    )
    for submodule in split.children():
        if not submodule.graph.find_nodes(op="output"):
            submodule.graph.output(())
    return re.sub(r"\bsubmod_(\d+)", r"thunder_\1", split.print_readable(print_output=False))


def regions(graph: Graph) -> dict[str, str | None]:
    return {node.name: node.region and node.region.name for node in graph.calls}


# --- a file as Thunder saves it ---------------------------------------------------------------------------------------

SPLIT = """
    # Rank: 0, Graph 0

    class GraphModule(torch.nn.Module):
        def forward(self, l_x_: "f32[2]", l_y_: "f32[2]"):
            # No stacktrace found for following nodes
            thunder_0 = self.thunder_0(l_x_);  l_x_ = None
            getitem = thunder_0[0]
            getitem_1 = thunder_0[1];  thunder_0 = None
            inductor_1 = self.inductor_1(getitem, l_y_);  l_y_ = None
            return (inductor_1, getitem_1)

        class thunder_0(torch.nn.Module):
            def forward(self, l_x_: "f32[2]"):
                # File: m.py:1 in f, code: a
                a: "f32[2]" = torch.sin(l_x_);  l_x_ = None
                b: "f32[2]" = torch.cos(a)
                return (a, b)

            class _model(torch.nn.Module):
                def forward(self, l_x_: "f32[2]"):
                    a: "f32[2]" = torch.sin(l_x_);  l_x_ = None
                    b: "f32[2]" = torch.cos(a)
                    return (a, b)

        class inductor_1(torch.nn.Module):
            def forward(self, a: "f32[2]", l_y_: "f32[2]"):
                c: "f32[2]" = torch.bmm(a, l_y_);  a = None
                return c

            class _orig_mod(torch.nn.Module):
                def forward(self, a: "f32[2]", l_y_: "f32[2]"):
                    c: "f32[2]" = torch.bmm(a, l_y_);  a = None
                    return c
"""


def test_nodes_are_those_of_the_regions_each_once():
    assert [node.name for node in load(SPLIT).nodes] == ["l_x_", "l_y_", "a", "b", "c", "output"]


def test_a_node_has_the_region_that_holds_it():
    assert regions(load(SPLIT)) == {"a": "thunder_0", "b": "thunder_0", "c": "inductor_1"}


def test_the_regions_are_recorded_in_order():
    graph = load(SPLIT)
    assert (graph.form, graph.regions) == (
        Form.SPLIT, (Region(0, Compiler.THUNDER), Region(1, Compiler.INDUCTOR)),
    )  # fmt: skip


def test_glue_is_no_node_and_readers_see_through_it():
    assert load(SPLIT).calls[-1].args == (Ref("a"), Ref("l_y_"))


def test_the_output_names_nodes_and_no_regions():
    # thunder_0 returns (a, b) and inductor_1 the bare name c.
    assert load(SPLIT).nodes[-1].args == ((Ref("c"), Ref("b")),)


def test_a_node_keeps_the_line_of_its_region_and_not_of_the_repeated_body():
    lines = textwrap.dedent(SPLIT).split("\n")
    assert [lines[node.line - 1].split(":")[0].strip() for node in load(SPLIT).calls] == ["a", "b", "c"]
    assert load(SPLIT).calls[0].line < textwrap.dedent(SPLIT)[: textwrap.dedent(SPLIT).index("_model")].count("\n")


def test_a_parameter_of_another_name_is_what_the_call_passes():
    text = SPLIT.replace("forward(self, a:", "forward(self, other:").replace("torch.bmm(a,", "torch.bmm(other,")
    assert load(text).calls[-1].args == (Ref("a"), Ref("l_y_"))


@pytest.mark.parametrize(
    "name", ["thunder", "thunder_", "thunder_x", "inductor_01", "thunder_1.a", "eager_0", "thunder_\u0663"]
)
def test_another_attribute_names_no_region(name):
    assert region_of(name) is None


def test_an_index_that_no_region_has_names_none():
    # int() raises on more than 4300 digits.
    assert region_of("thunder_" + "9" * 5000) is None


def returning(value: str, glue: str, result: str) -> Graph:
    return load(f"""
        class GraphModule(torch.nn.Module):
            def forward(self, x):
                thunder_0 = self.thunder_0(x)
                {glue}
                return {result}
            class thunder_0(torch.nn.Module):
                def forward(self, x):
                    a = torch.sin(x)
                    b = torch.cos(a)
                    return {value}
    """)


@pytest.mark.parametrize(
    ("value", "glue", "result", "expected"),
    [
        ("a", "pass", "(thunder_0,)", (Ref("a"),)),
        ("[a, b]", "g = thunder_0[1]", "g", Ref("b")),
        ("[a, b]", "pass", "thunder_0", ListArg((Ref("a"), Ref("b")))),
        ("((a, b), x)", "g = thunder_0[0];  h = g[1]", "(h,)", (Ref("b"),)),
        ("(a, x)", "g = thunder_0[1]", "(g,)", (Ref("x"),)),
        ("(a, b)", "g = thunder_0[-1]", "(g,)", (Ref("b"),)),
    ],
)
def test_whatever_form_a_region_returns_is_read_through(value, glue, result, expected):
    assert returning(value, glue, result).nodes[-1].args == (expected,)


def test_an_element_of_a_tensor_that_a_region_returns_is_an_operation():
    # Glue takes results apart only where the region returned a tuple or list.
    graph = returning("a", "g = thunder_0[0]", "(g,)")
    assert [(node.name, node.region) for node in graph.calls][-1] == ("g", None)


def test_a_region_may_be_empty_and_have_no_inputs():
    graph = load("""
        class GraphModule(torch.nn.Module):
            def forward(self, x):
                thunder_0 = self.thunder_0();  thunder_0 = None
                inductor_1 = self.inductor_1(x)
                return (inductor_1,)
            class thunder_0(torch.nn.Module):
                def forward(self):
                    return ()
            class inductor_1(torch.nn.Module):
                def forward(self, x):
                    a = torch.sin(x)
                    return a
    """)
    assert (regions(graph), len(graph.regions), graph.problems) == ({"a": "inductor_1"}, 2, ())


# --- bodies missing ---------------------------------------------------------------------------------------------------

WITHOUT_BODIES = """
    class GraphModule(torch.nn.Module):
        def forward(self, x: "f32[2]"):
            thunder_0 = self.thunder_0(x)
            getitem = thunder_0[0];  thunder_0 = None
            getitem_1 = getitem[0]
            inductor_1 = self.inductor_1(getitem)
            return (inductor_1, getitem_1)
"""


def test_calls_of_regions_without_classes_are_missing_bodies():
    # torch 2.13 prints only children that are torch.fx.GraphModules, which compiled regions are not.
    problems = load(WITHOUT_BODIES).problems
    assert [(problem.slug, problem.line) for problem in problems] == [
        (Slug.BODIES_MISSING, 4),
        (Slug.BODIES_MISSING, 7),
    ]


def test_a_graph_without_bodies_still_counts_its_regions():
    assert [region.name for region in load(WITHOUT_BODIES).regions] == ["thunder_0", "inductor_1"]


def test_glue_of_a_missing_region_is_no_node():
    assert load(WITHOUT_BODIES).calls == ()


def test_one_missing_body_leaves_the_other_regions():
    text = SPLIT.replace("class thunder_0(", "class something_else(")
    graph = load(text)
    assert regions(graph) == {"c": "inductor_1"}
    assert [problem.slug for problem in graph.problems] == [Slug.BODIES_MISSING]


@pytest.mark.parametrize(
    ("sound", "damaged"),
    [
        ("self.inductor_1(getitem, l_y_)", "self.inductor_1(getitem, l_z_)"),
        ("self.inductor_1(getitem, l_y_)", "self.inductor_1((getitem, l_y_)"),
        ("inductor_1 = self", "induc(tor_1 = self"),
        ('forward(self, a: "f', "forward(self, a: f"),
    ],
    ids=["unknown argument", "open bracket", "broken name", "broken parameter"],
)  # fmt: skip
def test_a_damaged_line_does_not_lose_the_region_it_calls(sound, damaged):
    # split_module names a call after the module, and a region's parameters after the nodes they stand for.
    text = textwrap.dedent(SPLIT)
    assert sound in text
    graph = load(text.replace(sound, damaged, 1))
    assert regions(graph) == {"a": "thunder_0", "b": "thunder_0", "c": "inductor_1"}
    assert graph.calls[-1].args == (Ref("a"), Ref("l_y_"))
    assert graph.problems


def test_torch_itself_prints_no_bodies_of_compiled_regions():
    class CompiledRegion(nn.Module):
        def forward(self, x):
            return x

    root = nn.Module()
    root.thunder_0 = CompiledRegion()
    graph = fx.Graph()
    graph.output(graph.call_module("thunder_0", (graph.placeholder("x"),)))
    loaded = load(fx.GraphModule(root, graph).print_readable(print_output=False))
    assert (loaded.form, loaded.calls, [p.slug for p in loaded.problems]) == (Form.SPLIT, (), [Slug.BODIES_MISSING])


# --- higher-order ops' bodies -----------------------------------------------------------------------------------------

BODY = """
class wrap_body_0(torch.nn.Module):
    def forward(self, x: "f32[2]"):
        inner: "f32[2]" = {op}(x)
        return (inner,)
"""


def with_body(place: str, op: str = "torch.sin") -> Graph:
    body = BODY.format(op=op)
    beside, inside = ("", "")
    if place == "beside":
        beside = textwrap.indent(body, " " * 8)
    else:
        inside = textwrap.indent(body, " " * 12)
    return load(
        f"""
class GraphModule(torch.nn.Module):
    def forward(self, x: "f32[2]"):
        thunder_0 = self.thunder_0(x)
        return (thunder_0,)
    class thunder_0(torch.nn.Module):
        def forward(self, x: "f32[2]"):
            wrap_body_0 = self.wrap_body_0
            w = torch.ops.higher_order.tag_activation_checkpoint(wrap_body_0, x)
            g: "f32[2]" = w[0]
            return g
        class _model(torch.nn.Module):
            def forward(self, x: "f32[2]"):
                wrap_body_0 = self.wrap_body_0
                w = torch.ops.higher_order.tag_activation_checkpoint(wrap_body_0, x)
                g: "f32[2]" = w[0]
                return g
{inside}
{beside}
"""
    )


@pytest.mark.parametrize("place", ["beside", "inside the repeated body"])
def test_a_body_is_found_beside_the_region_s_forward_or_inside_the_repeated_body(place):
    graph = with_body(place)
    assert [node.op for node in graph.bodies["wrap_body_0"].calls] == ["torch.sin"]


def test_a_body_s_nodes_are_not_the_graph_s():
    assert [node.name for node in with_body("inside").nodes] == ["x", "wrap_body_0", "w", "g", "output"]


def test_a_checkpointed_body_prints_mangled_symbols_of_thunder():
    # Thunder has rewritten it before the file was saved; the text has no inverse.
    graph = with_body("inside", "thunder_core_symbol_gelu")
    assert [node.op for node in graph.bodies["wrap_body_0"].calls] == ["thunder_core_symbol_gelu"]


def test_bodies_of_an_unsplit_graph_are_its_children():
    graph = load(
        """
class GraphModule(torch.nn.Module):
    def forward(self, x):
        cond_true_0 = self.cond_true_0
        w = torch.ops.higher_order.cond(x, cond_true_0, cond_true_0, (x,))
        return w
"""
        + textwrap.indent(BODY.format(op="torch.cos").replace("wrap_body_0", "cond_true_0"), "    ")
    )
    assert graph.form is Form.UNSPLIT
    assert [node.op for node in graph.bodies["cond_true_0"].calls] == ["torch.cos"]


def test_bodies_may_hold_bodies():
    nested = BODY.format(op="torch.sin").replace("wrap_body_0", "body_1")
    graph = load(
        """
class GraphModule(torch.nn.Module):
    def forward(self, x):
        body_0 = self.body_0
        return torch.ops.higher_order.f(body_0, x)
    class body_0(torch.nn.Module):
        def forward(self, x):
            body_1 = self.body_1
            a = torch.ops.higher_order.f(body_1, x)
            return a
"""
        + textwrap.indent(nested, " " * 8)
    )
    assert graph.bodies["body_0"].bodies["body_1"].calls[0].op == "torch.sin"


def test_classes_nested_so_that_many_paths_lead_to_each_take_no_time():
    depth = 45  # 2 ** 45 paths
    text = ""
    for level in range(depth):
        text += textwrap.indent(
            "class a_b(torch.nn.Module):\n    def forward(self, x):\n        p = self.a_b\n        q = self.a.b\n"
            "        return p\n",
            "    " * level,
        )
    graph = load(text)
    assert set(graph.bodies) == {"a_b", "a.b"}


# --- what split_module adds -------------------------------------------------------------------------------------------


def joined(graph: fx.Graph, region_of_node: dict[str, int]) -> tuple[list[str], dict[str, int]]:
    loaded = load(split_text(graph, region_of_node))
    assert loaded.problems == ()
    return [node.name for node in loaded.calls], {
        node.name: node.region.index for node in loaded.calls if node.region is not None
    }


def test_a_grad_mode_that_is_repeated_in_a_later_region_is_one_node():
    graph = fx.Graph()
    x = graph.placeholder("x")
    off = graph.call_function(torch._C._set_grad_enabled, (False,))
    a = graph.call_function(torch.sin, (x,))
    b = graph.call_function(torch.cos, (a,))
    graph.output((b,))
    where = {off.name: 0, a.name: 0, b.name: 1}
    text = split_text(graph, where)
    assert text.count("_set_grad_enabled(False)") == 2
    assert joined(graph, where) == ([off.name, a.name, b.name], where)


def test_an_autocast_over_two_regions_has_one_enter_and_one_exit():
    graph = fx.Graph()
    x = graph.placeholder("x")
    enter = graph.call_function(_enter_autocast, ("cpu", torch.bfloat16, True, None))
    a = graph.call_function(torch.sin, (x,))
    b = graph.call_function(torch.cos, (a,))
    leave = graph.call_function(_exit_autocast, (enter,))
    graph.output((b,))
    where = {enter.name: 0, a.name: 0, b.name: 1, leave.name: 1}
    text = split_text(graph, where)
    assert (text.count("_enter_autocast("), text.count("_exit_autocast(")) == (2, 2)
    assert joined(graph, where) == ([enter.name, a.name, b.name, leave.name], where)
    assert load(text).calls[-1].args == (Ref(enter.name),)


def test_an_attribute_that_two_regions_read_is_one_node():
    graph = fx.Graph()
    x, p = graph.placeholder("x"), graph.get_attr("p")
    a = graph.call_function(torch.add, (x, p))
    b = graph.call_function(torch.mul, (a, p))
    graph.output((b,))
    root = nn.Module()
    root.p = nn.Parameter(torch.zeros(1))
    split = split_module(
        fx.GraphModule(root, graph),
        None,
        lambda node: int(node is b),
        keep_original_order=True,
        keep_original_node_name=True,
    )
    text = re.sub(r"\bsubmod_(\d+)", r"thunder_\1", split.print_readable(print_output=False))
    loaded = load(text)
    assert [(node.name, node.kind) for node in loaded.nodes][1:3] == [("p", Kind.GET_ATTR), ("add", Kind.CALL_FUNCTION)]
    assert [node.args for node in loaded.calls] == [(Ref("x"), Ref("p")), (Ref("add"), Ref("p"))]


@st.composite
def state_graphs(draw):
    """A graph of ordinary nodes, grad modes and nested autocasts, and a region for each node, in order."""
    graph = fx.Graph()
    last = graph.placeholder("x")
    where: dict[str, int] = {}
    region = 0
    opened: list[fx.Node] = []

    def add(target, args):
        nonlocal region
        node = graph.call_function(target, args)
        where[node.name] = region
        return node

    for _ in range(draw(st.integers(1, 14))):
        region += draw(st.integers(0, 3)) == 0
        kind = draw(st.sampled_from(["op", "op", "op", "grad", "enter", "exit"]))
        if kind == "grad":
            add(torch._C._set_grad_enabled, (draw(st.booleans()),))
        elif kind == "enter" and len(opened) < 3:
            opened.append(
                add(_enter_autocast, ("cpu", draw(st.sampled_from([torch.bfloat16, torch.float16])), True, None))
            )
            last = add(torch.sin, (last,))  # an empty pair of enter and exit is removed before Thunder splits
        elif kind == "exit" and opened:
            add(_exit_autocast, (opened.pop(),))
        else:
            last = add(torch.sin, (last,))
    while opened:
        add(_exit_autocast, (opened.pop(),))
    graph.output((last,))
    for number, value in enumerate(sorted(set(where.values()))):
        where = {name: number if region == value else region for name, region in where.items()}
    return graph, where


@settings(max_examples=150, deadline=None)
@given(state_graphs())
def test_joining_undoes_split_module(drawn):
    graph, where = drawn
    expected = [node.name for node in graph.nodes if node.op == "call_function"]
    assert joined(graph, where) == (expected, where)
