"""Takes over where SGLang compiles its model: `torch.compile`, as it is called by SGLang's `patch_model`.

That function lies in model_executor/cuda_graph_runner.py and cpu_graph_runner.py up to 0.5.11, and in
compilation/torch_compile_decoration.py since 0.5.15. It is known by its name and package, so that another move is none
of our business; what it calls is the same everywhere: `torch.compile(torch.no_grad()(model.forward), mode=..., ...)`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any
from unittest import mock

import torch

from opcov.capturing.backend import Backend
from opcov.capturing.session import Session, current
from opcov.capturing.sglang.wishes import Wishes

PACKAGE = "sglang"
COMPILES_MODEL = "patch_model"
"""The function of SGLang in which the model's forward is compiled."""

_DROPPED = ("backend", "mode", "options")
"""What `torch.compile` is told about Inductor."""


@contextmanager
def taken_over(wishes: Wishes) -> Iterator[None]:
    """Until it ends, SGLang's model is compiled with the backend that saves graphs; nothing else of SGLang is compiled.

    Other functions that SGLang compiles run as they are: those that the model calls are part of its graphs anyway, and
    a run with ThunderFX compiles the others with Inductor. With `wishes.everything` they are left to be compiled.
    """
    original = torch.compile

    def compile_(model: Any = None, *arguments: Any, **options: Any) -> Any:
        frame = sys._getframe(1)
        if not _is_of_sglang(frame):
            return original(model, *arguments, **options)
        if frame.f_code.co_name == COMPILES_MODEL and model is not None:
            return _compiled(original, model, options, frame.f_locals, wishes)
        if wishes.everything:
            return original(model, *arguments, **options)
        return _left_alone if model is None else model

    with mock.patch.object(torch, "compile", compile_):
        yield


def _is_of_sglang(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _left_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for `torch.compile(dynamic=True)`, which is a decorator."""
    return function


def _compiled(
    original: Callable[..., Any],
    forward: Callable[..., Any],
    options: dict[str, Any],
    around: dict[str, Any],
    wishes: Wishes,
) -> Callable[..., Any]:
    """The model's forward, compiled with the backend that saves."""
    session = current()
    kept = {name: value for name, value in options.items() if name not in _DROPPED}
    session.note_replaced(f"torch.compile of SGLang's model: graphs are saved and run {session.setting.run}")
    _without_freezing(session)
    layers = _layers(around.get("model"))
    if wishes.own_forward:
        _keep_own_forward(session, layers, wishes.own_forward)
    run: Callable[..., Any] = original(forward, backend=Backend(), **kept)
    if wishes.without_gpu:
        num_tokens = around.get("num_tokens", 1)
        own = [layer for layer in layers if type(layer).__name__ not in wishes.own_forward]
        session.note_replaced("SGLang's layers: in the compiled model they take the forward that a GPU run compiles")
        return _as_on_a_gpu(run, own, num_tokens)
    return run


def _without_freezing(session: Session) -> None:
    """SGLang freezes parameters on a CPU: Dynamo would make attributes of what is an input everywhere else."""
    import torch._inductor.config as inductor

    if getattr(inductor, "freezing", False):
        inductor.freezing = False
        session.note_replaced("torch._inductor.config.freezing: off, so that parameters are inputs of the graphs")


def _layers(model: Any) -> list[Any]:
    """The layers that have one forward for running and one for compiling."""
    if not isinstance(model, torch.nn.Module):
        return []
    return [layer for layer in model.modules() if hasattr(layer, "enter_torch_compile")]


def _keep_own_forward(session: Session, layers: Sequence[Any], names: Sequence[str]) -> None:
    """Takes layers out of the mode in which they run what can be compiled."""
    classes = sorted({type(layer).__name__ for layer in layers})
    for name in names:
        chosen = [layer for layer in layers if type(layer).__name__ == name]
        for layer in chosen:
            layer.leave_torch_compile()
        if chosen:
            session.note_replaced(f"{name}: keeps its own forward where SGLang compiles the native one")
        else:
            there = f"there are {', '.join(classes)}" if classes else "it has none"
            session.note_failure(f"the model has no layer {name} that could keep its own forward: {there}")


def _as_on_a_gpu(run: Callable[..., Any], layers: Sequence[Any], num_tokens: int) -> Callable[..., Any]:
    """On a CPU SGLang compiles layers as they are; this way they take what is compiled on a GPU, call by call."""

    @functools.wraps(run)
    def called(*arguments: Any, **options: Any) -> Any:
        for layer in layers:
            layer.enter_torch_compile(num_tokens=num_tokens)
        try:
            return run(*arguments, **options)
        finally:
            for layer in layers:
                layer.leave_torch_compile()

    return called
