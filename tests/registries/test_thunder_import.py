"""Importing lightning-thunder: what is placed, what is left behind, and what is said when it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from opcov.registries import thunder_import
from opcov.registries.thunder_import import STAND_INS, bound_python_method, function_named, import_thunder, stand_ins

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = None

PROJECT = Path(__file__).resolve().parents[2]
WHEELS = os.environ.get("OPCOV_THUNDER_WHEELS")


def owner_of(entry: thunder_import.StandIn) -> Any:
    owner: Any = torch
    for part in entry.owner.split(".")[1:]:
        owner = getattr(owner, part)
    return owner


def state() -> list[object]:
    """What torch itself has under every name that a stand-in may take."""
    return [vars(owner_of(entry)).get(entry.name, "absent") for entry in STAND_INS]


def run_python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh process whose import path starts with the given folders."""
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]  # another Thunder
    search = os.pathsep.join(map(str, [*path, PROJECT, *given]))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        check=True,
    )


def fake_thunder(folder: Path, code: str) -> Path:
    (folder / "thunder").mkdir()
    (folder / "thunder" / "__init__.py").write_text(textwrap.dedent(code), encoding="utf-8")
    return folder


def test_thunder_can_be_imported_with_the_installed_torch() -> None:
    thunder = import_thunder()
    assert callable(thunder.dynamo.splitter._splitter)


def test_the_second_call_returns_the_same_module_at_once() -> None:
    first = import_thunder()
    start = time.process_time()
    second = import_thunder()
    assert second is first
    assert time.process_time() - start < 0.01


def test_torch_is_as_it_was_after_a_successful_import() -> None:
    code = """
        import torch
        from opcov.registries.thunder_import import STAND_INS, import_thunder
        methods = {name for name in dir(torch.Tensor)}
        apply = vars(torch.autograd.function.Function).get("apply"), torch.autograd.function.Function.apply
        import_thunder()
        assert {name for name in dir(torch.Tensor)} == methods
        assert (vars(torch.autograd.function.Function).get("apply"), torch.autograd.function.Function.apply) == apply
        print("as it was")
    """
    assert run_python(code).stdout == "as it was\n"


def test_stand_ins_are_removed_when_the_import_fails(tmp_path: Path) -> None:
    code = """
        import torch
        from opcov.problems import RegistryError
        from opcov.registries.thunder_import import import_thunder
        before = set(dir(torch.Tensor))
        try:
            import_thunder()
        except RegistryError:
            print(set(dir(torch.Tensor)) == before)
    """
    assert run_python(code, fake_thunder(tmp_path, "raise RuntimeError('broken')")).stdout == "True\n"


def test_a_failed_import_leaves_no_half_imported_thunder(tmp_path: Path) -> None:
    code = """
        import sys
        from opcov.problems import RegistryError
        from opcov.registries.thunder_import import import_thunder
        try:
            import_thunder()
        except RegistryError:
            print([name for name in sys.modules if name.split(".")[0] == "thunder"])
    """
    assert run_python(code, fake_thunder(tmp_path, "import json\nraise RuntimeError('broken')")).stdout == "[]\n"


FAILURE = """
    from opcov.problems import RegistryError
    from opcov.registries.thunder_import import import_thunder
    try:
        import_thunder()
    except RegistryError as error:
        print(error)
"""


def test_a_failure_names_both_versions_the_cause_and_what_to_install(tmp_path: Path) -> None:
    message = run_python(FAILURE, fake_thunder(tmp_path, "import torch\ntorch.gone_for_good")).stdout
    assert f"torch {torch.__version__}" in message
    assert re.search(r"lightning-thunder \d+\.\d+\.\d+ cannot be imported", message)
    assert "AttributeError" in message
    assert "gone_for_good" in message
    assert 'pip install "lightning-thunder==' in message


def test_a_failure_is_told_in_one_line(tmp_path: Path) -> None:
    message = run_python(FAILURE, fake_thunder(tmp_path, "raise RuntimeError('one\\n  two')")).stdout
    assert message.count("\n") == 1
    assert "one two" in message


