"""Follows the grad mode and the autocast of a graph, and applies them to a fake run without leaving a trace.

Nodes that set a mode are never run. What they would set is read from their arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from opcov.graph import Global, Node, Ref
from opcov.ops import ENTER_AUTOCAST, EXIT_AUTOCAST, SET_GRAD
from opcov.rebuild.names import resolve_torch

_SET_GRAD = frozenset({SET_GRAD, "torch.set_grad_enabled"})

_LOW_PRECISION = {"cpu": torch.bfloat16, "xpu": torch.bfloat16}
"""What `torch.amp.autocast` takes where it is not told a dtype; float16 on every other device."""


@dataclass(frozen=True, slots=True)
class Autocast:
    """An autocast that a graph has entered.

    Attributes:
        node: name of the node that entered it.
        dtype: what it casts to.
        enabled: whether it casts at all.
    """

    node: str
    dtype: torch.dtype
    enabled: bool


class Modes:
    """The modes at one point of a graph. Before its first node grad is enabled and nothing is cast."""

    def __init__(self) -> None:
        self.grad = True
        self._autocasts: tuple[Autocast, ...] = ()

    def visit(self, node: Node) -> None:
        """Takes note of what a node sets."""
        if node.op in _SET_GRAD and node.args and isinstance(node.args[0], bool):
            self.grad = node.args[0]
        elif node.op == ENTER_AUTOCAST:
            self._autocasts += (_autocast(node),)
        elif node.op == EXIT_AUTOCAST and node.args and isinstance(context := node.args[0], Ref):
            self._autocasts = tuple(one for one in self._autocasts if one.node != context.name)

    @property
    def autocast(self) -> torch.dtype | None:
        """What the innermost autocast casts to; None where there is none or it is disabled.

        Which device it is for does not matter: a graph's tensors are all taken for the CPU's.
        """
        if not self._autocasts or not self._autocasts[-1].enabled:
            return None
        return self._autocasts[-1].dtype


def _autocast(node: Node) -> Autocast:
    arguments = dict(zip(("device_type", "dtype", "enabled"), node.args, strict=False)) | dict(node.kwargs)
    device, dtype = arguments.get("device_type"), arguments.get("dtype")
    found = resolve_torch(dtype.name) if isinstance(dtype, Global) else None
    if not isinstance(found, torch.dtype):
        found = _LOW_PRECISION.get(str(device), torch.float16)
    return Autocast(node.name, found, arguments.get("enabled", True) is not False)


@contextmanager
def neutral() -> Iterator[None]:
    """The modes that a fake run starts from, whatever the process is in: no grad, no autocast, the CPU."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.no_grad())
        if torch.is_autocast_enabled("cpu"):
            stack.enter_context(_casting(torch.float32, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def applied(autocast: torch.dtype | None, *, grad: bool) -> AbstractContextManager[object]:
    """The modes that one node runs under, within `neutral`."""
    if autocast is None:
        return torch.enable_grad() if grad else nullcontext()
    stack = ExitStack()
    stack.enter_context(_casting(autocast, enabled=True))
    if grad:
        stack.enter_context(torch.enable_grad())
    return stack


def _casting(dtype: torch.dtype, *, enabled: bool) -> AbstractContextManager[object]:
    # The cache of an autocast would keep casts of fake tensors, so it stays off.
    return torch.autocast("cpu", dtype=dtype, enabled=enabled, cache_enabled=False)
