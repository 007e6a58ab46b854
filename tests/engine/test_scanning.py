"""The engine: one question a body, and nothing that one file holds harms another."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, verdict, write_corpus

from opcov.cache import Options, remembering
from opcov.corpus import discover
from opcov.corpus.health import Health
from opcov.coverage import Coverage
from opcov.engine import InProcess, scan_corpus
from opcov.engine.judging import judge_loaded, load
from opcov.judged import Counts, JudgedGraph
from opcov.loaders import available, by_name, load_text
from opcov.loaders.loader import Loaded, Loader, SavedFile
from opcov.problems import RegistryError, Slug
from opcov.verdict import Status


@pytest.fixture(autouse=True)
def unedited(monkeypatch: pytest.MonkeyPatch) -> None:
    """That opcov's code is edited while the tests run is no matter."""
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")


RELU = graph_text('a: "f32[4]" = torch.relu(x);  x = None', result="a")
TANH = graph_text('a: "f32[4]" = torch.tanh(x);  x = None', result="a")


def scan(root: Path, registry: FakeRegistry | None = None) -> Coverage:
    return scan_corpus(discover(root, available()), InProcess(lambda: registry or FakeRegistry()))


def test_body_of_many_ranks_and_models_is_judged_once(tmp_path: Path) -> None:
    texts = {f"{name}/rank{rank}_0.py": f"# Rank: {rank}, Graph 0\n{RELU}" for name in "ab" for rank in range(4)}
    registry = FakeRegistry()
    found = scan(write_corpus(tmp_path, texts), registry)
    assert len(registry.judged) == 1
    assert found.files == 8


def test_progress_counts_distinct_bodies(tmp_path: Path) -> None:
    write_corpus(tmp_path, {"m/rank0_0.py": RELU, "m/rank1_0.py": RELU, "m/rank0_1.py": TANH, "m/rank1_1.py": TANH})
    seen: list[tuple[int, int]] = []
    scan_corpus(
        discover(tmp_path, available()), InProcess(FakeRegistry), lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]


def test_judge_that_raises_makes_its_graph_unknown_and_harms_no_other(tmp_path: Path) -> None:
    write_corpus(tmp_path, {"m/rank0_0.py": RELU, "m/rank0_1.py": TANH})
    found = scan(tmp_path, FakeRegistry({"torch.tanh": RuntimeError("broken\nat 0x7f00deadbeef")}))
    assert found.counts == Counts(supported=1, unknown=1)
    (problem,) = found.problems
    assert (problem.file, problem.slug) == ("m/rank0_1.py", Slug.JUDGE_FAILED)
    # One line, and no memory address: it would be another one in each run.
    assert "(RuntimeError: broken at 0x...)" in problem.message


def test_judge_that_leaves_out_a_node_makes_its_graph_unknown(tmp_path: Path) -> None:
    class Forgetful(FakeRegistry):
        def judge(self, graph):  # type: ignore[no-untyped-def]
            return {}, {}

    found = scan(write_corpus(tmp_path, {"m/rank0_0.py": RELU}), Forgetful())
    assert found.counts == Counts(unknown=1)
    assert [problem.slug for problem in found.problems] == [Slug.JUDGE_FAILED]


def test_verdicts_are_matched_by_name_whatever_order_the_judge_answers_in(tmp_path: Path) -> None:
    class Backwards(FakeRegistry):
        def judge(self, graph):  # type: ignore[no-untyped-def]
            answers, known = super().judge(graph)
            return dict(reversed(answers.items())), known

    text = graph_text('a: "f32[4]" = torch.relu(x)', 'b: "f32[4]" = torch.tanh(a)', result="b")
    registry = Backwards({"torch.tanh": verdict(Status.UNSUPPORTED)})
    (result,) = judge_loaded("d", load(SavedFile("rank0_0.py", text.encode()), by_name("readable")), registry).graphs
    assert [(node.op, node.status.value) for node in result.nodes] == [
        ("torch.relu", "supported"),
        ("torch.tanh", "unsupported"),
    ]


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"", Slug.EMPTY),
        (b"\xff\xfe\x00\x01" * 50, Slug.NOT_TEXT),
        (b"\x00" * 200, Slug.NOT_TEXT),
        (b"class GraphModule(torch.nn.Module:\n  def (((\n", Slug.SYNTAX),
        (b"x = 1\n", Slug.EMPTY),  # Python, but no graph
    ],
    ids=["empty", "not UTF-8", "binary", "no Python", "no class"],
)
def test_file_without_a_graph_is_a_row_with_its_problem_and_harms_no_other(
    tmp_path: Path, content: bytes, slug: Slug
) -> None:
    found = scan(write_corpus(tmp_path, {"m/rank0_0.py": RELU, "m/rank0_1.py": content}))
    assert [(row.file.name, row.counts.nodes, bool(row.problem)) for row in found.file_rows()] == [
        ("rank0_0.py", 1, False),
        ("rank0_1.py", 0, True),
    ]
    assert {problem.slug for problem in found.problems} == {slug}


