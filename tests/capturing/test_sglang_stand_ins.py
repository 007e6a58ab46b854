"""Packages that a machine without a GPU does not have can be imported, and nothing of them can be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from opcov.capturing.sglang.stand_ins import PACKAGES, StandIns, stand_in


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)
    yield stand_in()
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in PACKAGES:
            del sys.modules[name]


def test_any_name_of_them_can_be_imported(stand_ins: StandIns) -> None:
    scalar_types = import_module("sgl_kernel.scalar_type").scalar_types
    assert scalar_types.uint4b8 is not None


def test_a_name_cannot_be_called(stand_ins: StandIns) -> None:
    with pytest.raises(NotImplementedError, match=r"sgl_kernel\.silu_and_mul is not there"):
        import_module("sgl_kernel").silu_and_mul(1)


def test_what_sglang_can_do_without_stays_absent(stand_ins: StandIns) -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module("vllm.model_executor.layers.quantization")


def test_sglang_keeps_its_own_layers_where_it_would_take_those_of_vllm(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ModuleType("sglang.srt.layers.layernorm")
    own.RMSNorm = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, own.__name__, own)
    assert import_module("vllm.model_executor.layers.layernorm").RMSNorm is own.RMSNorm


def test_it_tells_what_was_imported_and_nothing_else(stand_ins: StandIns) -> None:
    import_module("sgl_kernel.gemm")
    assert stand_ins.imported == ["sgl_kernel"]


def test_a_package_that_is_installed_is_left_alone(stand_ins: StandIns) -> None:
    assert "torch" not in stand_ins.packages
    with pytest.raises(ModuleNotFoundError):
        import_module("no_such_package_anywhere")


def test_once_a_process_is_enough(stand_ins: StandIns) -> None:
    assert stand_in() is stand_ins


def test_attributes_that_python_asks_for_are_not_made_up(stand_ins: StandIns) -> None:
    assert not hasattr(import_module("sgl_kernel"), "__wrapped__")
    assert not hasattr(import_module("sgl_kernel").gemm, "__torch_function__")
