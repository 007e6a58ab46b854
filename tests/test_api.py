"""What a notebook uses: scan, load, tables as data frames, reports written all or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, verdict, write_corpus

import opcov
from opcov.problems import OutputError, UsageError
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
