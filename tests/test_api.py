"""What a notebook uses: scan, load, tables as data frames and views of them, reports written all or none."""

from __future__ import annotations

import operator
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from building import FakeRegistry, body, coverage, graph_text, node, verdict, write_corpus

import opcov
from opcov.document import TABLES
from opcov.judged import ModelScan
from opcov.problems import OutputError, Problem, Slug, UsageError
from opcov.verdict import Status

RELU = graph_text('a: "f32[4]" = torch.relu(x);  x = None', result="a")
BAD = graph_text('a: "f32[4]" = torch.relu(x)', 'b: "f32[4]" = torch.bad(a)', result="b")


def judge() -> FakeRegistry:
    return FakeRegistry({"torch.bad": verdict(Status.UNSUPPORTED)})


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(
        tmp_path / "gm",
        {
            "Qwen/a/rank0_0.py": RELU,
            "Qwen/b/rank0_0.py": BAD,
            "meta/c/graph_module_1.py": RELU,
            "meta/d/rank0_0.py": "",
        },
    )


def test_public_names_are_there() -> None:
    assert all(getattr(opcov, name) is not None for name in opcov.__all__)


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'scam'"):
        opcov.scam  # noqa: B018


def test_public_names_can_be_completed() -> None:
    code = "import opcov; print(set(opcov.__all__) - set(dir(opcov)), '__version__' in dir(opcov))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set() True\n"


def test_scan_says_in_a_line_what_it_is(corpus: Path) -> None:
    # relu in one body, relu and bad in another; the body of a and c is one.
    assert repr(opcov.scan(corpus, registry=judge())) == "<Scan of 4 models: 2 of 3 nodes supported>"


def test_include_and_exclude_choose_models_by_pattern(corpus: Path) -> None:
    def names(**selection: list[str]) -> list[str]:
        return opcov.scan(corpus, registry=judge(), **selection).models.model.tolist()  # type: ignore[arg-type]

    assert names(include=["Qwen/*"]) == ["Qwen/a", "Qwen/b"]
    assert names(exclude=["Qwen/*", "*/d"]) == ["meta/c"]
    assert names(include=["Qwen/*"], exclude=["*/a"]) == ["Qwen/b"]


def test_problems_of_models_that_are_left_out_are_left_out(corpus: Path) -> None:
    (corpus / "meta" / "d" / "log.txt").symlink_to("nowhere")
    places = {problem.file for problem in opcov.scan(corpus, registry=judge()).problems}
    assert places == {"meta/d/rank0_0.py", "meta/d/log.txt"}
    assert opcov.scan(corpus, exclude=["meta/d"], registry=judge()).problems == ()


def test_selection_that_leaves_nothing_names_the_models(corpus: Path) -> None:
    with pytest.raises(UsageError, match=r"there are: Qwen/a, Qwen/b, meta/c, meta/d$"):
        opcov.scan(corpus, include=["Qwen"], registry=judge())


def test_missing_numbers_do_not_make_floats_of_the_others(corpus: Path) -> None:
    graphs = opcov.scan(corpus, registry=judge()).graphs.set_index("model")
    # graph_module_1.py has no rank in its name.
    assert str(graphs["rank"].dtype) == "Int64"
    assert graphs["rank"].isna().to_dict() == {"Qwen/a": False, "Qwen/b": False, "meta/c": True, "meta/d": False}


def test_number_of_more_than_64_bits_is_told_as_the_largest() -> None:
    graphs = [body(digest, replace(node("torch.bad"), source_line=line)) for digest, line in (("d", 10**30), ("e", 0))]
    found = coverage({"m": {"rank0_0.py": "d", "rank1_0.py": "e"}}, *graphs)
    scan = opcov.Scan(replace(found, models={"m": of_ranks(found.models["m"], 10**30, None)}))
    for numbers in (scan.graphs["rank"], scan.nodes.source_line, scan.op("torch.bad").sources.line):
        assert sorted(numbers.dropna()) == [2**63 - 1]


