"""The seam behind which loaders stand: how files are claimed, and how other packages add forms."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from building import FakeRegistry, graph_text, write_corpus

from opcov import api, plugins
from opcov.corpus import discover
from opcov.graph import Form, Graph, Kind, Node
from opcov.loaders import available
from opcov.loaders.loader import Loaded, Loader, SavedFile
from opcov.problems import Problem, Slug, UsageError


def load_notes(file: SavedFile) -> Loaded:
    """One call a line of a text file."""
    names = file.content.decode().split()
    nodes = tuple(Node(name, Kind.CALL_FUNCTION, f"torch.{name}", f"torch.{name}") for name in names)
    return (Graph("Notes", Form.UNSPLIT, nodes),), ()


NOTES = Loader("notes", lambda name, head: True, load_notes, suffixes=(".ops",), companions=("shapes.txt",))


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Loader]]:
    """Loaders that an installed package offers under opcov.loaders."""
    found: list[Loader] = []

    class Point(EntryPoint):
        def load(self) -> object:
            return next(loader for loader in found if loader.name == self.name)

    monkeypatch.setattr(
        plugins, "offered", lambda group: [Point(loader.name, "package:LOADER", group) for loader in found]
    )
    available.cache_clear()
    yield found
    available.cache_clear()


def test_loader_of_another_package_reads_its_files(offered: list[Loader], tmp_path: Path) -> None:
    offered.append(NOTES)
    scan = api.scan(write_corpus(tmp_path, {"m/a.ops": "relu\ntanh\n"}), registry=FakeRegistry())
    assert list(scan.nodes["op"]) == ["torch.relu", "torch.tanh"]


def test_two_loaders_that_claim_one_file_are_both_named(offered: list[Loader], tmp_path: Path) -> None:
    offered.append(Loader("greedy", lambda name, head: True, load_notes))
    root = write_corpus(tmp_path, {"m/a.py": graph_text("y = torch.relu(x)")})
    assert discover(root, available()).problems == (
        Problem("m/a.py", 0, Slug.CONTESTED, "the loaders readable and greedy both claim the file; readable reads it"),
    )


def test_file_that_two_loaders_claim_is_still_read(offered: list[Loader], tmp_path: Path) -> None:
    offered.append(Loader("greedy", lambda name, head: True, load_notes))
    root = write_corpus(tmp_path, {"m/a.py": graph_text("y = torch.relu(x)")})
    assert list(api.scan(root, registry=FakeRegistry()).nodes["op"]) == ["torch.relu"]


def test_files_of_several_forms_in_one_folder_are_all_read(offered: list[Loader], tmp_path: Path) -> None:
    offered.append(NOTES)
    texts = {"m/rank0_0.py": graph_text("y = torch.relu(x)"), "m/b.ops": "tanh", "m/setup.py": "import os\n"}
    scan = api.scan(write_corpus(tmp_path, texts), registry=FakeRegistry())
    assert dict(zip(scan.nodes["file"], scan.nodes["op"], strict=True)) == {
        "m/b.ops": "torch.tanh",
        "m/rank0_0.py": "torch.relu",
    }


def test_files_beside_a_graph_are_part_of_what_tells_bodies_apart(offered: list[Loader], tmp_path: Path) -> None:
    offered.append(NOTES)
    texts = {"m/a.ops": "relu", "m/shapes.txt": "4", "n/a.ops": "relu", "n/shapes.txt": "8", "o/a.ops": "relu"}
    assert len(discover(write_corpus(tmp_path, texts), available()).bodies()) == 3


def test_entry_point_that_is_no_loader_is_refused(offered: list[Loader]) -> None:
    offered.append(type("NoLoader", (), {"name": "odd"})())
    with pytest.raises(
        UsageError, match=r"the entry point odd of opcov\.loaders \(package:LOADER\) is no opcov Loader"
    ):
        available()


def test_entry_point_that_cannot_be_loaded_is_named(offered: list[Loader], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_package:LOADER", "opcov.loaders")
    monkeypatch.setattr(plugins, "offered", lambda group: [broken])
    with pytest.raises(UsageError, match=r"the entry point broken .* cannot be loaded: No module named"):
        available()


def test_no_fixture_is_claimed_by_two_loaders() -> None:
    fixtures = Path(__file__).resolve().parents[2] / "fixtures"
    files = [path for path in fixtures.rglob("*") if path.is_file() and path.parent != fixtures]
    for path in files:
        head = path.read_bytes()[: 1 << 20]
        claims = [
            form.name for form in available() if path.name.endswith(form.suffixes) and form.detect(path.name, head)
        ]
        assert len(claims) < 2, path
