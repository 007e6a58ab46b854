"""Many processes: the rows of one, whatever happens to them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from building import FakeRegistry, graph_text, write_corpus
from fragile_judges import Dying, Lost, Noting, Unpicklable, die, fail, judge_of_tests

import opcov
from opcov import config
from opcov.cache import Options, remembering
from opcov.corpus import discover
from opcov.coverage import Coverage
from opcov.engine import ENGINES, InProcess, Judge, scan_corpus, workers_for
from opcov.engine.cores import usable_cores
from opcov.engine.parallel import Parallel
from opcov.engine.pool import AT_ONCE, pool
from opcov.engine.stretches import MOST_BODIES
from opcov.engine.team import Team
from opcov.engine.work import Task, Work
from opcov.engine.worker import Post
from opcov.loaders import available
from opcov.loaders.loader import SavedFile
from opcov.problems import RegistryError, Slug, UsageError

PROJECT = Path(__file__).resolve().parent.parent.parent
OPS = ("relu", "tanh", "exp", "neg", "abs", "sqrt", "log", "cos")


def text(*ops: str, width: int = 4) -> str:
    """A graph with a chain of calls; another width makes another body."""
    statements = [f'a{number}: "f32[{width}]" = torch.{op}(x)' for number, op in enumerate(ops)]
    return graph_text(*statements, result=f"a{len(ops) - 1}")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 distinct graphs of 12 models."""
    texts = {
        f"m{index // 10}/rank0_{index % 10}.py": text(OPS[index % 8], OPS[index % 7], width=index + 1)
        for index in range(120)
    }
    return write_corpus(tmp_path_factory.mktemp("corpus"), texts)


def scan(root: Path, judge: Judge, jobs: int = 2) -> Coverage:
    with workers_for(judge, jobs=jobs) as workers:
        return scan_corpus(discover(root, available()), workers)


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    """No worker outlives its scan."""
    yield
    assert multiprocessing.active_children() == []


def test_two_processes_find_what_one_finds_in_its_order(corpus: Path) -> None:
    one, two = (scan(corpus, Judge.given(judge_of_tests()), jobs) for jobs in (1, 2))
    assert list(two.bodies) == list(one.bodies)
    assert two == one
    assert two.siblings == {"torch.tanh": ("torch.tanh_",)}


@pytest.mark.parametrize("options", [{}, {"requires_grad": True, "include": ["odd/*"]}], ids=["inference", "training"])
def test_reports_of_two_processes_are_those_of_one_byte_for_byte(tmp_path: Path, options: dict[str, Any]) -> None:
    for jobs in (1, 2):
        found = opcov.scan(PROJECT / "fixtures" / "gm", jobs=jobs, cache=False, **options)
        found.write(out=tmp_path / str(jobs) / "all_ops.py", csv=tmp_path / str(jobs) / "csv")
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "12"
    )
    assert len(one) == 6
    assert two == one


def test_process_that_scans_never_imports_torch_while_others_judge() -> None:
    script = (
        "import sys, opcov\n"
        "if __name__ == '__main__':\n"
        "    found = opcov.scan('fixtures/gm', include=['odd/stream-overlap'], jobs=2, cache=False)\n"
        "    print(found.coverage.counts.nodes, 'torch' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True
    )
    assert result.stdout.split() == ["22", "False"]


def test_one_job_is_this_process() -> None:
    with workers_for(Judge.given(FakeRegistry()), jobs=1) as workers:
        assert isinstance(workers, InProcess)


