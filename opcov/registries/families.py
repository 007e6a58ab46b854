"""What kind of op a node is, and what to do about it where Thunder does not take it: rules in one table.

A family is a reader's word, no verdict: it never changes what Thunder answers. The rules know general vocabulary only,
the words that libraries of kernels and serving engines share; what no rule knows is `other`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from opcov.graph import ConstantMeta, Global, Node, SymbolMeta, TensorMeta
from opcov.graph import Kind as NodeKind
from opcov.ops import UNREADABLE
from opcov.registries import vocabulary as known
from opcov.registries.kernels import kernel_in


class Family(str, Enum):
    """A kind of op."""

    COLLECTIVE = "collective"
    """Communicates between ranks: an all-reduce, an all-gather, also where it is fused with other work."""
    TRITON_KERNEL = "Triton kernel"
    """Launches a Triton kernel that the model's code defines, whatever that computes."""
    STREAM_OR_DEVICE = "stream or device API"
    """Orders the work of a device or switches the current one. It has an effect and no tensor."""
    PYTHON_QUERY = "Python scalar query"
    """Asks for a Python value: an attribute of a tensor, a size, what a device can do. It does no work on a device, so
    a device's capability is asked here and not in the family of device APIs: the same treatment serves both."""
    ATTENTION = "attention"
    """Attention whole or a piece of it: rotary embeddings, writes to the KV cache, elementwise parts."""
    MOE = "MoE"
    """Mixture of experts: routing, grouped GEMMs and fused experts, and elementwise parts of them."""
    QUANTIZATION = "quantization"
    """Quantizes or dequantizes, and elementwise parts of code that does."""
    NORMALIZATION = "normalization"
    """Normalizes, and elementwise parts of code that does."""
    FUSED_KERNEL = "fused kernel"
    """An op of a namespace that is not torch's, whose name says nothing more."""
    GEMM = "dense GEMM"
    """Multiplies dense matrices, also quantized ones."""
    IN_PLACE = "in-place"
    """Writes into a tensor that exists: trailing underscores, `copy_`, index stores, augmented assignment, `out=`."""
    LAYOUT = "layout"
    """Gives the same elements another shape, order or tensor: views, selections, joins, copies."""
    OTHER = "other"
    """None of the above: allocations, embeddings, convolutions, elementwise work of no known place."""


class Route(str, Enum):
    """The way that usually leads to support."""

    REGISTER = "register a custom op"
    """Give Thunder the kernel as an opaque op: its meta function, and the call itself for an executor to make."""
    TRANSLATE = "translate the collective"
    """Map it to Thunder's own distributed primitive; an in-place one becomes that and a copy."""
    ALIAS = "alias"
    """Thunder has the same computation under another name: map this name to that symbol; an in-place form is that and a
    copy."""
    ADD = "add the op to Thunder"
    """It is torch's own, and Thunder has no symbol for it, or only an automatic fallback: write one from primitives."""
    ARGUMENTS = "fix the arguments"
    """Thunder has the op, but not with these arguments: teach its symbol to take them, or call it without them, such as
    `out=` or a dtype that Thunder does not know."""
    FOLD = "constant-fold the query"
    """The answer is known when the graph is made: put the value in its place before Thunder sees the graph."""
    BODY = "fix the body"
    """Thunder takes it as soon as it takes each call of its body: look at those."""
    UPSTREAM = "fix upstream"
    """Nothing to compile: change the code that the graph comes from, so that it does not do this while it is traced."""


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


# --- the table --------------------------------------------------------------------------------------------------------


class _By(Enum):
    """What of a call a rule looks at."""

    OP = "all of the op, without its overload"
    CALL = "all of the op as called: with `(out=)` behind it where it has one, with `() -> scalar` where it makes one"
    NAME = "words in its name, and in its namespace where that is not torch's"
    FOREIGN = "the same, of ops that are not torch's own"
    PLACE = "words in the function, the file and the folders that it comes from"


_BY_ORIGIN = None
"""The route that goes with the origin of the op: see `_ROUTES`."""

