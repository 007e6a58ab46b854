from __future__ import annotations

from dataclasses import replace

from building import body, coverage, graph_file, model, node
from site_pages import Element, read_page

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.judged import ModelScan
from opcov.loaders.runlog import Frame, RunException, RunLog
from opcov.problems import Problem, Slug
from opcov.registries.families import Family
from opcov.reports.html.groupings import group
from opcov.reports.html.model_page import render_model
from opcov.reports.html.names import graph_page, model_page, op_page
from opcov.reports.report import Findings
from opcov.verdict import Status


def page_of(found: Coverage, name: str = "m") -> Element:
    grouping = group(found)
    return read_page(render_model(Findings(found), grouping, grouping.models[name]))


def facts_of(page: Element) -> dict[str, str]:
    facts = next(element for element in page.all("dl") if "facts" in element.classes)
    return {term.words: meaning.words for term, meaning in zip(facts.all("dt"), facts.all("dd"), strict=True)}


def ranked(**digests: str) -> ModelScan:
    """A model m whose files are named by rank and index: `r0_1="digest"`."""
    files = []
    for name, digest in digests.items():
        rank, index = map(int, name.removeprefix("r").split("_"))
        files.append(replace(graph_file(f"m/rank{rank}_{index}.py", digest), rank=rank, index=index))
    return ModelScan("m", tuple(files), Diagnosis(Health.OK))


def test_numbers_are_those_of_the_coverage(pages, fixtures_findings) -> None:
    for row in fixtures_findings.coverage.model_rows():
        facts = facts_of(pages[model_page(row.scan.name)])
        assert facts["graph files"] == str(len(row.scan.files))
        assert facts["distinct graphs"] == str(row.distinct)
        assert facts["ranks with files"] == str(row.ranks)
        assert facts["regions now"] == str(row.placed_regions)
        assert facts["regions recorded"] == str(row.recorded_regions)
        assert facts["that fall back"] == str(row.fallback_regions)
        assert facts["transitions"] == str(row.transitions)
        assert facts["lost graphs"] == str(row.lost_graphs)


def test_health_is_told_with_its_reasons_and_the_innermost_frame_of_the_last_exception() -> None:
    made = coverage({}, body("d", node("torch.a")))
    exception = RunException("ValueError", "no such thing", Frame("/x/site-packages/zoo/net.py", 7, "load"), 4)
    sick = replace(
        model("m", {"rank0_0.py": "d"}, Diagnosis(Health.PARTIAL, ("4 tracebacks", "rank 1 is missing"))),
        run_log=RunLog(exception, (exception,), 4, (0, 1, 2), 4, False),
    )
    page = page_of(replace(made, models={"m": sick}))
    exception_shown = page.one("figure", id="exception")
    assert exception_shown.one("blockquote").words == "ValueError: no such thing"
    assert "zoo/net.py:7 in load" in exception_shown.words
    banner = next(element for element in page.all("div") if "banner" in element.classes)
    assert [item.words for item in banner.all("li")] == ["4 tracebacks", "rank 1 is missing"]
    facts = facts_of(page)
    assert facts["the run came to its end"] == "no"
    assert facts["ranks in the log"] == "0\N{EN DASH}2 of 4"


def test_a_model_without_run_log_says_so() -> None:
    found = coverage({"m": {"rank0_0.py": "d"}}, body("d", node("torch.a")))
    assert facts_of(page_of(found))["run log"] == "none that can be read"


def test_ops_have_the_status_that_they_have_in_this_model() -> None:
    found = coverage(
        {"m": {"rank0_0.py": "d"}, "n": {"rank0_0.py": "e"}},
        body("d", node("torch.a", Status.SUPPORTED), node("torch.b")),
        body("e", node("torch.a")),
    )
    table = page_of(found).one("table", id="ops-table")
    links = [next(cells[0].all("a")).attributes["href"] for cells in table.rows()]
    assert dict(zip(links, table.column("status"), strict=True)) == {
        f"../{op_page('torch.b')}": "unsupported",
        f"../{op_page('torch.a')}": "supported",
    }


def test_ranks_that_saved_the_same_graph_share_a_row() -> None:
    made = coverage({}, body("d", node("torch.a")), body("e", node("torch.a"), node("torch.b")))
    found = replace(made, models={"m": ranked(r0_0="d", r1_0="d", r2_0="d", r0_1="e")})
    table = page_of(found).one("table", id="graphs-table")
    links = [next(cells[0].all("a")) for cells in table.rows()]
    assert [link.words for link in links] == ["rank{0,1,2}_0.py", "rank0_1.py"]
    assert [link.attributes["href"] for link in links] == [f"../{graph_page('d')}", f"../{graph_page('e')}"]
    assert table.column("ranks") == ["0\N{EN DASH}2", "0"]
    assert table.column("index") == ["0", "1"]
    assert table.column("not supported") == ["1", "2"]


def test_a_file_that_cannot_be_read_is_a_row_without_link_with_its_problem() -> None:
    problem = Problem("m/rank0_5.py", 0, Slug.UNREADABLE, "permission denied")
    made = coverage({"m": {"rank0_0.py": "d"}}, body("d", node("torch.a")), problems=[problem])
    lost = replace(graph_file("m/rank0_5.py", ""), problem=problem)
    files = (*made.models["m"].files, lost)
    page = page_of(replace(made, models={"m": replace(made.models["m"], files=files)}))
    rows = page.one("table", id="graphs-table").rows()
    assert "rank0_5.py" in rows[-1][0].words
    assert [link.attributes["href"][0] for link in rows[-1][0].all("a")] == ["#"]
    assert "permission denied" in rows[-1][-1].words


def test_dtypes_are_counted_by_family() -> None:
    moe = {"family": Family.MOE, "input_dtypes": ("u8", "bf16"), "output_dtypes": ("bf16",)}
    gemm = {"family": Family.GEMM, "input_dtypes": ("f8e4m3fn",), "output_dtypes": ("f32",)}
    found = coverage(
        {"m": {"rank0_0.py": "d"}}, body("d", node("torch.a", **moe), node("torch.a", **moe), node("torch.b", **gemm))
    )
    table = page_of(found).one("table", id="dtypes-table")
    shown = list(zip(*(table.column(heading) for heading in ("family", "nodes", "read", "made")), strict=True))
    assert sorted(shown) == [("MoE", "2", "bf16 2 u8 2", "bf16 2"), ("dense GEMM", "1", "f8e4m3fn 1", "f32 1")]


def test_a_graph_that_a_rank_lacks_is_a_difference_between_ranks() -> None:
    made = coverage({}, body("d", node("torch.a")), body("e", node("torch.b")))
    page = page_of(replace(made, models={"m": ranked(r0_0="d", r1_0="d", r0_1="e")}))
    table = page.one("table", id="ranks-table")
    assert table.column("index") == ["1"]
    assert table.column("missing on") == ["1"]


def test_ranks_that_are_all_the_same_are_told_to_be() -> None:
    made = coverage({}, body("d", node("torch.a")))
    page = page_of(replace(made, models={"m": ranked(r0_0="d", r1_0="d")}))
    assert "all 2 ranks saved the same graphs" in page.words


def test_a_model_without_graphs_has_a_page() -> None:
    page = page_of(Coverage({"m": model("m", {}, Diagnosis(Health.FAILED, ("no graphs",)))}, {}))
    assert "It has no graph." in page.words
