"""Whole files: print_readable's options, several modules in one file, damaged and hostile text."""

from __future__ import annotations

import builtins
import random
import time
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from opcov.graph import Form, Graph, Source, TensorMeta
from opcov.loaders import load_text, readable
from opcov.problems import Slug

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "gm"
FILES = sorted(path for path in FIXTURES.rglob("*.py"))

TEXT = """\
# Rank: 0, Graph 0

class GraphModule(torch.nn.Module):
    def forward(self, l_x_: "f32[2]"):
        # File: m.py:1 in f, code: a
        a: "f32[2]" = torch.sin(l_x_);  l_x_ = None
        b: "f32[2]" = torch.cos(a);  a = None
        return (b,)
"""


def load(text: str) -> Graph:
    (graph,), problems = readable.load(text)
    assert problems == ()
    return graph


def plain(graph: Graph) -> list[tuple[object, ...]]:
    """What does not depend on where in the file a node stands."""
    return [(node.name, node.kind, node.target, node.args, node.kwargs, node.meta) for node in graph.nodes]


# --- options of print_readable ----------------------------------------------------------------------------------------


def module() -> fx.GraphModule:
    graph = fx.Graph()
    x, n = graph.placeholder("L_x_"), graph.placeholder("n")
    a = graph.call_function(torch.add, (x, 'it\'s; "so"'), {"alpha": n})
    b = graph.call_function(torch.functional.split, (a, 1))
    graph.output((b,))
    for node in (x, a):
        node.meta["example_value"] = torch.empty(2, 3, device="meta")
        node.meta["desc"] = "PlainAOTInput(idx=0)"
    a.meta["seq_nr"] = 7
    a.meta["custom"] = {"stage": 1}
    a.meta["recompute"] = torch.utils.checkpoint.CheckpointPolicy.MUST_SAVE
    a.stack_trace = '  File "/m/a.py", line 3, in forward\n    y = x + 1\n'
    return fx.GraphModule(nn.Module(), graph)


def printed(**options) -> str:
    return module().print_readable(print_output=False, **options)


PLAIN = plain(load(printed()))


def test_the_plain_print_has_what_the_graph_has():
    assert [entry[0] for entry in PLAIN] == [node.name for node in module().graph.nodes]
    assert PLAIN[0][-1] == TensorMeta("f32", (2, 3))


@pytest.mark.parametrize("options", [{"colored": True}, {"expanded_def": True}, {"additional_meta": ["seq_nr"]}])
def test_an_option_that_only_changes_the_look_changes_nothing(options):
    text = printed(**options)
    assert text != printed()
    assert plain(load(text)) == PLAIN


def test_strides_and_devices_are_read():
    # torch.empty(2, 3) is contiguous: strides 3 and 1.
    graph = load(printed(include_stride=True, include_device=True))
    assert graph.nodes[0].meta == TensorMeta("f32", (2, 3), (3, 1), "meta")


def test_all_options_together_are_read():
    graph = load(printed(include_stride=True, include_device=True, colored=True, expanded_def=True))
    assert graph.nodes[0].meta == TensorMeta("f32", (2, 3), (3, 1), "meta")
    assert [entry[:4] for entry in plain(graph)] == [entry[:4] for entry in PLAIN]


def test_docstrings_of_metadata_are_no_nodes(monkeypatch):
    monkeypatch.setenv("FX_GRAPH_SHOW_META", "1")
    text = printed()
    assert text.count('"""') > 2
    assert plain(load(text)) == PLAIN


@pytest.mark.parametrize("options", [{}, {"colored": True}, {"additional_meta": ["seq_nr"]}])
def test_provenance_is_found_behind_metadata_annotations_and_tags(options):
    text = printed(**options)
    assert "Annotation: " in text
    assert load(text).calls[0].source == Source("/m/a.py", 3, "forward", "y = x + 1")


def test_a_call_named_output_leaves_another_name_to_the_output():
    # torch.fx.graph._Namespace gives every node a name of its own, and does not print the output's.
    graph = fx.Graph()
    graph.output(graph.call_function(torch.sin, (graph.placeholder("x"),), name="output"))
    loaded = load(fx.GraphModule(nn.Module(), graph).print_readable(print_output=False))
    assert [node.name for node in loaded.nodes] == [node.name for node in graph.nodes] == ["x", "output", "output_1"]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GraphModule", "<lambda>", "_lambda_", "model"])
def test_any_class_name_is_a_module(name):
    text = TEXT.replace("class GraphModule(", f"class {name}(")
    assert (readable.detect(text), len(load(text).calls)) == (True, 2)


