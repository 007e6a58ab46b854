from __future__ import annotations

import posixpath
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from building import body, coverage, model, node
from site_pages import Element, read_page

from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.loaders.runlog import Frame, RunException, RunLog
from opcov.problems import Problem, Slug
from opcov.reports import by_name
from opcov.reports.html import REPORT, render
from opcov.reports.report import Findings, FolderReport
from opcov.verdict import Status

HOSTILE = (
    "<script>alert(1)</script>",
    "</textarea></title></style>",
    "javascript:alert(1)",
    "\" onmouseover='alert(1)' x=\"",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "line\nbreak",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;",
)
VISIBLE = {
    "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
    "\u202egnp.exe": "\\u202egnp.exe",
    "line\nbreak": "line\\nbreak",
}


def hostile_findings(evil: str) -> Findings:
    """A coverage with one text wherever a dump can put text."""
    changes = {
        "variant": evil, "expression": evil, "detail": evil, "source_file": evil, "source_function": evil,
        "source_code": evil, "kernel": evil, "name": evil, "inputs": (evil,), "output": evil, "input_dtypes": (evil,),
        "output_dtypes": (evil,),
    }  # fmt: skip
    problem = Problem(f"{evil}/rank0_1.py", 3, Slug.SYNTAX, evil)
    made = coverage(
        {evil: {"rank0_1.py": "d1"}, "other": {"rank0_1.py": "d2"}},
        body("d1", node(evil, **changes), node("torch.relu", Status.CRASH, **changes), problems=[problem], crash=evil),
        body("d2", node(evil, Status.UNKNOWN, **changes), node("torch.relu", Status.SUPPORTED, **changes)),
        problems=[problem],
    )
    exception = RunException(evil, evil, Frame(evil, 3, evil), 2)
    other = RunException(evil, "second", None, 1)
    sick = replace(
        model(evil, {"rank0_1.py": "d1"}, Diagnosis(Health.PARTIAL, (evil,))),
        run_log=RunLog(exception, (exception, other), 3, (0,), 2, False, (evil,)),
    )
    siblings = {evil: (evil, "relative"), "torch.relu": (evil,)}
    made = replace(made, models={**made.models, evil: sick}, versions={evil: evil}, siblings=siblings)
    return Findings(made, lambda _digest: evil)


def trees(site: dict[str, str]) -> dict[str, Element]:
    return {path: read_page(text) for path, text in site.items() if path.endswith(".html")}


# --- links ------------------------------------------------------------------------------------------------------------


def test_every_link_leads_to_a_file_of_the_site(site, pages) -> None:
    broken = []
    for path, page in pages.items():
        for element in page.all():
            for name in ("href", "src"):
                address = urlsplit(element.attributes.get(name, ""))
                if address.scheme == "data" or not address.path:
                    continue
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(address.path)))
                if target not in site:
                    broken.append((path, element.attributes[name]))
    assert broken == []


def test_every_fragment_of_a_link_is_an_id_of_its_page(pages) -> None:
    ids = {path: {element.attributes["id"] for element in page.all() if "id" in element.attributes}
           for path, page in pages.items()}  # fmt: skip
    broken = []
    for path, page in pages.items():
        for element in page.all():
            address = urlsplit(element.attributes.get("href", ""))
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), address.path)) if address.path else path
            if address.fragment and unquote(address.fragment) not in ids[target]:
                broken.append((path, element.attributes["href"]))
    assert broken == []


def test_every_op_model_and_distinct_graph_has_a_page(site, fixtures_findings) -> None:
    found = fixtures_findings.coverage
    expected = 1 + len(found.op_rows) + len(found.models) + len(found.files_by_body)
    assert sum(path.endswith(".html") for path in site) == expected


def test_no_page_refers_to_another_host(pages) -> None:
    for page in pages.values():
        for element in page.all():
            for name in ("href", "src", "action", "xlink:href", "data", "poster", "srcset"):
                address = urlsplit(element.attributes.get(name, ""))
                assert address.scheme in ("", "data")
                assert address.netloc == ""


def test_static_files_refer_to_nothing(site) -> None:
    static = [text for path, text in site.items() if path.startswith("static/")]
    assert static
    assert not any(word in text for text in static for word in ("http:", "https:", "@import", "url("))


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_equal_findings_give_equal_bytes(site, fixtures_findings) -> None:
    assert render(fixtures_findings) == site


def test_order_of_models_and_bodies_in_the_coverage_does_not_matter(site, fixtures_findings) -> None:
    found = fixtures_findings.coverage
    turned = Coverage(
        dict(reversed(found.models.items())),
        dict(reversed(list(found.bodies.items()))),
        dict(reversed(found.versions.items())),
        found.problems,
        dict(reversed(found.siblings.items())),
    )
    assert render(Findings(turned)) == site


