"""Reads the parts of an exported graph's JSON: names, arguments and metadata (`torch._export.serde.schema`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from opcov.graph import (
    Argument,
    ConstantMeta,
    Construct,
    DictArg,
    Dimension,
    Global,
    ListArg,
    Metadata,
    SymbolMeta,
    TensorMeta,
)
from opcov.loaders.pt2.srepr import printed_expression
from opcov.loaders.text.annotations import abbreviate

_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn",
    30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
"""`schema.ScalarType`."""

_LAYOUTS = {
    1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 4: "sparse_bsr", 5: "sparse_bsc", 6: "_mkldnn", 7: "strided",
}  # fmt: skip
_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
"""How `_dataclass_to_dict` writes what JSON has no words for."""

_STRIDED = 7
_NAME = re.compile(r"[A-Za-z_]\w*")
_LONGEST_NAME = 1000
_LONGEST_TEXT = 100_000
_DEEPEST = 20
_LARGEST = 2**63


class Malformed(ValueError):
    """A part of the JSON is not what torch writes there."""


# --- plain parts ------------------------------------------------------------------------------------------------------


def as_object(value: Any) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Malformed: it is something else, as with all functions here.
    """
    if not isinstance(value, dict):
        raise Malformed(f"an object is expected where {_kind(value)} is")
    return value


def as_list(value: Any) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise Malformed(f"a list is expected where {_kind(value)} is")
    return value


def as_name(value: Any) -> str:
    """The name of a value, as torch.fx gives them: an identifier."""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not _NAME.fullmatch(value):
        raise Malformed(f"a name is expected where {_kind(value)} is")
    return value


def union(value: Any) -> tuple[str, Any]:
    """The tag and value of a union (`torch._export.serde.union`): an object with one entry."""
    for tag, content in as_object(value).items():
        if content is not None:
            return tag, content
    raise Malformed("a union says nothing")


def _integer(value: Any) -> int:
    if type(value) is not int or not -_LARGEST <= value < _LARGEST:
        raise Malformed(f"an integer is expected where {_kind(value)} is")
    return value


def _number(value: Any) -> float:
    if isinstance(value, str) and value in _FLOATS:
        return _FLOATS[value]
    if isinstance(value, float):
        return value
    return float(_integer(value))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"true or false is expected where {_kind(value)} is")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise Malformed(f"a text is expected where {_kind(value)} is")
    return value.encode(errors="replace").decode()


def _choice(value: Any, choices: Mapping[int, str]) -> str:
    if type(value) is not int or value not in choices:
        raise Malformed("a number stands for nothing that torch knows")
    return choices[value]


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "another text", type(None): "nothing"}.get(
        type(value), f"{type(value).__name__}"
    )


# --- arguments --------------------------------------------------------------------------------------------------------


def argument(value: Any, ref: Callable[[Any], Argument], graph: Callable[[Any], Argument], depth: int = 0) -> Argument:
    """One argument (`GraphModuleDeserializer.deserialize_input`).

    Args:
        value: a union `schema.Argument`.
        ref: gives the reference to a value by its name.
        graph: reads a subgraph, and gives the reference to it.
        depth: how deep the argument is nested.
    """
    if depth > _DEEPEST:
        raise Malformed("an argument nests too deep")
    tag, content = union(value)
    if tag in ("as_tensor", "as_custom_obj"):
        return ref(as_object(content).get("name"))
    if tag in _PLAIN:
        return _PLAIN[tag](content)
    if tag in _LISTS:
        return ListArg(tuple([_LISTS[tag](item) for item in as_list(content)]))
    if tag in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return _symbolic(content, ref)
    if tag in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
        return ListArg(tuple([_symbolic(item, ref) for item in as_list(content)]))
    match tag:
        case "as_tensors":
            return ListArg(tuple([ref(as_object(item).get("name")) for item in as_list(content)]))
        case "as_nested_tensors":
            inner = [[ref(as_object(item).get("name")) for item in as_list(part)] for part in as_list(content)]
            return ListArg(tuple([ListArg(tuple(part)) for part in inner]))
        case "as_optional_tensor":
            return argument(content, ref, graph, depth + 1)
        case "as_optional_tensors":
            return ListArg(tuple([argument(item, ref, graph, depth + 1) for item in as_list(content)]))
        case "as_int_lists":
            return ListArg(tuple([tuple([_integer(item) for item in as_list(part)]) for part in as_list(content)]))
        case "as_float_lists":
            return ListArg(tuple([ListArg(tuple(map(_number, as_list(part)))) for part in as_list(content)]))
        case "as_string_to_argument":
            items = [(_text(key), argument(item, ref, graph, depth + 1)) for key, item in as_object(content).items()]
            return DictArg(tuple(items))
        case "as_graph":
            return graph(content)
    raise Malformed("an argument is of a kind that torch does not know")


def _symbolic(value: Any, ref: Callable[[Any], Argument]) -> Argument:
    """`schema.SymIntArgument` and its like: the name of a node, or a literal."""
    tag, content = union(value)
    match tag:
        case "as_name":
            return ref(content)
        case "as_int":
            return _integer(content)
        case "as_float":
            return _number(content)
        case "as_bool":
            return _truth(content)
    raise Malformed("a symbolic argument is neither a name nor a literal")


def _complex(value: Any) -> complex:
    parts = as_object(value)
    return complex(_number(parts.get("real")), _number(parts.get("imag")))


