"""The project's promises about itself: documentation true to the code, light start, pinned set complete."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import opcov

PROJECT = Path(__file__).resolve().parent.parent
MODULES = sorted((PROJECT / "opcov").rglob("*.py"))

HEAVY = {"jinja2", "libcst", "msgspec", "networkx", "numpy", "pandas", "pygments", "sympy", "thunder", "torch"}


def run_help(*python_options: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m opcov --help` in a terminal of 80 columns without colours."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [sys.executable, *python_options, "-m", "opcov", "--help"]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)


def test_readme_shows_the_help_that_the_command_prints() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^<!-- help -->\n```text\n(.*?)^```\n<!-- /help -->$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None, "README.md has lost its help block"
    assert block[1] == run_help().stdout, "README.md is out of date; refresh it with: make readme"


def test_help_imports_no_heavy_library() -> None:
    lines = run_help("-X", "importtime").stderr.splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    assert "opcov" in imported
    assert not imported & HEAVY


def test_import_of_opcov_imports_no_heavy_library() -> None:
    code = "import sys, opcov; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    imported = set(result.stdout.split())
    assert "opcov" in imported
    assert not imported & HEAVY


def test_installed_version_is_the_one_in_the_code() -> None:
    assert importlib.metadata.version("opcov") == opcov.__version__, "opcov has to be installed again"


def test_changelog_begins_with_this_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == opcov.__version__


def test_constraints_pin_every_requirement_within_its_range() -> None:
    text = (PROJECT / "constraints.txt").read_text(encoding="utf-8")
    pins = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    pinned: dict[str, str] = {}
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "==", f"{pin} is no pin"
        if pin.marker is None or pin.marker.evaluate():
            assert canonicalize_name(pin.name) not in pinned, f"{pin.name} is pinned twice"
            pinned[canonicalize_name(pin.name)] = specifier.version
    required = [Requirement(text) for text in importlib.metadata.requires("opcov") or ()]
    assert required
    unpinned = [
        str(requirement)
        for requirement in required
        if _applies(requirement)
        and not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), ""))
    ]
    assert unpinned == []


def _applies(requirement: Requirement) -> bool:
    """Whether this Python takes it, with some of the extras."""
    extras = ("", *(importlib.metadata.metadata("opcov").get_all("Provides-Extra") or ()))
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_module_says_in_its_first_line_why_it_exists(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first, _, rest = docstring.partition("\n")
    assert first.endswith("."), f"the first line is no whole sentence: {first!r}"
    assert rest == "" or rest.startswith("\n"), "the first sentence runs on into the second line"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_module_is_drawn_in_the_architecture(path: Path) -> None:
    drawing = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    parts = path.relative_to(PROJECT / "opcov").parts
    name = f"{parts[0]}/" if len(parts) > 1 else parts[0]
    assert re.search(rf"^      {re.escape(name)} ", drawing, re.MULTILINE), f"docs/architecture.md does not draw {name}"
