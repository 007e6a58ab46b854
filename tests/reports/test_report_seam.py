"""The seam of reports: kinds by name, near names for mistakes, kinds that other packages offer."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from building import OK, body, coverage

import opcov
from opcov import api, plugins, reports
from opcov.problems import UsageError
from opcov.reports import by_name, names
from opcov.reports.report import FileReport, Findings, FolderReport, no_text

BUILT_IN = (
    "all_ops", "csv", "github", "gitlab", "html", "json", "jsonl", "junit", "markdown", "parquet", "sarif", "text",
)  # fmt: skip

NODES = FileReport("nodes", "the number of nodes", lambda found: str(found.coverage.counts.nodes))
NO_REPORT = "not a report"


def refuse() -> None:
    raise UsageError("pip install paper")


PAPER = FileReport("paper", "on paper", lambda _: "", refuse)


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another package offers kinds of reports, not all of them sound."""
    values = {
        "nodes": f"{__name__}:NODES",
        "string": f"{__name__}:NO_REPORT",
        "absent": "no_such_package.reports:REPORT",
        "paper": f"{__name__}:PAPER",
        "json": f"{__name__}:NODES",
    }
    points = [EntryPoint(name, value, reports.ENTRY_POINTS) for name, value in values.items()]
    monkeypatch.setattr(plugins, "offered", lambda group: points if group == reports.ENTRY_POINTS else [])
    by_name.cache_clear()
    yield
    by_name.cache_clear()


def scan() -> opcov.Scan:
    return api.Scan(coverage({"m": {"rank0_0.py": "d"}}, body("d", OK, OK)))


def test_names_are_those_built_in_and_those_offered() -> None:
    assert names() == (*BUILT_IN, "absent", "nodes", "paper", "string")


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name != "html"])
def test_kind_is_called_as_it_is_asked_for(name: str) -> None:
    report = by_name(name)
    assert report.name == name
    assert report.meaning


def test_name_that_is_not_known_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no kind of report is called 'markdwn'; did you mean markdown"):
        by_name("markdwn")


def test_name_that_is_near_to_none_gets_all_of_them() -> None:
    with pytest.raises(UsageError, match=r"there are: all_ops, csv, .*, nodes"):
        by_name("xyzzy")


def test_kind_of_another_package_is_rendered_and_written(tmp_path: Path) -> None:
    assert scan().render("nodes") == "2"
    scan().write(nodes=tmp_path / "n.txt")
    assert (tmp_path / "n.txt").read_text() == "2"


def test_built_in_kind_is_not_replaced_by_an_offered_one() -> None:
    assert by_name("json") is not NODES


def test_kind_that_cannot_be_loaded_is_told_with_its_entry_point() -> None:
    with pytest.raises(
        UsageError, match=r"absent of opcov.reports \(no_such_package.reports:REPORT\) cannot be loaded"
    ):
        by_name("absent")


def test_entry_point_that_is_no_report_is_told() -> None:
    with pytest.raises(UsageError, match=r"string of opcov.reports .* is no opcov report"):
        by_name("string")


def test_kind_that_is_not_ready_says_so_each_time() -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match="pip install paper"):
            by_name("paper")


def test_outputs_are_refused_before_a_scan_where_a_kind_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pip install paper"):
        api.check_outputs([("paper", tmp_path / "x")])


def test_kind_that_is_a_folder_is_not_rendered_as_one_text() -> None:
    assert isinstance(by_name("csv"), FolderReport)
    with pytest.raises(UsageError, match="folder of files"):
        scan().render("csv")


def test_findings_without_texts_have_none() -> None:
    assert Findings(scan().coverage).text_of("d") is None
    assert no_text("d") is None
