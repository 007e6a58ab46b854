"""How GraphNet samples are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opcov.graph import Graph, Kind, SymbolMeta, TensorMeta
from opcov.loaders import available, graphnet
from opcov.loaders.graphnet import LOADER
from opcov.loaders.loader import SavedFile
from opcov.problems import Problem, Slug

SAMPLES = Path(__file__).resolve().parents[2] / "fixtures" / "graphnet"

MODEL = """import torch

class GraphModule(torch.nn.Module):
    def forward(
        self,
        s1: torch.SymInt,
        L_x_: torch.Tensor,
        L_w_: torch.nn.parameter.Parameter,
    ):
        tmp_0 = (
            L_x_ + L_w_
        )
        tmp_0 += 1
        tmp_1 = tmp_0
        return (tmp_1,)
"""

META = """class Program_weight_tensor_meta_L_x_:
    name = "L_x_"
    shape = [2, 3]
    dtype = "torch.bfloat16"
    device = "cuda:0"
    mean = 0.0
    std = float("nan")
    data = None


class Program_weight_tensor_meta_L_w_:
    name = "L_w_"
    shape = [3]
    dtype = "torch.float32"
    device = "cpu"
    data = None
"""


def load(model: str = MODEL, **companions: str) -> tuple[Graph, tuple[Problem, ...]]:
    beside = {f"{name}.py": text.encode() for name, text in companions.items()}
    (graph,), problems = LOADER.load(SavedFile("model.py", model.encode(), beside))
    return graph, problems


def metas(graph: Graph) -> dict[str, object]:
    return {node.name: node.meta for node in graph.nodes if node.kind is Kind.PLACEHOLDER}


def test_shapes_dtypes_and_devices_come_from_the_file_beside_it() -> None:
    graph, problems = load(weight_meta=META)
    assert problems == ()
    assert metas(graph) == {
        "s1": SymbolMeta("s1"),  # its value in a meta file would be a dummy, so it stays a symbol
        "L_x_": TensorMeta("bf16", (2, 3), device="cuda:0"),
        "L_w_": TensorMeta("f32", (3,), device="cpu", wrapper="Parameter"),
    }


def test_nodes_are_read_although_statements_wrap() -> None:
    graph, _ = load(weight_meta=META)
    # The line is that of the expression: what an execution of the file would report.
    assert [(node.name, node.op, node.line) for node in graph.calls] == [
        ("tmp_0", "operator.add", 11),
        ("tmp_1", "operator.iadd", 13),
    ]


def test_sample_without_a_meta_file_has_no_shapes_and_says_so() -> None:
    graph, problems = load()
    assert [problem.slug for problem in problems] == [Slug.NO_SHAPES]
    assert metas(graph) == {"s1": SymbolMeta("s1"), "L_x_": None, "L_w_": None}


def test_input_meta_describes_parameters_too() -> None:
    graph, _ = load(weight_meta="", input_meta=META)
    assert metas(graph)["L_x_"] == TensorMeta("bf16", (2, 3), device="cuda:0")


@pytest.mark.parametrize(
    ("said", "damaged"),
    [
        ("shape = [3]", "shape = [-1]"),
        ("shape = [3]", 'shape = "no"'),
        ("shape = [3]", "shape = [2"),
        ("shape = [3]", "shape = open('x')"),
        ("shape = [3]", f"shape = {'[' * 500}"),
        ('dtype = "torch.float32"', "dtype = 3"),
        ('name = "L_w_"', "pass"),
    ],
)
def test_class_that_describes_no_tensor_costs_its_parameter_alone(said: str, damaged: str) -> None:
    graph, problems = load(weight_meta=META.replace(said, damaged))
    assert [problem.slug for problem in problems] == [Slug.UNKNOWN_ANNOTATION]
    assert metas(graph)["L_x_"] == TensorMeta("bf16", (2, 3), device="cuda:0")
    assert metas(graph)["L_w_"] is None


def test_unknown_dtype_leaves_the_parameter_without_metadata() -> None:
    graph, _ = load(weight_meta=META.replace("torch.bfloat16", "torch.float7"))
    assert metas(graph)["L_x_"] is None


def test_meta_file_is_never_run(tmp_path: Path) -> None:
    sentinel = tmp_path / "run"
    graph, _ = load(weight_meta=f"import os; os.system('touch {sentinel}')\n{META}")
    assert not sentinel.exists()
    assert metas(graph)["L_x_"] is not None


def test_megabytes_of_data_are_no_burden() -> None:
    # A list of weights says nothing that a verdict depends on: it is not even parsed.
    data = f"    data = [{', '.join(['0.5'] * 500_000)}]\n"
    graph, problems = load(weight_meta=META.replace("    data = None\n", data, 1))
    assert problems == ()
    assert metas(graph)["L_x_"] == TensorMeta("bf16", (2, 3), device="cuda:0")


def test_exactly_one_loader_claims_a_sample() -> None:
    for path in sorted(SAMPLES.glob("samples/*/model.py")):
        head = path.read_bytes()
        assert [loader.name for loader in available() if loader.detect(path.name, head)] == ["graphnet"]


def test_module_as_print_readable_prints_it_is_no_sample() -> None:
    printed = b'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[2]"):\n        return x\n'
    assert not LOADER.detect("model.py", printed)


def test_corrupted_sample_loses_what_is_damaged_and_nothing_else() -> None:
    folder = SAMPLES / "samples" / "small-convolution-broken"
    companions = {"weight_meta.py": (folder / "weight_meta.py").read_bytes()}
    (graph,), problems = LOADER.load(SavedFile("model.py", (folder / "model.py").read_bytes(), companions))
    whole = json.loads((SAMPLES / "truth" / "small-convolution.json").read_text())["nodes"]
    assert len(graph.calls) == len(whole)
    assert sorted(problem.slug for problem in (*problems, *graph.problems)) == [Slug.SYNTAX, Slug.UNKNOWN_ANNOTATION]


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["small-convolution", "symbolic-length"])
def test_verdicts_are_those_that_thunder_gave_on_the_live_graph(name: str) -> None:
    from opcov.registries.thunder import ThunderRegistry

    folder = SAMPLES / "samples" / name
    companions = {"weight_meta.py": (folder / "weight_meta.py").read_bytes()}
    (graph,), _ = LOADER.load(SavedFile("model.py", (folder / "model.py").read_bytes(), companions))
    verdicts, _ = ThunderRegistry().judge(graph)
    truth = json.loads((SAMPLES / "truth" / f"{name}.json").read_text())["nodes"]
    assert [verdicts[node.name].status == "supported" for node in graph.calls] == [node["supported"] for node in truth]


REGULAR = """class Program_weight_tensor_meta_L_x_:
    name = "L_x_"
    shape = [1, 30, 2]
    dtype = "torch.float32"
    device = "cuda:0"
    mean = -0.001
    std = None
    data = None