def test_number_in_a_column_with_gaps_is_exact() -> None:
    found = coverage({"m": {"rank0_0.py": "d", "rank1_0.py": "d"}}, body("d", node("torch.bad")))
    scan = opcov.Scan(replace(found, models={"m": of_ranks(found.models["m"], 2**53 + 1, None)}))
    assert [*scan.graphs["rank"].dropna()] == [2**53 + 1]


def of_ranks(scan: ModelScan, *ranks: int | None) -> ModelScan:
    return replace(scan, files=tuple(replace(file, rank=rank) for file, rank in zip(scan.files, ranks, strict=True)))


def test_shares_are_numbers_in_data_frames(corpus: Path) -> None:
    models = opcov.scan(corpus, registry=judge()).models.set_index("model")
    assert models.loc["Qwen/b", "node_coverage"] == 50.0
    assert models["node_coverage"].isna()["meta/d"]


def test_data_frames_of_a_scan_without_nodes_have_their_columns(tmp_path: Path) -> None:
    scan = opcov.scan(write_corpus(tmp_path, {"m/log.txt": "nothing"}), registry=judge())
    assert [len(frame) for frame in (scan.nodes, scan.graphs, scan.ops, scan.variants, scan.models)] == [0, 0, 0, 0, 1]
    assert "status" in scan.nodes.columns


def test_write_names_what_it_wrote(corpus: Path, tmp_path: Path) -> None:
    written = opcov.scan(corpus, registry=judge()).write(out=tmp_path / "o.py", csv=tmp_path / "csv")
    assert [path.name for path in written] == [
        "o.py", "nodes.csv", "graphs.csv", "ops.csv", "variants.csv", "models.csv",
    ]  # fmt: skip
    assert all(path.is_file() for path in written)


def test_write_that_fails_writes_nothing(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "csv" / "ops.csv").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"ops\.csv: it is a folder"):
        opcov.scan(corpus, registry=judge()).write(out=tmp_path / "o.py", csv=tmp_path / "csv")
    assert not (tmp_path / "o.py").exists()
    assert [path.name for path in (tmp_path / "csv").iterdir()] == ["ops.csv"]


def test_load_reads_the_graph_of_a_file(corpus: Path) -> None:
    (graph,) = opcov.load(corpus / "Qwen" / "b" / "rank0_0.py")
    assert [call.op for call in graph.calls] == ["torch.relu", "torch.bad"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"\xff", "no UTF-8 text"), (b"", "holds no graph: the file is empty")],
    ids=["missing", "binary", "empty"],
)
def test_load_says_why_there_is_no_graph(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "rank0_0.py"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        opcov.load(path)


def test_result_does_not_depend_on_where_the_corpus_lies_nor_on_the_order_of_its_files(tmp_path: Path) -> None:
    texts = {
        f"{model}/rank{rank}_{index}.py": (RELU, BAD)[index % 2]
        for model in "cab"
        for rank in (1, 0)
        for index in (9, 10, 0)
    }
    here = write_corpus(tmp_path / "here", texts)
    there = write_corpus(tmp_path / "some where" / "else", dict(reversed(texts.items())))
    for root, out in ((here, "1"), (there, "2")):
        opcov.scan(root, registry=judge()).write(out=tmp_path / out / "all_ops.py", csv=tmp_path / out)
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in "12")
    assert len(first) == 6
    assert first == second


def test_results_inside_the_corpus_do_not_change_the_next_scan(corpus: Path) -> None:
    outputs = {"out": corpus / "Qwen" / "b" / "unsupported.py", "csv": corpus / "coverage"}
    opcov.scan(corpus, registry=judge()).write(**outputs)
    first = outputs["out"].read_bytes()
    again = opcov.scan(corpus, registry=judge())
    again.write(**outputs)
    assert again.coverage.files == 4
    assert outputs["out"].read_bytes() == first


# --- views -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def scan(corpus: Path) -> opcov.Scan:
    return opcov.scan(corpus, registry=judge())


def test_view_of_a_model_has_the_tables_of_that_model_alone(scan: opcov.Scan, corpus: Path) -> None:
    view = scan.model("Qwen/b")
    alone = opcov.scan(corpus, include=["Qwen/b"], registry=judge())
    for name in ("nodes", "graphs", "ops", "variants", "models"):
        assert getattr(view, name).equals(getattr(alone, name))


