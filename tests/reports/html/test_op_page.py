from __future__ import annotations

from dataclasses import replace

import pytest
from building import body, coverage, node
from site_pages import Element, read_page

from opcov.coverage import Coverage
from opcov.graph import Compiler
from opcov.reports.html.groupings import group
from opcov.reports.html.names import graph_page, op_page
from opcov.reports.html.op_page import render_op
from opcov.verdict import Status


def page_of(found: Coverage, op: str) -> Element:
    grouping = group(found)
    return read_page(render_op(found, grouping, grouping.ops[op]))


def facts_of(page: Element) -> dict[str, str]:
    facts = next(element for element in page.all("dl") if "facts" in element.classes)
    return {term.words: meaning.words for term, meaning in zip(facts.all("dt"), facts.all("dd"), strict=True)}


def one_graph(*nodes, **changes) -> Coverage:
    return replace(coverage({"m": {"rank0_0.py": "d"}}, body("d", *nodes)), **changes)


def test_all_sentences_of_the_registry_are_told_and_counted_the_commonest_first() -> None:
    found = one_graph(
        node("torch.a", detail="rare"), node("torch.a", detail="common"), node("torch.a", detail="common")
    )  # fmt: skip
    page = page_of(found, "torch.a")
    assert [quote.words for quote in page.all("blockquote")] == ["common", "rare"]
    captions = [caption.words for caption in page.all("figcaption")]
    assert [caption.split(" MISSING")[0] for caption in captions] == ["2 nodes", "1 node"]


def test_sources_are_those_of_the_coverage_with_their_code(pages, fixtures_findings) -> None:
    row = max(fixtures_findings.coverage.op_rows, key=lambda row: len(row.sources) * bool(row.counts.not_supported))
    table = pages[op_page(row.op)].one("table", id="sources-table")
    assert len(row.sources) > 1
    assert table.column("nodes") == [str(source.nodes) for source in row.sources]
    assert table.column("code") == [" ".join(source.code.split()) for source in row.sources]
    assert table.column("function") == [source.function for source in row.sources]


def test_numbers_are_those_of_the_coverage(pages, fixtures_findings) -> None:
    for row in fixtures_findings.coverage.op_rows:
        facts = facts_of(pages[op_page(row.op)])
        assert facts["distinct graphs"] == str(row.graphs)
        assert facts["files"] == str(len(row.files))
        assert facts["models"] == str(len(row.models))
        assert facts["variants"] == str(row.variants)
        assert facts["nodes"].startswith(str(row.counts.nodes))
        if row.status is not Status.SUPPORTED:
            assert facts["fallback regions"] == str(row.fallback_regions)
            assert facts["that it alone causes"] == str(row.sole_regions)
            assert facts["lost graphs"] == str(row.lost_graphs)


def test_variants_are_all_call_shapes_of_the_op(pages, fixtures_findings) -> None:
    expected: dict[str, set[tuple[str, str]]] = {}
    for row in fixtures_findings.coverage.variant_rows:
        expected.setdefault(op_page(row.op), set()).add((" ".join(row.variant.split()), str(row.counts.nodes)))
    for path, variants in expected.items():
        table = pages[path].one("table", id="variants-table")
        shapes = [next(cells[0].all("code")).words for cells in table.rows()]
        assert set(zip(shapes, table.column("nodes"), strict=True)) == variants


def test_graphs_that_hold_an_unsupported_op_are_linked(pages, fixtures_findings) -> None:
    found = fixtures_findings.coverage
    row = next(row for row in found.op_rows if row.counts.not_supported)
    table = pages[op_page(row.op)].one("table", id="graphs-table")
    links = [next(cells[0].all("a")).attributes["href"] for cells in table.rows()]
    holding = [digest for digest in found.files_by_body if any(one.op == row.op for one in found.bodies[digest].nodes)]
    assert links == [f"../{graph_page(digest)}" for digest in holding]


def test_a_shared_graph_counts_for_each_of_its_models() -> None:
    found = coverage({"a": {"rank0_0.py": "d"}, "b": {"rank0_0.py": "d"}}, body("d", node("torch.a"), node("torch.a")))
    table = page_of(found, "torch.a").one("table", id="models-table")
    assert list(zip(table.column("model"), table.column("nodes"), strict=True)) == [("a", "2"), ("b", "2")]


def test_relatives_that_thunder_knows_are_told_and_linked_where_a_graph_has_them() -> None:
    found = one_graph(
        node("torch.a"), node("torch.b", Status.SUPPORTED), siblings={"torch.a": ("torch.b", "torch.Tensor.a")}
    )
    page = page_of(found, "torch.a")
    section = page.one("section", **{"aria-labelledby": "do"})
    assert section.one("h3", id="aliases")
    siblings = next(element for element in section.all("ul") if "siblings" in element.classes)
    assert [item.words for item in siblings.all("li")] == ["torch.b", "torch.Tensor.a"]
    assert [link.attributes["href"] for link in siblings.all("a")] == [f"../{op_page('torch.b')}"]


def test_triton_kernels_are_named() -> None:
    found = one_graph(node("torch.a", kernel="scale_kernel"))
    assert "scale_kernel" in page_of(found, "torch.a").one("section", **{"aria-labelledby": "do"}).words


def test_ops_of_the_same_fallback_regions_are_named_with_their_number() -> None:
    placed = {"placed": Compiler.INDUCTOR, "placed_region": "inductor_0"}
    page = page_of(one_graph(node("torch.a", **placed), node("torch.b", **placed)), "torch.a")
    sets = next(element for element in page.all("ul") if "sets" in element.classes)
    assert sets.words == "1 torch.b"


@pytest.mark.parametrize("heading", ["why", "do", "graphs"])
def test_the_page_of_a_supported_op_leaves_out_what_is_for_others(heading) -> None:
    assert not list(page_of(one_graph(node("torch.a", Status.SUPPORTED)), "torch.a").all("h2", id=heading))


def test_an_op_of_which_too_little_is_known_is_not_called_unsupported() -> None:
    lead = next(
        element for element in page_of(one_graph(node("torch.a", Status.UNKNOWN)), "torch.a").all("p")
        if "lead" in element.classes
    )  # fmt: skip
    assert lead.words == "unknown Too little is known of 1 node of 1 to ask Thunder."
