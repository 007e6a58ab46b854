"""Taking over where SGLang compiles: known by the name of its function, wherever that lies."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from opcov.capturing.session import Session, Setting, begin, end
from opcov.capturing.sglang.compiling import taken_over
from opcov.capturing.sglang.wishes import Wishes

PATCHING = Path(__file__).parent / "fake_sglang" / "patching.py"
HOMES = (
    "sglang.srt.model_executor.cuda_graph_runner",
    "sglang.srt.model_executor.cpu_graph_runner",
    "sglang.srt.compilation.torch_compile_decoration",
)


class Layer(torch.nn.Module):
    """Runs a sigmoid, and is compiled as a hyperbolic tangent."""

    native = False

    def enter_torch_compile(self, num_tokens: int) -> None:
        assert num_tokens == 1
        self.native = True

    def leave_torch_compile(self) -> None:
        self.native = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x) if self.native else torch.sigmoid(x)


class Plain(torch.nn.Module):
    """A model in which nothing has two forwards."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    torch._dynamo.reset()
    yield begin(Setting(str(tmp_path / "model")))
    end()


def patching(name: str) -> Any:
    """The fake's module under a name of SGLang's."""
    spec = importlib.util.spec_from_file_location(name, PATCHING)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(home: str, wishes: Wishes, *, calls: int = 1) -> Any:
    """Compiles a layer as that module would, and calls it."""
    with taken_over(wishes):
        model = torch.nn.Sequential(Layer())
        with patching(home).patch_model(model, True, 1, None) as forward:
            return [forward(torch.ones(3)) for _ in range(calls)]


def texts(session: Session) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(session.folder.glob("rank*.py"))]


def replaced(session: Session) -> str:
    return "\n".join(session.part().replaced)


@pytest.mark.parametrize("home", HOMES)
def test_the_model_is_captured_wherever_it_is_compiled(home: str, session: Session) -> None:
    run(home, Wishes())
    (text,) = texts(session)
    assert "torch.tanh" in text


def test_what_was_compiled_runs_and_gives_what_the_layer_gives(session: Session) -> None:
    (result,) = run(HOMES[0], Wishes())
    assert torch.equal(result, torch.tanh(torch.ones(3)))


def test_parameters_stay_inputs_though_the_runner_of_a_cpu_freezes_them(session: Session) -> None:
    import torch._inductor.config as inductor

    with inductor.patch(freezing=True):
        run(HOMES[1], Wishes())
        assert not inductor.freezing
    assert "freezing" in replaced(session)


def test_a_named_layer_keeps_its_own_forward(session: Session) -> None:
    run(HOMES[0], Wishes(own_forward=("Layer",)))
    (text,) = texts(session)
    assert "torch.sigmoid" in text
    assert "Layer: keeps its own forward" in replaced(session)


def test_a_layer_that_the_model_does_not_have_is_a_failure_that_names_those_there_are(session: Session) -> None:
    run(HOMES[0], Wishes(own_forward=("TopK",)))
    assert session.part().failures == ["the model has no layer TopK that could keep its own forward: there are Layer"]


def test_a_model_without_such_layers_says_so(session: Session) -> None:
    with taken_over(Wishes(own_forward=("TopK",))), patching(HOMES[0]).patch_model(Plain(), True, 1, None) as forward:
        forward(torch.ones(3))
    assert session.part().failures[0].endswith("it has none")


def test_without_a_gpu_layers_leave_the_compiled_forward_after_each_call(session: Session) -> None:
    with taken_over(Wishes(without_gpu=True)):
        model = torch.nn.Sequential(Layer())
        with patching(HOMES[1]).patch_model(model, True, 1, None) as forward:
            pass
        compiled = forward(torch.ones(3))
        own = model(torch.ones(3))
    assert torch.equal(compiled, torch.tanh(torch.ones(3)))
    assert torch.equal(own, torch.sigmoid(torch.ones(3)))


def test_functions_apart_from_the_model_are_left_alone(session: Session) -> None:
    with taken_over(Wishes()):
        result = patching(HOMES[0]).apart_from_the_model(torch.zeros(2))
    assert torch.equal(result, torch.ones(2))
    assert texts(session) == []


def test_everything_leaves_them_to_be_compiled(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "compile", lambda model=None, **options: asked.append(options) or (lambda f: f))
    with taken_over(Wishes(everything=True)):
        patching(HOMES[0])
    assert asked == [{"dynamic": True}]


def test_other_packages_compile_as_they_do(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch, "compile", lambda model=None, **options: asked.append(options) or (lambda f: f))
    with taken_over(Wishes()):
        patching("sglangish.patching")
    assert asked == [{"dynamic": True}]


def test_torch_compile_is_as_it_was_afterwards() -> None:
    before = torch.compile
    with taken_over(Wishes()):
        assert torch.compile is not before
    assert torch.compile is before
