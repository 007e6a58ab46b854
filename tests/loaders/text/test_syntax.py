"""Parsing damaged text. `names` are the assigned names that a reader of the tree still sees."""

from __future__ import annotations

import ast
import gc
import time

import pytest

from opcov.collector import collector_paused
from opcov.loaders.text import damage
from opcov.loaders.text.syntax import parse
from opcov.problems import Slug

BEFORE = "class GraphModule(torch.nn.Module):\n    def forward(self, x):\n        a = torch.sin(x)\n"
AFTER = "        b = torch.cos(a)\n        return b\n"


def names(text):
    tree, _, _ = parse(text)
    assert tree is not None
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def slugs(text):
    return [problem.slug for problem in parse(text)[2]]


def test_sound_text_has_no_problem_and_keeps_its_lines():
    text = BEFORE + AFTER
    assert parse(text)[1:] == (text.split("\n"), [])


@pytest.mark.parametrize(
    "broken",
    [
        "c = (",
        "c = )",
        "c = [1, {",
        "c = 'abc",
        'c = "',
        "c = '''",
        "c = f(<function g at 0x7f>)",
        "c = 1 2",
        "c = ..x",
    ],
)
def test_a_broken_assignment_keeps_its_name(broken):
    assert names(f"{BEFORE}        {broken}\n{AFTER}") == ["a", "c", "b"]


@pytest.mark.parametrize("broken", ["(", ")", "]]", '"', "'''", '"""', "$", "c:", "for = 1", "\\", "if", "@", "é é"])
def test_another_broken_statement_is_left_out_alone(broken):
    assert names(f"{BEFORE}        {broken}\n{AFTER}") == ["a", "b"]


def test_a_broken_assignment_keeps_its_annotation():
    _, lines, _ = parse(f'{BEFORE}        c: "f32[2]" = f(<g>)\n{AFTER}')
    assert lines[3].strip() == 'c: "f32[2]" = ...'


def test_a_broken_in_place_statement_keeps_the_name_at_its_end():
    # operator.iadd(2, x) prints so, and Python has no `2 += x`.
    _, lines, _ = parse(f'{BEFORE}        2 += x;  iadd: "f32[2]" = 2\n{AFTER}')
    assert lines[3].strip() == 'iadd: "f32[2]" = ...'


def test_a_broken_in_place_statement_is_not_named_by_what_its_line_deletes():
    _, lines, _ = parse(f"{BEFORE}        f(<g>);  x = None\n{AFTER}")
    assert lines[3].strip() == "pass"


def test_a_problem_names_the_line():
    (problem,) = parse(f"{BEFORE}        c = (\n{AFTER}")[2]
    assert (problem.line, problem.slug) == (4, Slug.SYNTAX)


def test_any_number_of_broken_statements_can_be_left_out():
    many = "".join(f"        c{i} = f(<g{i}>)\n" for i in range(500))
    assert len(names(BEFORE + many + AFTER)) == 502


def test_lines_keep_their_numbers():
    tree, _, _ = parse(f"{BEFORE}        c = (\n{AFTER}")
    assert tree is not None
    last = next(node for node in ast.walk(tree) if isinstance(node, ast.Return))
    assert last.lineno == 6


@pytest.mark.parametrize("blanks", [1, 2, 3, 7, 9, 12])
def test_a_statement_with_another_indentation_stays_in_its_block(blanks):
    # The only blocks are at 0, 4 and 8: from 7 on, the nearest is the function's; less is the class's or the module's.
    tree, _, problems = parse(f"{BEFORE}{' ' * blanks}c = f(x)\n{AFTER}")
    assert tree is not None
    assert problems
    assert names(f"{BEFORE}{' ' * blanks}c = f(x)\n{AFTER}").count("c") == 1


@pytest.mark.parametrize("blanks", [0, 1, 4, 5])
@pytest.mark.parametrize("after", ["def forward(self, x):\n", "a = torch.sin(x)\n"])
def test_a_stray_line_at_the_left_ends_no_block(blanks, after):
    # What follows is deeper, and only a class or def opens a block.
    text = (BEFORE + AFTER).replace(after, f"{after}{' ' * blanks}= stray\n")
    tree, _, _ = parse(text)
    function = tree.body[0].body[0]
    assert [ast.unparse(line) for line in function.body if not isinstance(line, ast.Pass)] == [
        "a = torch.sin(x)", "b = torch.cos(a)", "return b",
    ]  # fmt: skip


def test_an_over_indented_statement_is_read_in_its_block():
    tree, _, _ = parse(f"{BEFORE}            c = f(x)\n{AFTER}")
    function = tree.body[0].body[0]
    assert [ast.unparse(statement) for statement in function.body][1] == "c = f(x)"


@pytest.mark.parametrize(
    "header",
    [
        "class GraphModule(torch.nn.Mod ule):",
        "clas GraphModule(torch.nn.Module):",
        "class GraphModule(torch.nn.Module:",
    ],
)
def test_a_broken_class_line_keeps_name_and_block(header):
    tree, _, _ = parse(header + "\n" + "\n".join((BEFORE + AFTER).split("\n")[1:]))
    assert (tree.body[0].name, tree.body[0].body[0].name) == ("GraphModule", "forward")


