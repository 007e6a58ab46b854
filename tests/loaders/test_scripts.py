"""Scripts that hold a graph and more: the graph is found, its inputs get their shapes, the rest is left alone."""

from __future__ import annotations

import sys
import time

import pytest
from form_fixtures import FIXTURES, STATUS, claims, load, truth, verdicts
from hypothesis import given, settings
from hypothesis import strategies as st

from opcov.graph import ConstantMeta, Graph, Kind, SymbolMeta, TensorMeta
from opcov.loaders import scripts
from opcov.loaders.loader import SavedFile
from opcov.problems import Slug
from opcov.verdict import Status

FOLDER = FIXTURES / "scripts"
WHOLE = ["fx_graph_runnable", "minified_dynamo", "thunder_reproducer", "thunder_benchmark"]

REPRO = """\
import torch
from torch import device
{before}
class Repro(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        {init}

    def forward(self, {parameters}):
        {body}
        return (out,)

{after}
mod = Repro()
"""


def script(
    parameters: str = "x",
    body: str = "out = torch.sin(x);  x = None",
    init: str = "pass",
    before: str = "",
    after: str = "",
) -> str:
    return REPRO.format(parameters=parameters, body=body, init=init, before=before, after=after)


def read(text: str) -> Graph:
    (graph,), problems = scripts.load(SavedFile("repro.py", text.encode()))
    assert problems == ()
    return graph


def inputs_of(text: str) -> list[object]:
    return [node.meta for node in read(text).nodes if node.kind is Kind.PLACEHOLDER]


def load_args(*lines: str) -> str:
    return "\n".join(["def load_args(reader):", *(f"    {line}" for line in lines), "load_args._version = 0"])


# --- what real writers write ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WHOLE)
def test_a_script_has_the_call_nodes_of_the_live_graph(name: str) -> None:
    (graph,), problems = load(FOLDER / f"{name}.py", scripts.LOADER)
    assert (problems, graph.problems) == ((), ())
    expected = [(row["name"], row["kind"]) for row in truth(FOLDER / f"{name}.truth.json")]
    assert [(node.name, node.kind.value) for node in graph.calls] == expected


@pytest.mark.recorded
@pytest.mark.parametrize("name", WHOLE)
def test_a_script_is_judged_as_thunder_judges_the_live_graph(name: str) -> None:
    (graph,), _ = load(FOLDER / f"{name}.py", scripts.LOADER)
    expected = [STATUS[row["supported"]] for row in truth(FOLDER / f"{name}.truth.json")]  # type: ignore[index]
    assert verdicts(graph) == expected


@pytest.mark.parametrize("name", [*WHOLE, "fx_graph_runnable.corrupted"])
def test_only_this_loader_claims_a_script(name: str) -> None:
    assert claims(f"{name}.py", (FOLDER / f"{name}.py").read_bytes()) == ["scripts"]


def test_the_symbols_of_a_script_have_the_values_that_it_states() -> None:
    for name, expected in (("fx_graph_runnable", {"s64": 6, "s91": 2}), ("thunder_reproducer", {"s64": 6})):
        (graph,), _ = load(FOLDER / f"{name}.py", scripts.LOADER)
        assert expected.items() <= graph.hints.items()


def test_thunder_s_reproducers_tell_which_inputs_require_grad() -> None:
    (graph,), _ = load(FOLDER / "thunder_reproducer.py", scripts.LOADER)
    metas = {node.name: node.meta for node in graph.nodes if isinstance(node.meta, TensorMeta)}
    trained = {name for name, meta in metas.items() if meta.requires_grad}
    assert "l_x_" in trained
    assert "l_self_buffers_bias_" not in trained


def test_a_body_that_thunder_instantiates_is_the_body_of_the_higher_order_op() -> None:
    (graph,), _ = load(FOLDER / "thunder_benchmark.py", scripts.LOADER)
    assert [node.op for node in graph.bodies["wrap_body_0"].calls] == ["torch.sin", "operator.mul"]
    assert "wrap_body_0" not in [node.name for node in graph.calls]


def test_damage_in_the_class_is_told_and_damage_elsewhere_is_not() -> None:
    (graph,), problems = load(FOLDER / "fx_graph_runnable.corrupted.py", scripts.LOADER)
    assert problems == ()
    assert [problem.slug for problem in graph.problems] == [Slug.NO_SHAPES, Slug.SYNTAX]
    whole = truth(FOLDER / "fx_graph_runnable.truth.json")
    assert [node.name for node in graph.calls] == [row["name"] for row in whole]
    for status, row in zip(verdicts(graph), whole, strict=True):
        assert status in (Status.UNKNOWN, STATUS[row["supported"]])  # type: ignore[index]


