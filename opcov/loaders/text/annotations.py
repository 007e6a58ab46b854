"""Reads the type annotations that torch.fx prints, such as `"bf16[1, s27 + 1][8, 1]cuda:0"`, as metadata."""

from __future__ import annotations

import re
from functools import lru_cache

from opcov.graph import Dimension, Metadata, SymbolMeta, TensorMeta

DTYPES = frozenset(
    "u8 i8 i16 i32 i64 u16 u32 u64 f16 f32 f64 bf16 c32 c64 c128 b8 "
    "f8e5m2 f8e4m3fn f8e5m2fnuz f8e4m3fnuz f8e8m0fnu f4e2m1fnx2 b1x8 b2x4 b4x2 b8x1 b16x1".split()
)
"""The abbreviations of `torch.utils._dtype_abbrs.dtype_abbrs`, which `torch.fx.graph.CodeGen` prints."""

_BITS = {"int": "i", "uint": "u", "float": "f", "complex": "c"}


def abbreviate(dtype: str) -> str | None:
    """The abbreviation of a dtype by its name in torch, None for one that has none.

    >>> abbreviate("torch.bfloat16"), abbreviate("torch.int64"), abbreviate("torch.float8_e4m3fn"), abbreviate("int")
    ('bf16', 'i64', 'f8e4m3fn', None)
    """
    name = dtype.removeprefix("torch.")
    if name in ("bool", "bfloat16"):
        return {"bool": "b8", "bfloat16": "bf16"}[name]
    found = re.fullmatch(r"(int|uint|float|complex)(\d+)(?:_(\w+))?", name)
    if found is None:
        return None
    short = f"{_BITS[found[1]]}{found[2]}{(found[3] or '').replace('_', '')}"
    return short if short in DTYPES else None


_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TENSOR = re.compile(r"([A-Za-z]\w*)\[")
_WRAPPER = re.compile(r"([A-Za-z_]\w*)\(")


class UnknownAnnotation(ValueError):
    """The text is no annotation that torch.fx prints."""


@lru_cache(maxsize=65536)
def parse_annotation(text: str) -> Metadata:
    """Reads one annotation.

    Args:
        text: the annotation without its quotes. `dtype[dims]`, with optional strides and device, inside an optional
            wrapper such as `Parameter(...)`, or `Sym(expression)`; colour codes are ignored
            (`torch.fx.graph.CodeGen._gen_python_code`).

    Raises:
        UnknownAnnotation: it is none of these, or names an unknown dtype.
    """
    text = _ANSI.sub("", text).strip()
    if text.startswith("Sym(") and text.endswith(")"):
        return SymbolMeta(text[4:-1])
    wrapper = _WRAPPER.match(text)
    if wrapper and text.endswith(")"):
        inner = split_top_level(text[wrapper.end() : -1])[0]
        return _tensor(inner, wrapper[1])
    return _tensor(text, None)


def _tensor(text: str, wrapper: str | None) -> TensorMeta:
    start = _TENSOR.match(text)
    if start is None:
        raise UnknownAnnotation(f"{_short(text)} is no tensor annotation")
    if start[1] not in DTYPES:
        raise UnknownAnnotation(f"{_short(start[1])} is no dtype abbreviation of torch")
    shape, rest = _bracketed(text[start.end() - 1 :])
    stride = None
    if rest.startswith("["):
        stride, rest = _bracketed(rest)
        if len(stride) != len(shape):
            raise UnknownAnnotation(f"{_short(text)} has {len(shape)} sizes but {len(stride)} strides")
    if rest and not re.fullmatch(r"[a-z]+(:[0-9]+)?", rest):
        raise UnknownAnnotation(f"{_short(rest)} is no device")
    return TensorMeta(start[1], shape, stride, rest or None, wrapper)


def _bracketed(text: str) -> tuple[tuple[Dimension, ...], str]:
    """The dimensions of the bracket that the text starts with, and what follows it."""
    depth = 0
    for position, character in enumerate(text):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
            if depth == 0:
                inner = text[1:position]
                dimensions = split_top_level(inner) if inner.strip() else []
                return tuple(map(_dimension, dimensions)), text[position + 1 :]
    raise UnknownAnnotation(f"{_short(text)} has no closing bracket")


def _dimension(text: str) -> Dimension:
    if not text:
        raise UnknownAnnotation("a dimension is empty")
    if len(text) < 4000 and re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return text


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")


def split_top_level(text: str) -> list[str]:
    """Splits at the commas outside of brackets: `"Min(3, s27), 4"` gives `["Min(3, s27)", "4"]`."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:].strip())
    return parts
