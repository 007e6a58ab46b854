"""The cache: the same results without asking twice, whatever the file, the disk and other processes do."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, verdict, write_corpus
from command_line import PROJECT, environment
from remembered import LOG, RELU, SINC, TANH, TEXTS, Remembered, aged, refusing

import opcov
from opcov.cache import Options, survey
from opcov.cache.files import GRAIN
from opcov.cache.place import folder_of
from opcov.cache.records import Kind, Records
from opcov.cache.store import FILE, SCHEMA, Store, clear
from opcov.cli import main
from opcov.commands.cache import cache_from
from opcov.commands.scan_options import read
from opcov.judged import JudgedBody
from opcov.problems import Slug
from opcov.reports import by_name
from opcov.reports.files import pieces
from opcov.reports.report import FolderReport
from opcov.verdict import Status


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files age in a moment, and that opcov's code is edited while the tests run is no matter."""
    monkeypatch.setattr("opcov.cache.files.GRAIN", GRAIN // 50)
    monkeypatch.setattr("opcov.cache.memory.own_fingerprint", lambda: "code")


@pytest.fixture
def gm(tmp_path: Path) -> Path:
    """A corpus of two distinct graphs in three files, old enough for its status to tell a change."""
    return aged(write_corpus(tmp_path / "gm", TEXTS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def rendered(scan: opcov.Scan) -> dict[str, bytes]:
    """All that every report writes."""
    found = {}
    for kind in ("all_ops", "csv", "json", "jsonl", "markdown", "text", "html", "github", "sarif", "junit", "gitlab"):
        report = by_name(kind)
        content = (
            report.render(scan._findings) if isinstance(report, FolderReport) else {"": report.render(scan._findings)}
        )
        found |= {f"{kind}/{name}": b"".join(pieces(text)) for name, text in dict(content).items()}
    return found


# --- the same results, and nothing asked twice ------------------------------------------------------------------------


def test_second_scan_asks_nothing(gm: Path, folder: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    again = refusing()
    found = opcov.scan(gm, registry=again, cache=folder)
    assert (again.judged, again.relatives_asked) == ([], [])
    assert found.coverage.siblings == {"torch.tanh": ("torch.tanh_",)}


def test_reports_are_the_same_without_cache_with_an_empty_and_with_a_full_one(folder: Path) -> None:
    fixtures = PROJECT / "fixtures" / "gm"
    judge = Remembered({"torch.nn.functional.linear": verdict(Status.UNSUPPORTED, "no linear")})
    off, cold, warm = (rendered(opcov.scan(fixtures, registry=judge, cache=cache)) for cache in (False, folder, folder))
    assert off == cold
    assert off == warm
    assert survey(folder).entries[Kind.GRAPH] > 5


def opcov_itself(*arguments: object, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The command line with the installed Thunder, in a process of its own."""
    return subprocess.run(
        [sys.executable, *options, "-m", "opcov", "fixtures/gm", *map(str, arguments)],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )


def test_installed_thunder_answers_the_same_with_and_without_cache(folder: Path) -> None:
    off = opcov_itself("--format", "json", "--no-cache")
    for _ in range(2):
        result = opcov_itself("--format", "json", "--cache-dir", folder)
        assert (result.stdout, result.stderr) == (off.stdout, off.stderr)
    assert survey(folder).entries[Kind.GRAPH] > 1


def test_changed_file_alone_is_judged(gm: Path, folder: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    (gm / "m" / "rank0_1.py").write_text(SINC)
    again = refusing()
    found = opcov.scan(gm, registry=again, cache=folder)
    assert [[call.op for call in graph.calls] for graph in again.judged] == [["torch.sinc"]]
    assert sorted(found.ops["op"]) == ["torch.relu", "torch.sinc"]


def test_judge_with_another_fingerprint_is_asked_anew(gm: Path, folder: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    other = Remembered(fingerprint="fake 2")
    found = opcov.scan(gm, registry=other, cache=folder)
    assert len(other.judged) == 2
    assert found.coverage.counts.not_supported == 0


@pytest.mark.parametrize("judge", [FakeRegistry, lambda: Remembered(fingerprint=None)], ids=["none", "unknown"])
def test_judge_without_a_fingerprint_is_asked_every_time(
    gm: Path, folder: Path, judge: Callable[[], FakeRegistry]
) -> None:
    for _ in range(2):
        registry = judge()
        opcov.scan(gm, registry=registry, cache=folder)
        assert len(registry.judged) == 2


def test_lines_hold_for_a_file_without_the_rank_comment_that_its_equal_has(tmp_path: Path, folder: Path) -> None:
    for name, text, line in (("a", RELU, 3), ("b", f"# Rank: 1, Graph 0\n{RELU}", 4)):
        corpus = write_corpus(tmp_path / name, {"m/rank1_0.py": text})
        (body,) = opcov.scan(corpus, registry=Remembered(), cache=folder).coverage.bodies.values()
        assert [node.line for node in body.nodes] == [line]


def test_accident_is_not_remembered(gm: Path, folder: Path) -> None:
    broken = Remembered({"torch.tanh": MemoryError("no room")})
    first = opcov.scan(gm, registry=broken, cache=folder)
    assert Slug.JUDGE_FAILED in {problem.slug for problem in first.problems}
    found = opcov.scan(gm, registry=refusing(), cache=folder)
    assert Slug.JUDGE_FAILED not in {problem.slug for problem in found.problems}


def test_verdict_of_a_file_that_was_replaced_after_the_walk_is_not_remembered(gm: Path, folder: Path) -> None:
    class Slow(Remembered):
        @property
        def splitter(self):  # type: ignore[no-untyped-def]
            return super().splitter

        def judge(self, graph):  # type: ignore[no-untyped-def]
            for name in ("rank0_0.py", "rank1_0.py", "rank0_1.py"):
                (gm / "m" / name).write_text(SINC)  # while the first graph is judged, the others change
            return super().judge(graph)

    opcov.scan(gm, registry=Slow(), cache=folder)
    write_corpus(gm, TEXTS)
    found = opcov.scan(gm, registry=Remembered(), cache=folder)
    assert sorted(found.ops["op"]) == ["torch.relu", "torch.tanh"]


def test_everything_that_is_judged_of_the_fixtures_survives_its_encoding(folder: Path) -> None:
    bodies = opcov.scan(PROJECT / "fixtures" / "gm", registry=refusing(), cache=False).coverage.bodies
    records = Records(Store(folder, 10**9, pytest.fail))
    for digest, body in bodies.items():
        records.put(Kind.GRAPH, (digest,), body)
        assert records.get(Kind.GRAPH, (digest,), JudgedBody) == body


# --- files that need not be read --------------------------------------------------------------------------------------


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The graph files that are opened from now on."""
    from opcov import graphfile

    found: list[str] = []
    real = graphfile.open_regular

    def watched(path: str) -> object:
        found.append(Path(path).name)
        return real(path)

    monkeypatch.setattr(graphfile, "open_regular", watched)
    return found


def test_file_that_is_as_it_was_is_not_opened(gm: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opcov.scan(gm, registry=refusing(), cache=folder)
    files = opened(monkeypatch)
    assert opcov.scan(gm, registry=refusing(), cache=folder).coverage == first.coverage
    assert files == []


def test_paranoid_opens_every_file(gm: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    files = opened(monkeypatch)
    opcov.scan(gm, registry=refusing(), cache=Options(folder, paranoid=True))
    assert sorted(files) == ["log.txt", "rank0_0.py", "rank0_1.py", "rank1_0.py"]


def test_change_within_the_grain_of_the_clock_is_noticed(tmp_path: Path, folder: Path) -> None:
    corpus = write_corpus(tmp_path / "gm", {"m/rank0_0.py": TANH})
    file = corpus / "m" / "rank0_0.py"
    before = file.stat()
    opcov.scan(corpus, registry=refusing(), cache=folder)
    file.write_text(SINC)  # as long as the other
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert opcov.scan(corpus, registry=refusing(), cache=folder).ops["op"].tolist() == ["torch.sinc"]


def test_change_that_keeps_size_and_time_of_an_old_file_is_noticed(gm: Path, folder: Path) -> None:
    file = gm / "m" / "rank0_1.py"
    before = file.stat()
    opcov.scan(gm, registry=refusing(), cache=folder)
    file.write_text(SINC)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sorted(opcov.scan(gm, registry=refusing(), cache=folder).ops["op"]) == ["torch.relu", "torch.sinc"]


def test_young_file_is_not_trusted_even_if_its_whole_status_stays(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a file system with a coarse clock a second write changes nothing of the status.
    monkeypatch.setattr("opcov.cache.files.GRAIN", GRAIN)
    monkeypatch.setattr("opcov.cache.files.stamp_of", lambda status: (0, 0, 0, 0))
    corpus = write_corpus(tmp_path / "gm", {"m/rank0_0.py": TANH})
    opcov.scan(corpus, registry=refusing(), cache=folder)
    (corpus / "m" / "rank0_0.py").write_text(SINC)
    assert opcov.scan(corpus, registry=refusing(), cache=folder).ops["op"].tolist() == ["torch.sinc"]


def test_file_whose_shapes_lie_beside_it_is_read_every_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = PROJECT / "fixtures" / "graphnet"
    opcov.scan(corpus, registry=refusing(), cache=folder)
    files = opened(monkeypatch)
    found = opcov.scan(corpus, registry=refusing(), cache=folder)
    companions = {name for file in found.coverage.models.values() for one in file.files for name in one.companions}
    assert companions
    assert companions <= set(files)


def test_file_that_is_no_graph_is_one_when_it_is_asked_for_by_name(tmp_path: Path, folder: Path) -> None:
    corpus = aged(write_corpus(tmp_path / "gm", {"m/rank0_0.py": RELU, "m/other.py": "x = 1\n"}))
    for _ in range(2):
        assert len(opcov.scan(corpus, registry=refusing(), cache=folder).graphs) == 1
        assert opcov.scan(corpus / "m" / "other.py", registry=refusing(), cache=folder).graphs.file.tolist() == [
            "other.py"
        ]


def test_run_log_that_grows_is_read_again(gm: Path, folder: Path) -> None:
    for expected in ("ValueError: no way", "KeyError: 'x'"):
        for _ in range(2):
            run_log = opcov.scan(gm, registry=refusing(), cache=folder).coverage.models["m"].run_log
            assert str(run_log and run_log.final_exception) == expected
        with (gm / "m" / "log.txt").open("a") as stream:
            stream.write(LOG.replace("ValueError: no way", "KeyError: 'x'"))


def test_names_that_are_gone_do_not_pile_up(tmp_path: Path, folder: Path) -> None:
    corpus = aged(write_corpus(tmp_path / "gm", {f"m/graph_module_{number}.py": RELU for number in range(30)}))
    opcov.scan(corpus, registry=refusing(), cache=folder)
    for file in list(corpus.rglob("*.py")):
        file.unlink()
    write_corpus(corpus, {"m/rank0_0.py": RELU})
    aged(corpus)
    opcov.scan(corpus, registry=refusing(), cache=folder)
    with sqlite3.connect(folder / FILE) as connection:
        ((size,),) = connection.execute("SELECT size FROM entries WHERE kind = ?", (int(Kind.FILES),)).fetchall()
    assert size < 30 * 40  # a name and a digest alone take more


# --- a file that is no cache ------------------------------------------------------------------------------------------


def scan_with_warnings(gm: Path, folder: Path, **options: int) -> tuple[opcov.Scan, list[str]]:
    told: list[str] = []
    scan = opcov.scan(gm, registry=refusing(), cache=Options(folder, warn=told.append, **options))
    return scan, told


@pytest.fixture
def expected(gm: Path) -> opcov.Coverage:
    return opcov.scan(gm, registry=refusing(), cache=False).coverage


def damage_by_truncation(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(1, len(content))]


def damage_by_flips(content: bytes, chance: random.Random) -> bytes:
    mangled = bytearray(content)
    for _ in range(chance.choice([1, 10, 1000])):
        mangled[chance.randrange(len(mangled))] ^= 1 << chance.randrange(8)
    return bytes(mangled)


def damage_by_zeros(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    length = chance.randrange(1, 8192)
    return content[:start] + bytes(len(content[start : start + length])) + content[start + length :]


@pytest.mark.parametrize("damage", [damage_by_truncation, damage_by_flips, damage_by_zeros])
def test_damaged_file_changes_no_result_and_is_told_at_most_once(
    gm: Path, folder: Path, expected: opcov.Coverage, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    sound = (folder / FILE).read_bytes()
    noticed = 0
    for seed in range(60):
        (folder / FILE).write_bytes(damage(sound, random.Random(seed)))
        for _ in range(2):
            scan, told = scan_with_warnings(gm, folder)
            assert scan.coverage == expected, f"seed {seed}"
            assert len(told) <= 1
            noticed += len(told)
    assert noticed > 5


def test_damaged_file_is_renamed_and_a_new_one_made(gm: Path, folder: Path, expected: opcov.Coverage) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(b"no database, and long enough to be one" * 100)
    (scan, (warning,)) = scan_with_warnings(gm, folder)
    assert scan.coverage == expected
    assert warning.startswith(f"the cache {folder / FILE} is damaged, and was renamed to {FILE}.damaged")
    assert (folder / f"{FILE}.damaged").read_bytes().startswith(b"no database")
    assert survey(folder).entries[Kind.GRAPH] == 2


def test_value_with_a_wrong_content_is_no_value(gm: Path, folder: Path, expected: opcov.Coverage) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    with sqlite3.connect(folder / FILE) as connection:
        (number,) = (
            connection.execute(
                "UPDATE entries SET value = CAST(replace(hex(value), '74616E68', '73696E63') AS BLOB)"
            ).rowcount,
        )
    assert number > 2
    scan, told = scan_with_warnings(gm, folder)
    assert (scan.coverage, len(told)) == (expected, 1)


@pytest.mark.parametrize(
    "value", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\xa3abc"], ids=["empty", "none", "list", "text"]
)
def test_value_of_another_type_is_a_miss(folder: Path, value: bytes) -> None:
    class Fixed(Store):
        def get(self, key: bytes) -> bytes | None:
            return value

    assert Records(Fixed(folder, 10**6, pytest.fail)).get(Kind.GRAPH, ("d",), JudgedBody) is None


def test_text_that_cannot_be_encoded_is_not_kept_and_harms_nothing(folder: Path) -> None:
    records = Records(Store(folder, 10**6, pytest.fail))
    records.put(Kind.REGISTRY, ("\udc80",), "\udc80")
    assert records.get(Kind.REGISTRY, ("\udc80",), str) is None


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    connection.close()


def newer_database(path: Path) -> None:
    Store(path.parent, 10**6, pytest.fail).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()


@pytest.mark.parametrize("make", [foreign_database, newer_database])
def test_file_of_somebody_else_is_kept_beside_and_never_overwritten(
    gm: Path, folder: Path, expected: opcov.Coverage, make: Callable[[Path], None]
) -> None:
    folder.mkdir()
    for name in (f"{FILE}.foreign", f"{FILE}.foreign-2"):
        make(folder / FILE)
        content = (folder / FILE).read_bytes()
        (scan, (warning,)) = scan_with_warnings(gm, folder)
        assert scan.coverage == expected
        assert f"was renamed to {name};" in warning
        assert (folder / name).read_bytes() == content
        assert scan_with_warnings(gm, folder)[1] == []
        (folder / FILE).unlink()


def folder_at_the_file(folder: Path) -> None:
    (folder / FILE).mkdir(parents=True)


def file_at_the_folder(folder: Path) -> None:
    folder.write_text("mine")


def link_to_nowhere(folder: Path) -> None:
    folder.symlink_to("/nonexistent/place")


@pytest.mark.parametrize("make", [folder_at_the_file, file_at_the_folder, link_to_nowhere])
def test_place_that_cannot_be_used_is_told_once_and_left_as_it_is(
    gm: Path, folder: Path, expected: opcov.Coverage, make: Callable[[Path], None]
) -> None:
    make(folder)
    (scan, (warning,)) = scan_with_warnings(gm, folder)
    assert scan.coverage == expected
    assert warning.endswith("; the scan goes on, only slower")
    assert sorted(path.name for path in folder.parent.rglob("*") if "sqlite" in path.name) in ([], [FILE])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_read_only_cache_is_still_read(gm: Path, folder: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    (folder / FILE).chmod(0o400)
    folder.chmod(0o500)
    registry = refusing()
    opcov.scan(gm, registry=registry, cache=folder)
    folder.chmod(0o700)
    assert registry.judged == []


def test_locked_cache_is_waited_for_and_then_done_without(
    gm: Path, folder: Path, expected: opcov.Coverage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opcov.cache.store._WAIT", 0.05)
    Store(folder, 10**6, pytest.fail).close()
    holder = sqlite3.connect(folder / FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    (scan, (warning,)) = scan_with_warnings(gm, folder)
    holder.close()
    assert scan.coverage == expected
    assert "locked" in warning
    assert scan_with_warnings(gm, folder)[1] == []


def test_full_disk_is_told_once(tmp_path: Path, folder: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from test_memory import *\n"
        "Store(Path(sys.argv[2]), 10**6, print).close()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))\n"
        "scan, told = scan_with_warnings(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(len(told), scan.coverage.counts.nodes)\n"
    )
    corpus = many_graphs(tmp_path / "gm", 60)  # they take more than the 16 KiB that a file may have
    result = in_python(code, corpus, folder)
    assert result.stdout == "1 60\n", result.stderr
    assert scan_with_warnings(corpus, folder)[1] == []


def test_warning_of_a_notebook_is_a_warning_of_python(gm: Path, tmp_path: Path) -> None:
    file_at_the_folder(tmp_path / "cache")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opcov.scan(gm, registry=refusing(), cache=tmp_path / "cache")
    assert [str(one.message).startswith(f"the cache {tmp_path / 'cache'}") for one in caught] == [True]


HERE = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests", Path(__file__).resolve().parent)))
"""Where other processes find opcov, and what this module and its like are made of."""


# --- many processes, and killed ones ----------------------------------------------------------------------------------


def in_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": HERE},
        timeout=120,
        check=False,
    )


SCAN = (
    "import sys\n"
    "from test_memory import *\n"
    "scan, told = scan_with_warnings(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    "print(len(told), hash(repr(sorted(scan.coverage.bodies.items()))))\n"
)


def many_graphs(root: Path, number: int) -> Path:
    texts = {f"m/rank0_{n}.py": graph_text(f'a: "f32[{n + 1}]" = torch.relu(x)', result="a") for n in range(number)}
    return write_corpus(root, texts)


def started(corpus: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCAN, str(corpus), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": HERE, "PYTHONHASHSEED": "0"},
    )


def test_eight_processes_at_once_agree_and_none_is_warned(tmp_path: Path, folder: Path) -> None:
    corpus = many_graphs(tmp_path / "gm", 200)
    processes = [started(corpus, folder) for _ in range(8)]
    answers = [process.communicate(timeout=120) for process in processes]
    assert {out for out, _ in answers} == {answers[0][0]}, answers
    assert answers[0][0].startswith("0 ")
    assert survey(folder).entries[Kind.GRAPH] == 200


def test_scan_is_right_after_writers_were_killed_at_any_moment(tmp_path: Path, folder: Path) -> None:
    corpus = many_graphs(tmp_path / "gm", 40)
    expected = opcov.scan(corpus, registry=refusing(), cache=False).coverage
    writer = (
        "import sys\n"
        "from opcov.cache.store import *\n"
        "print('ready', flush=True)\n"
        "store = Store(Path(sys.argv[1]), 10**6, print)\n"
        "for number in range(10**9):\n"
        "    store.put(b'%d' % (number % 500), 1, b'%d' % number * 500)\n"
        "    if number % 20 == 0: store.flush()\n"
    )
    chance = random.Random(0)
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", writer, str(folder)], stdout=subprocess.PIPE, cwd=PROJECT)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        scan, told = scan_with_warnings(corpus, folder)
        assert (scan.coverage, told) == (expected, [])


# --- its size ---------------------------------------------------------------------------------------------------------


def store_of(folder: Path, limit: int, now: int, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("opcov.cache.store.time.time", lambda: now)
    return Store(folder, limit, pytest.fail)


def test_least_recently_used_entries_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86_400
    for number in range(8):
        store = store_of(folder, 10**6, number * day, monkeypatch)
        store.put(b"%d" % number, 1, bytes(100_000))
        store.close()
    store = store_of(folder, 10**6, 9 * day, monkeypatch)
    assert store.get(b"0") is not None  # the oldest is used once more
    store.close()
    store = store_of(folder, 10**6, 10 * day, monkeypatch)
    for number in range(8, 11):
        store.put(b"%d" % number, 1, bytes(100_000))
    store.close()
    left = [number for number in range(11) if store_of(folder, 10**6, 11 * day, monkeypatch).get(b"%d" % number)]
    assert 0 in left
    assert 1 not in left
    assert {8, 9, 10} <= set(left)
    assert (folder / FILE).stat().st_size <= 10**6


def test_cache_never_grows_far_beyond_its_limit(folder: Path) -> None:
    store = Store(folder, 10**6, pytest.fail)
    for number in range(200):
        store.put(b"%d" % number, 1, os.urandom(50_000))
        store.flush()
        assert (folder / FILE).stat().st_size < 1_200_000
    store.close()


def test_scan_of_what_was_used_within_the_hour_writes_nothing(gm: Path, folder: Path) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    before = (folder / FILE).stat()
    opcov.scan(gm, registry=refusing(), cache=folder)
    after = (folder / FILE).stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


# --- where it lies, and what people do with it ------------------------------------------------------------------------


def test_folder_is_that_of_the_option_then_of_the_variable_then_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPCOV_CACHE_DIR", str(tmp_path / "variable"))
    assert folder_of(Options(tmp_path / "option")) == tmp_path / "option"
    assert folder_of(Options()) == tmp_path / "variable"
    monkeypatch.delenv("OPCOV_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "platform"))
    found = folder_of(Options())
    assert found is not None
    assert found.name == "opcov"
    assert sys.platform != "linux" or found == tmp_path / "platform" / "opcov"


def test_scan_without_cache_makes_no_folder(gm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPCOV_CACHE_DIR", str(tmp_path / "unused"))
    opcov.scan(gm, registry=refusing(), cache=False)
    assert not (tmp_path / "unused").exists()


def test_info_tells_what_is_remembered_and_clear_forgets_it(
    gm: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opcov.scan(gm, registry=refusing(), cache=folder)
    assert main(["cache", "info", "--cache-dir", str(folder)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{folder / FILE}: ")
    assert "  2 judged graphs\n" in told
    assert main(["cache", "clear", "--cache-dir", str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"Cleared {folder}: ")
    assert survey(folder).entries == {}
    registry = refusing()
    opcov.scan(gm, registry=registry, cache=folder)
    assert len(registry.judged) == 2


def test_info_of_no_cache_makes_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info", "--cache-dir", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / FILE}: 0.0 MB\n"
    assert not folder.exists()


def test_info_and_clear_refuse_a_file_of_somebody_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    foreign_database(folder / FILE)
    content = (folder / FILE).read_bytes()
    for action in ("info", "clear"):
        assert main(["cache", action, "--cache-dir", str(folder)]) == 2
        assert "another program's file" in capsys.readouterr().err
    assert (folder / FILE).read_bytes() == content


def test_clear_frees_the_room_on_disk(folder: Path) -> None:
    store = Store(folder, 10**8, pytest.fail)
    store.put(b"a", 1, bytes(1_000_000))
    store.close()
    assert clear(folder) > 900_000
    assert (folder / FILE).stat().st_size < 100_000


def test_cache_that_a_project_turned_off_can_be_turned_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.opcov]\nno-cache = true\n")
    monkeypatch.chdir(tmp_path)
    assert cache_from(read(["gm"]).settings) is False
    assert isinstance(cache_from(read(["gm", "--cache"]).settings), Options)


def test_options_of_the_command_line_reach_the_cache() -> None:
    arguments = ["gm", "--no-config", "--cache-dir", "there", "--cache-size", "7", "--paranoid"]
    found = cache_from(read(arguments).settings)
    assert isinstance(found, Options)
    assert (found.folder, found.megabytes, found.paranoid) == (Path("there"), 7, True)


def test_warm_scan_imports_nothing_heavy(folder: Path) -> None:
    opcov_itself("--cache-dir", folder)
    lines = opcov_itself("--cache-dir", folder, options=("-X", "importtime")).stderr.splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    assert "opcov" in imported
    assert not imported & {"jinja2", "libcst", "networkx", "numpy", "pandas", "pygments", "sympy", "thunder", "torch"}
