"""Ops against models: what a cell counts, in what order, as a frame, as HTML and as a drawing."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import pytest
from building import body, coverage, node

from opcov.coverage import Coverage
from opcov.graph import Compiler
from opcov.problems import UsageError
from opcov.verdict import Status
from opcov.views.matrix import Matrix, matrix_of

OK = Status.SUPPORTED


@pytest.fixture
def two_models() -> Coverage:
    """sinc: three nodes in one graph of a, one in b; histc: one node in b; c has no graph, d only supported nodes."""
    return coverage(
        {"a": {"rank0_0.py": "1", "rank1_0.py": "1"}, "b": {"rank0_0.py": "2"}, "c": {}, "d": {"rank0_0.py": "3"}},
        body("1", *[node("torch.sinc", name=f"n{number}") for number in range(3)], node("torch.relu", OK)),
        body("2", node("torch.sinc"), node("torch.histc")),
        body("3", node("torch.relu", OK)),
    )


def cells(matrix: Matrix) -> dict[str, dict[str, int | None]]:
    return {op: dict(zip(matrix.models, row, strict=True)) for op, row in zip(matrix.ops, matrix.cells, strict=True)}


def test_cell_counts_nodes_of_distinct_graphs(two_models: Coverage) -> None:
    assert cells(matrix_of(two_models)) == {
        "torch.sinc": {"a": 3, "b": 1, "c": None, "d": 0},
        "torch.histc": {"a": 0, "b": 1, "c": None, "d": 0},
    }


def test_cell_counts_distinct_graphs_when_asked(two_models: Coverage) -> None:
    assert cells(matrix_of(two_models, "graphs"))["torch.sinc"] == {"a": 1, "b": 1, "c": None, "d": 0}


def test_cell_counts_regions_that_an_op_alone_keeps_from_thunder() -> None:
    def fallback(op: str, region: str) -> object:
        return node(op, placed=Compiler.INDUCTOR, placed_region=region)

    found = coverage(
        {"a": {"rank0_0.py": "1"}},
        body("1", *[fallback("x", "i_0"), fallback("y", "i_0"), fallback("x", "i_2")]),  # type: ignore[list-item]
    )
    assert cells(matrix_of(found, "sole")) == {"x": {"a": 1}, "y": {"a": 0}}
    assert cells(matrix_of(found, "regions")) == {"x": {"a": 2}, "y": {"a": 1}}


def test_ops_are_in_the_order_of_the_table_of_ops(two_models: Coverage) -> None:
    unsupported = [row.op for row in two_models.op_rows if row.counts.not_supported]
    assert list(matrix_of(two_models).ops) == unsupported


def test_models_are_in_natural_order() -> None:
    found = coverage({"m10": {}, "m9": {}})
    assert matrix_of(found).models == ("m9", "m10")


def test_sums_of_a_matrix_are_the_counts_of_the_models(two_models: Coverage) -> None:
    frame = matrix_of(two_models).frame
    counts = {row.scan.name: row.counts.not_supported for row in two_models.model_rows()}
    assert frame.sum().to_dict() == counts


def test_unknown_value_names_those_that_there_are(two_models: Coverage) -> None:
    with pytest.raises(UsageError, match=r"cannot count 'percent'; it counts: nodes, graphs, regions, sole$"):
        matrix_of(two_models, "percent")


def test_frame_knows_missing_numbers(two_models: Coverage) -> None:
    frame = matrix_of(two_models).frame
    assert {str(dtype) for dtype in frame.dtypes} == {"Int64"}
    assert frame["c"].isna().all()
    assert (frame.index.name, frame.columns.name) == ("op", "model")


def test_frame_of_nothing_has_its_models() -> None:
    frame = matrix_of(coverage({"a": {"rank0_0.py": "1"}}, body("1", node("torch.relu", OK)))).frame
    assert frame.shape == (0, 1)


# --- HTML -------------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Collects the elements, the attributes and the text of a fragment; end tags have to match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


HOSTILE = '<img src=x onerror="alert(1)">&lt;\n\x1b[31m'


def test_foreign_names_are_text_in_the_html() -> None:
    found = coverage({HOSTILE: {"rank0_0.py": "1"}}, body("1", node(HOSTILE)))
    page = Tags(matrix_of(found)._repr_html_())
    assert page.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert page.attributes == {"style", "scope"}
    assert page.texts.count('<img src=x onerror="alert(1)">&lt; [31m') == 2


def test_more_counts_are_warmer(two_models: Coverage) -> None:
    text = matrix_of(two_models)._repr_html_()
    strength = {int(number): float(alpha) for alpha, number in re.findall(r"rgba\([\d,]+,([\d.]+)\)\">(\d+)<", text)}
    assert strength.keys() == {1, 3}
    assert 0 < strength[1] < strength[3] <= 0.5


def test_html_says_how_much_of_a_large_matrix_it_leaves_out() -> None:
    ops, models = [f"op{number}" for number in range(100)], [f"m{number}" for number in range(50)]
    matrix = Matrix("nodes", tuple(ops), tuple(models), ((1,) * 50,) * 100)
    text = matrix._repr_html_()
    assert "60 ops and 10 models more in .frame" in text
    assert (text.count("<tr>"), text.count("<td")) == (41, 1600)


def test_html_of_a_matrix_without_ops_says_so() -> None:
    assert Matrix("nodes", (), ("a",), ())._repr_html_() == "<p>No op is unsupported.</p>"


# --- drawing ----------------------------------------------------------------------------------------------------------


def test_plot_draws_names_as_text_and_never_as_formulas() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = Matrix("nodes", ("op",), ("$\\nosuch{", "b"), ((2, None),)).plot(figure.subplots())
    figure.canvas.draw()  # matplotlib parses a formula when it draws it
    assert [label.get_text() for label in axes.get_xticklabels()] == ["$\\nosuch{", "b"]
    assert [text.get_text() for text in axes.texts] == ["2"]


def test_plot_without_axes_makes_a_figure_of_pyplot(two_models: Coverage, monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    axes = matrix_of(two_models).plot()
    try:
        assert axes.figure.number in pyplot.get_fignums()
    finally:
        pyplot.close(axes.figure)


def test_plot_without_matplotlib_says_what_to_install(two_models: Coverage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install opcov\[plot\]"):
        matrix_of(two_models).plot()


def test_plot_of_nothing_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        Matrix("nodes", (), ("a",), ()).plot()