def test_readable_reads_what_inductor_prints_beside_its_script() -> None:
    text = 'class <lambda>(torch.nn.Module):\n    def forward(self, x: "f32[2]"):\n        return (x,)\n'
    assert claims("fx_graph_readable.py", text.encode()) == ["readable"]


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["buf0 = reader.storage(None, 16)", "reader.tensor(buf0, (4,))"], TensorMeta("f32", (4,), None, "cpu")),
        (
            [
                "buf0 = reader.storage('abc', 64, device=device(type='cuda', index=1), dtype_hint=torch.float16)",
                "reader.tensor(buf0, (8, 4), (1, 8), dtype=torch.float16, requires_grad=True, is_leaf=True)  # x",
            ],
            TensorMeta("f16", (8, 4), (1, 8), "cuda:1", None, True),
        ),
        (
            ["buf0 = reader.storage(None, 16*s77)", "t0 = reader.tensor(buf0, (2*s77 + 1, s0//2))"],
            TensorMeta("f32", ("2*s77 + 1", "s0//2"), None, "cpu"),
        ),
        (["reader.symint(8, expr='s77')  # x"], SymbolMeta("s77")),
        (["reader.symint(5)  # x"], SymbolMeta("5")),
        (["reader.const('x')  # x, filtered out during compilation"], ConstantMeta(None)),
        (["reader.unsupported('x')", '"""', "reader.tensor(buf9, (1,))", '"""'], None),
        (["reader.generator('cpu', None)  # x"], None),
        (["reader.opaque('torch.x')  # x"], None),
        (["other.tensor(buf0, (4,))", "reader.symint(1)"], SymbolMeta("1")),
    ],
)
def test_each_call_of_the_reader_is_an_input(lines: list[str], expected: object) -> None:
    # the calls are those of torch._dynamo.debug_utils.InputWriter
    assert inputs_of(script(after=load_args(*lines))) == [expected]


@pytest.mark.parametrize(
    "after",
    [
        """args = [((2, 3), (3, 1), torch.float16, 'cpu', True)]
args = [rand_strided(sh, st, dt, dev).requires_grad_(rg) for (sh, st, dt, dev, rg) in args]""",
        "args = []\nargs.append(rand_strided((2, 3), (3, 1), torch.float16, 'cpu').requires_grad_(True))",
    ],
)
def test_the_inputs_of_older_dynamo_are_read(after: str) -> None:
    # as torch/_dynamo wrote them before there was InputWriter; by hand, no such torch made these
    assert inputs_of(script(after=after)) == [TensorMeta("f16", (2, 3), (3, 1), "cpu", None, True)]


def test_inputs_that_are_not_as_many_as_the_parameters_are_left_out() -> None:
    graph = read(script("x, y", after=load_args("reader.symint(5)")))
    assert [node.meta for node in graph.nodes[:2]] == [None, None]
    assert [problem.slug for problem in graph.problems] == [Slug.NO_SHAPES]


def test_annotations_say_more_than_inputs() -> None:
    text = script('x: "f32[s0, 4][1, s0]"', after="def test_g():\n    inputs = [torch.testing.make_tensor((8, 4), dtype=torch.int8, device='cpu', requires_grad=True, low=1)]")  # fmt: skip  # noqa: E501
    graph = read(text)
    assert graph.nodes[0].meta == TensorMeta("f32", ("s0", 4), (1, "s0"), None, None, True)
    assert graph.hints == {"s0": 8}


def test_a_float_that_dynamo_passes_as_a_tensor_is_read_back_as_a_symbol() -> None:
    text = script(body="out = x.item();  x = None", after=load_args(
        "buf0 = reader.storage(None, 8, dtype_hint=torch.float64)", "reader.tensor(buf0, (), dtype=torch.float64)"
    ))  # fmt: skip
    assert read(text).calls[0].meta == SymbolMeta("zf_out")


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ("self.w = torch.nn.Parameter(torch.randn([4, 2], dtype=torch.bfloat16, device=\"cuda\"))",
         TensorMeta("bf16", (4, 2), None, "cuda", "Parameter", True)),
        ("self.register_buffer('w', torch.randint(1, size=[3], dtype=torch.int64))", TensorMeta("i64", (3,))),
        ("self.register_buffer('w', torch.randn([5], dtype=torch.float32).to(\"cuda:0\"))",
         TensorMeta("f32", (5,), None, "cuda:0")),
        ("self.w = tensor([[1., -2.], [nan, 0.]])", TensorMeta("f32", (2, 2))),
        ("self.w = tensor([True])", TensorMeta("b8", (1,))),
        ("self.w = tensor(7, dtype=torch.uint8)", TensorMeta("u8", ())),
        ("self.w = tensor([], size=(0, 4), dtype=torch.float16)", TensorMeta("f16", (0, 4))),
        ("self.w = make(4)", None),
    ],
)  # fmt: skip
def test_tensors_in_init_are_read(init: str, expected: TensorMeta | None) -> None:
    # torch._dynamo.debug_utils.NNModuleToString.convert
    graph = read(
        script(body="w = self.w\n        out = torch.add(x, w)", init=init, after=load_args("reader.symint(1)"))
    )
    assert next(node.meta for node in graph.nodes if node.kind is Kind.GET_ATTR) == expected
    assert [problem.slug for problem in graph.problems] == ([] if expected else [Slug.BODIES_MISSING])


