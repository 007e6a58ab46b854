"""Corpora in archives, here and elsewhere, good ones and those that somebody made to do harm."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_servers import site

from opcov.corpus import discover
from opcov.corpus.model import Corpus
from opcov.corpus.remote import Fetched, fetched, is_remote, unpacking, with_lost
from opcov.loaders import available
from opcov.problems import UsageError

GM = Path("fixtures/gm")
GRAPH = b'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[2]"):\n        return (x,)\n'
SUFFIXES = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"]


def packed(archive: Path, folder: Path, start: str = "") -> Path:
    """An archive of all files of a folder, below a path of its own."""
    files = [
        (start + path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file()
    ]
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for name, path in files:
                target.write(path, name)
    else:
        form = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz", ".tar": "w"}[archive.suffix]
        with tarfile.open(archive, form) as target:
            for name, path in files:
                target.add(path, name)
    return archive


def zipped(archive: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return archive


def tarred(archive: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as target:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                target.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                target.addfile(info, io.BytesIO(content))
    return archive


def scanned(found: Fetched) -> Corpus:
    return with_lost(discover(found.root, available()), found.lost)


def files_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """Where copies lie; whatever an archive does, nothing lands beside it."""
    (tmp_path / "cache").mkdir()
    yield tmp_path / "cache"
    assert not [path for path in tmp_path.rglob("rank0_666.py") if "gm" not in path.parts]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_is_the_corpus_that_it_was_made_of(suffix: str, tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / f"gm{suffix}", GM)
    assert is_remote(archive)
    found = scanned(fetched(archive, cache, available()))
    assert (found.models, found.problems) == ((local := discover(GM, available())).models, local.problems)


@pytest.mark.parametrize("start", ["gm/", "./gm/", "./"])
def test_the_folder_that_an_archive_is_called_after_is_in_no_name(start: str, tmp_path: Path, cache: Path) -> None:
    found = scanned(fetched(packed(tmp_path / "gm.tar", GM, start), cache, available()))
    assert found.models == discover(GM, available()).models


def test_a_folder_of_another_name_is_part_of_the_names(tmp_path: Path, cache: Path) -> None:
    archive = zipped(tmp_path / "gm.zip", **{"Qwen/m/rank0_0.py": GRAPH})
    assert [model.name for model in scanned(fetched(archive, cache, available())).models] == ["Qwen/m"]


def test_an_archive_of_one_model_has_the_name_of_the_archive(tmp_path: Path, cache: Path) -> None:
    archive = zipped(tmp_path / "Qwen3.zip", **{"rank0_0.py": GRAPH})
    assert [model.name for model in scanned(fetched(archive, cache, available())).models] == ["Qwen3"]


def test_an_archive_that_has_not_changed_is_not_unpacked_again(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "gm.tar.gz", GM)
    first = fetched(archive, cache, available())
    second = fetched(archive, cache, available())
    assert (first.bytes_read, second.bytes_read) == (archive.stat().st_size, 0)
    assert (first.root, first.files, first.lost) == (second.root, second.files, second.lost)


def test_of_an_archive_that_has_changed_only_changed_files_are_new(tmp_path: Path, cache: Path) -> None:
    archive = zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": GRAPH, "m/rank0_1.py": GRAPH, "m/rank0_2.py": GRAPH})
    root = fetched(archive, cache, available()).root
    times = {name: (root / name).stat().st_mtime_ns for name in files_below(root)}
    zipped(archive, **{"m/rank0_0.py": GRAPH, "m/rank0_1.py": GRAPH + b"\n"})
    fetched(archive, cache, available())
    assert files_below(root) == ["m/rank0_0.py", "m/rank0_1.py"]
    assert (root / "m/rank0_1.py").read_bytes() == GRAPH + b"\n"
    assert (root / "m/rank0_0.py").stat().st_mtime_ns == times["m/rank0_0.py"]


def test_what_an_archive_has_lost_is_lost_also_when_it_is_not_unpacked_again(tmp_path: Path, cache: Path) -> None:
    archive = zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": GRAPH, "../rank0_666.py": GRAPH})
    first = fetched(archive, cache, available())
    assert first.lost and fetched(archive, cache, available()).lost == first.lost


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_on_a_site_is_fetched_once(suffix: str, tmp_path: Path, cache: Path) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp of opcov[remote] is not installed")
    packed(tmp_path / f"gm{suffix}", GM)
    with site(tmp_path) as (url, asked):
        found = scanned(fetched(f"{url}/gm{suffix}?token=1", cache, available()))
        assert found.models == discover(GM, available()).models
        assert fetched(f"{url}/gm{suffix}?token=1", cache, available()).bytes_read == 0
        assert len([line for line in asked if line.startswith("GET")]) == 1


# --- members that mean harm


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../rank0_666.py", "its path leads out of the corpus"),
        ("m/../../rank0_666.py", "its path leads out of the corpus"),
        ("/elsewhere/rank0_666.py", "its path is absolute"),
        (".\\..\\..\\rank0_666.py", "its path leads out of the corpus"),
        (f"{'x' * 300}/rank0_666.py", "no file can have this name here"),
    ],
)
def test_a_member_of_a_zip_that_would_land_elsewhere_is_lost(
    name: str, reason: str, tmp_path: Path, cache: Path
) -> None:
    archive = zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": GRAPH, name: GRAPH})
    found = fetched(archive, cache, available())
    assert list(found.lost.values()) == [reason]
    assert files_below(found.root) == ["m/rank0_0.py"]


@pytest.mark.parametrize("name", ["../rank0_666.py", "/elsewhere/rank0_666.py"])
def test_a_member_of_a_tar_that_would_land_elsewhere_is_lost(name: str, tmp_path: Path, cache: Path) -> None:
    found = fetched(tarred(tmp_path / "gm.tar", ("m/rank0_0.py", GRAPH), (name, GRAPH)), cache, available())
    assert list(found.lost) == [name]
    assert files_below(found.root) == ["m/rank0_0.py"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_member_of_a_tar_that_is_no_file_is_lost(kind: bytes, tmp_path: Path, cache: Path) -> None:
    info = tarfile.TarInfo("m/rank0_1.py")
    info.type, info.linkname = kind, "/etc/passwd"
    found = fetched(tarred(tmp_path / "gm.tar", ("m/rank0_0.py", GRAPH), ("", info)), cache, available())
    linked = kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
    reason = "it is a link, and links of archives are not followed" if linked else "it is no regular file"
    assert found.lost == {"m/rank0_1.py": reason}


def test_a_link_to_a_folder_leads_no_file_out(tmp_path: Path, cache: Path) -> None:
    link = tarfile.TarInfo("m")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    fetched(tarred(tmp_path / "gm.tar", ("", link), ("m/rank0_666.py", GRAPH)), cache, available())
    assert not (tmp_path / "rank0_666.py").exists()


def test_a_link_in_a_zip_is_lost(tmp_path: Path, cache: Path) -> None:
    info = zipfile.ZipInfo("m/rank0_1.py")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "gm.zip", "w") as archive:
        archive.writestr("m/rank0_0.py", GRAPH)
        archive.writestr(info, "/etc/passwd")
    assert list(fetched(tmp_path / "gm.zip", cache, available()).lost) == ["m/rank0_1.py"]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_that_grows_beyond_all_measure_is_refused(
    suffix: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "RATIO_FREE", 1 << 20)
    zeros = bytes(32 << 20)
    if suffix == ".zip":
        archive = zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": zeros})
    else:  # not even one that nobody wants is unpacked that far
        archive = tarred(tmp_path / "gm.tar.gz", ("weights.bin", zeros), ("m/rank0_0.py", GRAPH))
    with pytest.raises(UsageError, match=r"gm\.(zip|tar\.gz): it holds more than 500 times its own size"):
        fetched(archive, cache, available())


def test_a_member_that_is_too_large_is_lost(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "FILE_LIMIT", 1000)
    found = fetched(
        zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": GRAPH, "m/rank0_1.py": GRAPH * 20}), cache, available()
    )
    assert list(found.lost) == ["m/rank0_1.py"]


def test_an_archive_that_holds_too_much_is_refused(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "TOTAL_LIMIT", 150)
    with pytest.raises(UsageError, match="it holds more than"):
        fetched(zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": GRAPH, "m/rank0_1.py": GRAPH}), cache, available())


# --- archives that are broken


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
def test_an_archive_that_is_cut_off_is_an_error(suffix: str, share: float, tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / f"gm{suffix}", GM)
    whole = archive.read_bytes()
    if suffix == ".tar":
        whole = whole.rstrip(b"\0")  # the padding at its end does not count
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UsageError, match=r"damaged|cut off"):
        fetched(archive, cache, available())


def test_a_tar_that_ends_between_two_members_is_an_error(tmp_path: Path, cache: Path) -> None:
    archive = tarred(tmp_path / "gm.tar", ("m/rank0_0.py", GRAPH), ("m/rank0_1.py", GRAPH))
    archive.write_bytes(archive.read_bytes()[:1024])
    with pytest.raises(UsageError, match="cut off"):
        fetched(archive, cache, available())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_archive_is_an_error(suffix: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / f"gm{suffix}").write_text("<html>please log in</html>" * 100)
    with pytest.raises(UsageError, match="damaged or no"):
        fetched(tmp_path / f"gm{suffix}", cache, available())


def test_a_damaged_member_of_a_zip_is_lost_alone(tmp_path: Path, cache: Path) -> None:
    archive = tmp_path / "gm.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        target.writestr("m/rank0_0.py", GRAPH)
        target.writestr("m/rank0_1.py", GRAPH.replace(b"GraphModule", b"GraphNodule"))
    archive.write_bytes(archive.read_bytes().replace(b"GraphNodule", b"GraphXodule"))
    found = fetched(archive, cache, available())
    assert list(found.lost) == ["m/rank0_1.py"] and "damaged" in found.lost["m/rank0_1.py"]


def test_an_encrypted_archive_says_what_to_do(tmp_path: Path, cache: Path) -> None:
    archive = zipped(tmp_path / "gm.zip", **{"m/rank0_0.py": GRAPH})
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag of encryption in the header of the member, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(UsageError, match="it is encrypted; unpack the archive first"):
        fetched(archive, cache, available())


def test_an_archive_without_graphs_is_an_error(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(UsageError, match=r"no graphs and no run logs below .*gm\.zip"):
        fetched(zipped(tmp_path / "gm.zip", **{"README.md": b"# none"}), cache, available())


def test_a_local_archive_needs_no_package_for_servers(tmp_path: Path, cache: Path) -> None:
    import subprocess
    import sys

    packed(tmp_path / "gm.zip", GM)
    script = (
        "import sys; from pathlib import Path; from opcov.corpus.remote import fetched;"
        "from opcov.loaders import available; fetched(sys.argv[1], Path(sys.argv[2]), available());"
        "print([name for name in ('fsspec', 'aiohttp') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "gm.zip", cache], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