def test_problem_of_a_shared_body_is_told_of_each_file(tmp_path: Path) -> None:
    found = scan(write_corpus(tmp_path, {"m/rank0_0.py": "", "m/rank1_0.py": "", "m/rank0_1.py": RELU}))
    assert [problem.file for problem in found.problems] == ["m/rank0_0.py", "m/rank1_0.py"]


def test_file_that_vanishes_after_the_walk_is_a_row_with_its_problem(tmp_path: Path) -> None:
    corpus = discover(write_corpus(tmp_path, {"m/rank0_0.py": RELU, "m/rank0_1.py": TANH}), available())
    (tmp_path / "m" / "rank0_1.py").unlink()
    found = scan_corpus(corpus, InProcess(FakeRegistry))
    assert found.counts == Counts(supported=1)
    assert [(problem.file, problem.slug) for problem in found.problems] == [("m/rank0_1.py", Slug.UNREADABLE)]


def test_loader_that_raises_harms_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(saved: SavedFile) -> Loaded:
        if b"tanh" in saved.content:
            raise RecursionError("too deep")
        return load_text(saved.content.decode())

    loader = Loader("readable", lambda name, head: True, fragile)
    monkeypatch.setattr("opcov.engine.work.by_name", lambda name: loader)
    found = scan(write_corpus(tmp_path, {"m/rank0_0.py": TANH, "m/rank0_1.py": RELU}))
    assert found.counts == Counts(supported=1)
    assert [(problem.file, problem.slug) for problem in found.problems] == [("m/rank0_0.py", Slug.UNREADABLE)]


def test_model_in_whose_files_no_graph_is_found_has_failed(tmp_path: Path) -> None:
    found = scan(write_corpus(tmp_path, {"m/rank0_0.py": "", "m/rank0_1.py": b"\x00"}))
    assert found.models["m"].diagnosis.health is Health.FAILED


def test_crash_in_an_unsplit_graph_loses_it_and_is_a_problem_with_its_line(tmp_path: Path) -> None:
    registry = FakeRegistry({"torch.tanh": verdict(Status.CRASH, "KeyError: 'x'")})
    text = graph_text('a: "f32[4]" = torch.relu(x)', 'b: "f32[4]" = torch.tanh(a)', result="b")
    found = scan(write_corpus(tmp_path, {"m/graph_module_7.py": text}), registry)
    (problem,) = found.problems
    # The first statement of graph_text is in line 3, tanh in line 4.
    assert (problem.slug, problem.line) == (Slug.CRASH, 4)
    assert "KeyError: 'x'" in problem.message
    (row,) = found.file_rows()
    assert row.placed_regions == 0
    assert row.recorded_regions is None


LOG = (
    "Traceback (most recent call last):\n"
    '  File "/app/split.py", line 3, in split\n    raise ValueError("no way")\nValueError: no way\n'
)


def test_graph_saved_before_the_split_is_told_with_the_exception_of_the_run_log(tmp_path: Path) -> None:
    found = scan(write_corpus(tmp_path, {"m/graph_module_7.py": RELU, "m/log.txt": LOG}))
    (problem,) = found.problems
    assert (problem.file, problem.slug) == ("m/graph_module_7.py", Slug.CRASH)
    assert problem.message == (
        "crash recorded: the run stopped with ValueError: no way; today's check does not raise on it"
    )


def test_ranked_graph_is_not_blamed_for_the_exception_of_the_run_log(tmp_path: Path) -> None:
    found = scan(write_corpus(tmp_path, {"m/rank0_0.py": RELU, "m/log.txt": LOG}))
    assert found.problems == ()
    assert found.models["m"].diagnosis.health is Health.PARTIAL


