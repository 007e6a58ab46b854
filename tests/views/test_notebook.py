"""What a notebook shows: fragments of HTML, a progress bar that goes away, and the example notebook itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from building import FakeRegistry, body, coverage, graph_text, model, node, verdict, write_corpus
from example_notebook import METADATA, NOTEBOOK, read, run, texts

import opcov
from opcov.corpus.health import Diagnosis, Health
from opcov.coverage import Coverage
from opcov.problems import Problem, Slug
from opcov.verdict import Status
from opcov.views.notebook import progress_bar, scan_html

PROJECT = Path(__file__).resolve().parent.parent.parent
OK = Status.SUPPORTED

# --- progress ---------------------------------------------------------------------------------------------------------


class Handle:
    """Stands for IPython's DisplayHandle: keeps what it is asked to show."""

    shown: list[tuple[str, Any]]

    def display(self, what: Any) -> None:
        self.shown.append(("display", what))

    def update(self, what: Any, *, raw: bool = False) -> None:
        self.shown.append(("raw" if raw else "update", what))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    """A running IPython kernel: what it was asked to show."""
    shown: list[tuple[str, Any]] = []
    monkeypatch.setattr(Handle, "shown", shown, raising=False)
    pretend(monkeypatch, SimpleNamespace(kernel=object()))
    return shown


def pretend(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    display = SimpleNamespace(DisplayHandle=Handle, HTML=str)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell, display=display))


def test_there_is_no_bar_where_nobody_uses_ipython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with progress_bar() as update:
        assert update is None
    assert "IPython" not in sys.modules


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["no shell", "shell in a terminal"])
def test_there_is_no_bar_without_a_kernel(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    pretend(monkeypatch, shell)
    with progress_bar() as update:
        assert update is None


def test_bar_shows_itself_once_is_updated_and_goes_away(kernel: list[tuple[str, Any]]) -> None:
    with progress_bar() as update:
        assert update is not None
        for done in (1, 2, 3):
            update(done, 4)
    assert [how for how, _ in kernel] == ["display", "update", "update", "raw"]
    assert kernel[1][1] == '<progress max="4" value="2">50 %</progress> 2 of 4 graphs'
    assert kernel[-1][1] == {"text/plain": ""}


def test_bar_goes_away_when_the_scan_fails(kernel: list[tuple[str, Any]]) -> None:
    with pytest.raises(KeyboardInterrupt), progress_bar() as update:
        assert update is not None
        update(1, 4)
        raise KeyboardInterrupt
    assert kernel[-1] == ("raw", {"text/plain": ""})


def test_bar_sends_no_more_messages_than_there_are_percents(kernel: list[tuple[str, Any]]) -> None:
    with progress_bar() as update:
        assert update is not None
        for done in range(1, 10_001):
            update(done, 10_000)
    assert len(kernel) == 102  # 0 to 100 %, and its end


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path, {"m/rank0_0.py": graph_text('a: "f32[4]" = torch.sinc(x)', result="a")})


def test_scan_in_a_notebook_shows_a_bar(kernel: list[tuple[str, Any]], corpus: Path) -> None:
    opcov.scan(corpus, registry=FakeRegistry())
    assert [how for how, _ in kernel] == ["display", "raw"]


def test_scan_with_a_callback_of_its_own_shows_no_bar(kernel: list[tuple[str, Any]], corpus: Path) -> None:
    called = []
    opcov.scan(corpus, registry=FakeRegistry(), progress=lambda done, whole: called.append((done, whole)))
    assert called == [(1, 1)]
    assert kernel == []


