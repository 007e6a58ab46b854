"""What kind of op a node is, and what to do about it where Thunder does not take it: rules in one table.

A family is a reader's word, no verdict: it never changes what Thunder answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from opcov.graph import Node


class Family(str, Enum):
    """A kind of op."""

    COLLECTIVE = "collective"
    TRITON_KERNEL = "Triton kernel"
    STREAM_OR_DEVICE = "stream or device API"
    PYTHON_QUERY = "Python scalar query"
    ATTENTION = "attention"
    MOE = "MoE"
    QUANTIZATION = "quantization"
    NORMALIZATION = "normalization"
    FUSED_KERNEL = "fused kernel"
    GEMM = "dense GEMM"
    IN_PLACE = "in-place"
    LAYOUT = "layout"
    OTHER = "other"


class Route(str, Enum):
    """The way that usually leads to support."""

    REGISTER = "register a custom op"
    TRANSLATE = "translate the collective"
    ALIAS = "alias"
    FOLD = "constant-fold the query"
    UPSTREAM = "fix upstream"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the rules say of one node.

    Attributes:
        family: its kind.
        route: what to do about it, should Thunder not take it.
        kernel: the name of the Triton kernel that it launches; "" where it launches none or the name is not known.
    """

    family: Family
    route: Route
    kernel: str = ""


_RULES = ((re.compile(r"torch\.ops\.higher_order\.triton_kernel_wrapper"), Family.TRITON_KERNEL, Route.REGISTER),)


def classify(node: Node) -> Kind:
    """The family, route and kernel name of a call, from its target, namespace and provenance.

    Args:
        node: a call; nothing of it is looked up or run.
    """
    for pattern, family, route in _RULES:
        if pattern.match(node.op):
            return Kind(family, route)
    return Kind(Family.OTHER, Route.UPSTREAM)
