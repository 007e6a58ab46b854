"""Corpora in buckets and on sites, against servers on loopback that speak the real protocols."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import fsspec
import pytest
from remote_servers import Proxy, site

from opcov.corpus import discover
from opcov.corpus.model import Corpus
from opcov.corpus.remote import Fetched, fetched, is_remote, mirror, servers, transfer, with_lost
from opcov.loaders import available
from opcov.problems import Slug, UsageError

pytest.importorskip("s3fs", reason="s3fs of opcov[remote] is not installed")
pytest.importorskip("moto", reason="moto is not installed")

GM = Path("fixtures/gm")
GRAPH = 'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[2]"):\n        return (x,)\n'


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short, and nothing of the user's own settings is seen."""
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture(scope="module")
def moto_server() -> Iterator[tuple[str, int]]:
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


class Bucket:
    """A bucket of its own for a test, as its owner sees it."""

    def __init__(self, address: tuple[str, int], name: str) -> None:
        import boto3

        self.client = boto3.client("s3", endpoint_url=f"http://{address[0]}:{address[1]}")
        self.name = name
        self.url = f"s3://{name}/gm"
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, content: str | bytes = GRAPH) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def put_all(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"gm/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)


_count = iter(range(1000))


@pytest.fixture
def bucket(moto_server: tuple[str, int], in_a_hurry: None) -> Bucket:
    return Bucket(moto_server, f"bucket-{next(_count)}")


@pytest.fixture
def proxy(moto_server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    proxy = Proxy(moto_server)
    # The variable that every client of S3 obeys, so users name their own servers in the same way.
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    yield proxy
    proxy.close()


def scanned(found: Fetched) -> Corpus:
    return with_lost(discover(found.root, available()), found.lost)


def times_below(root: Path) -> dict[str, int]:
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


# --- what is remote ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["s3://bucket/gm", "gs://b", "hf://datasets/o/n", "https://host/gm/", "HTTPS://host/"])
def test_a_url_is_remote(path: str) -> None:
    assert is_remote(path)


def test_a_url_that_went_through_pathlib_is_remote() -> None:
    assert is_remote(Path("s3://bucket/gm"))


def test_local_folders_and_files_are_not_remote(tmp_path: Path) -> None:
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "graph.py").touch()
    paths = [tmp_path, tmp_path / "folder.zip", tmp_path / "graph.py", "C:/gm", "absent.zip"]
    assert not any(map(is_remote, paths))


# --- buckets ----------------------------------------------------------------------------------------------------------


def test_a_corpus_in_a_bucket_is_the_corpus_in_the_folder(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put_all(GM)
    found = scanned(fetched(bucket.url, tmp_path, available()))
    assert (found.models, found.problems) == ((local := discover(GM, available())).models, local.problems)


def test_a_bucket_is_a_corpus_with_its_own_name(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("rank0_0.py")
    found = scanned(fetched(f"s3://{bucket.name}", tmp_path, available()))
    assert [model.name for model in found.models] == [bucket.name]


def test_a_second_fetch_asks_for_no_file(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put_all(GM)
    first = fetched(bucket.url, tmp_path, available())
    before = len(proxy.gets())
    second = fetched(bucket.url, tmp_path, available())
    assert before > 30 and len(proxy.gets()) == before
    assert (first.root, first.files, second.bytes_read) == (second.root, second.files, 0)


def test_a_changed_object_is_fetched_alone(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    for number in range(3):
        bucket.put(f"gm/o/m/rank0_{number}.py")
    times = times_below(fetched(bucket.url, tmp_path, available()).root)
    asked = len(proxy.gets())
    bucket.put("gm/o/m/rank0_1.py", GRAPH + "\n")
    found = fetched(bucket.url, tmp_path, available())
    assert [line.split()[1] for line in proxy.gets()[asked:]] == [f"/{bucket.name}/gm/o/m/rank0_1.py"]
    assert (found.root / "o/m/rank0_1.py").read_text() == GRAPH + "\n"
    kept = times_below(found.root)
    assert {name for name in kept if kept[name] == times[name]} == {"o/m/rank0_0.py", "o/m/rank0_2.py"}


def test_a_deleted_object_goes_away(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/a/rank0_0.py")
    bucket.put("gm/o/b/rank0_0.py")
    fetched(bucket.url, tmp_path, available())
    bucket.delete("gm/o/a/rank0_0.py")
    assert [model.name for model in scanned(fetched(bucket.url, tmp_path, available())).models] == ["o/b"]


def test_a_copy_that_was_touched_is_fetched_again(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    copy = fetched(bucket.url, tmp_path, available()).root / "o/m/rank0_0.py"
    copy.write_text("else")
    fetched(bucket.url, tmp_path, available())
    assert copy.read_text() == GRAPH


def test_weights_and_what_lies_in_hidden_folders_are_not_fetched(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    for key in ("gm/o/m/model.safetensors", "gm/o/m/weights.bin", "gm/.git/hook.py", "gm/o/m/all_ops.py"):
        bucket.put(key)
    found = fetched(bucket.url, tmp_path, available())
    assert list(times_below(found.root)) == ["o/m/rank0_0.py"]
    assert len(proxy.gets("/gm/")) == 1


def test_what_belongs_to_a_graph_is_fetched_with_it(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    forms = Path("fixtures/folder")
    bucket.put_all(forms)
    found, local = scanned(fetched(bucket.url, tmp_path, available())), discover(forms, available())
    assert any(file.companions for file in local.files)
    assert [file.digest for file in found.files] == [file.digest for file in local.files]


def test_of_weights_beside_a_graph_only_the_start_comes(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opcov.corpus.remote import fetching

    monkeypatch.setattr(fetching, "COMPANION_LIMIT", 1000)
    module = next(path for path in Path("fixtures/folder").rglob("module.py"))
    bucket.put("gm/m/module.py", module.read_bytes())
    bucket.put("gm/m/model.safetensors", b"x" * 5000)
    found = fetched(bucket.url, tmp_path, available())
    copy = found.root / "m/model.safetensors"
    assert copy.read_bytes() == b"x" * 1000 + bytes(4000)
    assert found.bytes_read == module.stat().st_size + 1000


def test_one_file_of_a_bucket_belongs_to_the_model_of_its_folder(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    bucket.put("gm/o/m/rank0_1.py")
    (model,) = scanned(fetched(f"{bucket.url}/o/m/rank0_0.py", tmp_path, available())).models
    assert (model.name, [file.path for file in model.files], model.whole) == ("m", ["rank0_0.py"], False)


def test_a_key_that_leads_elsewhere_is_lost_and_lands_nowhere(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    bucket.put("gm/o/../../../../rank0_1.py")
    found = fetched(bucket.url, tmp_path / "cache", available())
    assert found.lost == {"o/../../../../rank0_1.py": "its path leads out of the corpus"}
    assert not list(tmp_path.rglob("rank0_1.py"))
    corpus = scanned(found)
    assert [model.name for model in corpus.models] == ["o/m"]
    assert [problem.slug for problem in corpus.problems] == [Slug.UNREADABLE]


# --- bad connections --------------------------------------------------------------------------------------------------


def test_a_dropped_connection_is_tried_again(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    bucket.put("gm/o/m/rank0_1.py")
    proxy.dropped["rank0_1.py"] = 1
    found = fetched(bucket.url, tmp_path, available())
    assert (found.files, found.lost) == (2, {})
    assert len(proxy.gets("rank0_1.py")) == 2


def test_a_connection_that_is_always_dropped_loses_its_file_alone(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    bucket.put("gm/o/n/rank0_10.py")
    proxy.dropped["rank0_10.py"] = 1000
    found = fetched(bucket.url, tmp_path, available())
    assert list(found.lost) == ["o/n/rank0_10.py"]
    corpus = scanned(found)
    assert [(model.name, [file.problem is None for file in model.files]) for model in corpus.models] == [
        ("o/m", [True]),
        ("o/n", [False]),
    ]


def test_a_slow_object_is_lost_alone(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", 6)  # a busy machine needs more than a second for its first client of S3
    for number in range(20):
        bucket.put(f"gm/o/m/rank0_{number}.py")
    proxy.swallowed.add("rank0_7.py")
    started = time.monotonic()
    found = fetched(bucket.url, tmp_path, available())
    assert found.lost == {"o/m/rank0_7.py": "no answer within 6 s"}
    assert found.files == 19
    assert time.monotonic() - started < 40


def test_the_old_copy_of_a_file_that_does_not_come_is_not_taken_for_it(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    bucket.put("gm/o/m/rank0_1.py")
    fetched(bucket.url, tmp_path, available())
    bucket.put("gm/o/m/rank0_1.py", GRAPH * 2)
    proxy.dropped["rank0_1.py"] = 1000
    found = fetched(bucket.url, tmp_path, available())
    assert list(times_below(found.root)) == ["o/m/rank0_0.py"]
    proxy.dropped.clear()
    assert fetched(bucket.url, tmp_path, available()).lost == {}


def test_where_nothing_comes_the_error_names_the_first_reason(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/m/rank0_0.py")
    proxy.dropped["rank0_0.py"] = 1000
    with pytest.raises(UsageError, match=r"none of its graphs .* the first: o/m/rank0_0\.py: \w"):
        fetched(bucket.url, tmp_path, available())


def test_a_server_that_has_gone_silent_is_not_asked_for_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "UNANSWERED", 4)
    monkeypatch.setattr(transfer, "REQUESTS", 2)
    asked: list[int] = []

    def ask(number: int, watch: transfer.Watch) -> None:
        asked.append(number)
        time.sleep(0.01)
        raise ConnectionError

    results = dict(transfer.in_parallel(range(100), ask))
    assert len(results) == 100 and len(asked) < 10
    assert "not asked for" in str(results[99])


def test_a_file_that_is_too_large_is_lost(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opcov.corpus.remote import fetching

    monkeypatch.setattr(fetching, "FILE_LIMIT", 1 << 20)
    bucket.put("gm/o/m/rank0_0.py")
    bucket.put("gm/o/m/rank0_1.py", b"#" * (2 << 20))
    found = fetched(bucket.url, tmp_path, available())
    assert found.lost == {"o/m/rank0_1.py": "it is larger than 1 MiB"}
    assert not proxy.gets("rank0_1.py")


# --- what ends a scan -------------------------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="s3://not-a-bucket/gm: there is no such file, folder or bucket"):
        fetched("s3://not-a-bucket/gm", tmp_path, available())


def test_a_prefix_with_nothing_below_it(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file, folder or bucket"):
        fetched(f"{bucket.url}/absent", tmp_path, available())


def test_a_bucket_without_graphs(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    bucket.put("gm/o/setup.py", "print()")
    with pytest.raises(UsageError, match="no graphs and no run logs below s3://"):
        fetched(bucket.url, tmp_path, available())


def denied(request: BaseHTTPRequestHandler) -> bool:
    body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    request.send_response(403)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)
    return True


def test_a_bucket_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, denied) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(UsageError, match=r"s3://bucket/gm: access is denied; set AWS_PROFILE"):
            fetched("s3://bucket/gm", tmp_path, available())


def test_a_site_that_may_not_be_read_tells_no_secrets(tmp_path: Path) -> None:
    with site(tmp_path, denied) as (url, _):
        address = url.replace("://", "://user:pass-word@") + "/gm/?token=se-cret"
        with pytest.raises(UsageError, match="/gm/: access is denied") as caught:
            fetched(address, tmp_path, available())
    assert not any(secret in str(caught.value) for secret in ("user", "pass-word", "se-cret"))


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"http://127\.0\.0\.1:9/gm cannot be read: .*check the address and the network"
    ):
        fetched("http://127.0.0.1:9/gm", tmp_path, available())


def test_a_protocol_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="s4:// is no protocol that can be read; there are: s3, gs, hf, https"):
        fetched("s4://bucket/gm", tmp_path, available())


@pytest.mark.parametrize("protocol", ["s3", "gs", "hf", "https"])
def test_a_package_that_is_missing(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(f"no package for {name}")

    monkeypatch.setattr(servers, "get_filesystem_class", absent)
    with pytest.raises(UsageError, match=rf"{protocol}:// needs a package .* pip install 'opcov\[remote\]'"):
        fetched(f"{protocol}://some/where", tmp_path, available())


@pytest.mark.parametrize(
    "text",
    [
        "403, message='Forbidden', url='https://me:SECRET@host/gm?sig=SECRET'",
        "cannot open https://host/gm?X-Amz-Signature=SECRET&b=1",
        "Authorization: Bearer SECRET",
        "the token='SECRET' is no good",
        "hf_SECRETSECRETSECRET was refused",
    ],
)
def test_what_libraries_say_is_repeated_without_secrets(text: str) -> None:
    from opcov.corpus.remote.address import scrubbed

    assert "SECRET" not in scrubbed(text, "https://other/")


# --- other protocols --------------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_any_protocol_of_fsspec_will_do(memory: Any, tmp_path: Path) -> None:
    memory.put(str(GM), "/host/gm", recursive=True)
    found = scanned(fetched("memory://host/gm", tmp_path, available()))
    assert (found.models, found.problems) == ((local := discover(GM, available())).models, local.problems)


def test_a_file_that_became_a_folder(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/gm/a/b.py/rank0_0.py", GRAPH.encode())
    memory.pipe("/gm/a/rank0_0.py", GRAPH.encode())
    memory.store.pop("/gm/a/b.py/rank0_0.py")
    memory.pipe("/gm/a/b.py", GRAPH.encode())
    fetched("memory://gm", tmp_path, available())
    memory.rm("/gm/a/b.py")
    memory.pipe("/gm/a/b.py/rank0_0.py", GRAPH.encode())
    found = fetched("memory://gm", tmp_path, available())
    assert sorted(times_below(found.root)) == ["a/b.py/rank0_0.py", "a/rank0_0.py"]


def test_a_folder_on_a_site_is_the_corpus_in_the_folder(tmp_path: Path) -> None:
    with site(GM.parent) as (url, asked):
        found = scanned(fetched(f"{url}/gm", tmp_path, available()))
        assert (found.models, found.problems) == ((local := discover(GM, available())).models, local.problems)
        before = len([line for line in asked if line.endswith(".py") and line.startswith("GET")])
        assert fetched(f"{url}/gm", tmp_path, available()).bytes_read == 0
        assert len([line for line in asked if line.endswith(".py") and line.startswith("GET")]) == before


def test_links_that_lead_up_or_away_are_not_followed(tmp_path: Path) -> None:
    model = tmp_path / "www/gm/o/m"
    model.mkdir(parents=True)
    (model / "rank0_0.py").write_text(GRAPH)
    (tmp_path / "www/rank0_9.py").write_text(GRAPH)
    links = "<a href='/'>up</a> <a href='../'>up</a> <a href='/rank0_9.py'>x</a> <a href='?C=N;O=D'>by name</a>"
    (tmp_path / "www/gm/index.html").write_text(f"{links} <a href='o/'>o</a> <a href='http://127.0.0.1:9/gm/x/'>x</a>")
    with site(tmp_path / "www") as (url, asked):
        found = fetched(f"{url}/gm/", tmp_path / "cache", available())
        assert (list(times_below(found.root)), found.lost) == (["o/m/rank0_0.py"], {})
        assert {line.split()[1] for line in asked} <= {"/gm/", "/gm/o/", "/gm/o/m/", "/gm/o/m/rank0_0.py"}


def test_a_body_that_is_cut_off_is_lost(tmp_path: Path) -> None:
    (tmp_path / "gm").mkdir()
    for number in range(2):
        (tmp_path / f"gm/rank0_{number}.py").write_text(GRAPH)

    def cut(request: BaseHTTPRequestHandler) -> bool:
        if request.command != "GET" or "rank0_1" not in request.path:
            return False
        request.send_response(200)
        request.send_header("Content-Length", str(len(GRAPH)))
        request.end_headers()
        request.wfile.write(GRAPH[:20].encode())
        request.close_connection = True
        return True

    with site(tmp_path, cut) as (url, asked):
        found = fetched(f"{url}/gm", tmp_path / "cache", available())
        assert list(found.lost) == ["rank0_1.py"]
        assert asked.count("GET /gm/rank0_1.py") == 3


# --- several processes, and none --------------------------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
from opcov.corpus.remote import fetched
from opcov.loaders import available
print("begin", flush=True)
try:
    found = fetched(sys.argv[1], Path(sys.argv[2]), available())
except KeyboardInterrupt:
    sys.exit(130)
print(found.files, len(found.lost))
"""


def child(address: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, address, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stalling(request: BaseHTTPRequestHandler) -> bool:
    """Sends half of one file, and then nothing for a long time."""
    if request.command != "GET" or "rank0_1.py" not in request.path:
        return False
    request.send_response(200)
    request.send_header("Content-Length", str(len(GRAPH)))
    request.end_headers()
    request.wfile.write(GRAPH[:20].encode())
    request.wfile.flush()
    time.sleep(30)
    return True


@pytest.fixture
def three_files(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    (folder / "gm").mkdir(parents=True)
    for number in range(3):
        (folder / f"gm/rank0_{number}.py").write_text(GRAPH)
    return folder


def wait_for(asked: list[str], line: str) -> None:
    limit = time.monotonic() + 60
    while line not in asked and time.monotonic() < limit:
        time.sleep(0.02)
    time.sleep(0.3)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_who_is_killed_leaves_no_half_file(three_files: Path, tmp_path: Path) -> None:
    with site(three_files, stalling) as (url, asked):
        process = child(f"{url}/gm", tmp_path / "cache")
        wait_for(asked, "GET /gm/rank0_1.py")
        process.kill()
        process.communicate()
        copies = list((tmp_path / "cache").rglob("copy/**/*.py"))
        assert {path.read_text() for path in copies} <= {GRAPH}
        assert "rank0_1.py" not in {path.name for path in copies}
    with site(three_files) as (url, _):
        assert fetched(f"{url}/gm", tmp_path / "cache", available()).files == 3


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT")
def test_ctrl_c_does_not_wait_for_the_server(three_files: Path, tmp_path: Path) -> None:
    with site(three_files, stalling) as (url, asked):
        process = child(f"{url}/gm", tmp_path / "cache")
        wait_for(asked, "GET /gm/rank0_1.py")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (130, "")
        assert time.monotonic() - started < 3  # a second, and what a busy machine adds; the server takes 30


def test_several_processes_fetch_one_corpus_at_once(tmp_path: Path) -> None:
    with site(GM.parent) as (url, _):
        processes = [child(f"{url}/gm", tmp_path) for _ in range(3)]
        said = {process.communicate(timeout=120)[0] for process in processes}
    assert said == {f"begin\n{len([f for f in GM.rglob('*') if f.suffix == '.py' or f.name == 'log.txt'])} 0\n"}


def test_a_copy_that_another_process_holds_for_too_long_is_an_error(
    three_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    with site(three_files) as (url, _):
        found = fetched(f"{url}/gm", tmp_path, available())
        monkeypatch.setattr(mirror, "WAIT", 0.1)
        with (
            FileLock(f"{found.root.parent.parent}.lock"),
            pytest.raises(UsageError, match="another process has been fetching it"),
        ):
            fetched(f"{url}/gm", tmp_path, available())


def test_a_damaged_manifest_costs_a_fetch(three_files: Path, tmp_path: Path) -> None:
    with site(three_files) as (url, _):
        found = fetched(f"{url}/gm", tmp_path, available())
        (manifest,) = tmp_path.rglob("manifest.json")
        manifest.write_bytes(b'{"version": 1, "files": [["x"')
        times = times_below(found.root)
        again = fetched(f"{url}/gm", tmp_path, available())
    assert (again.files, again.lost, again.bytes_read) == (3, {}, 3 * len(GRAPH))
    # What is the same keeps its times, so that nobody reads it again.
    assert times_below(again.root) == times


def test_a_copy_that_nobody_has_used_for_long_is_removed(three_files: Path, tmp_path: Path) -> None:
    with site(three_files) as (url, _):
        old = fetched(f"{url}/gm", tmp_path, available())
        long_ago = time.time() - 86_400 * (mirror.KEPT_DAYS + 1)
        os.utime(old.root.parent.parent / "manifest.json", (long_ago, long_ago))
        shutil.copytree(three_files / "gm", three_files / "gm2")
        fetched(f"{url}/gm2", tmp_path, available())
    assert not old.root.exists()


# --- what is lost -----------------------------------------------------------------------------------------------------


@pytest.fixture
def half(tmp_path: Path) -> Corpus:
    model = tmp_path / "gm/o/m"
    model.mkdir(parents=True)
    for number in (2, 10):
        (model / f"rank0_{number}.py").write_text(GRAPH)
    return discover(tmp_path / "gm", available())


def test_a_lost_graph_stands_in_its_model_in_natural_order(half: Corpus) -> None:
    (model,) = with_lost(half, {"o/m/rank0_3.py": "gone"}).models
    assert [(file.name, file.digest != "") for file in model.files] == [
        ("rank0_2.py", True),
        ("rank0_3.py", False),
        ("rank0_10.py", True),
    ]
    assert str(model.files[1].problem) == "o/m/rank0_3.py: the file cannot be read: gone [unreadable]"


def test_a_model_that_has_lost_all_is_still_there(half: Corpus) -> None:
    found = with_lost(half, {"o/a/rank0_0.py": "gone", "o/z/log.txt": "gone"})
    assert [(model.name, len(model.files), model.run_log) for model in found.models] == [
        ("o/a", 1, None),
        ("o/m", 2, None),
        ("o/z", 0, None),
    ]
    assert [str(problem) for problem in found.problems] == [
        "o/a/rank0_0.py: the file cannot be read: gone [unreadable]",
        "o/z/log.txt: the run log cannot be read: gone [unreadable]",
    ]


def test_a_lost_graph_of_the_root_belongs_to_the_model_that_is_the_root(half: Corpus) -> None:
    found = with_lost(half, {"rank0_0.py": "gone"})
    assert [model.name for model in found.models] == ["gm", "o/m"]


def test_what_may_have_been_a_graph_is_a_problem_alone(half: Corpus) -> None:
    found = with_lost(half, {"o/m/setup.py": "gone"})
    assert found.models == half.models
    assert [problem.file for problem in found.problems] == ["o/m/setup.py"]


def test_a_corpus_that_lost_nothing_is_the_same(half: Corpus) -> None:
    assert with_lost(half, {}) is half
