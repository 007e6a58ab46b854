"""Models of every bundled family, captured and scanned; at true size on fake tensors. Minutes: `make test-capture`."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fx_graphs
import pytest
from capture_runs import environment

import opcov
from opcov.capturing.huggingface.finding import bundled, found
from opcov.graph import Graph, TensorMeta
from opcov.loaders import load_text

pytest.importorskip("transformers")
if not os.environ.get("OPCOV_TEST_CAPTURE"):
    pytest.skip("takes minutes; `make test-capture` runs it", allow_module_level=True)

FAMILIES = {found(name).content["model_type"]: name for name in bundled()}
"""One model of each family."""
LARGE = ("Qwen/Qwen3-Next-80B-A3B-Instruct", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-120b")
MOST_SECONDS = 180
MOST_BYTES = 8e9


class Captured:
    """A tiny model, captured in this process.

    Attributes:
        folder: of the model.
        live: the graphs as they were handed over.
        verdicts: for each file and node the region that Thunder's splitter put it into.
    """

    def __init__(self, name: str, folder: Path) -> None:
        import torch

        from opcov.capturing.backend import Backend
        from opcov.capturing.huggingface import playing
        from opcov.capturing.session import Setting, begin, end
        from opcov.loaders.live import graph_of

        self.folder = folder
        self.live: list[Graph] = []
        session = begin(Setting(str(folder), keeps_verdicts=True, stops=True))
        what = playing.Play(name, prompt=6, decode=2, tiny=True)
        try:
            with pytest.MonkeyPatch.context() as patch:
                looking = functools.partial(Backend, prepare=lambda module: self.live.append(graph_of(module)))
                patch.setattr(playing, "Backend", looking)
                playing.play(playing.built(what, session), what)
        finally:
            torch._dynamo.reset()
            end()
        self.graphs = session.part().graphs
        self.verdicts = {
            (graph.file, verdict.name): verdict.partition for graph in self.graphs for verdict in graph.verdicts or ()
        }


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES.keys())
def captured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    yield Captured(request.param, tmp_path_factory.mktemp("gm") / "model")


def test_a_scan_places_each_node_where_the_splitter_did(captured: Captured) -> None:
    scan = opcov.scan(captured.folder)
    nodes = scan.nodes
    placed = dict(zip(zip(nodes.file, nodes.node, strict=True), nodes.placed_region, strict=True))
    # Equal bodies are in the table once, under the name of the first file.
    files = {file for file, _ in placed}
    assert placed == {key: region for key, region in captured.verdicts.items() if key[0] in files}
    assert len(scan.graphs.digest.unique()) == len(files)


def calls(graph: Graph) -> list[tuple[object, ...]]:
    """The calls of a graph, without what only some forms of it hold: lines, and whether a tensor requires grad."""
    plain = fx_graphs.as_text_holds_it(graph)
    return [(node.name, node.kind, node.op, node.expression, node.meta, node.source) for node in plain.calls]


def test_a_saved_graph_is_read_as_the_live_one(captured: Captured) -> None:
    assert len(captured.live) == len(captured.graphs) > 1
    for live, record in zip(captured.live, captured.graphs, strict=True):
        (saved,), problems = load_text((captured.folder / record.file).read_text(encoding="utf-8"))
        assert problems == ()
        assert calls(saved) == calls(live)


def test_weights_are_in_bfloat16(captured: Captured) -> None:
    weights = [node for node in captured.live[0].nodes if node.name.endswith("parameters_weight_")]
    metas = [node.meta for node in weights]
    assert {meta.dtype for meta in metas if isinstance(meta, TensorMeta)} == {"bf16"}


def command(folder: Path, *arguments: str) -> tuple[float, float, Path]:
    """Runs `opcov capture hf`.

    Returns:
        Seconds of processor time and bytes of memory that its processes took, and the model's folder.
    """
    folder.mkdir(parents=True)
    line = [sys.executable, "-m", "opcov", "capture", "hf", *arguments, "--out", str(folder)]
    start = time.monotonic()
    with (folder.parent / "output.txt").open("w") as output:
        process = subprocess.Popen(line, env=environment(), stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (folder.parent / "output.txt").read_text(encoding="utf-8")
    (record,) = folder.rglob("capture.json")
    seconds, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
    told = f"{seconds:.0f} s of CPU, {time.monotonic() - start:.0f} s, {memory / 1e9:.2f} GB"
    print(f"\n{record.parent.name}: {told}")  # noqa: T201 - figures for whoever runs it
    return seconds, memory, record.parent


@pytest.mark.parametrize("name", LARGE)
def test_a_large_model_is_captured_at_true_size(name: str, tmp_path: Path) -> None:
    seconds, memory, folder = command(tmp_path / "gm", name, "--fake")
    assert seconds < MOST_SECONDS
    assert memory < MOST_BYTES
    record = json.loads((folder / "capture.json").read_bytes())
    assert (record["status"], record["parts"][0]["device"]) == ("ok", "fake cpu")
    nodes = opcov.scan(folder).nodes
    layers = found(name).content["num_hidden_layers"]
    linear = nodes[(nodes.op == "torch._C._nn.linear") & (nodes.file == "rank0_0.py")]
    assert len(linear) > 4 * layers
    if "Qwen3-Next" in name:
        functions = set(nodes.source_function.dropna())
        assert {"torch_chunk_gated_delta_rule", "torch_recurrent_gated_delta_rule"} <= functions


@pytest.mark.parametrize("name", ["Qwen/Qwen3-Next-80B-A3B-Instruct", "openai/gpt-oss-20b"])
def test_fake_and_real_tensors_give_the_same_files(name: str, tmp_path: Path) -> None:
    texts: dict[str, dict[str, Any]] = {}
    for how in ("--fake", "--reproducible"):
        _, _, folder = command(tmp_path / how / "gm", name, "--tiny", "--reproducible", how)
        texts[how] = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("rank*.py")}
    assert texts["--fake"] == texts["--reproducible"]
    assert len(texts["--fake"]) == 2