def test_scan_in_a_script_prints_nothing(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    opcov.scan(corpus, registry=FakeRegistry())
    assert capsys.readouterr() == ("", "")


# --- fragments --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The elements and texts of a fragment; end tags have to match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


ALLOWED = {
    "div", "p", "strong", "table", "caption", "thead", "tbody", "tr", "th", "td", "meter", "progress",
}  # fmt: skip
HOSTILE = '<img src=x onerror="alert(1)">\n</table><script>'


def hostile() -> Coverage:
    nodes = [
        node(
            HOSTILE, variant=HOSTILE, detail=HOSTILE, source_file=HOSTILE, source_function=HOSTILE, source_code=HOSTILE
        )
    ]
    found = coverage({HOSTILE: {"rank0_0.py": "1"}, "b": {}}, body("1", *nodes))
    problem = Problem(HOSTILE, 3, Slug.SYNTAX, HOSTILE)
    models = {**found.models, "b": model("b", {}, Diagnosis(Health.FAILED, (HOSTILE,)))}
    return Coverage(models, found.bodies, {HOSTILE: HOSTILE}, (problem,))


@pytest.mark.parametrize("view", ["scan", "model", "op"])
def test_foreign_text_is_text_in_every_fragment(view: str) -> None:
    scan = opcov.Scan(hostile())
    shown = {"scan": scan, "model": scan.model(HOSTILE), "op": scan.op(HOSTILE)}[view]
    page = Page(shown._repr_html_())
    assert page.tags <= ALLOWED
    assert page.attributes <= {"style", "scope", "max", "value"}
    assert any('<img src=x onerror="alert(1)"> </table><script>' in text for text in page.texts)


def test_fragment_of_a_scan_has_models_with_bars_and_ops_with_counts() -> None:
    found = coverage(
        {"a": {"rank0_0.py": "1"}, "b": {"rank0_0.py": "2"}},
        body("1", node("torch.relu", OK), node("torch.sinc"), node("torch.relu", OK)),
        body("2", node("torch.relu", OK)),
    )
    rows = Page(scan_html(found, "")).rows
    assert ["a", "ok", "1", "0/1", " 2/3 (66.7 %)"] in rows
    assert ["torch.sinc", "MISSING_OP_SUPPORT", "1", "1", "1", "zoo/net.py:7 in forward"] in rows


def test_fragment_says_what_speaks_against_a_model() -> None:
    found = Coverage({"a": model("a", {}, Diagnosis(Health.FAILED, ("no graphs", "a traceback")))}, {})
    assert ["a", "failed", "0", "-", "no graphs", "no graphs; a traceback"] in Page(scan_html(found, "")).rows


def test_fragment_of_several_models_has_their_matrix_and_that_of_one_has_none() -> None:
    found = coverage({"a": {"f": "1"}, "b": {"f": "1"}}, body("1", node("torch.sinc")))
    scan = opcov.Scan(found)
    assert scan.matrix()._repr_html_() in scan._repr_html_()
    assert scan.matrix()._repr_html_() not in scan.model("a")._repr_html_()


def test_fragment_stays_small_and_says_what_it_leaves_out() -> None:
    nodes = [node(f"torch.op{number}", detail="long " * 10_000) for number in range(100)]
    problems = [Problem(f"m{number}/f", 0, Slug.EMPTY, "long " * 10_000) for number in range(60)]
    found = coverage({f"m{number}": {"f": "1"} for number in range(60)}, body("1", *nodes), problems=problems)
    text = opcov.Scan(found)._repr_html_()
    assert len(text) < 200_000
    assert "30 more in .models" in text
    assert "85 more in .ops" in text
    assert "50 more in .problems" in text


def test_fragment_of_an_op_has_its_variants_and_sources() -> None:
    nodes = [node("x", variant="x(T)"), node("x", variant="x(T)"), node("x", OK, variant="x(N)")]
    text = opcov.Scan(coverage({"a": {"f": "1"}}, body("1", *nodes))).op("x")._repr_html_()
    rows = Page(text).rows
    assert ["x(T)", "unsupported", "MISSING_OP_SUPPORT", " 0/2 (0.0 %)"] in rows
    assert ["zoo/net.py:7 in forward", "relu(x)", "2"] in rows
    assert "unsupported; 1 of 3 nodes supported; 1 distinct graph of 1 model" in text


def test_same_scan_gives_the_same_fragment(corpus: Path) -> None:
    registry = FakeRegistry({"torch.sinc": verdict(Status.UNSUPPORTED)})
    first, second = (opcov.scan(corpus, registry=registry)._repr_html_() for _ in range(2))
    assert first == second
    assert str(corpus) not in first


# --- the example ------------------------------------------------------------------------------------------------------


@pytest.mark.recorded
def test_example_notebook_gives_what_it_shows() -> None:
    assert texts(run(NOTEBOOK.parent)) == texts(read())


@pytest.mark.recorded
def test_example_notebook_finds_the_corpus_from_the_root_of_the_project_too() -> None:
    assert texts(run(PROJECT, cells=2)) == texts(read())[:1]


def test_example_notebook_holds_outputs_and_nothing_of_a_machine() -> None:
    notebook = read()
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    assert all(cell.metadata == {} for cell in notebook.cells)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    content = NOTEBOOK.read_text(encoding="utf-8")
    assert len(content) < 60_000
    assert re.search(r"/(?:home|root|tmp|work)/", content) is None
