"""Fake tensors have shapes and take no memory, and a device that they cannot pretend to be on is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from opcov.capturing.fake import CAPABILITY, check_device, on_fake_tensors
from opcov.capturing.session import Session, Setting, begin, end
from opcov.problems import UsageError


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    yield begin(Setting(str(tmp_path / "model"), fake=True))
    end()


def test_a_tensor_larger_than_any_memory_can_be_computed_with(session: Session) -> None:
    with on_fake_tensors():
        large = torch.randn(1_000_000, 1_000_000, 1_000_000)
        assert (large @ large.transpose(1, 2)).shape == (1_000_000, 1_000_000, 1_000_000)


def test_a_real_tensor_is_taken_for_its_shape(session: Session) -> None:
    real = torch.ones(2)
    with on_fake_tensors():
        assert (torch.ones(3, 2) * real).shape == (3, 2)


def test_afterwards_tensors_have_data_again(session: Session) -> None:
    with on_fake_tensors():
        pass
    assert torch.ones(2).sum().item() == 2


def test_the_record_says_that_tensors_were_fake(session: Session) -> None:
    with on_fake_tensors():
        pass
    assert "tensors: fake ones, with shapes and without data" in session.part().replaced


def test_the_processor_can_always_be_pretended() -> None:
    check_device("cpu")


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="this torch can pretend")
def test_a_torch_without_cuda_cannot_pretend_to_be_on_it() -> None:
    with pytest.raises(UsageError, match=r"built without CUDA.*use --device cpu"):
        check_device("cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device to ask")
def test_a_device_that_is_not_there_can_do_what_a_recent_one_can(session: Session) -> None:
    with on_fake_tensors():
        assert torch.cuda.get_device_capability() == CAPABILITY