def test_a_coverage_of_nothing_has_a_start_page() -> None:
    assert "No node was judged." in read_page(render(Findings(Coverage({}, {})))["index.html"]).words


def test_no_machine_path_is_in_the_start_page(site) -> None:
    assert str(Path.home()) not in site["index.html"]
    assert str(Path(__file__).resolve().parents[3]) not in site["index.html"]


# --- hostile texts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_texts_make_no_markup(evil) -> None:
    for page in trees(render(hostile_findings(evil))).values():
        for element in page.all():
            assert element.tag not in ("img", "iframe", "object", "embed", "textarea", "form", "base", "style")
            if element.tag == "script":
                assert element.attributes["src"].endswith(("static/script.js", "static/graph.js"))
            assert not any(name.startswith("on") or name == "style" for name in element.attributes)


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_texts_make_no_link(evil) -> None:
    site = render(hostile_findings(evil))
    for path, page in trees(site).items():
        for element in page.all("a"):
            address = urlsplit(element.attributes["href"])
            assert address.scheme == address.netloc == ""
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), address.path)) if address.path else path
            assert target in site


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_texts_are_shown_as_they_are(evil) -> None:
    shown = VISIBLE.get(evil, evil)
    pages = trees(render(hostile_findings(evil)))
    (op,) = [page for path, page in pages.items() if path.startswith("op/") and page.one("h1").text == shown]
    (name,) = [page for path, page in pages.items() if path.startswith("model/") and page.one("h1").text == shown]
    assert shown in pages["index.html"].text
    assert [quote.text for quote in op.all("blockquote")] == [shown, shown]
    assert name.one("blockquote").text == f"{shown}: {shown}"


@pytest.mark.parametrize("evil", HOSTILE)
def test_no_page_holds_a_character_that_cannot_be_seen(evil) -> None:
    for text in render(hostile_findings(evil)).values():
        assert not [char for char in text if not char.isprintable() and char not in "\n\N{NARROW NO-BREAK SPACE}"]


def test_a_half_of_a_surrogate_pair_can_be_written() -> None:
    for text in render(hostile_findings("\ud800")).values():
        text.encode()


# --- shape of all pages -----------------------------------------------------------------------------------------------


def test_pages_have_one_main_heading_and_leave_out_no_level(pages) -> None:
    for path, page in pages.items():
        levels = [int(element.tag[1]) for element in page.one("main").all() if element.tag in ("h1", "h2", "h3", "h4")]
        assert levels.count(1) == 1, path
        assert levels[0] == 1, path
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels)), path


def test_ids_of_a_page_are_unique(pages) -> None:
    for path, page in pages.items():
        ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
        assert len(ids) == len(set(ids)), path


def test_tables_have_captions_and_scopes(pages) -> None:
    for path, page in pages.items():
        for table in page.all("table"):
            assert table.one("caption").words, path
            assert all(cell.attributes.get("scope") in ("col", "row") for cell in table.all("th")), path


def test_pages_forbid_scripts_of_others_and_inline_ones(pages) -> None:
    for page in pages.values():
        (policy,) = [
            element.attributes["content"]
            for element in page.all("meta")
            if element.attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["font-src"] == "'none'"
        assert set(rules["script-src"].split()) <= {"'self'", "file:"}
        assert set(rules["style-src"].split()) <= {"'self'", "file:"}


def test_pages_have_no_inline_script_style_or_handler(pages) -> None:
    for page in pages.values():
        for element in page.all():
            assert element.tag != "style"
            assert element.tag != "script" or ("src" in element.attributes and not element.text)
            assert not any(name == "style" or name.startswith("on") for name in element.attributes)


def test_pages_name_the_versions_that_the_verdicts_hold_for(pages, fixtures_findings) -> None:
    expected = [f"{name} {version}" for name, version in sorted(fixtures_findings.coverage.versions.items())]
    for page in pages.values():
        (versions,) = [element for element in page.all("p") if element.classes == ["versions"]]
        assert [span.words for span in versions.all("span")] == expected


def test_boxes_that_scroll_can_be_reached_by_keyboard_and_have_a_name(pages) -> None:
    for page in pages.values():
        for box in page.all("div"):
            if "box" in box.classes:
                assert box.attributes["tabindex"] == "0"
                assert box.attributes["role"] == "region"
                assert box.attributes["aria-label"]


# --- as a report ------------------------------------------------------------------------------------------------------


def test_the_report_is_known_by_its_name() -> None:
    assert by_name("html") is REPORT
    assert isinstance(REPORT, FolderReport)


def test_names_that_are_told_beforehand_are_written(site) -> None:
    assert set(REPORT.names) <= set(site)


def test_pages_of_a_large_corpus_stay_small(shared) -> None:
    import opcov

    site = opcov.scan(shared / "gm").coverage
    rendered = render(Findings(site))
    assert sum(len(text.encode()) for path, text in rendered.items() if not path.startswith("graph/")) < 3_000_000
