"""Runs programs on tensors that have a shape and no data, so that a model of any size fits into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from opcov.capturing.session import current
from opcov.problems import UsageError

CAPABILITY = (9, 0)
"""What a fake CUDA device says that it can compute: that of an H100 or H200."""


@contextmanager
def on_fake_tensors() -> Iterator[None]:
    """Until it ends, tensors that are created have no data; real ones that are met are taken for their shape.

    Nothing can be computed that depends on data: `tensor.item()` and the like raise.
    """
    session = current()
    session.note_replaced("tensors: fake ones, with shapes and without data")
    with FakeTensorMode(allow_non_fake_inputs=True):
        if torch.cuda.is_available():
            yield
            return
        # Models ask what the device can do before they choose a kernel, and there is none to ask.
        with mock.patch.object(torch.cuda, "get_device_capability", lambda *_args, **_options: CAPABILITY):
            yield


def check_device(device: str) -> None:
    """Whether fake tensors can pretend to be on a device.

    Raises:
        UsageError: they cannot, and why.
    """
    if torch.device(device).type != "cuda" or torch.cuda.is_available():
        return
    try:
        with FakeTensorMode():
            torch.empty(2, device=device)[1:].copy_(torch.empty(1, device=device))
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"torch {torch.__version__} is built without CUDA, so not even a fake tensor can be on {device}: "
            "use --device cpu"
        ) from error
