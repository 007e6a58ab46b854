"""Tells which inputs of a graph are parameters. No printed graph says which tensors require grad; parameters do."""

from __future__ import annotations

import re
from dataclasses import replace

from opcov.graph import Kind, Metadata, Node, SequenceMeta, TensorMeta

_DYNAMO_NAME = re.compile(r"_parameters_\w+_")
"""How Dynamo names `self._modules['l']._parameters['weight']`: `L_self_modules_l_parameters_weight_`."""


def is_parameter(node: Node) -> bool:
    """Whether the node is an input that holds an `nn.Parameter`.

    A loader says so with the wrapper `Parameter` (an annotation `Parameter(f32[2])` in a dump,
    `torch.nn.parameter.Parameter` in GraphNet); else the name that Dynamo gives a parameter tells.
    """
    if node.kind not in (Kind.PLACEHOLDER, Kind.GET_ATTR) or not isinstance(node.meta, TensorMeta):
        return False
    return node.meta.wrapper == "Parameter" or _DYNAMO_NAME.search(node.target) is not None


def is_differentiable(meta: object) -> bool:
    """Whether it is the metadata of a tensor that can require grad: a floating-point or complex one."""
    return isinstance(meta, TensorMeta) and meta.dtype.startswith(("f", "bf", "c"))


def requires_grad(meta: object) -> bool:
    """Whether it is the metadata of a tensor that requires grad, or of a tuple or list with one in it."""
    if isinstance(meta, TensorMeta):
        return meta.requires_grad
    if not isinstance(meta, SequenceMeta):
        return False
    return any(map(requires_grad, meta.items))


def with_grad(meta: Metadata, *, flag: bool = True) -> Metadata:
    """The metadata of a tensor that requires grad or does not, as far as its dtype can."""
    flag = flag and is_differentiable(meta)
    return replace(meta, requires_grad=flag) if isinstance(meta, TensorMeta) and meta.requires_grad != flag else meta