def test_model_with_a_run_log_alone_has_failed_with_its_exception(tmp_path: Path) -> None:
    found = scan(write_corpus(tmp_path, {"m/log.txt": LOG}))
    (row,) = found.model_rows()
    assert row.scan.diagnosis.health is Health.FAILED
    assert str(row.scan.run_log and row.scan.run_log.final_exception) == "ValueError: no way"


def test_node_tells_what_it_reads_and_what_is_known_of_it(tmp_path: Path) -> None:
    class Knowing(FakeRegistry):
        def judge(self, graph):  # type: ignore[no-untyped-def]
            known = {node.name: node.meta for node in graph.nodes if node.meta is not None}
            return super().judge(graph)[0], known

    statements = ("c = torch.tanh(x)", 'a: "bf16[4]" = torch.where(x, x, c)', 'b: "f8e4m3fn[4]" = torch.relu(a)')
    (graph,) = judge_of(tmp_path, graph_text(*statements, result="b"), Knowing())
    unknown, first, second = graph.nodes
    assert (first.reads, first.inputs, first.output) == (("x", "c"), ("f32[4]", "?"), "bf16[4]")
    assert (second.input_dtypes, second.output_dtypes) == (("bf16",), ("f8e4m3fn",))
    assert unknown.output == "?"


def test_graph_tells_its_inputs_and_results(tmp_path: Path) -> None:
    (graph,) = judge_of(tmp_path, RELU, FakeRegistry())
    assert (graph.inputs, graph.results) == ((("x", "?"),), ("a",))


def test_siblings_are_asked_for_ops_that_are_not_supported_only(tmp_path: Path) -> None:
    write_corpus(tmp_path, {"m/rank0_0.py": RELU, "m/rank0_1.py": TANH})
    relatives = {"torch.relu": ("torch.relu_",), "torch.tanh": ("torch.tanh_",)}
    found = scan(tmp_path, FakeRegistry({"torch.tanh": verdict(Status.UNSUPPORTED)}, relatives))
    assert found.siblings == {"torch.tanh": ("torch.tanh_",)}


def test_judge_that_cannot_be_made_stops_the_scan_and_blames_no_graph(tmp_path: Path) -> None:
    def fail() -> FakeRegistry:
        raise RegistryError("no judge")

    corpus = discover(write_corpus(tmp_path / "gm", {"m/rank0_0.py": RELU}), available())
    with (
        remembering(Options(tmp_path / "cache"), available(), "fake") as memory,
        pytest.raises(RegistryError, match="no judge"),
    ):
        scan_corpus(corpus, InProcess(fail), memory=memory)


def test_judge_is_made_once_and_only_for_what_is_not_remembered(tmp_path: Path) -> None:
    made: list[FakeRegistry] = []

    def make() -> FakeRegistry:
        made.append(FakeRegistry())
        return made[-1]

    write_corpus(tmp_path / "gm", {"m/rank0_0.py": RELU, "m/rank0_1.py": TANH})
    for expected in (1, 1):
        with remembering(Options(tmp_path / "cache"), available(), "fake") as memory:
            scan_corpus(discover(tmp_path / "gm", available()), InProcess(make), memory=memory)
        assert len(made) == expected


def test_what_was_judged_before_an_interruption_is_remembered(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    write_corpus(tmp_path / "gm", {"m/rank0_0.py": RELU, "m/rank0_1.py": TANH})
    corpus = discover(tmp_path / "gm", available())
    with (
        pytest.raises(KeyboardInterrupt),
        remembering(Options(tmp_path / "cache"), available(), "fake") as memory,
    ):
        scan_corpus(corpus, InProcess(FakeRegistry), interrupt, memory)
    again = FakeRegistry()
    with remembering(Options(tmp_path / "cache"), available(), "fake") as memory:
        scan_corpus(corpus, InProcess(lambda: again), memory=memory)
    assert again.judged == []


def judge_of(root: Path, text: str, registry: FakeRegistry) -> tuple[JudgedGraph, ...]:
    (found,) = scan(write_corpus(root, {"m/rank0_0.py": text}), registry).bodies.values()
    return found.graphs