_TABLE: tuple[tuple[_By, str, Family, Route | None], ...] = (
    # What communicates does so whatever else it does. Thunder's primitive cannot stand for one that is fused with more.
    (_By.OP, known.PROCESS_GROUP_QUERIES, Family.PYTHON_QUERY, Route.FOLD),
    (_By.OP, known.DISTRIBUTED, Family.COLLECTIVE, Route.TRANSLATE),
    (_By.FOREIGN, known.FUSED_COLLECTIVE, Family.COLLECTIVE, Route.REGISTER),
    (_By.FOREIGN, known.FOREIGN_COLLECTIVE, Family.COLLECTIVE, Route.TRANSLATE),
    (_By.NAME, known.COLLECTIVE, Family.COLLECTIVE, Route.TRANSLATE),
    # A Triton kernel needs the same whatever it computes.
    (_By.OP, known.TRITON_LAUNCHES, Family.TRITON_KERNEL, Route.REGISTER),
    (_By.FOREIGN, known.TRITON, Family.TRITON_KERNEL, Route.REGISTER),
    # Python values. What a device can do and how a tensor is made is known beforehand; what a tensor holds is not.
    (_By.OP, known.DEVICE_QUERIES, Family.PYTHON_QUERY, Route.FOLD),
    (_By.OP, known.DATA_QUERIES, Family.PYTHON_QUERY, Route.UPSTREAM),
    (_By.OP, known.TENSOR_QUERIES, Family.PYTHON_QUERY, Route.FOLD),
    (_By.OP, known.PYTHON_QUERIES, Family.PYTHON_QUERY, Route.FOLD),
    (_By.OP, known.SYMBOL_ARITHMETIC, Family.PYTHON_QUERY, Route.ADD),
    (_By.CALL, known.SCALAR_ARITHMETIC, Family.PYTHON_QUERY, Route.ADD),
    # A trace of Thunder has one order and no streams.
    (_By.OP, known.STREAMS_AND_DEVICES, Family.STREAM_OR_DEVICE, Route.UPSTREAM),
    # What the name says, the larger computation first: fused experts also quantize, and multiply matrices.
    (_By.NAME, known.ATTENTION, Family.ATTENTION, _BY_ORIGIN),
    (_By.NAME, known.EXPERTS, Family.MOE, _BY_ORIGIN),
    (_By.NAME, known.QUANTIZATION, Family.QUANTIZATION, _BY_ORIGIN),
    (_By.NAME, known.NORMALIZATION, Family.NORMALIZATION, _BY_ORIGIN),
    (_By.NAME, known.MATRIX_PRODUCT, Family.GEMM, _BY_ORIGIN),
    (_By.NAME, known.ROUTING, Family.MOE, _BY_ORIGIN),  # only now: the matrix product of a router is a dense one
    (_By.OP, known.CUSTOM_OPS, Family.FUSED_KERNEL, _BY_ORIGIN),
    # What the call does to its operands.
    (_By.CALL, known.OUT, Family.IN_PLACE, _BY_ORIGIN),
    (_By.OP, known.IN_PLACE, Family.IN_PLACE, _BY_ORIGIN),
    (_By.OP, known.LAYOUT, Family.LAYOUT, _BY_ORIGIN),
    (_By.OP, UNREADABLE, Family.OTHER, Route.UPSTREAM),
    # No place makes an allocation, a lookup or a convolution a piece of something else.
    (_By.OP, known.BODIES, Family.OTHER, Route.BODY),
    (_By.OP, known.MACHINERY, Family.OTHER, _BY_ORIGIN),
    (_By.OP, known.STANDING_ALONE, Family.OTHER, _BY_ORIGIN),
    # Elementwise work, reductions and casts are pieces of what they come from.
    (_By.PLACE, known.NOT_QUANTIZED, Family.OTHER, _BY_ORIGIN),
    (_By.PLACE, known.ATTENTION, Family.ATTENTION, _BY_ORIGIN),
    (_By.PLACE, known.EXPERTS, Family.MOE, _BY_ORIGIN),
    (_By.PLACE, known.ROUTING, Family.MOE, _BY_ORIGIN),
    (_By.PLACE, known.QUANTIZATION, Family.QUANTIZATION, _BY_ORIGIN),
    (_By.PLACE, known.NORMALIZATION, Family.NORMALIZATION, _BY_ORIGIN),
)
"""The first row that matches decides, `other` where none does. Rows by name stand before those by place, since a name
tells more. Of the places of a node the nearest one that any row knows decides: function, file, folder, folder above."""