def test_no_process_starts_for_what_is_remembered(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")
    (tmp_path / "seen").mkdir()
    judge = Judge.given(Noting(tmp_path / "seen"))
    for again in (False, True):
        with (
            remembering(Options(tmp_path / "cache"), available(), "noting") as memory,
            Team(judge, 2, "process", "") as team,
        ):
            scan_corpus(discover(corpus, available()), team, memory=memory)
            assert bool(multiprocessing.active_children()) is not again


def test_versions_and_siblings_can_be_asked_without_any_work() -> None:
    with workers_for(Judge.given(judge_of_tests()), jobs=2) as workers:
        assert workers.versions() == {"judge": "1.0"}
        assert workers.siblings(["torch.tanh", "torch.exp"]) == {"torch.tanh": ("torch.tanh_",), "torch.exp": ()}


def test_there_are_never_more_processes_than_batches(tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    root = write_corpus(tmp_path / "gm", {"m/rank0_0.py": text("relu"), "m/rank0_1.py": text("tanh")})
    scan(root, Judge.given(Noting(tmp_path / "seen")), jobs=8)
    assert len(list((tmp_path / "seen").iterdir())) == 1  # two small graphs are one batch


def test_only_a_window_of_the_bodies_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.engine.ahead._MOST", 0)  # of what is parsed while the processes get ready
    read: list[int] = []

    def task(place: int) -> Task:
        read.append(place)
        return Task(str(place), "readable", SavedFile("rank0_0.py", text("relu", width=place + 1).encode()))

    most, done, bodies = 0, 0, 2_000
    with pool(2) as crew:
        post = Post(Judge.given(FakeRegistry()).packed())
        for _ in Parallel(post, lambda: crew).answers(Work([100] * bodies, task)):
            done += 1
            most = max(most, len(read) - done)
    assert sorted(read) == list(range(bodies))
    # Each process has so many batches, and one more of each may have been answered together.
    assert most <= 2 * 2 * AT_ONCE * MOST_BODIES


def test_graph_that_is_lost_with_its_process_is_judged_by_another_one(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "gm", {"bad/rank0_0.py": text("sin"), **copies(corpus)})
    found = scan(tmp_path / "gm", Judge.given(Dying(tmp_path / "died")))
    assert (tmp_path / "died").exists()
    assert found.problems == ()
    assert found == scan(tmp_path / "gm", Judge.given(FakeRegistry()), jobs=1)


def test_graph_that_kills_its_process_again_is_the_only_one_that_is_not_judged(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path / "gm", {"bad/rank0_0.py": text("sin"), **copies(corpus)})
    found = scan(tmp_path / "gm", Judge.given(Dying()))
    (problem,) = found.problems
    assert (problem.file, problem.slug) == ("bad/rank0_0.py", Slug.JUDGE_FAILED)
    whole = scan(corpus, Judge.given(FakeRegistry()), jobs=1)
    assert found.counts == whole.counts
    assert dict(found.bodies).items() >= dict(whole.bodies).items()


def test_graph_that_kills_its_process_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")
    corpus = discover(write_corpus(tmp_path / "gm", {"m/rank0_0.py": text("sin")}), available())
    coverages = []
    for registry in (Dying(), FakeRegistry()):
        with (
            remembering(Options(tmp_path / "cache"), available(), "same") as memory,
            workers_for(Judge.given(registry), jobs=2) as workers,
        ):
            coverages.append(scan_corpus(corpus, workers, memory=memory))
    assert [len(coverage.problems) for coverage in coverages] == [1, 0]


def copies(corpus: Path) -> Mapping[str, str]:
    return {path.relative_to(corpus).as_posix(): path.read_text() for path in corpus.rglob("*.py")}


def test_judge_that_cannot_be_made_is_the_error_that_one_process_raises(corpus: Path) -> None:
    for jobs in (1, 2):
        with pytest.raises(RegistryError, match=r"^lightning-thunder is not installed$"):
            scan(corpus, Judge(fail, fail), jobs)


def test_processes_that_die_before_any_work_are_one_error_and_blame_no_graph(corpus: Path) -> None:
    with pytest.raises(RegistryError, match="die before they judge anything"):
        scan(corpus, Judge(FakeRegistry, die))


def test_registry_that_cannot_be_pickled_is_refused_for_many_and_works_for_one(corpus: Path) -> None:
    judge = Judge.given(Unpicklable())
    with pytest.raises(UsageError, match=r"cannot go to other processes \(TypeError: it holds a lock\); jobs=1"):
        scan(corpus, judge)
    assert scan(corpus, judge, jobs=1).counts.nodes == 240


def test_registry_that_a_worker_cannot_make_is_told_with_its_reason(corpus: Path) -> None:
    with pytest.raises(RegistryError, match=r"a worker cannot make the registry .*no such file"):
        scan(corpus, Judge.given(Lost()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "a number from 1"),
        ({"jobs": True}, "a number from 1"),
        ({"engine": "threads"}, "there are: process, dask"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "needs the engine dask"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message), workers_for(Judge.given(FakeRegistry()), **options):  # type: ignore[arg-type]
        pass


def test_engines_of_the_settings_are_those_that_there_are() -> None:
    assert config.ENGINES == ENGINES


def test_usable_cores_are_those_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opcov.engine.cores._QUOTA", tmp_path / "cpu.max")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cores() == allowed


@pytest.mark.parametrize(("quota", "cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_usable_cores_are_no_more_than_the_control_group_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int | None
) -> None:
    monkeypatch.setattr("opcov.engine.cores._QUOTA", tmp_path / "absent")
    free = usable_cores()
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr("opcov.engine.cores._QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == (cores or free)


# --- ends -------------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fragile_judges import Noting
import opcov, opcov.cache.memory
opcov.cache.memory.own_fingerprint = lambda: "code"  # that it is edited while tests run is no matter
if __name__ == "__main__":
    root = Path(sys.argv[2])
    opcov.scan(root / "gm", registry=Noting(root / "seen"), jobs=2, cache=root / "cache")
"""


@pytest.fixture
def scanning(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that scans two models, one of which never ends."""
    (tmp_path / "seen").mkdir()
    done = {f"a/rank0_{index}.py": text("relu", width=index + 1) for index in range(4 * MOST_BODIES)}
    write_corpus(tmp_path / "gm", {**done, "b/rank0_0.py": text("sin")})
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(PROJECT / "tests"), str(tmp_path)]
    process = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, start_new_session=True)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for(condition: object, seconds: float) -> bool:
    """Whether something comes true in time."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def are_gone(workers: list[int]) -> bool:
    return not any(Path(f"/proc/{worker}").exists() for worker in workers)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@on_linux
def test_interrupt_ends_all_processes_at_once_and_keeps_what_was_judged(
    scanning: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")
    assert wait_for(lambda: len(list((tmp_path / "seen").iterdir())) == 2, 60)
    time.sleep(0.5)  # one waits for a minute, the other one has done all else
    workers = [int(path.name) for path in (tmp_path / "seen").iterdir()]
    os.killpg(scanning.pid, signal.SIGINT)
    start = time.monotonic()
    _, errors = scanning.communicate(timeout=30)
    assert time.monotonic() - start < 3
    assert wait_for(lambda: are_gone(workers), 1)
    assert errors.count(b"Traceback") == 1, "a worker told of the interrupt as well"
    (tmp_path / "gm" / "b" / "rank0_0.py").unlink()
    again = Noting(tmp_path / "seen")
    opcov.scan(tmp_path / "gm", registry=again, cache=tmp_path / "cache")
    assert len(again.judged) < MOST_BODIES  # those that went out together with the one that never ends


@on_linux
def test_processes_end_with_the_one_that_scans_however_it_ends(
    scanning: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert wait_for(lambda: len(list((tmp_path / "seen").iterdir())) == 2, 60)
    workers = [int(path.name) for path in (tmp_path / "seen").iterdir()]
    scanning.kill()
    assert wait_for(lambda: are_gone(workers), 10)
