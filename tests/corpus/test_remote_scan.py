"""Scans of what lies elsewhere: the same results as of the folder, told without the places of this machine."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest
from building import write_corpus
from remembered import RELU, TANH, refusing

import opcov
from opcov import api
from opcov.cache import Options, mirrors_of
from opcov.cli import main
from opcov.tally import FETCHED


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")


@pytest.fixture
def gm(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "gm", {"a/b/rank0_0.py": RELU, "a/c/rank0_0.py": TANH, "a/c/rank1_0.py": TANH})


@pytest.fixture
def archive(gm: Path, tmp_path: Path) -> Path:
    return Path(shutil.make_archive(str(tmp_path / "gm"), "zip", gm))


@pytest.mark.parametrize("is_kept", [True, False])
def test_archive_is_told_as_its_folder_is(gm: Path, archive: Path, tmp_path: Path, is_kept: bool) -> None:
    cache = tmp_path / "cache" if is_kept else False
    there, here = (opcov.scan(path, registry=refusing(), cache=cache) for path in (archive, gm))
    for kind in ("all_ops", "json", "text", "markdown"):
        assert there.render(kind) == here.render(kind)


def test_texts_of_graphs_are_there_as_long_as_the_scan_and_then_leave_nothing(archive: Path) -> None:
    scan = opcov.scan(archive, registry=refusing(), cache=False)
    (digest, *_) = scan.coverage.bodies
    folder = scan._findings.text_of.__self__.root  # type: ignore[attr-defined]
    assert scan._findings.text_of(digest) == RELU
    del scan
    gc.collect()
    assert not folder.exists()


def test_second_scan_fetches_nothing(archive: Path, tmp_path: Path) -> None:
    fetched = [opcov.scan(archive, registry=refusing(), cache=tmp_path / "cache").tally.numbers[FETCHED] for _ in "12"]
    assert fetched == [archive.stat().st_size, 0]


def test_clear_forgets_the_copies(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "cache"
    opcov.scan(archive, registry=refusing(), cache=cache)
    assert main(["cache", "info", "--cache-dir", str(cache)]) == 0
    assert "copies of remote corpora: 0.0 MB" in capsys.readouterr().out
    assert main(["cache", "clear", "--cache-dir", str(cache)]) == 0
    mirrors = mirrors_of(Options(cache))
    assert mirrors is not None
    assert not mirrors.exists()


def test_address_of_a_project_is_no_path_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.opcov]\ncorpus = "nowhere://bucket/gm"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "_thunder", lambda **_: refusing())
    assert main([]) == 2
    assert "nowhere://bucket/gm" in capsys.readouterr().err