def test_an_absent_thunder_is_said_to_be_not_installed() -> None:
    code = """
        import importlib.metadata, sys
        sys.modules["thunder"] = None  # what import then raises is what it raises for a package that is not there
        real = importlib.metadata.version
        def version(name):
            if name == "lightning-thunder":
                raise importlib.metadata.PackageNotFoundError(name)
            return real(name)
        importlib.metadata.version = version
    """
    message = run_python(textwrap.dedent(code) + textwrap.dedent(FAILURE)).stdout
    assert message.startswith("lightning-thunder is not installed")
    assert "pip install" in message


def test_stand_ins_exist_inside_the_block_and_only_there() -> None:
    before = state()
    with stand_ins(torch):
        for entry in STAND_INS:
            found: Any = owner_of(entry)
            for part in entry.lacks.split("."):
                found = getattr(found, part)
            assert found is not None
    assert state() == before


def test_what_torch_still_has_is_not_replaced() -> None:
    name = "clamp"
    torch_clamp = torch.Tensor.clamp
    entry = thunder_import.StandIn("torch.Tensor", name, name, "a name that torch has", function_named)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thunder_import, "STAND_INS", (entry,))
        with stand_ins(torch):
            assert torch.Tensor.clamp is torch_clamp


def test_a_stand_in_has_the_true_name() -> None:
    assert function_named(None, "align_to").__name__ == "align_to"  # Thunder names its fallback symbols by it


def test_calling_a_stand_in_says_that_torch_lost_it() -> None:
    with pytest.raises(NotImplementedError, match="align_to does not exist in this torch"):
        function_named(None, "align_to")()


def test_a_built_in_class_method_gets_a_func() -> None:
    class Holder:
        apply = bound_python_method(dict.fromkeys, "apply")  # dict.fromkeys is built-in: it has no __func__

    assert not hasattr(dict.fromkeys, "__func__")
    assert Holder.apply.__func__.__name__ == "apply"
    assert Holder.apply("ab") == {"a": None, "b": None}


def test_function_apply_is_restored_where_torch_makes_it_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    function = torch.autograd.function.Function
    monkeypatch.setattr(function, "apply", dict.fromkeys)  # stands for torch 2.15, where apply is built-in
    with stand_ins(torch):
        assert hasattr(function.apply, "__func__")
    assert vars(function)["apply"] == dict.fromkeys


@pytest.mark.skipif(WHEELS is None, reason="OPCOV_THUNDER_WHEELS names no folder of unpacked wheels, one a version")
@pytest.mark.parametrize("version", thunder_import.TESTED_THUNDER[:-1])
def test_an_older_thunder_imports_and_judges(version: str) -> None:
    code = """
        from opcov.loaders import load_text
        from opcov.registries.thunder import ThunderRegistry
        text = 'class GraphModule(torch.nn.Module):\\n    def forward(self, x: "f32[4]"):\\n'
        text += '        y: "f32[4]" = torch.sin(x)\\n        return (y,)\\n'
        (graph,), _ = load_text(text)
        registry = ThunderRegistry()
        print(registry.versions["lightning-thunder"], registry.judge(graph)[0]["y"].status.value)
    """
    assert WHEELS is not None
    assert run_python(code, Path(WHEELS) / version).stdout == f"{version} supported\n"


def test_every_stand_in_tells_its_reason() -> None:
    assert [entry for entry in STAND_INS if "torch" not in entry.reason] == []


@pytest.mark.skipif(tomllib is None, reason="tomllib came with Python 3.11")
def test_the_advice_names_the_versions_that_the_package_requires() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        dependencies = [Requirement(text) for text in tomllib.load(file)["project"]["dependencies"]]
    required = {dependency.name: dependency.specifier for dependency in dependencies}
    advised = [Requirement(text) for text in re.findall(r'"([^"]+)"', thunder_import._advice())]
    assert {item.name for item in advised} == {"torch", "lightning-thunder"}
    for item in advised:
        if item.name == "torch":
            assert item.specifier == required["torch"]
        else:
            (pin,) = item.specifier
            assert pin.version in required[item.name]


def test_the_installed_torch_is_in_the_tested_range() -> None:
    tested = SpecifierSet(f">={thunder_import.OLDEST_TORCH},<{thunder_import.NEXT_TORCH}")
    assert torch.__version__.partition("+")[0] in tested
