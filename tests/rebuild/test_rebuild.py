"""Graphs rebuilt as torch.fx.GraphModules: the same graph, printable, with example values, harmless."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor

from opcov.graph import Form, Global, Graph, Kind, Node, Ref, Source
from opcov.loaders import load_text
from opcov.rebuild import rebuild

PROJECT = Path(__file__).resolve().parents[2]
FIXTURES = sorted((PROJECT / "fixtures" / "gm").rglob("*.py"))


def load(text: str) -> Graph:
    (graph,), _ = load_text(text)
    return graph


def graph_of(*statements: str, inputs: str = 'x: "f32[4, 6]"') -> Graph:
    body = "\n".join(f"        {statement}" for statement in statements)
    return load(f"class GraphModule(torch.nn.Module):\n    def forward(self, {inputs}):\n{body}\n        return (y,)\n")


def shape_of(graph: Graph) -> list[tuple[str, Kind, tuple[str, ...]]]:
    return [(node.name, node.kind, node.inputs) for node in graph.nodes]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_fixture_rebuilds_as_the_same_graph_and_prints(path: Path) -> None:
    graph = load(path.read_text(encoding="utf-8"))
    gm = graph.to_fx()
    assert [(node.name, node.op) for node in gm.graph.nodes] == [(node.name, node.kind.value) for node in graph.nodes]
    assert [tuple(n.name for n in node.all_input_nodes) for node in gm.graph.nodes] == [
        node.inputs for node in graph.nodes
    ]
    assert str(gm.graph).count("\n") >= len(graph.nodes) - 1
    again = load(gm.print_readable(print_output=False))
    assert shape_of(again) == shape_of(graph)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_fixture_printed_again_has_the_same_annotations_and_calls(path: Path) -> None:
    graph = load(path.read_text(encoding="utf-8"))
    again = load(graph.to_fx().print_readable(print_output=False))
    calls = {node.name: (node.op, str(node.meta), node.args, node.kwargs) for node in graph.calls}
    assert {node.name: (node.op, str(node.meta), node.args, node.kwargs) for node in again.calls} == calls


def test_annotated_nodes_carry_fake_tensors_on_the_cpu() -> None:
    gm = graph_of('y: "bf16[4, 6]" = x.to(torch.bfloat16)').to_fx()
    values = [node.meta["example_value"] for node in gm.graph.nodes if node.op != "output"]
    assert [type(value) for value in values] == [FakeTensor, FakeTensor]
    assert [str(value.dtype) for value in values] == ["torch.float32", "torch.bfloat16"]


def test_nodes_without_annotation_get_what_a_run_gives() -> None:
    gm = graph_of("p = torch.functional.split(x, 3, dim=-1)", 'y: "f32[4, 3]" = p[0]').to_fx()
    (value,) = [node.meta["example_value"] for node in gm.graph.nodes if node.name == "p"]
    assert [tuple(part.shape) for part in value] == [(4, 3), (4, 3)]


def test_symbolic_sizes_print_as_they_were() -> None:
    text = graph_of(
        'a: "f32[s27 + 1, (s27//2), 4]" = torch.ops.a.b(x, n)',
        'm: "Sym(2*s27)" = n * 2',
        'y: "f32[u0, 4]" = torch.ops.a.c(a)',
        inputs='x: "f32[s27, 4]", n: "Sym(s27)"',
    )
    printed = text.to_fx().print_readable(print_output=False)
    for annotation in ("f32[s27, 4]", "Sym(s27)", "f32[s27 + 1, (s27//2), 4]", "Sym(2*s27)"):
        assert f'"{annotation}"' in printed


def test_an_operator_prints_as_an_operator() -> None:
    assert 'y: "f32[4, 6]" = x + 1' in graph_of('y: "f32[4, 6]" = x + 1').to_fx().print_readable(print_output=False)


def test_provenance_is_printed_as_a_file_comment() -> None:
    graph = graph_of("# File: model.py:7 in forward, code: return x.sin()", 'y: "f32[4, 6]" = x.sin()')
    printed = graph.to_fx().print_readable(print_output=False)
    assert "# File: model.py:7 in forward, code: return x.sin()" in printed


def test_an_op_that_this_process_lacks_keeps_its_name() -> None:
    printed = graph_of('y: "f32[4, 6]" = torch.ops.sglang.silu_and_mul(x)').to_fx().print_readable(print_output=False)
    assert "torch.ops.sglang.silu_and_mul(x)" in printed


def test_bodies_of_higher_order_ops_are_modules_below() -> None:
    graph = load(
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, x: "f32[4]"):\n'
        "        wrap_body_0 = self.wrap_body_0\n"
        "        t = torch.ops.higher_order.tag_activation_checkpoint(wrap_body_0, x, use_reentrant = False)\n"
        '        y: "f32[4]" = t[0]\n'
        "        return (y,)\n"
        "    class wrap_body_0(torch.nn.Module):\n"
        '        def forward(self, v: "f32[4]"):\n'
        '            sin: "f32[4]" = torch.sin(v)\n'
        "            return (sin,)\n"
    )
    gm = graph.to_fx()
    assert [node.name for node in gm.wrap_body_0.graph.nodes] == ["v", "sin", "output"]


def test_a_parameter_takes_no_memory_and_has_its_shape() -> None:
    graph = graph_of('w: "f32[99999, 99999]" = self.l.w', 'y: "f32[4, 99999]" = torch.ops.a.b(x, w)')
    weight = graph.to_fx().get_parameter if False else dict(graph.to_fx().named_buffers())["l.w"]
    assert (weight.device.type, tuple(weight.shape)) == ("meta", (99999, 99999))


def test_a_called_module_keeps_the_parameter_that_another_node_reads() -> None:
    gm = graph_of('w: "f32[6, 6]" = self.l.weight', 'y: "f32[4, 6]" = self.l(x)').to_fx()
    assert tuple(gm.l.weight.shape) == (6, 6)


def test_a_called_module_is_there() -> None:
    gm = graph_of('y: "f32[4, 6]" = self.l(x)').to_fx()
    assert isinstance(gm.l, torch.nn.Module)


@pytest.mark.parametrize(
    "statement",
    [
        "y = __import__('os').system('true')",
        "y = torch.os.system('true')",
        'y: "f32[99999999999, 99999999999]" = torch.sin(x)',
        'y: "q7[4]" = torch.sin(x)',
        "y = self.training",
        "y = self.forward",
        "y = self.__class__",
        "y = x.__class__.__mro__",
        "y = torch.ops.load_library('x.so')",
        'y: "f32[s0 - 9]" = torch.sin(x)',
        "y = torch.sin(" + "(" * 90 + "x" + ")" * 90 + ")",
        "y = [x] * 9999999999",
        "y = x.view(device('nowhere'))",
        "y = torch.sin(float('nan'), inf, -inf, (1+2j), None, ...)",
        "y = operator.add(x)",
    ],
)
def test_a_hostile_statement_neither_raises_nor_hangs(statement: str) -> None:
    gm = graph_of(statement).to_fx()
    assert gm.print_readable(print_output=False)


def test_names_that_are_no_names_do_not_get_into_the_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = f"x=open({str(marker)!r}, 'w')"
    graph = Graph(
        "GraphModule",
        Form.UNSPLIT,
        (
            Node("x", Kind.PLACEHOLDER, evil, ""),
            Node("a", Kind.GET_ATTR, f"w); {evil} #", ""),
            Node(
                "y", Kind.CALL_METHOD, f"sin(); {evil} #", "torch.Tensor.sin", (Ref("x"), Global(evil)),
                source=Source("f", 1, "g", f"code\r{evil}"),
            ),
            Node("output", Kind.OUTPUT, "output", "", (Ref("y"),)),
        ),
    )  # fmt: skip
    assert rebuild(graph).code
    assert not marker.exists()