# --- which classes count ----------------------------------------------------------------------------------------------


def test_other_classes_and_code_are_no_graphs_and_no_problem() -> None:
    before = (
        "class Model(torch.nn.Module):\n    def forward(self, x):\n        for _ in x: print(x)\n        return x\n"
    )
    graph = read(script(before=before, after=load_args("reader.symint(1)") + "\nfor i in range(3): lambda: (yield)"))
    assert (graph.name, graph.problems) == ("Repro", ())


def test_a_class_of_another_name_counts_if_torch_fx_printed_its_forward() -> None:
    printed = 'class Net(torch.nn.Module):\n    def forward(self, x: "f32[2]"):\n        sin: "f32[2]" = torch.sin(x);  x = None\n        return (sin,)\n'  # noqa: E501
    assert claims("net.py", printed.encode()) == ["scripts"]
    assert [node.op for node in read(printed).calls] == ["torch.sin"]


def test_code_of_people_is_not_claimed() -> None:
    for path in (FIXTURES / "serving.py", FIXTURES / "make_forms.py"):
        assert claims(path.name, path.read_bytes()) == []


def test_a_longer_name_behind_a_body_s_name_is_not_cut_in_two() -> None:
    # thunder.dynamo.utils._readable puts `()` behind `self.body_1` wherever it stands
    assert [node.target for node in read(script(body="w = self.body_1()0\n        out = w + x", after=load_args("reader.symint(1)"))).nodes if node.kind is Kind.GET_ATTR] == ["body_10"]  # fmt: skip  # noqa: E501


# --- hostile text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "class Repro(torch.nn.Module):",
        script(after=load_args("reader.tensor(buf0, (" + "9" * 5000 + ",))")),
        script(after=load_args("reader.symint(0x" + "f" * 9000 + ")")),
        script(after=load_args("reader.tensor(b, (-0x" + "f" * 9000 + ",))")),
        script(after=load_args("reader.tensor(b, (4,), device(0x" + "f" * 9000 + "))")),
        script(
            after=load_args("reader.storage(None, 1, device=device('cuda', 0x" + "f" * 9000 + "))", "reader.tensor()")
        ),
        script(after=load_args("reader.tensor(b, (" + "-" * 3000 + "1,))")),
        script(after="args = [tensor(1)" + ".to('cpu')" * 5000 + "]"),
        script(init="self.w = " + "torch.nn.Parameter(" * 90 + "1" + ")" * 90),
        script(body="out = " + "self.a()." * 3000 + "b"),
    ],
    ids=range(12),
)
def test_no_text_raises_or_hangs(text: str) -> None:
    start = time.monotonic()
    graphs, problems = scripts.load(SavedFile("x.py", text.encode()))
    assert time.monotonic() - start < 2
    assert graphs or problems


def test_many_damaged_classes_take_no_longer_than_their_text() -> None:
    text = "\n".join(
        f"class Repro(torch.nn.Module):\n    def forward(self, x):\n        y = x +* {n}" for n in range(3000)
    )
    start = time.monotonic()
    graphs, _ = scripts.load(SavedFile("x.py", text.encode()))
    assert len(graphs) == 3000
    assert time.monotonic() - start < 10


def test_nothing_in_a_script_is_run() -> None:
    before = "import sys\nsys.modules['ran_by_opcov'] = sys"
    read(script(before=before, after=before, init="__import__('sys').modules['ran_by_opcov'] = 1"))
    assert "ran_by_opcov" not in sys.modules


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WHOLE), st.integers(0, 10_000), st.integers(0, 40), st.text(max_size=4))
def test_mutated_scripts_give_problems_at_most(name: str, place: int, length: int, inserted: str) -> None:
    text = (FOLDER / f"{name}.py").read_text()
    place %= len(text)
    mutated = text[:place] + inserted + text[place + length :]
    graphs, problems = scripts.load(SavedFile("x.py", mutated.encode(errors="replace")))
    assert graphs or problems
    for graph in graphs:
        assert graph.nodes
