"""Mends what keeps SGLang from running on a CPU without AMX; what is mended, `capture.json` tells."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

import torch

from opcov.capturing.session import Session

_RUNNER = "sglang.srt.model_executor.cpu_graph_runner"


def mend(session: Session) -> None:
    """Mends this process; what a version of SGLang does not need is left alone."""
    _give_fill_value(session)
    _leave_out_shapes(session)
    _capture_without_gradients(session)


def _give_fill_value(session: Session) -> None:
    """The graph runner of a CPU asks its attention how long an empty sequence is; only the one for AMX says (0.5.3)."""
    backend = _named("sglang.srt.layers.attention.torch_native_backend", "TorchNativeAttnBackend")
    name = "get_graph_seq_len_fill_value"
    if backend is not None and not hasattr(backend, name):
        setattr(backend, name, _one)
        session.note_replaced(f"TorchNativeAttnBackend.{name}: absent, 1 as that for AMX has it")


def _one(_backend: Any) -> int:
    return 1


def _leave_out_shapes(session: Session) -> None:
    """The graph runner tells Dynamo the shapes of sgl_kernel's ops, of which there are none where that is absent."""
    name = "register_fake_ops"
    if _named(_RUNNER, name) is not None and not hasattr(torch.ops.sgl_kernel, "shm_allreduce"):
        setattr(import_module(_RUNNER), name, _nothing)
        session.note_replaced(f"cpu_graph_runner.{name}: left out, since there are no ops of sgl_kernel")


def _nothing(*_arguments: Any, **_options: Any) -> None:
    return None


def _capture_without_gradients(session: Session) -> None:
    """Before it compiles, the graph runner runs the model once with gradients on, in which gloo cannot gather."""
    runner = _named(_RUNNER, "CPUGraphRunner")
    name = "capture"
    if hasattr(runner, name):
        setattr(runner, name, torch.no_grad()(getattr(runner, name)))
        session.note_replaced(f"CPUGraphRunner.{name}: without gradients, as everything that SGLang compiles")


def _named(module: str, name: str) -> Any:
    """Something of a module; None where a version does not have it."""
    with suppress(ModuleNotFoundError):
        return getattr(import_module(module), name, None)
    return None
