from __future__ import annotations

from dataclasses import replace

import pytest
from building import body, coverage, model, node
from site_pages import Element, read_page

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.coverage.plan import plan
from opcov.document import totals
from opcov.graph import Compiler
from opcov.judged import Compared, percentage
from opcov.problems import Problem, Slug
from opcov.reports.html.groupings import group
from opcov.reports.html.index_page import render_index
from opcov.reports.html.names import model_page, op_page
from opcov.verdict import Status


def index_of(found: Coverage) -> Element:
    return read_page(render_index(found, group(found)))


def fallback(op: str, region: str = "inductor_0", **changes: object):
    """A node that falls back, as it was recorded."""
    placed = {"recorded": Compiler.INDUCTOR, "placed": Compiler.INDUCTOR, "placed_region": region}
    return node(op, **{**placed, "recorded_region": region, "compared": Compared.SAME, **changes})


@pytest.fixture(scope="session")
def index(pages) -> Element:
    return pages["index.html"]


@pytest.fixture(scope="session")
def found(fixtures_findings) -> Coverage:
    return fixtures_findings.coverage


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_tiles_show_the_totals_of_the_document(index, found) -> None:
    expected = totals(found)
    figures = {tile.attributes["id"]: tile for tile in index.all("div") if "tile" in tile.classes}
    assert next(figures["coverage-nodes"].all("p")).words == f"{expected.node_coverage} %"
    assert next(figures["coverage-graphs"].all("p")).words == f"{expected.graph_coverage} %"
    assert f"of {expected.models}" in figures["coverage-models"].words


def test_fallback_regions_are_those_of_all_distinct_graphs(index, found) -> None:
    expected = sum(graph.fallback_regions for one in found.bodies.values() for graph in one.graphs)
    tile = index.one("div", id="fallback")
    assert next(tile.all("p")).words == str(expected)


@pytest.mark.parametrize(
    ("heading", "value"),
    [
        ("graphs", lambda row: row.graphs),
        ("models", lambda row: len(row.models)),
        ("fallback", lambda row: row.fallback_regions),
        ("alone", lambda row: row.sole_regions),
        ("lost", lambda row: row.lost_graphs),
        ("nodes", lambda row: row.counts.not_supported or row.counts.nodes),
    ],
)
def test_numbers_of_ops_are_those_of_the_coverage(index, found, heading, value) -> None:
    table = index.one("table", id="ops-table")
    links = [next(row[0].all("a")).attributes["href"] for row in table.rows()]
    expected = {op_page(row.op): str(value(row)) for row in found.op_rows}
    assert dict(zip(links, table.column(heading), strict=True)) == expected


@pytest.mark.parametrize(
    ("heading", "value"),
    [
        ("files", lambda row: len(row.scan.files)),
        ("distinct", lambda row: row.distinct),
        ("whole", lambda row: row.covered),
        ("nodes", lambda row: row.counts.nodes),
        ("regions", lambda row: row.placed_regions),
        ("fallback", lambda row: row.fallback_regions),
        ("transitions", lambda row: row.transitions),
        ("lost", lambda row: row.lost_graphs),
    ],
)
def test_numbers_of_models_are_those_of_the_coverage(index, found, heading, value) -> None:
    table = index.one("table", id="models-table")
    expected = [str(value(row)) for row in found.model_rows()]
    assert table.column(heading) == expected


def test_coverage_of_a_model_is_the_share_of_its_judged_nodes(index, found) -> None:
    rows = index.one("table", id="models-table").rows()
    for cells, row in zip(rows, found.model_rows(), strict=True):
        judged = row.counts.supported + row.counts.not_supported
        shown = f"{percentage(row.counts.supported, judged)} %" if judged else "no graphs"
        assert shown in [cell.words for cell in cells]


def test_cells_of_the_matrix_are_the_nodes_not_supported_of_each_model(index, found) -> None:
    matrix = index.one("table", id="matrix-table")
    models = [link.attributes["href"] for link in matrix.one("thead").all("a")]
    shown = {}
    for cells in matrix.rows():
        op = next(cells[0].all("a")).attributes["href"]
        shown |= {(op, model): int(cell.words) for model, cell in zip(models, cells[1:], strict=True) if cell.words}
    expected: dict[tuple[str, str], int] = {}
    for digest, files in found.files_by_body.items():
        for name in {owner.name for owner, _ in files}:
            for one in found.bodies[digest].nodes:
                if one.status in (Status.UNSUPPORTED, Status.CRASH):
                    key = (op_page(one.op), model_page(name))
                    expected[key] = expected.get(key, 0) + 1
    assert shown == expected


# --- order and emphasis -----------------------------------------------------------------------------------------------


def test_ops_not_supported_come_first_by_impact(index, found) -> None:
    wanting = sorted((row for row in found.op_rows if row.counts.not_supported), key=lambda row: row.impact)
    table = index.one("table", id="ops-table")
    links = [next(row[0].all("a")).attributes["href"] for row in table.rows()]
    by_page = {op_page(row.op): row.impact for row in wanting}
    shown = [by_page[link] for link in links[: len(wanting)]]
    assert shown == sorted(shown, reverse=True)