def test_view_of_a_model_has_its_row_health_and_problems(scan: opcov.Scan) -> None:
    view = scan.model("meta/d")
    assert (view.name, view.row["model"], view.health.value) == ("meta/d", "meta/d", "failed")
    assert view.health_reasons[0] == "no graphs"
    assert [problem.file for problem in view.problems] == ["meta/d/rank0_0.py"]
    assert scan.model("Qwen/b").problems == ()
    assert repr(scan.model("Qwen/b")) == "<ModelView of 'Qwen/b': ok, 1 of 2 nodes supported>"


def test_view_of_a_model_has_the_problem_of_its_run_log(corpus: Path) -> None:
    (corpus / "Qwen" / "b" / "log.txt").symlink_to("nowhere")
    scan = opcov.scan(corpus, registry=judge())
    assert [problem.file for problem in scan.model("Qwen/b").problems] == ["Qwen/b/log.txt"]


def test_view_of_the_model_at_the_root_has_its_problems(tmp_path: Path) -> None:
    scan = opcov.scan(write_corpus(tmp_path / "gm", {"rank0_0.py": "", "b/rank0_0.py": ""}), registry=judge())
    assert [problem.file for problem in scan.model("gm").problems] == ["rank0_0.py"]
    assert [problem.file for problem in scan.model("b").problems] == ["b/rank0_0.py"]


def test_problem_of_a_model_below_another_is_not_the_other_ones() -> None:
    problems = [Problem("a/f", 0, Slug.EMPTY, "x"), Problem("a/b/f", 0, Slug.EMPTY, "x")]
    scan = opcov.Scan(coverage({"a": {"f": "1"}, "a/b": {"f": "2"}}, problems=problems))
    assert scan.model("a").problems == (problems[0],)


def test_view_of_a_model_can_be_written(scan: opcov.Scan, tmp_path: Path) -> None:
    scan.model("Qwen/b").write(out=tmp_path / "o.py")
    assert "torch.bad" in (tmp_path / "o.py").read_text()


def test_unknown_model_is_answered_with_the_nearest_ones(scan: opcov.Scan) -> None:
    with pytest.raises(UsageError, match=r"no model is called 'Qwen/bb'; the nearest: 'Qwen/b', "):
        scan.model("Qwen/bb")


def test_view_of_an_op_has_the_rows_of_that_op(scan: opcov.Scan) -> None:
    view = scan.op("torch.relu")
    assert set(view.nodes.op) == set(view.variants.op) == set(view.ops.op) == {"torch.relu"}
    assert view.row["nodes"] == len(view.nodes) == 2
    assert view.graphs.file.tolist() == ["Qwen/a/rank0_0.py", "Qwen/b/rank0_0.py", "meta/c/graph_module_1.py"]
    assert view.models.model.tolist() == ["Qwen/a", "Qwen/b", "meta/c"]
    assert repr(view) == "<OpView of 'torch.relu': supported, 2 of 2 nodes supported>"


def test_sources_of_an_op_come_with_the_commonest_first() -> None:
    nodes = [node("x", source_line=9), node("x", source_line=7), node("x", source_line=7), node("x", source_line=0)]
    sources = opcov.Scan(coverage({"a": {"f": "1"}}, body("1", *nodes))).op("x").sources
    assert sources.nodes.tolist() == [2, 1, 1]
    assert sources.line.iloc[0] == 7
    assert sources.line.isna().sum() == 1
    assert str(sources.line.dtype) == "Int64"


def test_op_is_found_by_the_end_of_its_name_if_only_one_has_it() -> None:
    nodes = [node("torch.Tensor.is_cpu"), node("torch.relu"), node("torch.Tensor.relu")]
    scan = opcov.Scan(coverage({"a": {"f": "1"}}, body("1", *nodes)))
    assert scan.op("is_cpu").name == scan.op("Tensor.is_cpu").name == "torch.Tensor.is_cpu"
    assert scan.op("torch.relu").name == "torch.relu"
    with pytest.raises(UsageError, match=r"several ops end in 'relu': 'torch.Tensor.relu', 'torch.relu'$"):
        scan.op("relu")