class _Origin(Enum):
    """Whose op it is."""

    TORCH = "torch's own: functions, methods, ATen, operators and builtins"
    CUSTOM = "an op that another package registered with torch"
    FUNCTION = "any other Python function"
    MODULE = "a module that was not traced into"


_ROUTES = {
    _Origin.TORCH: Route.ADD,  # ARGUMENTS where Thunder has the op
    _Origin.CUSTOM: Route.REGISTER,
    _Origin.FUNCTION: Route.REGISTER,
    _Origin.MODULE: Route.UPSTREAM,
}

# --- the machine ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    by: _By
    pattern: re.Pattern[str]
    family: Family
    route: Route | None


_RULES = tuple(_Rule(by, re.compile(pattern), family, route) for by, pattern, family, route in _TABLE)
_BY_CALL = tuple(rule for rule in _RULES if rule.by is not _By.PLACE)
_BY_PLACE = tuple(rule for rule in _RULES if rule.by is _By.PLACE)


def classify(node: Node, *, registered: bool | None = None) -> Kind:
    """The family, route and kernel name of a call, from its target, namespace and provenance.

    Args:
        node: a call; nothing of it is looked up or run.
        registered: whether Thunder has an operation of its own for the target; None where nobody was asked, and then
            what it cannot have is told by the arguments.
    """
    source = node.source
    family, route = _decide(
        node.op[:_LONGEST_NAME],
        node.kind is NodeKind.CALL_MODULE,
        any(name == "out" and value is not None for name, value in node.kwargs),
        isinstance(node.meta, (SymbolMeta, ConstantMeta)),
        source.file[-_LONGEST_NAME:] if source else "",
        source.function[:_LONGEST_NAME] if source else "",
    )
    if route is None:
        refused = _has_refused_arguments(node) if registered is None else registered
        route = Route.ARGUMENTS if refused else Route.ADD
    if family is not Family.TRITON_KERNEL:
        return Kind(family, route)
    return Kind(family, route, kernel_in(source.code) if source else "")


_LONGEST_NAME = 500
"""Names are matched up to here, so that a hostile one takes no time."""


@lru_cache(maxsize=8192)
def _decide(
    op: str, is_module: bool, has_out: bool, makes_scalar: bool, file: str, function: str
) -> tuple[Family, Route | None]:
    """Family and route; no route where it depends on whether Thunder has the op."""
    family, route, origin = _by_call(op, is_module, has_out, makes_scalar)
    if family is None:
        family, route = _by_place(file, function), None
    if route is None and origin is not _Origin.TORCH:
        route = _ROUTES[origin]
    return family, route


@lru_cache(maxsize=4096)
def _by_call(
    op: str, is_module: bool, has_out: bool, makes_scalar: bool
) -> tuple[Family | None, Route | None, _Origin]:
    """What the rows by op and name say; no family where none of them knows it."""
    parts = op.split(".")
    if parts[:2] == ["torch", "ops"]:
        del parts[4:]  # the overload
        op = ".".join(parts)
    origin = _origin(parts, is_module)
    is_foreign = origin is not _Origin.TORCH
    names = [part for part in parts if not part.isdigit()]
    name = " ".join(names[2:] if origin is _Origin.CUSTOM else names[-1:]).lower()
    call = f"{op}(out=)" if has_out else f"{op}() -> scalar" if makes_scalar else op
    for rule in _BY_CALL:
        match rule.by:
            case _By.OP:
                found = rule.pattern.fullmatch(op)
            case _By.CALL:
                found = rule.pattern.fullmatch(call)
            case _By.NAME:
                found = rule.pattern.search(name)
            case _:
                found = rule.pattern.search(name) if is_foreign else None
        if found is not None:
            return rule.family, rule.route, origin
    return None, None, origin