def test_supported_ops_are_marked_so_that_the_switch_hides_them(index, found) -> None:
    rows = list(index.one("table", id="ops-table").one("tbody").all("tr"))
    hidden = {next(row.all("a")).attributes["href"] for row in rows if row.attributes["data-status"] == "supported"}
    assert hidden == {op_page(row.op) for row in found.op_rows if row.status is Status.SUPPORTED}
    assert "checked" in index.one("input", id="hide-supported").attributes


def test_steps_link_to_their_ops_in_the_order_of_the_plan(index, found) -> None:
    steps = next(element for element in index.all("ol") if "steps" in element.classes)
    links = [link.attributes["href"] for link in steps.all("a")]
    planned = [op_page(op) for step in plan(found) for op in step.ops]
    assert links
    assert links == planned[: len(links)]


def test_steps_say_how_many_regions_are_gone_with_all_of_them() -> None:
    regions = [body(f"d{number}", fallback("torch.a")) for number in range(3)]
    both = body("d3", fallback("torch.a"), fallback("torch.b"))
    page = index_of(coverage({"m": {f"rank0_{i}.py": f"d{i}" for i in range(4)}}, *regions, both))
    steps = next(element for element in page.all("ol") if "steps" in element.classes)
    assert [abbr.words for abbr in steps.all("abbr")] == ["3 of 4 gone", "4 of 4 gone"]


def test_ops_whose_regions_go_only_together_are_listed_as_sets() -> None:
    page = index_of(coverage({"m": {"rank0_0.py": "d"}}, body("d", fallback("torch.a"), fallback("torch.b"))))
    sets = next(element for element in page.all("ul") if "sets" in element.classes)
    assert sets.words == "1 torch.a + torch.b"


def test_every_model_that_is_not_ok_is_in_the_banner_with_its_reasons(index, found) -> None:
    banner = index.one("section", id="runs")
    sick = [row.scan for row in found.model_rows() if row.scan.diagnosis.health is not Health.OK]
    assert sick
    assert [link.attributes["href"] for link in banner.all("a")] == [model_page(scan.name) for scan in sick]
    for scan in sick:
        assert all(" ".join(reason.split()) in banner.words for reason in scan.diagnosis.reasons)


def test_a_corpus_whose_runs_are_all_whole_has_no_banner() -> None:
    assert not list(index_of(coverage({"m": {"rank0_0.py": "d"}}, body("d", fallback("torch.a")))).all(id="runs"))


def test_a_corpus_without_unsupported_ops_says_that_nothing_falls_back() -> None:
    page = index_of(coverage({"m": {"rank0_0.py": "d"}}, body("d", node("torch.a", Status.SUPPORTED))))
    assert "Nothing falls back." in page.words


def test_a_model_without_graphs_is_void_in_the_matrix() -> None:
    made = coverage({"m": {"rank0_0.py": "d"}}, body("d", fallback("torch.a")))
    empty = model("n", {}, Diagnosis(Health.FAILED, ("no graphs",)))
    (cells,) = index_of(replace(made, models={**made.models, "n": empty})).one("table", id="matrix-table").rows()
    assert [cell.classes for cell in cells[1:]] == [["heat-1"], ["void"]]


# --- recorded and today -----------------------------------------------------------------------------------------------


def test_placements_as_recorded_take_one_sentence() -> None:
    page = index_of(coverage({"m": {"rank0_0.py": "d"}}, body("d", fallback("torch.a"), fallback("torch.b"))))
    assert page.one("p", id="as-recorded").words == "All 2 nodes of 1 split graph are placed as recorded."


def test_ops_that_thunder_gained_and_lost_are_told_with_what_explains_it() -> None:
    changes = {"compared": Compared.VERDICT, "placed": Compiler.THUNDER, "placed_region": "thunder_0"}
    gained = fallback("torch.gain", status=Status.SUPPORTED, **changes)
    lost = fallback("torch.lose", recorded=Compiler.THUNDER, compared=Compared.VERDICT)
    table = index_of(coverage({"m": {"rank0_0.py": "d"}}, body("d", gained, lost))).one("table", id="recorded-table")
    assert list(zip(table.column("op"), table.column("change"), table.column("explained by"), strict=True)) == [
        ("torch.gain", "gained", "drift"),
        ("torch.lose", "lost", "drift"),
    ]


def test_graphs_without_recorded_placements_are_not_compared() -> None:
    plain = node("torch.a", recorded=None, recorded_region="")
    page = index_of(coverage({"m": {"rank0_0.py": "d"}}, body("d", plain)))
    assert "there is nothing to compare" in page.words


# --- problems ---------------------------------------------------------------------------------------------------------


def test_problems_with_one_message_share_a_row_that_names_all_files() -> None:
    problems = [Problem(f"m/rank0_{number}.py", 1, Slug.SYNTAX, "a line is odd") for number in range(3)]
    problems.append(Problem("m/rank0_9.py", 0, Slug.EMPTY, "there is no node"))
    made = coverage({"m": {"rank0_0.py": "d"}}, body("d", fallback("torch.a")), problems=problems)
    table = index_of(made).one("table", id="problems-table")
    assert [[cell.words for cell in row] for row in table.rows()] == [
        ["syntax", "3", "a line is odd", "m/rank0_{0,1,2}.py"],
        ["empty", "1", "there is no node", "m/rank0_9.py"],
    ]
