"""Workers of Dask: the rows of this process, whatever happens to them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from building import FakeRegistry, graph_text, write_corpus
from fragile_judges import Dying, Lost, fail, judge_of_tests

import opcov
from opcov.corpus import discover
from opcov.coverage import Coverage
from opcov.engine import Judge, scan_corpus, workers_for
from opcov.loaders import available
from opcov.problems import RegistryError, Slug, UsageError

distributed = pytest.importorskip("distributed")

PROJECT = Path(__file__).resolve().parent.parent.parent
OPS = ("relu", "tanh", "exp", "neg")


def text(op: str, width: int = 4) -> str:
    return graph_text(f'a: "f32[{width}]" = torch.{op}(x)', result="a")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 distinct graphs of 6 models."""
    texts = {f"m{index // 10}/rank0_{index % 10}.py": text(OPS[index % 4], index + 1) for index in range(60)}
    return write_corpus(tmp_path_factory.mktemp("corpus"), texts)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster that somebody else runs, with two workers."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=None, silence_logs=100, memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address


def scan(root: Path, judge: Judge, **options: Any) -> Coverage:
    with workers_for(judge, **{"engine": "dask", "jobs": 2, **options}) as workers:
        return scan_corpus(discover(root, available()), workers)


def test_reports_of_a_local_cluster_are_those_of_this_process_byte_for_byte(tmp_path: Path) -> None:
    for name, options in {"one": {}, "dask": {"engine": "dask", "jobs": 2}}.items():
        found = opcov.scan(PROJECT / "fixtures" / "gm", include=["Qwen/*", "odd/*"], cache=False, **options)
        found.write(out=tmp_path / name / "all_ops.py", csv=tmp_path / name / "csv")
    one, dask = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "dask")
    )
    assert len(one) == 6
    assert dask == one


def test_running_cluster_finds_what_this_process_finds(corpus: Path, scheduler: str) -> None:
    judge = Judge.given(judge_of_tests())
    found = scan(corpus, judge, scheduler=scheduler)
    expected = scan(corpus, judge, jobs=1, engine="process")
    assert list(found.bodies) == list(expected.bodies)
    assert found == expected


def test_graph_that_is_lost_with_its_worker_is_judged_again(corpus: Path, tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "gm", {**copies(corpus), "bad/rank0_0.py": text("sin")})
    found = scan(root, Judge.given(Dying(tmp_path / "died")))
    assert (tmp_path / "died").exists()
    assert found == scan(root, Judge.given(FakeRegistry()), jobs=1, engine="process")


def test_graph_that_kills_its_worker_again_is_the_only_one_that_is_not_judged(corpus: Path, tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "gm", {**copies(corpus), "bad/rank0_0.py": text("sin")})
    found = scan(root, Judge.given(Dying()))
    (problem,) = found.problems
    assert (problem.file, problem.slug) == ("bad/rank0_0.py", Slug.JUDGE_FAILED)
    assert found.counts == scan(corpus, Judge.given(FakeRegistry()), jobs=1, engine="process").counts


def copies(corpus: Path) -> dict[str, str]:
    return {path.relative_to(corpus).as_posix(): path.read_text() for path in corpus.rglob("*.py")}


def test_judge_that_cannot_be_made_is_the_error_that_one_process_raises(corpus: Path, scheduler: str) -> None:
    with pytest.raises(RegistryError, match=r"^lightning-thunder is not installed$"):
        scan(corpus, Judge(fail, fail), scheduler=scheduler)


def test_registry_that_a_worker_cannot_make_is_told_with_its_reason(corpus: Path, scheduler: str) -> None:
    with pytest.raises(RegistryError, match=r"a worker cannot make the registry .*no such file"):
        scan(corpus, Judge.given(Lost()), scheduler=scheduler)


def test_cluster_with_another_version_is_refused(corpus: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = (("opcov", "0.0 (other)"),)
    monkeypatch.setattr("opcov.engine.team.versions", lambda names: here)
    with pytest.raises(UsageError, match=r"a worker of the cluster has opcov .* instead of 0\.0 \(other\)"):
        scan(corpus, Judge.given(FakeRegistry()), scheduler=scheduler)


def test_scheduler_that_cannot_be_reached_is_an_error(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.engine.cluster.PATIENCE", "1s")
    with pytest.raises(UsageError, match=r"the scheduler tcp://127\.0\.0\.1:9 cannot be reached"):
        scan(corpus, Judge.given(FakeRegistry()), scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize("address", ["nowhere", "quux://host:1", "tcp://"])
def test_address_that_is_none_is_an_error(corpus: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("opcov.engine.cluster.PATIENCE", "1s")
    with pytest.raises(UsageError, match="cannot be reached"):
        scan(corpus, Judge.given(FakeRegistry()), scheduler=address)


def test_scan_leaves_no_handle_of_dask_on_this_process(corpus: Path, scheduler: str) -> None:
    before = list(sys.path)
    scan(corpus, Judge.given(FakeRegistry()), scheduler=scheduler)
    with pytest.raises(ValueError, match="No global client"):
        distributed.get_client()
    assert sys.path == before


def test_engine_that_is_not_installed_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else found(name))
    with (
        pytest.raises(UsageError, match=r"pip install opcov\[dask\]"),
        workers_for(Judge.given(FakeRegistry()), engine="dask"),
    ):
        pass