def test_several_modules_of_one_file_are_several_graphs():
    graphs, problems = readable.load(
        TEXT + "\n" + TEXT.replace("GraphModule", "Second").replace("torch.sin", "torch.tan")
    )
    assert [(graph.name, graph.calls[0].op) for graph in graphs] == [
        ("GraphModule", "torch.sin"),
        ("Second", "torch.tan"),
    ]
    assert problems == ()


def test_line_ends_of_windows_change_nothing():
    graph = load(TEXT.replace("\n", "\r\n"))
    assert graph == load(TEXT)


def test_a_file_without_the_rank_comment_is_read():
    assert plain(load(TEXT.split("\n", 2)[2])) == plain(load(TEXT))


def test_code_around_the_module_is_not_read():
    text = "import torch\nfrom math import inf\n" + TEXT + "\nmodel = GraphModule()\nmodel(torch.ones(2))\n"
    assert plain(load(text)) == plain(load(TEXT))


def test_an_unsplit_graph_says_so():
    graph = load(TEXT)
    assert (graph.form, graph.regions, {node.region for node in graph.nodes}) == (Form.UNSPLIT, (), {None})


@pytest.mark.parametrize("text", ["import torch\nx = torch.ones(2)\n", "class A:\n    pass\n", "# torch.bmm: no\n"])
def test_text_without_a_module_is_not_claimed(text):
    assert not readable.detect(text)


@pytest.mark.parametrize("text", ["", " \n\t\n", "x = 1\n", "class GraphModule(torch.nn.Module):\n    pass\n"])
def test_a_file_without_a_graph_is_empty(text):
    graphs, problems = readable.load(text)
    assert (graphs, [problem.slug for problem in problems]) == ((), [Slug.EMPTY])


def test_a_binary_file_is_no_text():
    graphs, problems = readable.load("\x7fELF\x00\x01")
    assert (graphs, [problem.slug for problem in problems]) == ((), [Slug.NOT_TEXT])


def test_a_line_that_does_not_parse_is_one_problem():
    graph = load(TEXT.replace("torch.cos(a)", "torch.cos(a, <function f at 0x7f00>)"))
    assert [(node.name, node.op) for node in graph.calls] == [("a", "torch.sin"), ("b", "unreadable")]
    assert [(problem.line, problem.slug) for problem in graph.problems] == [(7, Slug.SYNTAX)]


def test_problems_of_a_file_come_by_line():
    graph = load(TEXT.replace("torch.sin(l_x_)", "lambda: l_x_").replace("torch.cos(a)", "torch.cos(a"))
    assert [problem.line for problem in graph.problems] == [6, 7]


def test_every_loader_is_reached_through_load_text():
    assert load_text(TEXT) == readable.load(TEXT)


# --- nothing runs -----------------------------------------------------------------------------------------------------

SOUND = """\
class GraphModule(torch.nn.Module):
    def forward(self, x):
        a = torch.sin(x)
        return a
"""
STATEMENTS = [
    "{evil}", "c = {evil}", "c: {evil} = torch.sin(x)", "c = torch.add(x, {evil})", "c = torch.add(x, k={evil})",
    "c = x[{evil}]", "c = {evil} + x", "c = -{evil}", "c = {evil}.view(1)", "c = {evil}(x)", "c = {evil}[0]",
    "c = [{evil} for i in x]", "c = f'{{{evil}}}'", "x[{evil}] = 1;  c = x", "x += {evil};  c = x",
    "c = torch.add(x, [{{'k': ({evil},)}}])", "c = torch.full((2,), slice({evil}, 1, 1))", "del {evil}",
    "assert {evil}",
]  # fmt: skip
POSITIONS = [
    "{evil}\n" + SOUND,
    SOUND.replace("torch.nn.Module", "{evil}"),
    SOUND.replace("    def", "    {evil}\n    def"),
    SOUND.replace("    def", "    @{evil}\n    def"),
    SOUND.replace("(self, x)", "(self, x={evil})"),
    SOUND.replace("(self, x)", "(self, x: {evil})"),
    SOUND.replace("(self, x)", "(self, x) -> {evil}"),
    SOUND.replace("return a", "return {evil}"),
    *(SOUND.replace("a = ", f"{statement}\n        a = ") for statement in STATEMENTS),
]