def _device(value: Any) -> Construct:
    kind, index = _device_parts(value)
    return Construct("device", (), (("type", kind), *((("index", index),) if index is not None else ())))


def _device_parts(value: Any) -> tuple[str, int | None]:
    parts = as_object(value)
    kind, index = as_name(parts.get("type")), parts.get("index")
    return kind, None if index is None else _integer(index)


def _operator(value: Any) -> Global:
    return Global(printed_target(value))


_PLAIN: dict[str, Callable[[Any], Argument]] = {
    "as_none": lambda value: None,
    "as_int": _integer,
    "as_float": _number,
    "as_bool": _truth,
    "as_string": _text,
    "as_complex": _complex,
    "as_scalar_type": lambda value: Global(f"torch.{_choice(value, _DTYPES)}"),
    "as_memory_format": lambda value: Global(f"torch.{_choice(value, _FORMATS)}"),
    "as_layout": lambda value: Global(f"torch.{_choice(value, _LAYOUTS)}"),
    "as_device": _device,
    "as_operator": _operator,
}
_LISTS: dict[str, Callable[[Any], Argument]] = {
    "as_ints": _integer, "as_floats": _number, "as_bools": _truth, "as_strings": _text,
}  # fmt: skip

_TARGET = re.compile(r"#?[A-Za-z_][\w.]*(?::[\w.:]+)?")


def printed_target(value: Any) -> str:
    """The target of a node as torch.fx prints it: `operator.add`, `torch.ops.aten.add.Tensor`, `math_trunc`.

    `GraphModuleSerializer.serialize_operator` writes modules as Python names them.
    """
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not _TARGET.fullmatch(value):
        raise Malformed("the target of a node is no name")
    if value.startswith("_operator."):
        return value.removeprefix("_")
    if value.startswith("torch."):
        return value
    return re.sub(r"[.:#]+", "_", value)  # torch.fx makes a global of what is not below torch


# --- metadata ---------------------------------------------------------------------------------------------------------


def metadata(tables: Mapping[str, Any], name: str, hints: dict[str, int | float]) -> Metadata | None:
    """What a graph's tables say of a value: `tensor_values`, `sym_int_values`, `sym_float_values`, `sym_bool_values`.

    Args:
        tables: the JSON graph.
        name: of the value.
        hints: gets the value of each symbol that the tables state one for.
    """
    found = _table(tables, "tensor_values").get(name)
    if found is not None:
        return _tensor(as_object(found), hints)
    for table in ("sym_int_values", "sym_float_values", "sym_bool_values"):
        found = _table(tables, table).get(name)
        if found is not None:
            value = _scalar(found, hints)
            return SymbolMeta(value) if isinstance(value, str) else ConstantMeta(value)
    return None


def _table(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    return as_object(tables.get(name) or {})


def _tensor(value: dict[str, Any], hints: dict[str, int | float]) -> TensorMeta:
    """`schema.TensorMeta`."""
    dtype = abbreviate(_choice(value.get("dtype"), _DTYPES))
    assert dtype is not None, "torch abbreviates all of these"
    sizes = tuple([_size(size, hints) for size in as_list(value.get("sizes"))])
    stride = None
    if value.get("layout") == _STRIDED:
        stride = tuple([_size(size, hints) for size in as_list(value.get("strides"))])
        if len(stride) != len(sizes):
            raise Malformed("a tensor has not as many strides as sizes")
        stride = None if stride == _contiguous(sizes) else stride
    kind, index = _device_parts(value.get("device"))
    device = kind if index is None else f"{kind}:{index}"
    return TensorMeta(dtype, sizes, stride, device, None, value.get("requires_grad") is True)


def _size(value: Any, hints: dict[str, int | float]) -> Dimension:
    size = _scalar(value, hints)
    if isinstance(size, (bool, float)):
        raise Malformed("a size is no integer")
    return size


def _scalar(value: Any, hints: dict[str, int | float]) -> int | float | bool | str:
    """`schema.SymInt`, `SymFloat` or `SymBool`: a literal, or the text of an expression."""
    tag, content = union(value)
    match tag:
        case "as_int":
            return _integer(content)
        case "as_float":
            return _number(content)
        case "as_bool":
            return _truth(content)
        case "as_expr":
            expression = as_object(content)
            text = expression.get("expr_str")
            printed = printed_expression(text) if isinstance(text, str) else None
            if printed is None:
                raise Malformed("a size is no expression that sympy prints")
            hint = expression.get("hint")
            if hint is not None and printed.isidentifier():
                number = _scalar(hint, hints)
                if isinstance(number, (int, float)) and not isinstance(number, bool):
                    hints[printed] = number
            return printed
    raise Malformed("a size is neither a number nor an expression")


def _contiguous(sizes: tuple[Dimension, ...]) -> tuple[Dimension, ...] | None:
    """The strides of a contiguous tensor, None where the product of symbolic sizes is not plain."""
    strides: list[Dimension] = []
    number, symbols = 1, ""
    for size in reversed(sizes):
        strides.append(number if not symbols else symbols if number == 1 else f"{number}*{symbols}")
        if isinstance(size, int):
            number *= max(size, 1)
        elif symbols or not (size.isidentifier() or re.fullmatch(r"\d+\*\w+", size)):
            symbols = "?"  # equals no stride that is printed
        else:
            factor, _, symbol = size.rpartition("*")
            number *= int(factor or 1)
            symbols = symbol
    return tuple(reversed(strides))
