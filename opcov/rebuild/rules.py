"""Tells by rule what the commonest ops return, where torch leaves no doubt, so that they need not be run.

A rule speaks for contiguous floating-point tensors of known sizes and one dtype, and for plainly valid arguments.
Whatever is otherwise has no answer here: then the op is run. The tests hold every rule against such runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from opcov.graph import Argument, ListArg, Metadata, Node, Ref, TensorMeta

_FLOATS = frozenset({"f64", "f32", "f16", "bf16"})
_LARGEST = 2**40
"""Elements of the largest tensor that a rule speaks of; torch fails on some that are much larger."""

_INTEGERS = range(-(2**63), 2**63)
_FACTORS = frozenset({2, 3, 4, 8, 16, 32})
_SCALARS = (int, float, bool, str, type(None))


def by_rule(node: Node, inputs: Mapping[str, Metadata]) -> TensorMeta | None:
    """What a call returns without grad and autocast; None where no rule tells.

    Args:
        node: the call.
        inputs: metadata of the nodes that it reads, by name.
    """
    rule = _RULES.get(node.op)
    if rule is None or len(node.args) > len(rule[1]):
        return None
    answer, parameters = rule
    given: dict[str, Any] = {}
    for name, argument in (*zip(parameters, node.args, strict=False), *node.kwargs):
        value = _plain(argument, inputs)
        if value is None or name in given or name not in parameters:
            return None
        given[name] = value[0]
    try:
        shape, dtype = answer(**given)
    except (TypeError, _NoRule):  # a TypeError is a missing argument
        return None
    return TensorMeta(dtype, shape)


class _NoRule(Exception):
    """The arguments are beyond what a rule speaks of."""


_Answer = tuple[tuple[int, ...], str]


def _plain(argument: Argument, inputs: Mapping[str, Metadata]) -> tuple[Any] | None:
    """The value of an argument that rules speak of: a tensor's metadata, a scalar, or a sequence of numbers."""
    if type(argument) is Ref:
        meta = inputs.get(argument.name)
        return (meta,) if isinstance(meta, TensorMeta) and _is_plain(meta) else None
    if isinstance(argument, ListArg):
        argument = argument.items
    if isinstance(argument, tuple):
        return (argument,) if all(type(item) is int for item in argument) else None
    return (argument,) if type(argument) in _SCALARS else None


def _is_plain(meta: TensorMeta) -> bool:
    if meta.dtype not in _FLOATS or meta.stride is not None or meta.value is not None or meta.requires_grad:
        return False
    sizes = [size for size in meta.shape if isinstance(size, int) and size > 0]
    return len(sizes) == len(meta.shape) and math.prod(sizes) <= _LARGEST


def _demand(condition: bool) -> None:
    if not condition:
        raise _NoRule


def _of(tensor: object) -> _Answer:
    _demand(isinstance(tensor, TensorMeta))
    return tensor.shape, tensor.dtype  # type: ignore[attr-defined]


def _kept(input: object, inplace: object = False) -> _Answer:
    _demand(type(inplace) is bool)
    return _of(input)


def _gelu(input: object, approximate: object = "none") -> _Answer:
    _demand(approximate in ("none", "tanh"))
    return _of(input)


def _leaky_relu(input: object, negative_slope: object = 0.01, inplace: object = False) -> _Answer:
    _demand(type(negative_slope) is float)
    return _kept(input, inplace)


def _dropout(input: object, p: object = 0.5, training: object = True, inplace: object = False) -> _Answer:
    _demand(type(p) is float and 0 <= p <= 1 and type(training) is bool)
    return _kept(input, inplace)


def _softplus(input: object, beta: object = 1, threshold: object = 20) -> _Answer:
    _demand(type(beta) in (int, float) and type(threshold) in (int, float))
    return _of(input)


def _batch_norm(
    input: object,
    running_mean: object,
    running_var: object,
    weight: object = None,
    bias: object = None,
    training: object = False,
    momentum: object = 0.1,
    eps: object = 1e-5,
) -> _Answer:
    shape, dtype = _of(input)
    _demand(len(shape) >= 2 and training is False and type(momentum) is float and type(eps) is float and eps > 0)
    for part in (running_mean, running_var):
        _demand(_of(part) == (shape[1:2], dtype))
    for part in (weight, bias):
        _demand(part is None or _of(part) == (shape[1:2], dtype))
    return shape, dtype


