"""Gives the target of a printed call its canonical name, from the text of the call alone."""

from __future__ import annotations

from functools import lru_cache

_STREAM_METHODS = frozenset({"wait_stream", "wait_event", "record_event", "synchronize", "query"})
"""Methods of `torch.cuda.Stream` and `torch.cuda.Event`; `torch.Tensor` has none of them."""

_MANGLED_PREFIXES = (
    ("_operator_", "operator."),
    ("torch_Tensor_", "torch.Tensor."),
    ("math_", "math."),
    ("__main___", "__main__."),
)
"""torch.fx prints a function that is not below `torch` as a global with dots as underscores. Only these prefixes can be
told from an underscore in the name itself (`torch.fx.graph._Namespace.create_name`)."""


def method_op(method: str) -> str:
    """The op of a method call: `torch.Tensor.view`."""
    return f"torch.cuda.Stream.{method}" if method in _STREAM_METHODS else f"torch.Tensor.{method}"


def attribute_op(attribute: str) -> str:
    """The op of an attribute read: `torch.Tensor.is_cpu`."""
    return f"torch.Tensor.{attribute}"


@lru_cache(maxsize=4096)
def function_op(printed: str) -> str:
    """The op of a function as printed: `_operator_not_` is `operator.not_`, `device` is `torch.device`."""
    if "." in printed:
        return printed
    if printed == "device":
        return "torch.device"
    for prefix, module in _MANGLED_PREFIXES:
        if printed.startswith(prefix) and len(printed) > len(prefix):
            return module + printed[len(prefix) :]
    return printed


def module_op(path: str) -> str:
    """The op of a call of a submodule: its attribute path below `self`, indices kept."""
    return f"self.{path}"