def test_a_class_line_that_a_stray_line_end_broke_keeps_its_block():
    sound = BEFORE + AFTER
    tree, _, _ = parse(sound.replace("torch.nn.Module", "to\rch.nn.Module"))
    assert (tree.body[0].name, tree.body[0].body[0].name) == ("GraphModule", "forward")


@pytest.mark.parametrize(
    "header", ["def forward(self, x: 'f32[2], y):", "def forward(self, x, y):", "def forward(self, x, y:"]
)
def test_a_broken_def_line_keeps_its_block_and_parameters(header):
    tree, _, _ = parse(f"class GraphModule(torch.nn.Module):\n    {header}\n        a = f(x)\n")
    function = tree.body[0].body[0]
    assert (function.name, function.args.args[-1].arg, len(function.body)) == ("forward", "y", 1)


def test_a_salvaged_parameter_keeps_its_annotation():
    tree, _, _ = parse(
        'class G(torch.nn.Module):\n    dfe forward(self, x: "f32[2]", y: "f32[3]"):\n        a = f(x)\n'
    )
    assert ast.unparse(tree.body[0].body[0].args) == "self, x: 'f32[2]', y: 'f32[3]'"


def test_a_block_that_lost_its_statements_is_empty():
    assert slugs("class GraphModule(torch.nn.Module):\n    def forward(self, x):\n") == [Slug.SYNTAX]


def test_line_ends_of_other_systems_are_line_ends():
    assert names((BEFORE + AFTER).replace("\n", "\r\n")) == names((BEFORE + AFTER).replace("\n", "\r")) == ["a", "b"]


def test_a_byte_order_mark_and_lone_surrogates_are_no_problem():
    assert names(f"\ufeff{BEFORE}        c = f('\ud800')\n{AFTER}") == ["a", "c", "b"]


def test_a_lambda_is_a_class_name_to_torch():
    # torch.fx.GraphModule made with class_name="<lambda>", as torch.fx.experimental.proxy_tensor.make_fx does.
    assert parse("class <lambda>(torch.nn.Module):\n    def forward(self): pass\n")[2] == []


@pytest.mark.parametrize(
    "expression",
    [
        "-" * 100_000 + "x", "not " * 20_000 + "x", "x" + ".b" * 300_000, "x" + "()" * 300_000, "x" + "[0]" * 300_000,
        "+".join("x" * 50_000), "+".join("x" * 300_000), "(" + "+\n".join("x" * 300_000) + ")",
        "+\\\n".join("x" * 300_000), "(" * 1000 + ")" * 1000, "**".join("x" * 5000),
    ],
    ids="minus not attribute call index sum long-sum sum-in-lines continued brackets power".split(),
)  # fmt: skip
def test_an_expression_that_nests_too_deep_is_left_out_alone(expression):
    start = time.perf_counter()
    found = names(f"{BEFORE}        c = {expression}\n{AFTER}")
    assert ([name for name in found if name != "x"], time.perf_counter() - start < 2) == (["a", "c", "b"], True)


@pytest.mark.parametrize("header", ["if x:", "class C:", "def f():"])
def test_a_thousand_nested_blocks_are_left_out_from_a_depth_on(header):
    nested = "\n".join(" " * (8 + level) + header for level in range(1000))
    assert Slug.TOO_DEEP in slugs(f"{BEFORE}{nested}\n{AFTER}")
    assert names(f"{BEFORE}{nested}\n{AFTER}") == ["a", "b"]


def test_many_empty_headers_take_no_time():
    start = time.perf_counter()
    parse("class C:\n" * 5000)
    assert time.perf_counter() - start < 2


def test_many_blank_lines_take_no_time():
    start = time.perf_counter()
    parse(BEFORE + " \n" * 200_000 + "        c = f('<')\n" + AFTER)
    assert time.perf_counter() - start < 2


def test_an_invalid_escape_warns_nobody(recwarn):
    parse(BEFORE + "        c = f('\\d')\n" + AFTER)
    assert not recwarn.list


def test_the_collector_is_paused_and_then_as_before():
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_statement_of_several_lines_is_one_piece():
    lines = ["def forward(", "    self,", '    x: "f32[2]",  # PlainAOTInput(idx=0)', "):", "    a = f(", "        x)"]
    assert damage.pieces(lines) == [damage.Piece(0, 4), damage.Piece(4, 6)]


def test_a_triple_quoted_string_is_one_piece():
    assert damage.pieces(['"""', "val: (", '"""', "a = b"]) == [damage.Piece(0, 3), damage.Piece(3, 4)]


def test_a_bracket_left_open_ends_where_the_next_statement_starts():
    assert damage.pieces(["a = f(", "b = g(a)", "return b"]) == [damage.Piece(i, i + 1) for i in range(3)]


def test_brackets_in_strings_and_comments_open_nothing():
    assert damage.pieces(["a = '(['  # {", "f(a)"]) == [damage.Piece(0, 1), damage.Piece(1, 2)]