def _layer_norm(
    input: object, normalized_shape: object, weight: object = None, bias: object = None, eps: object = 1e-5
) -> _Answer:
    shape, dtype = _of(input)
    _demand(isinstance(normalized_shape, tuple) and type(eps) is float)
    count = len(normalized_shape)  # type: ignore[arg-type]
    _demand(0 < count <= len(shape) and shape[-count:] == normalized_shape)
    for part in (weight, bias):
        _demand(part is None or _of(part) == (normalized_shape, dtype))
    return shape, dtype


def _linear(input: object, weight: object, bias: object = None) -> _Answer:
    shape, dtype = _of(input)
    weights, its_dtype = _of(weight)
    _demand(len(shape) >= 2 and len(weights) == 2 and weights[1] == shape[-1] and its_dtype == dtype)
    _demand(bias is None or _of(bias) == (weights[:1], dtype))
    return (*shape[:-1], weights[0]), dtype


def _interpolate(
    input: object,
    size: object = None,
    scale_factor: object = None,
    mode: object = "nearest",
    align_corners: object = None,
    recompute_scale_factor: object = None,
    antialias: object = False,
) -> _Answer:
    """To a size or by a whole factor, in two dimensions. Sizes of 1 are left out: they make strides ambiguous."""
    shape, dtype = _of(input)
    _demand(len(shape) == 4 and min(shape[1:]) > 1 and recompute_scale_factor is None and antialias is False)
    if isinstance(scale_factor, (int, float)) and size is None:
        _demand(scale_factor in _FACTORS)
        size = tuple([int(part * scale_factor) for part in shape[2:]])
    else:
        _demand(scale_factor is None and isinstance(size, tuple) and len(size) == 2 and min(size) > 1)
    _demand(
        (mode == "nearest" and align_corners is None)
        or (mode in ("bilinear", "bicubic") and (align_corners is None or type(align_corners) is bool))
    )
    return (*shape[:2], *size), dtype  # type: ignore[misc]


def _combined(a: object, b: object, /) -> _Answer:
    """Two tensors of one dtype, broadcast; or a tensor and a number."""
    if not isinstance(a, TensorMeta):
        a, b = b, a
    shape, dtype = _of(a)
    if isinstance(b, TensorMeta):
        _demand(b.dtype == dtype)
        return _broadcast(shape, _of(b)[0]), dtype
    _demand(type(b) is float or (type(b) is int and b in _INTEGERS))
    return shape, dtype


def _binary(a: object, b: object) -> _Answer:
    return _combined(a, b)


def _changed(a: object, b: object) -> _Answer:
    """The first tensor, changed in place, keeps its shape."""
    shape, dtype = _of(a)
    _demand(_combined(a, b) == (shape, dtype))
    return shape, dtype


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if a == b:
        return a
    if len(a) < len(b):
        a, b = b, a
    b = (1,) * (len(a) - len(b)) + b
    _demand(all(one == other or one == 1 or other == 1 for one, other in zip(a, b, strict=True)))
    return tuple(map(max, a, b))


def _parameters(answer: Callable[..., _Answer]) -> tuple[str, ...]:
    return answer.__code__.co_varnames[: answer.__code__.co_argcount]


_FUNCTIONS: dict[Callable[..., _Answer], str] = {
    _kept: "torch.nn.functional.relu torch.nn.functional.silu",
    _gelu: "torch._C._nn.gelu torch.nn.functional.gelu",
    _leaky_relu: "torch.nn.functional.leaky_relu",
    _dropout: "torch.nn.functional.dropout",
    _softplus: "torch._C._nn.softplus torch.nn.functional.softplus",
    _batch_norm: "torch.nn.functional.batch_norm",
    _layer_norm: "torch.nn.functional.layer_norm",
    _linear: "torch._C._nn.linear torch.nn.functional.linear",
    _interpolate: "torch.nn.functional.interpolate",
    _binary: "operator.add operator.sub operator.mul operator.truediv",
    _changed: "operator.iadd operator.isub operator.imul operator.itruediv",
}

_RULES = {op: (answer, _parameters(answer)) for answer, ops in _FUNCTIONS.items() for op in ops.split()}
