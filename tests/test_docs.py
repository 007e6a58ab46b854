"""The documentation: its commands and programs run, its references lead somewhere, and it says what the code does."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import opcov
from opcov import document
from opcov.cli import main
from opcov.explanations import explanations
from opcov.loaders import BUILT_IN

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r"\n+```output\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A block of code on a page.

    Attributes:
        page: its name.
        number: of the block on its page.
        code: what is in it.
        output: the block of the language `output` right behind it, "" where there is none.
    """

    page: str
    number: int
    code: str
    output: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def examples(language: str) -> list[Example]:
    blocks = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for number, found in enumerate(_FENCE.finditer(text)):
            if found["language"] == language:
                output = _OUTPUT.match(text, found.end())
                blocks.append(Example(path.stem, number, found["code"], output["text"] if output else ""))
    return blocks


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the small corpus as `gm`."""
    (tmp_path / "gm").symlink_to(PROJECT / "fixtures" / "gm")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.recorded
@pytest.mark.parametrize("example", examples("python"), ids=str)
def test_program_on_a_page_runs_and_prints_what_the_page_says(example: Example, desk: Path) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example.code, str(example), "exec"), {"__name__": "example"})  # noqa: S102 - it is our own page
    if example.output:
        assert _stripped(printed.getvalue()) == _stripped(example.output)


@pytest.mark.recorded
@pytest.mark.parametrize("example", examples("shell"), ids=str)
def test_command_on_a_page_runs_and_prints_what_the_page_says(
    example: Example, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in example.code.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "opcov"
        assert main(arguments) == 0
    if example.output:
        assert _stripped(capsys.readouterr().out).startswith(_stripped(example.output))


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


# --- what is generated ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """The module that fills the pages."""
    spec = importlib.util.spec_from_file_location("generated", DOCS / "_ext" / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def filled(generated: ModuleType) -> dict[str, str]:
    """The pages by their names, with what is generated in them."""
    return {path.name: generated.filled(path.read_text(encoding="utf-8")) for path in PAGES}


def test_every_mark_is_replaced(filled: dict[str, str]) -> None:
    assert [name for name, text in filled.items() if "<!-- generated" in text] == []


@pytest.mark.parametrize("table", document.TABLES, ids=lambda table: table.name)
def test_every_column_of_a_table_is_described(table: document.Table, filled: dict[str, str]) -> None:
    section = re.search(rf"^### {table.name}$(.*?)(?=^### |\Z)", filled["reports.md"], re.MULTILINE | re.DOTALL)
    assert section is not None
    rows = dict(re.findall(r"^\| `(\w+)` \| .+? \| (.*) \|$", section[1], re.MULTILINE))
    assert set(table.columns) <= set(rows)
    assert [column for column, meaning in rows.items() if not meaning] == []


def test_every_loader_is_listed(filled: dict[str, str]) -> None:
    assert [loader.name for loader in BUILT_IN if f"| `{loader.name}` |" not in filled["formats.md"]] == []


def test_every_public_name_is_documented(filled: dict[str, str]) -> None:
    assert [name for name in opcov.__all__ if f":: opcov.{name}\n" not in filled["api.md"]] == []


def test_every_explanation_has_its_address(filled: dict[str, str]) -> None:
    assert [one.anchor for one in explanations() if f"({one.anchor})=" not in filled["explanations.md"]] == []


def test_links_between_pages_lead_to_pages_and_addresses(filled: dict[str, str]) -> None:
    addresses = {found for text in filled.values() for found in re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)}
    headings = {
        name: {_slug(found) for found in re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)}
        for name, text in filled.items()
    }
    dead = []
    for name, text in filled.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            page, _, fragment = target.partition("#")
            if page.startswith("https:"):
                continue
            known = addresses | headings.get(page or name, set())
            if page not in {"", *filled} or fragment not in {"", *known}:
                dead.append(f"{name}: {target}")
    assert dead == []


def _slug(heading: str) -> str:
    """The address of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_pages_name_every_page_in_a_table_of_contents() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
    listed = {page for block in blocks for page in re.findall(r"^(?:\w+ <)?([\w-]+)>?$", block, re.MULTILINE)}
    assert {path.stem for path in PAGES} - {"index"} <= listed
