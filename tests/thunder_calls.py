"""Calls Thunder's check in the way that the installed release wants."""

from __future__ import annotations

import inspect
from typing import Any

import torch


def ask(node: torch.fx.Node) -> tuple[bool, Any]:
    """`is_node_supported_by_thunder`: the answer and Thunder's reason. Releases since 0.2.6 want options too."""
    from thunder.dynamo.utils import is_node_supported_by_thunder

    options = ({},) if "thunder_options" in inspect.signature(is_node_supported_by_thunder).parameters else ()
    return is_node_supported_by_thunder(node, *options)
