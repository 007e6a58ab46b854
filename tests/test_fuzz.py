"""No text makes reading or judging raise, hang, or change the process; and what looks for that finds it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz
import pytest
import torch
from mutations import HOSTILE, Mutator

from opcov.registries import SplitterRules
from opcov.registries.thunder import ThunderRegistry

PROJECT = Path(__file__).resolve().parent.parent
FILE = fuzz.fixture_files()[0]
NUMBERS = 3000
JUDGED = 2


@pytest.fixture(scope="module")
def registry() -> ThunderRegistry:
    return ThunderRegistry()


@pytest.mark.filterwarnings("ignore")
def test_no_mutation_of_a_fixture_raises_or_takes_long_or_changes_the_process(registry: ThunderRegistry) -> None:
    mutator = Mutator(fuzz.fixture_files(), seed=1)
    failures = []
    for number in range(NUMBERS):
        content = mutator.mutated(number)
        start = time.process_time()
        failure = fuzz.try_file(content, registry if number % JUDGED == 0 else None)
        if failure is None and time.process_time() - start > fuzz.CPU_SECONDS:
            failure = "takes long"
        if failure is not None:
            failures.append((number, failure))
    assert failures == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("snippet", HOSTILE, ids=lambda snippet: repr(snippet[:30]))
def test_no_hostile_snippet_raises_or_takes_long_or_changes_the_process(
    snippet: bytes, registry: ThunderRegistry
) -> None:
    head = b'class GraphModule(torch.nn.Module):\n    def forward(self, x: "f32[2, 3]"):\n'
    for form in (b'y: "f32[2, 3]" = %s', b"y = torch.sin(x, %s)", b"y = x.add(%s)", b"%s", b"y: %s = x.sin()"):
        start = time.process_time()
        content = head + b"        " + form.replace(b"%s", snippet) + b"\n        return (y,)\n"
        assert fuzz.try_file(content, registry) is None
        assert time.process_time() - start < fuzz.CPU_SECONDS


def test_the_same_seed_gives_the_same_mutations() -> None:
    one, other = (Mutator([FILE], seed=3) for _ in range(2))
    assert [one.mutated(number) for number in range(50)] == [other.mutated(number) for number in range(50)]
    assert len({one.mutated(number) for number in range(50)}) > 40


# --- what looks for failures finds them -------------------------------------------------------------------------------


class Misbehaving:
    """A judge that does something before it answers."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def judge(self, _graph: Any) -> Any:
        self._act()
        raise AssertionError("what it did went unseen")


class Quiet(Misbehaving):
    splitter = SplitterRules()

    def judge(self, graph: Any) -> Any:
        self._act()
        return ThunderRegistry().judge(graph)


def test_an_exception_is_found() -> None:
    found = fuzz.try_file(FILE, Misbehaving(lambda: 1 / 0))
    assert found is not None
    assert found.startswith("ZeroDivisionError")


