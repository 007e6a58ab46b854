"""Verdicts against those that Thunder gave on real executions and captures, in the large recorded corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.fx.graph import dtype_abbrs

from opcov.graph import Graph, TensorMeta
from opcov.loaders import graphnet, load_text
from opcov.loaders.loader import SavedFile
from opcov.rebuild.parameters import requires_grad
from opcov.rebuild.propagate import Gap, Known
from opcov.registries.thunder import ThunderRegistry
from opcov.verdict import Status, Verdict

ABBREVIATIONS = {str(dtype).removeprefix("torch."): abbreviation for dtype, abbreviation in dtype_abbrs.items()}
STATUS = {True: "supported", False: "unsupported", None: "crash"}
SHORT = 140
"""Calls. Thunder takes ten times as long in training, so only samples up to this length are judged so."""


def samples(shared: Path) -> Iterator[tuple[dict[str, Any], Graph]]:
    """Each GraphNet sample: what a real execution of it recorded, and its graph."""
    for path in sorted((shared / "graphnet" / "truth").glob("*.json")):
        truth = json.loads(path.read_text(encoding="utf-8"))
        model = shared / "graphnet" / truth["file"]
        companions = {name: (model.parent / name).read_bytes() for name in ("weight_meta.py",)}
        (graph,), _ = graphnet.LOADER.load(SavedFile("model.py", model.read_bytes(), companions))
        yield truth, graph


def status_of(node: dict[str, Any], suffix: str = "") -> str:
    """What the truth of a GraphNet node says; `suffix` is `_rg` where parameters require grad."""
    if str(node[f"reason_type{suffix}"]).startswith("CRASH:"):
        return "crash"
    return STATUS[node[f"supported{suffix}"]]


def printed(value: Known) -> str | None:
    """A tensor's metadata as the truth writes it: `float32[1,u0+8]`."""
    if not isinstance(value, TensorMeta):
        return None
    dtype = next(name for name, abbreviation in ABBREVIATIONS.items() if abbreviation == value.dtype)
    return f"{dtype}[{','.join(str(size).replace(' ', '') for size in value.shape)}]"


@pytest.fixture(scope="module")
def judged(shared: Path) -> list[tuple[dict[str, Any], Graph, dict[str, Verdict], dict[str, Known]]]:
    registry = ThunderRegistry()
    return [(truth, graph, *registry.judge(graph)) for truth, graph in samples(shared)]


Judged = list[tuple[dict[str, Any], Graph, dict[str, Verdict], dict[str, Known]]]


@pytest.mark.recorded
def test_graphnet_samples_get_the_status_that_thunder_gave(judged: Judged) -> None:
    total, wrong = 0, []
    for truth, graph, verdicts, _ in judged:
        for node, recorded in zip(graph.calls, truth["nodes"], strict=True):
            total += 1
            if verdicts[node.name].status.value != status_of(recorded) and not recorded["fake_error"]:
                wrong.append((truth["file"], node.name, verdicts[node.name]))
    assert total > 7_000
    assert len(wrong) <= total // 1000, wrong


def test_no_graphnet_node_is_unknown(judged: Judged) -> None:
    unknown = [name for _, _, verdicts, _ in judged for name, one in verdicts.items() if one.status is Status.UNKNOWN]
    assert unknown == []


def test_graphnet_values_have_the_dtypes_and_shapes_that_running_them_gave(judged: Judged) -> None:
    wrong = []
    for truth, graph, _, known in judged:
        for node, recorded in zip(graph.calls, truth["nodes"], strict=True):
            found = printed(known[node.name])
            if found is not None and found != recorded["out"]:
                wrong.append((truth["file"], node.name, found, recorded["out"]))
    assert wrong == []


def test_graphnet_values_that_are_read_have_metadata_where_running_them_gave_any(judged: Judged) -> None:
    missing = []
    for truth, graph, _, known in judged:
        for node, recorded in zip(graph.calls, truth["nodes"], strict=True):
            if graph.users[node.name] and recorded["out"] not in ("NoneType", "int"):
                missing += [(truth["file"], node.name)] if isinstance(known[node.name], Gap) else []
    assert missing == []


@pytest.mark.recorded
def test_short_graphnet_samples_get_the_status_that_thunder_gave_in_training(shared: Path) -> None:
    registry = ThunderRegistry(requires_grad=True)
    total, turned, wrong = 0, 0, []
    for truth, graph in samples(shared):
        if len(truth["nodes"]) > SHORT:
            continue
        verdicts, _ = registry.judge(graph)
        for node, recorded in zip(graph.calls, truth["nodes"], strict=True):
            total += 1
            turned += recorded["supported"] != recorded["supported_rg"]
            if verdicts[node.name].status.value != status_of(recorded, "_rg") and not recorded["fake_error_rg"]:
                wrong.append((truth["file"], node.name, verdicts[node.name]))
    assert total > 1_000
    assert turned > 5  # nodes that are supported in inference only
    assert wrong == []


@pytest.mark.recorded
@pytest.mark.parametrize("form", ["file", "unsplit_file"])
@pytest.mark.parametrize(
    "model", ["google-bert__bert-tiny-train", "meta-llama__Llama-3-tiny-train", "odd__checkpoint-act"]
)
def test_graphs_captured_in_training_agree_node_by_node(model: str, form: str, shared: Path) -> None:
    registry = ThunderRegistry(requires_grad=True)
    truth = json.loads((shared / "oracle" / "truth" / f"{model}.json").read_text(encoding="utf-8"))
    for recorded in truth["graphs"]:
        (graph,), _ = load_text((shared / "oracle" / recorded[form]).read_text(encoding="utf-8"))
        verdicts, known = registry.judge(graph)
        inputs = {node.name: node.inputs for node in graph.calls}
        found = {
            name: (verdict.status.value, any(requires_grad(known[read]) for read in inputs[name]))
            for name, verdict in verdicts.items()
        }
        assert found == {
            node["name"]: (STATUS[node["supported"]], node["args_require_grad"]) for node in recorded["nodes"]
        }
