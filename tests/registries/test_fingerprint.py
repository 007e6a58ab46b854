"""The fingerprint: equal for equal packages wherever they lie, another one for every change, none where unsure."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opcov.registries import fingerprint as module
from opcov.registries.fingerprint import _package, fingerprint

PROJECT = Path(__file__).resolve().parent.parent.parent
LONG_AGO = 1_600_000_000_000_000_000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that packages are imported from."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def write(path: Path, text: str, when: int = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(when, when))


def install(place: Path, files: dict[str, str], version: str = "1.0") -> None:
    """Writes a distribution `zoo` as an installer does, its record last."""
    for name, text in files.items():
        write(place / name, text)
    info = place / f"zoo-{version}.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: zoo\nVersion: {version}\n")
    rows = [f"{name},sha256=of-{hash(text)},{len(text)}" for name, text in files.items()]
    script = f"../../bin/zoo,sha256=of-{place},9"  # a script names its interpreter, and so its place
    record = "\n".join([*rows, f"zoo-{version}.dist-info/METADATA,,", f"zoo-{version}.dist-info/RECORD,,", script])
    write(info / "RECORD", record, LONG_AGO + 1)
    importlib.invalidate_caches()


def of(place: Path, *, walks: bool = True) -> str | None:
    importlib.invalidate_caches()
    return _package("zoo", "zoo", walks=walks)


FILES = {"zoo/__init__.py": "", "zoo/inner/ops.py": "x = 1\n"}


def test_installed_package_has_the_same_fingerprint_in_every_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for name in ("here", "there"):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / name))
            install(tmp_path / name, FILES)
            found.add(of(tmp_path / name))
    assert len(found) == 1
    assert None not in found


@pytest.mark.parametrize("change", ["same size", "other size", "new file", "version"])
def test_edited_installed_package_has_another_fingerprint(place: Path, change: str) -> None:
    install(place, FILES)
    before = of(place)
    match change:
        case "same size":
            write(place / "zoo/inner/ops.py", "x = 2\n", LONG_AGO + 10)
        case "other size":
            write(place / "zoo/inner/ops.py", "x = 22\n")
        case "new file":
            write(place / "zoo/more.py", "")
        case _:
            record = (place / "zoo-1.0.dist-info").rename(place / "zoo-1.1.dist-info") / "RECORD"
            record.write_text(record.read_text().replace("zoo-1.0", "zoo-1.1"))
    assert of(place) not in (before, None)


@pytest.mark.parametrize("change", ["content", "time", "new file", "lost file"])
def test_edited_checkout_has_another_fingerprint(place: Path, change: str) -> None:
    for name, text in FILES.items():
        write(place / name, text)
    before = of(place)
    assert before is not None
    match change:
        case "content":
            write(place / "zoo/inner/ops.py", "x = 22\n")
        case "time":
            write(place / "zoo/inner/ops.py", "x = 2\n", LONG_AGO + 10)
        case "new file":
            write(place / "zoo/more.py", "")
        case _:
            (place / "zoo/inner/ops.py").unlink()
    assert of(place) not in (before, None)


def test_checkout_that_is_edited_while_this_process_runs_has_none(place: Path) -> None:
    for name, text in FILES.items():
        write(place / name, text)
    (place / "zoo/inner/ops.py").write_text("x = 2\n")  # this process may have loaded what was there before
    assert of(place) is None


def test_installed_package_that_is_edited_while_this_process_runs_has_none(place: Path) -> None:
    install(place, FILES)
    (place / "zoo/inner/ops.py").write_text("x = 2\n")
    assert of(place) is None


def test_package_that_is_installed_beside_makes_another_fingerprint(tmp_path: Path) -> None:
    code = "print(f.fingerprint(requires_grad=False))"
    path = f"{PROJECT}{os.pathsep}{tmp_path}"
    before = in_a_process(code, PYTHONPATH=path)
    (tmp_path / "executor-1.0.dist-info").mkdir()
    assert in_a_process(code, PYTHONPATH=path) not in (before, ["None"])


def test_package_that_is_not_there_has_none(place: Path) -> None:
    assert of(place) is None


def test_package_is_not_imported_for_its_fingerprint(place: Path) -> None:
    write(place / "zoo/__init__.py", "raise SystemExit('imported')\n")
    assert of(place) is not None
    assert "zoo" not in sys.modules


def in_a_process(code: str, **variables: str) -> list[str]:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\nfrom opcov.registries import fingerprint as f\nf._BEGAN = 1 << 62\n{code}",
        ],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_fingerprint_of_the_installed_thunder_imports_neither_it_nor_torch() -> None:
    code = "print(f.fingerprint(requires_grad=False), *{n.partition('.')[0] for n in sys.modules})"
    found, *imported = in_a_process(code)
    assert found != "None"
    assert not {"torch", "thunder", "sympy", "numpy"} & set(imported)


def test_fingerprint_is_the_same_in_every_process_and_differs_by_options_and_variables() -> None:
    both = "print(f.fingerprint(requires_grad=False), f.fingerprint(requires_grad=True))"
    first, second = in_a_process(both, PYTHONHASHSEED="1"), in_a_process(both, PYTHONHASHSEED="2")
    assert first == second
    assert len({*first, *in_a_process(both, THUNDER_SOMETHING="1")}) == 4


def test_process_into_which_somebody_else_has_loaded_thunder_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "thunder", module)
    assert fingerprint(requires_grad=False) is None


def test_op_that_is_registered_after_a_scan_takes_the_fingerprint_away() -> None:
    code = (
        "from opcov import api\n"
        "print(f.fingerprint(requires_grad=False))\n"
        "api._thunder(requires_grad=False)\n"
        "print(f.fingerprint(requires_grad=False))\n"
        "sys.modules['thunder.dynamo.utils']._torch_to_thunder_function_map[print] = print\n"
        "print(f.fingerprint(requires_grad=False))\n"
    )
    before, after, registered = in_a_process(code)
    assert before == after != "None"
    assert registered == "None"


def test_op_of_torch_that_is_registered_before_a_scan_makes_another_fingerprint() -> None:
    code = (
        "import torch\n"
        "print(f.fingerprint(requires_grad=False))\n"
        "torch.library.define('zoo::feed', '(Tensor x) -> Tensor')\n"
        "print(f.fingerprint(requires_grad=False))\n"
    )
    before, after = in_a_process(code)
    assert "None" not in (before, after)
    assert before != after
