"""The large recorded corpus: every file loads, and today's placement is the recorded one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

import opcov
from opcov.loaders.runlog import read_run_log
from opcov.problems import Slug
from opcov.reports import tables

UNSUPPORTED = {
    "torch.ops.higher_order.triton_kernel_wrapper_mutation",
    "torch.ops.sglang.inplace_all_reduce",
    "torch.ops.sglang.reg_all_gather_into_tensor",
    "torch.ops.sglang.inplace_fused_experts",
    "torch.ops.sglang.flashinfer_allreduce_residual_rmsnorm",
    "torch.ops.sgl_kernel.dsv3_router_gemm",
    "torch.ops.sgl_kernel.rmsnorm.default",
    "torch.Tensor.is_cpu",
    "torch.Tensor.new_empty",
    "torch.cuda.get_device_capability",
    "torch.cuda.current_stream",
    "torch.cuda.set_stream",
    "torch.cuda.streams.Stream",
    "torch.cuda.Stream.wait_stream",
    "torch._C._cuda_exchangeDevice",
    "torch._C._cuda_maybeExchangeDevice",
    "torch._C._autograd._get_data_attr",
    "torch.bmm",
    "torch.empty",
    "torch.transpose",
    "operator.getitem",
}


@pytest.fixture(scope="session")
def gm(shared: Path) -> opcov.Scan:
    """One scan of the large corpus for all tests."""
    folder = shared / "gm"
    if not folder.is_dir():
        pytest.skip("the large recorded corpus (../shared/gm) is not beside this checkout")
    return opcov.scan(folder)


@pytest.fixture(scope="session")
def split(gm: opcov.Scan) -> pd.DataFrame:
    """The nodes of split files."""
    forms = gm.graphs.set_index("file")["form"]
    return gm.nodes[gm.nodes["file"].map(forms) == "split"]


def test_every_graph_of_every_model_loads(gm: opcov.Scan) -> None:
    coverage = gm.coverage
    assert (coverage.files, len(coverage.bodies), len(coverage.models)) == (1536, 548, 17)
    assert all(body.graphs for body in coverage.bodies.values())
    assert {problem.slug for problem in gm.problems} == {Slug.CRASH}


@pytest.mark.recorded
def test_every_node_is_placed_as_recorded(split: pd.DataFrame) -> None:
    wrong = split[(split["placed"] != split["recorded"]) | (split["placed_region"] != split["recorded_region"])]
    assert len(split) > 4000
    assert wrong[["file", "line", "node", "op", "recorded_region", "placed_region"]].to_dict("records") == []


@pytest.mark.recorded
def test_every_split_graph_has_as_many_regions_as_recorded(gm: opcov.Scan) -> None:
    rows = gm.graphs[gm.graphs["form"] == "split"]
    assert len(rows) == 1520
    assert rows[rows["placed_regions"] != rows["recorded_regions"]]["file"].tolist() == []


@pytest.mark.recorded
def test_unsupported_ops_are_the_known_ones(gm: opcov.Scan) -> None:
    found = set(gm.ops[gm.ops["status"].isin(["unsupported", "crash"])]["op"])
    assert found == UNSUPPORTED


@pytest.mark.recorded
@pytest.mark.parametrize(("op", "shape"), [("torch.bmm", "out=T"), ("operator.getitem", ""), ("torch.transpose", "")])
def test_op_that_is_supported_elsewhere_is_unsupported_in_some_variant_only(
    gm: opcov.Scan, op: str, shape: str
) -> None:
    rows = gm.variants[(gm.variants["op"] == op) & (gm.variants["unsupported"] > 0)]
    assert len(rows) == 1
    assert shape in rows["variant"].iloc[0]


def test_nothing_is_unknown(gm: opcov.Scan) -> None:
    assert gm.coverage.counts.unknown == 0


def test_unsplit_graphs_are_crashes_with_the_exception_of_the_run_log(gm: opcov.Scan, shared: Path) -> None:
    rows = gm.graphs[gm.graphs["form"] == "unsplit"]
    assert len(rows) == 16
    for model, file, problem in rows[["model", "file", "problem"]].itertuples(index=False):
        exception = read_run_log(shared / "gm" / model / "log.txt").final_exception
        assert f"crash recorded: the run stopped with {exception}" in problem, file


def test_models_have_the_health_that_their_logs_show(gm: opcov.Scan) -> None:
    by_health = gm.models.groupby("health")["model"].apply(set).to_dict()
    # No graph was saved of Scout; the runs of the others ended with tracebacks.
    assert by_health["failed"] == {"meta-llama/Llama-4-Scout-17B-16E-Instruct"}
    assert by_health["partial"] == {
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
        "Qwen/Qwen3-Next-80B-A3B-Instruct-FP8",
        "Qwen/Qwen3-Next-80B-A3B-Thinking",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
        "mistralai/Magistral-Small-2509",
        "unsloth/Qwen3-30B-A3B-GGUF",
    }


def test_tables_count_the_same_nodes(gm: opcov.Scan) -> None:
    rendered = tables.render(gm.coverage)
    rows = {name: list(csv.DictReader(io.StringIO(text, newline=""))) for name, text in rendered.items()}
    nodes = len(rows["nodes.csv"])
    assert sum(int(row["nodes"]) for row in rows["ops.csv"]) == nodes
    assert sum(int(row["nodes"]) for row in rows["variants.csv"]) == nodes
    distinct = {row["digest"]: int(row["nodes"]) for row in rows["graphs.csv"]}
    assert sum(distinct.values()) == nodes
