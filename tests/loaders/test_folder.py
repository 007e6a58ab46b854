"""What `GraphModule.to_folder` wrote: nodes from the text, shapes from the text or from safetensors, no pickles."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from form_fixtures import FIXTURES, STATUS, claims, load, truth, verdicts
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from opcov.graph import Kind, TensorMeta
from opcov.loaders import folder
from opcov.loaders.loader import SavedFile
from opcov.problems import Slug
from opcov.verdict import Status

FOLDER = FIXTURES / "folder"
TRUTH = FOLDER / "module.truth.json"


@pytest.mark.parametrize("copy", ["text", "tensors"])
def test_a_folder_has_the_call_nodes_of_the_live_graph(copy: str) -> None:
    (graph,), problems = load(FOLDER / copy / "module.py", folder.LOADER)
    assert [problem.slug for problem in problems] == [Slug.NO_SHAPES]
    assert graph.problems == ()
    assert [(node.name, node.kind.value) for node in graph.calls] == [
        (row["name"], row["kind"]) for row in truth(TRUTH)
    ]


@pytest.mark.parametrize(("copy", "known"), [("text", 7), ("tensors", 8)])
def test_what_is_known_is_judged_as_thunder_judges_the_live_graph(copy: str, known: int) -> None:
    (graph,), _ = load(FOLDER / copy / "module.py", folder.LOADER)
    judged = [
        (found, STATUS[row["supported"]])  # type: ignore[index]
        for found, row in zip(verdicts(graph), truth(TRUTH), strict=True)
        if found is not Status.UNKNOWN
    ]
    assert [found for found, _ in judged] == [expected for _, expected in judged]
    assert len(judged) == known


def test_shapes_of_attributes_come_from_the_text() -> None:
    (graph,), _ = load(FOLDER / "text" / "module.py", folder.LOADER)
    metas = {node.target: node.meta for node in graph.nodes if node.kind is Kind.GET_ATTR}
    assert metas == {
        "weight": TensorMeta("f32", (4, 4), None, None, "Parameter", True),
        "mask": TensorMeta("b8", (4,)),
        "_tensor_constant0": TensorMeta("f32", (4,)),
        "inner.scale": None,
    }


def test_shapes_within_pickled_children_come_from_safetensors() -> None:
    (graph,), _ = load(FOLDER / "tensors" / "module.py", folder.LOADER)
    metas = {node.target: node.meta for node in graph.nodes if node.kind is Kind.GET_ATTR}
    assert metas["inner.scale"] == TensorMeta("bf16", (4,))


def test_a_damaged_folder_keeps_its_nodes_and_tells_of_the_damage() -> None:
    (graph,), problems = load(FOLDER / "corrupted" / "module.py", folder.LOADER)
    assert [node.name for node in graph.calls] == [row["name"] for row in truth(TRUTH)]
    assert [problem.slug for problem in (*problems, *graph.problems)] == [
        Slug.UNKNOWN_ANNOTATION,
        Slug.NO_SHAPES,
        Slug.SYNTAX,
    ]


@pytest.mark.parametrize("name", ["FxModule", "GraphModule", "Net"])
def test_only_this_loader_claims_what_to_folder_writes(tmp_path: Path, name: str) -> None:
    torch.fx.symbolic_trace(nn.Linear(2, 2)).to_folder(tmp_path / "saved", name)
    assert claims("module.py", (tmp_path / "saved" / "module.py").read_bytes()) == ["folder"]
    assert claims("__init__.py", (tmp_path / "saved" / "__init__.py").read_bytes()) == []


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "sprung").touch, ())

    module = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    module.to_folder(tmp_path / "saved")
    for file in (tmp_path / "saved").glob("*.pt"):
        file.write_bytes(pickle.dumps(Trap()))
    (graph,), _ = load(tmp_path / "saved" / "module.py", folder.LOADER)
    assert len(graph.calls) == 2
    assert not (tmp_path / "sprung").exists()


def test_a_pickled_body_of_a_higher_order_op_is_missing() -> None:
    text = (FOLDER / "text" / "module.py").read_text().replace("weight = self.weight", "weight = self.inner")
    (graph,), _ = folder.load(SavedFile("module.py", text.encode()))
    assert [problem.slug for problem in graph.problems] == [Slug.BODIES_MISSING]


def test_symbolic_sizes_among_the_parameters_are_known_by_their_type() -> None:
    text = (FOLDER / "text" / "module.py").read_text().replace("x : _torch_Tensor_", "s7 : torch.SymInt, x")
    (graph,), _ = folder.load(SavedFile("module.py", text.encode()))
    assert str(graph.nodes[0].meta) == "Sym(s7)"


# --- safetensors ------------------------------------------------------------------------------------------------------


def header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def test_every_dtype_of_safetensors_is_read_as_torch_abbreviates_it() -> None:
    # huggingface/safetensors, safetensors/src/tensor.rs, Dtype
    names = "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 I16 U16 F16 BF16 I32 U32 F32 C64 F64 I64 U64".split()
    found = folder.tensors_in(header({name: {"dtype": name, "shape": [2], "data_offsets": [0, 2]} for name in names}))
    assert isinstance(found, dict)
    assert [meta.dtype for meta in found.values()] == (
        "b8 u8 i8 f8e5m2 f8e4m3fn f8e8m0fnu i16 u16 f16 bf16 i32 u32 f32 c64 f64 i64 u64".split()
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        (2**63).to_bytes(8, "little") + b"{}",
        (5).to_bytes(8, "little") + b"{not }",
        header([1]),
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        ((16 << 20) + 1).to_bytes(8, "little") + b" " * ((16 << 20) + 1),
    ],
    ids=range(7),
)
def test_a_broken_header_is_told_and_not_used(content: bytes) -> None:
    assert isinstance(folder.tensors_in(content), str)


@pytest.mark.parametrize(
    "entry", [None, 1, {}, {"dtype": 1, "shape": []}, {"dtype": "F32"}, {"dtype": "F4", "shape": [1]},
              {"dtype": "F32", "shape": [-1]}, {"dtype": "F32", "shape": [True]}, {"dtype": "F32", "shape": [2**70]}],
)  # fmt: skip
def test_an_entry_that_describes_no_tensor_is_left_out(entry: object) -> None:
    assert folder.tensors_in(header({"w": entry, "__metadata__": {"format": "pt"}})) == {}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.text(max_size=4), st.binary(max_size=20))
def test_mutated_folders_give_problems_at_most(place: int, length: int, inserted: str, tensors: bytes) -> None:
    text = (FOLDER / "text" / "module.py").read_text()
    place %= len(text)
    mutated = (text[:place] + inserted + text[place + length :]).encode(errors="replace")
    graphs, problems = folder.load(SavedFile("module.py", mutated, {"model.safetensors": tensors}))
    assert problems
    for graph in graphs:
        assert graph.nodes
