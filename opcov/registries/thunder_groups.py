"""Lets Thunder's check find the process groups of the run that a graph comes from: they existed when it was captured.

`torch.ops._c10d_functional` names its group by a text, which Thunder resolves in its own process. There is no such
group where graphs are only read, and the answer does not depend on which it is: a stand-in is found for the time of a
question.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from opcov.graph import Node

_NAMESPACE = "torch.ops._c10d_functional."
_LOCK = threading.Lock()


@contextmanager
def groups_of(node: Node) -> Iterator[None]:
    """While Thunder is asked about a collective, a group that this process does not have is a stand-in.

    Args:
        node: of any op; nothing happens unless it is a collective of torch's functional ones.
    """
    if not node.op.startswith(_NAMESPACE) or not torch.distributed.is_available():
        yield
        return
    from torch._C import _distributed_c10d as module

    real: Any = module._resolve_process_group

    def resolve(group_name: str) -> Any:
        try:
            return real(group_name)
        except (RuntimeError, ValueError):
            return torch.distributed.ProcessGroup(0, 1)  # type: ignore[call-arg] # the stub knows of one with a store

    with _LOCK:
        module._resolve_process_group = resolve
        try:
            yield
        finally:
            module._resolve_process_group = real