"""


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("", ""),
        ("data = None", "data = None\n    min_val = 0\n    max_val = -2.5"),
        ("data = None", "data = [0.5, -1, 20]"),
        ("data = None", "data = [\n        0.500000,\n        -1,\n    ]"),
        ('"L_x_"', "(\n        \"L_x_['a b']\"\n    )"),
        ("[1, 30, 2]", "[7]"),
    ],
)
def test_class_in_the_usual_form_is_read_as_its_syntax_tree_is(written: str, otherwise: str) -> None:
    text = REGULAR.replace(written, otherwise)
    assert graphnet._regular(text) is not None
    assert graphnet._regular(text) == graphnet._described(graphnet._fields(text))


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("[1, 30, 2]", "[]"),  # its value counts
        ("[1, 30, 2]", "[1, -1]"),
        ("[1, 30, 2]", "[1, 010]"),
        ("class Program_weight_tensor_meta_L_x_", "class None"),
        ('"L_x_"', '"L_x_\\x41"'),
        ('"L_x_"', '"L_x_" + "b"'),
        ("data = None", "data = [1, ]]"),
        ("data = None", "data = None\n    shape = [4]"),
        ("mean = -0.001", "mean = float('nan')"),
    ],
)
def test_class_in_another_form_is_left_to_its_syntax_tree(written: str, otherwise: str) -> None:
    assert graphnet._regular(REGULAR.replace(written, otherwise)) is None
