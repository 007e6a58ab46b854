"""Finding what other packages offer: nothing is missed, and where nothing is offered nothing is loaded."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from opcov.plugins import offered

GROUP = "opcov.tests"
POINTS = f"[{GROUP}]\nsecond = package:TWO\nfirst = package:ONE\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def install(record: Path, points: str = POINTS) -> None:
    record.mkdir(parents=True)
    name = "METADATA" if record.suffix == ".dist-info" else "PKG-INFO"
    (record / name).write_text("Metadata-Version: 2.1\nName: package\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(points)


@pytest.mark.parametrize("record", ["package-1.0.dist-info", "package-1.0.egg-info"])
def test_what_an_installed_package_offers_is_found_by_name(place: Path, record: str) -> None:
    install(place / record)
    assert [(point.name, point.value) for point in offered(GROUP)] == [
        ("first", "package:ONE"),
        ("second", "package:TWO"),
    ]


def test_what_a_zip_file_offers_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "package-1.0.dist-info")
    with zipfile.ZipFile(tmp_path / "site.zip", "w") as archive:
        for path in (tmp_path / "package-1.0.dist-info").iterdir():
            archive.write(path, f"package-1.0.dist-info/{path.name}")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site.zip")])
    assert [point.name for point in offered(GROUP)] == ["first", "second"]


def test_other_groups_are_not_taken_for_it(place: Path) -> None:
    install(place / "package-1.0.dist-info", POINTS.replace(GROUP, "opcov.others"))
    assert offered(GROUP) == ()


def test_places_that_cannot_be_read_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["no/such/folder", "", *sys.path])
    assert offered(GROUP) == ()