@pytest.mark.parametrize("name", ["torch.Tensor.is_cpy", "is_cpy", "is_cpu.torch", "cpu", ""])
def test_unknown_op_is_answered_with_the_nearest_ones(name: str) -> None:
    nodes = [node(op) for op in ("torch.Tensor.is_cpu", "torch.sinc", "torch.relu", "operator.add")]
    with pytest.raises(UsageError, match=r"no op is called .*; the nearest: .*'torch\.Tensor\.is_cpu'"):
        opcov.Scan(coverage({"a": {"f": "1"}}, body("1", *nodes))).op(name)


def test_scan_without_ops_says_so_when_asked_for_one() -> None:
    with pytest.raises(UsageError, match="the scan has none"):
        opcov.Scan(coverage({"a": {}})).op("x")


def test_scan_compares_itself_as_the_older_one(scan: opcov.Scan, corpus: Path) -> None:
    newer = opcov.scan(corpus, registry=FakeRegistry())
    (change,) = scan.diff(newer)
    assert (change.kind.value, change.op, change.models) == ("gained", "torch.bad", ("Qwen/b",))  # type: ignore[union-attr]


def test_matrix_of_a_scan_counts_what_is_asked_for(scan: opcov.Scan) -> None:
    assert scan.matrix().frame.loc["torch.bad"].tolist()[:3] == [0, 1, 0]
    assert scan.matrix("graphs").value == "graphs"


# --- columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_every_column_of_a_data_frame_is_explained_with_the_dtype_it_has(scan: opcov.Scan, table: str) -> None:
    explained = opcov.columns(table)
    frame = getattr(scan, table)
    assert explained.index.tolist() == frame.columns.tolist()
    assert explained["dtype"].tolist() == [str(dtype) for dtype in frame.dtypes]
    assert (explained["meaning"].str.len() > 0).all()


def test_unknown_table_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="there are: nodes, graphs, ops, variants, models"):
        opcov.columns("rows")


# --- is_supported ----------------------------------------------------------------------------------------------------


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("name", "supported"),
    [
        ("torch.nn.functional.silu", True),
        ("torch.bmm", True),
        ("torch.Tensor.view", True),
        ("torch.Tensor.float", True),  # Thunder's tensors have the method, its table of functions does not
        ("torch.sinc", False),  # an automatic fallback
        ("torch.Tensor.sinc", False),
        ("torch.Tensor.is_cpu", False),
        ("torch.Tensor.shape", True),  # an attribute that Thunder's tensors have
        ("torch.ops.aten.silu.default", False),
        ("operator.add", True),
        ("operator.and_", True),
        ("operator.ixor", False),  # Thunder's tensors have only the refusal that they inherit
    ],
)
def test_op_is_supported_if_thunder_has_an_operation_of_its_own_for_it(name: str, supported: bool) -> None:
    import torch

    root, _, path = name.partition(".")
    function = operator.attrgetter(path)({"torch": torch, "operator": operator}[root])
    assert opcov.is_supported(name) is supported
    assert opcov.is_supported(function) is supported


def test_function_of_somebody_else_is_not_supported() -> None:
    assert opcov.is_supported(lambda x: x) is False


@pytest.mark.parametrize(
    "name", ["torch.sink", "sinc", "os.system", "torch.load", "torch.Tensor.__class__", "torch.os.system", "", "torch"]
)
def test_name_that_may_not_be_looked_up_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="no function of torch, operator or math is called"):
        opcov.is_supported(name)


@pytest.mark.parametrize("target", [3, None, object()], ids=["number", "None", "object"])
def test_what_is_no_function_is_a_usage_error(target: object) -> None:
    with pytest.raises(UsageError, match=r"is no function such as torch\.sinc"):
        opcov.is_supported(target)  # type: ignore[arg-type]


def test_module_is_a_usage_error_that_leads_to_check() -> None:
    import torch

    for module in (torch.nn.SiLU(), torch.nn.SiLU):
        with pytest.raises(UsageError, match=r"opcov\.check judges modules"):
            opcov.is_supported(module)
