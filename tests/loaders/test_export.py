"""The archives of torch.export.save: the graph in their JSON, nothing unpickled, and no end of patience."""

from __future__ import annotations

import copy
import io
import json
import random
import resource
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch
from form_fixtures import FIXTURES, STATUS, claims, load, truth, verdicts
from sympy import srepr
from torch import nn
from torch.utils._sympy.functions import FloorDiv, Identity, Mod, ModularIndexing, PythonMod, ToFloat

from opcov.graph import ConstantMeta, Form, Graph, Kind, Metadata, Node, SymbolMeta, TensorMeta
from opcov.loaders import export, readable
from opcov.loaders.loader import SavedFile
from opcov.loaders.pt2 import archive
from opcov.loaders.pt2.srepr import printed_expression
from opcov.problems import Problem, Slug
from opcov.verdict import Status

FOLDER = FIXTURES / "export"
TRUTH = FOLDER / "branching.truth.json"


# --- live programs ----------------------------------------------------------------------------------------------------


class Mixed(nn.Module):
    """Tuples and lists, symbols, constants, in-place updates, literals of all kinds, bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("count", torch.zeros(1))
        self.norm = nn.BatchNorm1d(4)
        self.constant = torch.ones(4)

    def forward(
        self, x: torch.Tensor, index: torch.Tensor, flag: bool = True, name: str = "a", *, scale: float = 0.5
    ) -> Any:
        hidden = self.norm(self.linear(x)) * scale + self.constant
        self.count.add_(1)
        first, second = torch.split(hidden, 2, dim=-1)
        values, _ = torch.topk(hidden, 2)
        size = x.shape[0]
        flat = first.reshape(size * 2)
        branch = torch.cond(
            x.sum() > 0, lambda value: (value.sin(), value + 1), lambda value: (value.cos(), value - 1), (flat,)
        )
        with torch.no_grad():
            clamped = torch.clamp(second, min=float("-inf"), max=1.0)
        wide = torch.full((2, size), float("inf"), dtype=torch.float64, device="cpu")
        picked = hidden[..., None, index]
        half = torch.empty_like(x, dtype=torch.float16, memory_format=torch.contiguous_format)
        return {"a": branch, "b": [values, clamped], "c": (wide.t(), picked, size), "d": half.to(torch.bfloat16)}


@cache
def programs() -> dict[str, torch.export.ExportedProgram]:
    rows = torch.export.Dim("rows", min=3, max=100)
    shapes = {"x": {0: rows}, "index": None, "flag": None, "name": None, "scale": None}
    mixed = torch.export.export(
        Mixed().eval(), (torch.randn(6, 4), torch.tensor([0, 1]), True, "a"), {"scale": 0.5}, dynamic_shapes=shapes
    )
    return {"mixed": mixed, "lowered": mixed.run_decompositions()}


@cache
def saved(name: str) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(programs()[name], buffer)
    return buffer.getvalue()


def read(content: bytes) -> Graph:
    (graph,), problems = export.load(SavedFile("m.pt2", content))
    assert problems == ()
    return graph


def printed(module: torch.nn.Module) -> Graph:
    assert isinstance(module, torch.fx.GraphModule)
    (graph,), problems = readable.load(module.print_readable(print_output=False))
    assert (problems, graph.problems) == ((), ())
    return graph


def plain(graph: Graph) -> Graph:
    """What print_readable tells of a graph."""
    nodes = tuple(replace(node, line=0, meta=plain_meta(node)) for node in graph.nodes)
    bodies = {name: plain(body) for name, body in graph.bodies.items()}
    return replace(graph, nodes=nodes, bodies=bodies, annotated=True)


def plain_meta(node: Node) -> Metadata | None:
    match node.meta:
        case TensorMeta(dtype, shape):
            return TensorMeta(dtype, shape)
        case SymbolMeta():
            return node.meta
    return None


@pytest.mark.parametrize("name", ["mixed", "lowered"])
def test_an_archive_is_read_as_torch_itself_reads_it(name: str) -> None:
    theirs = plain(printed(torch.export.load(io.BytesIO(saved(name))).graph_module))
    ours = plain(read(saved(name)))
    # torch makes nodes for what nobody takes; the program that was saved has none
    kept = tuple(node for node in theirs.nodes if "_unused_" not in node.name)
    assert ours == replace(theirs, nodes=kept)


@pytest.mark.parametrize("name", ["mixed", "lowered"])
def test_an_archive_has_the_calls_of_the_program_that_was_saved(name: str) -> None:
    live = printed(programs()[name].graph_module)
    ours = read(saved(name))
    assert sorted((node.name, node.op) for node in ours.calls) == sorted((node.name, node.op) for node in live.calls)
    own = [[(node.name, node.source) for node in graph.calls if "getitem" not in node.op] for graph in (ours, live)]
    assert own[0] == own[1]  # where the getitems stood, an archive does not tell
    assert {node.name: plain_meta(node) for node in ours.nodes} | {"output": None} == {
        node.name: node.meta for node in live.nodes if node.kind is not Kind.GET_ATTR
    } | {node.name: None for node in ours.nodes if node.kind is Kind.GET_ATTR} | {"output": None}


def test_strides_devices_and_gradients_are_those_of_the_live_values() -> None:
    live = {node.name: node.meta.get("val") for node in programs()["mixed"].graph.nodes}
    for node in read(saved("mixed")).nodes:
        if isinstance(node.meta, TensorMeta):
            value = live[node.name]
            assert node.meta.requires_grad == value.requires_grad
            assert node.meta.device == "cpu"
            stated = value.stride() if node.meta.stride is None else node.meta.stride
            assert [str(step) for step in stated] == [str(step) for step in value.stride()]
            assert (node.meta.stride is None) <= value.is_contiguous()


def test_constant_inputs_have_their_names_and_values() -> None:
    placeholders = {node.name: node.meta for node in read(saved("mixed")).nodes if node.kind is Kind.PLACEHOLDER}
    constants = {name: meta.value for name, meta in placeholders.items() if isinstance(meta, ConstantMeta)}
    assert constants == {"flag": True, "name": "a", "scale": 0.5}


def test_symbols_have_the_values_that_they_had() -> None:
    hints = read(saved("mixed")).hints
    assert set(hints.values()) == {6}


# --- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["branching", "branching_old"])
def test_a_fixture_is_judged_as_thunder_judges_the_live_program(name: str) -> None:
    (graph,), problems = load(FOLDER / f"{name}.pt2", export.LOADER)
    assert (problems, graph.problems, graph.form) == ((), (), Form.UNSPLIT)
    expected = [STATUS[row["supported"]] for row in truth(TRUTH)]  # type: ignore[index]
    assert verdicts(graph) == expected


def test_an_old_archive_is_read_as_torch_named_its_nodes() -> None:
    (graph,), _ = load(FOLDER / "branching_old.pt2", export.LOADER)
    (today,), _ = load(FOLDER / "branching.pt2", export.LOADER)
    assert [node.op for node in graph.calls] == [node.op for node in today.calls]
    assert {"topk_default", "split_Tensor", "cond"} <= {node.name for node in graph.calls}


def test_damaged_json_keeps_its_nodes_and_tells_of_the_damage() -> None:
    (graph,), problems = load(FOLDER / "branching_corrupted.pt2", export.LOADER)
    assert problems == ()
    assert [problem.slug for problem in graph.problems].count(Slug.UNKNOWN_STATEMENT) == 3
    assert [problem.slug for problem in graph.problems].count(Slug.UNKNOWN_ANNOTATION) == 2
    assert [node.name for node in graph.calls] == [row["name"] for row in truth(TRUTH)]


@pytest.mark.recorded
def test_what_damaged_json_leaves_is_judged_as_thunder_judges_the_live_program() -> None:
    (graph,), _ = load(FOLDER / "branching_corrupted.pt2", export.LOADER)
    for status, row in zip(verdicts(graph), truth(TRUTH), strict=True):
        assert status in (Status.UNKNOWN, STATUS[row["supported"]])  # type: ignore[index]


@pytest.mark.parametrize("name", ["branching", "branching_old", "branching_corrupted"])
def test_only_this_loader_claims_an_archive(name: str) -> None:
    assert claims(f"{name}.pt2", (FOLDER / f"{name}.pt2").read_bytes()) == ["export"]


# --- archives ---------------------------------------------------------------------------------------------------------


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def problems_of(content: bytes) -> list[Problem]:
    graphs, problems = export.load(SavedFile("m.pt2", content))
    assert graphs == ()
    return list(problems)


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"", Slug.UNREADABLE),
        (b"version https://git-lfs.github.com/spec/v1\n", Slug.UNREADABLE),
        (b"PK\x03\x04" + b"\x00" * 100, Slug.UNREADABLE),
        (b"PK\x01\x02" * 100_001, Slug.UNREADABLE),
        (zipped({}), Slug.EMPTY),
        (zipped({"m/data/aotinductor/model/x.so": b""}), Slug.EMPTY),
        (zipped({"m/models/model.json": b"{}"}, zipfile.ZIP_LZMA), Slug.UNREADABLE),
        (zipped({"m/models/model.json": b"{}"}, zipfile.ZIP_BZIP2), Slug.UNREADABLE),
        (zipped({"m/models/model.json": b"not json"}), Slug.SYNTAX),
        (zipped({"m/models/model.json": b"\xff\xfe"}), Slug.SYNTAX),
        (zipped({"m/models/model.json": b"1" * 5000}), Slug.SYNTAX),
        (zipped({"m/models/model.json": b"{}"}), Slug.SYNTAX),
        (zipped({"m/models/model.json": b"[" * 300_000}), Slug.TOO_DEEP),
        (zipped({"m/models/model.json": b" " * (300 << 20)}), Slug.UNREADABLE),
        (zipped({"m/models/model.json": b"[" + b"{}," * (5 << 20) + b"0]"}), Slug.UNREADABLE),
    ],
    ids=range(15),
)
def test_what_is_no_archive_of_a_program_is_a_problem(content: bytes, slug: Slug) -> None:
    assert [problem.slug for problem in problems_of(content)] == [slug]


def test_an_archive_that_lies_about_sizes_unpacks_no_more_than_the_limit() -> None:
    content = zipped({"m/models/model.json": b" " * (300 << 20)})
    lying = content.replace((300 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert [problem.slug for problem in problems_of(lying)] == [Slug.UNREADABLE]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # in KiB


@pytest.mark.parametrize(
    "piece",
    [
        b"{},",
        b"[],",
        b'{"a":1},',
        b"1234.5,",
        b'"",',
        b'{"a":[{"b":{}}]},',
        '"\U0001f525aaaaaaaa",'.encode(),
        b'"\\ud83d\\udd25aaaaaaaaaaa",',
    ],
)
def test_the_estimate_of_what_json_takes_is_not_too_low(piece: bytes) -> None:
    import tracemalloc

    text = b"[" + piece * 100_000 + b"0]"
    tracemalloc.start()
    value = json.loads(text)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert value
    assert archive.cost_of(text) >= taken


def test_a_flipped_bit_is_found() -> None:
    content = bytearray(saved("mixed"))
    place = content.find(b"graph_module")
    content[place] ^= 1
    assert [problem.slug for problem in problems_of(bytes(content))] == [Slug.UNREADABLE]


def test_each_program_of_an_archive_is_a_graph() -> None:
    text = program_text()
    both = zipped({"m/models/decode.json": text, "m/models/prefill.json": text, "m/models/model.txt": b""})
    graphs, problems = export.load(SavedFile("m.pt2", both))
    assert (len(graphs), problems) == (2, ())


# --- hostile JSON -----------------------------------------------------------------------------------------------------


def program_text() -> bytes:
    with zipfile.ZipFile(FOLDER / "branching.pt2") as file:
        return file.read("branching/models/model.json")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all parts of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in items for place in places(part, (*path, key)))]


WRONG: list[Any] = [
    None, True, -1, 2**70, 1e400, float("nan"), "", "x\ny", "a b", "__class__", [], {}, [[]], {"as_none": True},
    {"as_tensor": None}, {"as_tensor": {"name": 1}}, {"as_tensors": {}}, {"as_sym_int": {"as_expr": 1}}, "\ud800", 99,
    {"as_expr": {"expr_str": "f(" * 500 + ")" * 500}}, {"as_string": "x" * 200_000}, {"as_graph": {"name": "g"}},
]  # fmt: skip


def with_program(program: Any) -> tuple[tuple[Graph, ...], tuple[Problem, ...]]:
    return export.load(SavedFile("m.pt2", zipped({"m/models/model.json": json.dumps(program).encode()}, 0)))


def test_wrong_types_in_any_place_give_problems_at_most() -> None:
    program = json.loads(program_text())
    chance = random.Random(0)
    everywhere = places(program["graph_module"])
    for path in chance.sample(everywhere, 900):
        damaged = copy.deepcopy(program)
        part = damaged
        steps = ("graph_module", *path)
        for step in steps[:-1]:
            part = part[step]
        part[steps[-1]] = chance.choice(WRONG)
        graphs, problems = with_program(damaged)
        assert graphs or problems
        for graph in graphs:
            names = [node.name for node in graph.nodes]
            assert len(names) == len(set(names))
            assert all(name.isidentifier() for name in names)
            known: set[str] = set()
            for node in graph.nodes:
                assert set(node.inputs) <= known
                known.add(node.name)


def test_bodies_within_bodies_end() -> None:
    program = json.loads(program_text())
    nodes = program["graph_module"]["graph"]["nodes"]
    graph = next(
        entry["arg"]["as_graph"]["graph"] for node in nodes for entry in node["inputs"] if "as_graph" in entry["arg"]
    )
    for _ in range(40):
        inner = copy.deepcopy(graph)
        graph["nodes"] = [
            {
                "target": "torch.ops.higher_order.wrap",
                "inputs": [{"name": "", "arg": {"as_graph": {"name": "b", "graph": inner}}}],
                "outputs": [],
                "metadata": {},
            }
        ]
    graphs, problems = with_program(program)
    assert (len(graphs), problems) == (1, ())


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "#x:y:z", "torch.ops.aten.x(", "a\nb", "", "_operator."]
)
def test_a_target_is_a_name_and_nothing_else(target: str) -> None:
    program = json.loads(program_text())
    program["graph_module"]["graph"]["nodes"][1]["target"] = target
    (graph,), problems = with_program(program)
    assert problems == ()
    assert all(node.op.replace(".", "_").isidentifier() for node in graph.calls)


# --- sympy's text -----------------------------------------------------------------------------------------------------

S = sympy.Symbol("s0", integer=True, positive=True)
U = sympy.Symbol("u0", integer=True)


@pytest.mark.parametrize(
    "expression",
    [
        S + 1, 2 * S - 1, U - S, 3 * S * U, S**2 / 2, -S * U / 3, (S + 1) / U, 1 / S, (S + U) ** 2, sympy.sqrt(S),
        FloorDiv(S, 2), FloorDiv(S + 1, U), U * FloorDiv(S, 2) + FloorDiv(S + 2, 2), -FloorDiv(-S, 2),
        2 * FloorDiv(S, 4) - 1,
        Mod(S, 2), PythonMod(S, U), ModularIndexing(S, 2, U), Identity(S), sympy.Max(1, U), sympy.Min(S, U),
        0.5 * ToFloat(S), sympy.Eq(S, 3), sympy.Ne(S, U), S > 3, sympy.And(S > 3, U <= 2),
        sympy.Or(S > 3, sympy.Eq(U, 2)),
        (S + 1) * (U + 2), -2 * (S + U), sympy.Integer(-3) * S, sympy.Integer(5), sympy.Integer(-5), sympy.true,
    ],
    ids=str,
)  # fmt: skip
def test_sympy_s_constructor_text_becomes_the_text_that_torch_prints(expression: Any) -> None:
    assert printed_expression(srepr(expression)) == str(expression)


@pytest.mark.parametrize("text", ["s0*4 + 1", "((s27//2))", "u0 >= 0"])
def test_the_plain_text_of_older_torch_stays(text: str) -> None:
    assert printed_expression(text) == text


@pytest.mark.parametrize(
    "text", ["", "Symbol(", "Symbol('a b')", "Integer('x')", "Integer(1).real", "Add(*Integer(1))", "x[0]", "'s0'",
             "Integer(" * 300 + ")" * 300, "Integer()", "lambda: Integer(1)", "Integer(0x" + "f" * 9000 + ")",
             "Integer(1)" * 9000],
    ids=range(13),
)  # fmt: skip
def test_other_text_is_no_expression(text: str) -> None:
    assert printed_expression(text) is None


def test_pickles_in_an_archive_are_never_opened(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "sprung").touch, ())

    trap = pickle.dumps(Trap())
    names = ("m/data/sample_inputs/model.pt", "m/data/weights/weight_0", "serialized_state_dict.pt")
    graph = read(zipped({"m/models/model.json": program_text(), **dict.fromkeys(names, trap)}))
    assert graph.calls
    assert not (tmp_path / "sprung").exists()