_TORCH_NAMESPACES = frozenset({"aten", "prim", "prims", "higher_order"})
_PYTHON = re.compile(r"operator\.\w+|math\.\w+|[a-z]+")


def _origin(parts: list[str], is_module: bool) -> _Origin:
    if is_module:
        return _Origin.MODULE
    if parts[:2] == ["torch", "ops"]:
        return _Origin.TORCH if parts[2:3] and parts[2] in _TORCH_NAMESPACES else _Origin.CUSTOM
    if parts[0] == "torch" or _PYTHON.fullmatch(".".join(parts)):
        return _Origin.TORCH
    return _Origin.FUNCTION


_RESUMED = re.compile(r"torch_dynamo_resume_in_(.+)_at_\d+")
_WHOLE_MODEL = re.compile(known.WHOLE_MODEL)
_FOLDERS = 3


@lru_cache(maxsize=4096)
def _by_place(file: str, function: str) -> Family:
    """What the rows by place say. A file that holds a whole model tells nothing of a part of it."""
    resumed = _RESUMED.fullmatch(function)
    places = [(resumed[1] if resumed else function).lower()]
    *folders, last = file.lower().replace("\\", "/").split("/")
    stem = last.rpartition(".")[0]
    nearest = folders[-1 : -_FOLDERS - 1 : -1]
    if not any(map(_WHOLE_MODEL.fullmatch, (stem, *nearest))):
        places += [stem, *nearest]
    for place in places:
        for rule in _BY_PLACE:
            if rule.pattern.search(place):
                return rule.family
    return Family.OTHER


_UNKNOWN_DTYPES = frozenset({"u16", "u32", "u64", "torch.uint16", "torch.uint32", "torch.uint64"})
"""Dtypes of torch that Thunder has no counterpart of (`thunder.core.dtypes`)."""


def _has_refused_arguments(node: Node) -> bool:
    """Whether Thunder takes no such call of any op: one with `out=`, or on a dtype that it does not know."""
    if isinstance(node.meta, TensorMeta) and node.meta.dtype in _UNKNOWN_DTYPES:
        return True
    return any(
        (name == "out" and value is not None) or (isinstance(value, Global) and value.name in _UNKNOWN_DTYPES)
        for name, value in (*node.kwargs, *(("", value) for value in node.args))
    )


# --- number formats ---------------------------------------------------------------------------------------------------

_SCALES = "f8e8m0fnu"
_FORMATS = (("f4e2m1", "FP4"), ("f8", "FP8"), ("i8", "INT8"), ("bf16", "bf16"), ("f", "f"), ("c", "c"))
_PACKING = frozenset({Family.MOE, Family.GEMM})
"""Families that multiply matrices: a byte that such an op reads is no number of its own."""


def describe_dtypes(family: Family, dtypes: Iterable[str]) -> tuple[str, ...]:
    """Names of the number formats in dtypes of the tensors that an op reads, each once, in their order.

    Integers that count or index are left out. Numbers of 4 bits are mostly kept two in a byte. With scales that are
    powers of two, formats are those of the OCP Microscaling specification: MXFP4, MXFP8.

    Args:
        family: of the op.
        dtypes: torch's abbreviations.

    >>> describe_dtypes(Family.MOE, ["bf16", "u8", "i32"]), describe_dtypes(Family.GEMM, ["f8e4m3fn", "f32"])
    (('bf16', '4-bit packed'), ('FP8', 'f32'))
    """
    read = tuple(dtypes)
    is_microscaled = _SCALES in read
    found = []
    for dtype in read:
        if dtype == "u8" and family in _PACKING:
            found.append("MXFP4" if is_microscaled else "4-bit packed")
        elif dtype != _SCALES:
            name = next((name for start, name in _FORMATS if dtype.startswith(start)), "")
            if name in ("FP4", "FP8") and is_microscaled:
                name = f"MX{name}"
            found.append(dtype if name in ("f", "c") else name)
    return tuple(dict.fromkeys(name for name in found if name))