@pytest.mark.parametrize("template", POSITIONS)
def test_a_call_in_any_position_is_not_run(template, tmp_path, monkeypatch):
    sentinel = tmp_path / "ran"
    text = template.format(evil=f'__import__("os").system("touch {sentinel}")')

    def forbidden(*args, **kwargs):
        raise AssertionError("the text was executed, compiled to code or imported from")

    with monkeypatch.context() as patched:
        only_trees = builtins.compile

        def compile_tree(source, filename, mode, flags=0, *args, **kwargs):
            assert flags & 0x400, "not ast.PyCF_ONLY_AST"
            return only_trees(source, filename, mode, flags, *args, **kwargs)

        patched.setattr(builtins, "compile", compile_tree)
        for name in ("eval", "exec", "__import__"):
            patched.setitem(vars(builtins), name, forbidden)
        graphs, _ = readable.load(text)
    assert not sentinel.exists()
    assert "a" in [node.name for node in graphs[0].nodes]


# --- statements among sound ones --------------------------------------------------------------------------------------

SMALL = next(path for path in FILES if path.parent.name == "stream-overlap" and path.name.startswith("rank"))
STRANGE = [
    "c = (",
    "c = lambda: 1",
    "import os",
    "if x:",
    "'''",
    "c = 9**9**9",
    ")",
    "c = torch.add(x, " + "9" * 5000 + ")",
]


@pytest.mark.parametrize("strange", STRANGE)
def test_a_strange_statement_anywhere_in_a_split_graph_costs_no_other_node(strange):
    lines = SMALL.read_text().split("\n")
    sound = load("\n".join(lines))
    for node in sound.calls:
        indent = len(lines[node.line - 1]) - len(lines[node.line - 1].lstrip())
        changed = [*lines[: node.line - 1], " " * indent + strange, *lines[node.line - 1 :]]
        graph = load("\n".join(changed))
        kept = [entry for entry in plain(graph) if entry[2] != "unreadable"]
        assert kept == plain(sound)
        assert len(graph.nodes) <= len(sound.nodes) + 1
        assert graph.problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_that_lost_one_node_s_line_keeps_the_others(path):
    text = path.read_text()
    sound = load(text)
    lines = text.split("\n")
    node = random.Random(path.name).choice(sound.calls)
    lines[node.line - 1] = lines[node.line - 1].replace("(", "((", 1).replace("[", "[[", 1) + ")]"
    graph = load("\n".join(lines))
    assert {kept.name for kept in graph.nodes} >= {other.name for other in sound.nodes} - {node.name}


# --- damaged files ----------------------------------------------------------------------------------------------------


def check_survives(text: str) -> None:
    start = time.perf_counter()
    graphs, problems = readable.load(text)
    assert time.perf_counter() - start < 2
    assert graphs or problems
    for graph in graphs:
        names = [node.name for node in graph.nodes]
        assert len(names) == len(set(names))


def test_a_file_cut_off_anywhere_is_read_up_to_there():
    text = SMALL.read_text()
    for length in range(0, len(text), 7):
        check_survives(text[:length])


def test_a_file_cut_off_in_a_region_keeps_the_nodes_before():
    text = SMALL.read_text()
    sound = load(text)
    node = sound.calls[5]
    lines = text.split("\n")[: node.line]
    (graph,), _ = readable.load("\n".join(lines))
    assert [call.name for call in graph.calls] == [call.name for call in sound.calls[:6]]
    assert Slug.BODIES_MISSING in {problem.slug for problem in graph.problems}


CHARACTERS = "()[]{}\"'\\#:;,.=+- \n\t\rabcx019_\x00\x1b\x0cé<>@`\ufeff\ud800"


def mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice([1, 1, 1, 2, 5, 20])):
        kind, place = rng.randrange(9), rng.randrange(len(text) + 1)
        if kind < 3:
            text = text[:place] + (rng.choice(CHARACTERS) if kind else "") + text[place + (kind != 1) :]
        elif kind == 3 and rng.random() < 0.3:
            text = text[:place]
        else:
            lines = text.split("\n")
            one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
            if kind == 4:
                del lines[one]
            elif kind == 5:
                lines.insert(one, lines[other])
            elif kind == 6:
                lines[one], lines[other] = lines[other], lines[one]
            elif kind == 7:
                lines[one] = " " * rng.randrange(9) + lines[one]
            else:
                lines[one] = lines[one][rng.randrange(9) :]
            text = "\n".join(lines)
    return text


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_of_a_file_raises_or_hangs(seed):
    rng = random.Random(seed)
    texts = [path.read_text() for path in FILES]
    small = [text for text in texts if len(text) < 60_000]
    for _ in range(400):
        check_survives(mutated(rng.choice(small if rng.random() < 0.95 else texts), rng))