@pytest.mark.parametrize(
    ("act", "undo", "name"),
    [
        (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True), "grad mode"),
        (lambda: torch.rand(1), lambda: None, "random numbers"),
        (random.random, lambda: None, "random"),
        (
            lambda: torch.set_default_dtype(torch.float64),
            lambda: torch.set_default_dtype(torch.float32),
            "default dtype",
        ),
        (
            lambda: torch.set_autocast_enabled("cpu", True),
            lambda: torch.set_autocast_enabled("cpu", False),
            "autocast",
        ),
        (
            lambda: torch.use_deterministic_algorithms(True),
            lambda: torch.use_deterministic_algorithms(False),
            "deterministic",
        ),
        (
            torch._C._functorch._grad_increment_nesting,
            torch._C._functorch._grad_decrement_nesting,
            "functorch level",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore")
def test_a_changed_process_is_found(act: Callable[[], Any], undo: Callable[[], Any], name: str) -> None:
    ThunderRegistry()
    try:
        found = fuzz.try_file(FILE, Quiet(act))
    finally:
        undo()
    assert found is not None
    assert found.startswith("changes ")
    assert name in found.removeprefix("changes ").split(", ")


def loop_at_three(content: bytes, _registry: Any) -> str | None:
    while content == Mutator(fuzz.fixture_files(), 0).mutated(3):
        pass
    return None


def test_a_mutation_that_hangs_ends_its_worker_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "CPU_SECONDS", 0.5)
    monkeypatch.setattr(fuzz, "try_file", loop_at_three)
    failures = list(fuzz.fuzz(6, judged=0, jobs=2))
    assert [(failure.number, failure.kind) for failure in failures] == [(3, "more than 0.5 s")]


def test_the_command_tells_how_much_it_did(tmp_path: Path) -> None:
    command = [sys.executable, "tests/fuzz.py", "--count", "40", "--judge", "0", "--failures", str(tmp_path / "failed")]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("40 mutations (none judged) in ")
    assert not (tmp_path / "failed").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "statement",
    [
        'y = "a" * 9999999999',
        "y = [v] * 9999999999",
        "y = pow(9, 999999999)",
        "y = torch._C._functorch._grad_increment_nesting()",
        "y = torch._C._autograd._saved_tensors_hooks_disable('no')",
        "y = torch.randperm(7)",
        "y = torch.bernoulli(v)",
    ],
)
def test_a_body_that_thunder_tries_call_by_call_is_as_harmless(statement: str, registry: ThunderRegistry) -> None:
    content = (
        "class GraphModule(torch.nn.Module):\n"
        '    def forward(self, x: "f32[4]"):\n'
        "        wrap_body_0 = self.wrap_body_0\n"
        "        t = torch.ops.higher_order.tag_activation_checkpoint(wrap_body_0, x, use_reentrant = False)\n"
        '        z: "f32[4]" = t[0]\n'
        "        return (z,)\n"
        "    class wrap_body_0(torch.nn.Module):\n"
        '        def forward(self, v: "f32[4]"):\n'
        f"            {statement}\n"
        '            sin: "f32[4]" = torch.sin(v)\n'
        "            return (sin,)\n"
    )
    start = time.process_time()
    assert fuzz.try_file(content.encode(), registry) is None
    assert time.process_time() - start < fuzz.CPU_SECONDS


@pytest.mark.parametrize(
    "statement",
    ["def forward(self, x, x, self):", "        w = self.torch.cuda.set_stream(0)", "        w = self.half.w"],
)
def test_a_name_that_a_module_cannot_have_is_rebuilt(statement: str, registry: ThunderRegistry) -> None:
    head = "" if statement.startswith("def") else "    def forward(self, x):\n"
    lines = f"{head}    {statement}\n" if not head else f"{head}{statement}\n"
    content = f"class GraphModule(torch.nn.Module):\n{lines}        y = torch.sin(x)\n        return (y,)\n"
    assert fuzz.try_file(content.encode(), registry) is None


@pytest.mark.parametrize(
    "value", ["torch.ops", "torch.ops.aten", "torch.nn.functional", "torch.FloatTensor", "torch.sin"]
)
def test_a_value_that_torch_prints_as_no_python_is_rebuilt(value: str, registry: ThunderRegistry) -> None:
    content = (
        "class GraphModule(torch.nn.Module):\n    def forward(self, x):\n"
        f"        y = torch.ops.a.b({value}, [{value}], key = {value})\n        return (y,)\n"
    )
    assert fuzz.try_file(content.encode(), registry) is None


@pytest.mark.parametrize("call", ["3 .view(x)", "(3).is_cpu", "getattr(3, 'is_cpu')", "(1.5).view(x)", "None.view(x)"])
def test_a_method_of_a_number_is_rebuilt(call: str, registry: ThunderRegistry) -> None:
    content = (
        f"class GraphModule(torch.nn.Module):\n    def forward(self, x):\n        y = {call}\n        return (y,)\n"
    )
    assert fuzz.try_file(content.encode(), registry) is None


@pytest.mark.parametrize("target", ["torch.Tensor(size=[9], dtype=float32)", "(1, x)", "3", "device(type='cpu')"])
def test_an_assignment_to_what_is_no_name_is_rebuilt(target: str, registry: ThunderRegistry) -> None:
    content = (
        "class GraphModule(torch.nn.Module):\n    def forward(self, x):\n"
        f"        {target}[0] = x;  y = {target}\n        return (y,)\n"
    )
    assert fuzz.try_file(content.encode(), registry) is None
