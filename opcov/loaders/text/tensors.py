"""Reads what a script says of a tensor, such as `torch.empty([4, 4], dtype=torch.float32)`, without making one."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from opcov.graph import Dimension, TensorMeta
from opcov.loaders.text.annotations import abbreviate

_SHAPED = frozenset("empty randn rand zeros ones full make_tensor randint".split())
"""Functions that take a shape; `torch.testing.make_tensor` is what Thunder's reproducers call."""

_SIZE_PARTS = (
    ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Call, ast.operator, ast.unaryop, ast.Load,
)  # fmt: skip
_LONGEST_SIZE = 2000
_LARGEST_SIZE = 2**63
_DEVICE = re.compile(r"[a-z]+(:[0-9]+)?")
_DEFAULT_DTYPE = "f32"


def tensor_of(value: ast.expr) -> TensorMeta | None:
    """The tensor that an expression makes; None for an expression that is none of the known ones.

    The forms are those that torch and Thunder write into scripts: `torch.fx.GraphModule.to_folder`,
    `torch._dynamo.debug_utils.NNModuleToString.convert`, `rand_strided(...)` of older Dynamo, and
    `thunder.dynamo.utils.arg_like_tensor`.
    """
    if not isinstance(value, ast.Call):
        return None
    name = dotted_name(value.func)
    keywords = {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    if name is None:
        return _method(value, keywords)
    function = name.rpartition(".")[2]
    if function == "Parameter" and value.args:
        made = tensor_of(value.args[0])
        trained = truth_of(keywords.get("requires_grad"), default=True)
        return None if made is None else replace(made, wrapper="Parameter", requires_grad=trained)
    if name == "rand_strided" and len(value.args) >= 2:
        dtype, device = ([*value.args[2:4], None, None])[:2]
        return described(value.args[0], value.args[1], keywords.get("dtype", dtype), keywords.get("device", device))
    if name in ("tensor", "torch.tensor") and value.args:
        return _literal_tensor(value.args[0], keywords)
    if function in _SHAPED and name != function:
        return _shaped(function, value.args, keywords)
    return None


def described(
    shape: ast.expr | None,
    stride: ast.expr | None = None,
    dtype: ast.expr | None = None,
    device: ast.expr | None = None,
    *,
    default: str = _DEFAULT_DTYPE,
    requires_grad: bool = False,
) -> TensorMeta | None:
    """The tensor of such parts, None where its shape or dtype cannot be read.

    Args:
        shape: a tuple or list of sizes.
        stride: a tuple or list of strides, None where the script leaves it out.
        dtype: such as `torch.float16`, None where the script leaves it out.
        device: a string, or a call of `device`.
        default: the dtype where the script leaves it out.
        requires_grad: whether the tensor does.
    """
    sizes = sizes_of(shape)
    short = default if dtype is None else abbreviate(dotted_name(dtype) or "")
    if sizes is None or short is None:
        return None
    strides = sizes_of(stride)
    if strides is not None and len(strides) != len(sizes):
        strides = None
    return TensorMeta(short, sizes, strides, device_of(device), None, requires_grad)


def _shaped(function: str, args: list[ast.expr], keywords: dict[str, ast.expr]) -> TensorMeta | None:
    shape: ast.expr | None = keywords.get("size") or keywords.get("shape")
    if shape is None and function == "randint":  # torch.randint(high, size) and torch.randint(low, high, size)
        shape = next((argument for argument in args if isinstance(argument, (ast.Tuple, ast.List))), None)
    elif shape is None and args:
        is_one = isinstance(args[0], (ast.Tuple, ast.List)) or function in ("full", "make_tensor")
        shape = args[0] if is_one else ast.Tuple(args)
    return described(
        shape,
        None,
        keywords.get("dtype"),
        keywords.get("device"),
        default="i64" if function == "randint" else _DEFAULT_DTYPE,
        requires_grad=truth_of(keywords.get("requires_grad")),
    )


def _method(call: ast.Call, keywords: dict[str, ast.expr]) -> TensorMeta | None:
    """A method of a tensor that the same expression makes: `.to("cuda:0")`, `.as_strided(...)`, `.requires_grad_()`."""
    if not isinstance(call.func, ast.Attribute):
        return None
    made = tensor_of(call.func.value)
    if made is None:
        return None
    args = call.args
    match call.func.attr:
        case "to":
            device = device_of(args[0] if args else keywords.get("device"))
            return replace(made, device=device or made.device)
        case "requires_grad_":
            return replace(made, requires_grad=truth_of(args[0] if args else None, default=True))
        case "as_strided" if len(args) >= 2:
            shape, stride = sizes_of(args[0]), sizes_of(args[1])
            if shape is None or stride is None or len(shape) != len(stride):
                return None
            return replace(made, shape=shape, stride=stride)
        case _:
            return None


def _literal_tensor(data: ast.expr, keywords: dict[str, ast.expr]) -> TensorMeta | None:
    """`tensor([1., 2.], dtype=torch.float16)`, as a small tensor prints itself (`torch._tensor_str`)."""
    if "size" in keywords:  # `tensor([], size=(0, 4))`
        return described(keywords["size"], None, keywords.get("dtype"), keywords.get("device"))
    shape = []
    while isinstance(data, (ast.List, ast.Tuple)):
        shape.append(len(data.elts))
        if not data.elts:
            break
        data = data.elts[0]
    if isinstance(data, ast.UnaryOp):
        data = data.operand
    value = data.value if isinstance(data, ast.Constant) else 0.0
    default = "b8" if isinstance(value, bool) else "i64" if isinstance(value, int) else _DEFAULT_DTYPE
    short = abbreviate(dotted_name(keywords["dtype"]) or "") if "dtype" in keywords else default
    if short is None:
        return None
    requires_grad = truth_of(keywords.get("requires_grad"))
    return TensorMeta(short, tuple(shape), None, device_of(keywords.get("device")), None, requires_grad)


# --- parts ------------------------------------------------------------------------------------------------------------


def dotted_name(value: ast.expr) -> str | None:
    """The text of `torch.float16`, None for what is no dotted name."""
    parts = []
    while isinstance(value, ast.Attribute):
        parts.append(value.attr)
        value = value.value
    if not isinstance(value, ast.Name):
        return None
    return ".".join([value.id, *reversed(parts)])


def sizes_of(value: ast.expr | None) -> tuple[Dimension, ...] | None:
    """The sizes that a tuple or list states: numbers, and the text of symbolic ones; None for anything else."""
    if not isinstance(value, (ast.Tuple, ast.List)):
        return None
    sizes = tuple([_size(element) for element in value.elts])
    return None if None in sizes else tuple(size for size in sizes if size is not None)


def _size(value: ast.expr) -> Dimension | None:
    if isinstance(value, ast.Constant):
        number = value.value
        return number if isinstance(number, int) and _is_size(number) else None
    for part in ast.walk(value):
        if not isinstance(part, _SIZE_PARTS) or (isinstance(part, ast.Constant) and not _is_size(part.value)):
            return None
    text = ast.unparse(value)
    if len(text) > _LONGEST_SIZE:
        return None
    return re.sub(r" (\*\*?|//?) ", r"\1", text)  # sympy writes `4*s77 + 1`


def _is_size(value: object) -> bool:
    return type(value) is int and value < _LARGEST_SIZE


def device_of(value: ast.expr | None) -> str | None:
    """The device that `'cuda:0'` or `device(type='cuda', index=0)` names, as annotations print it."""
    if isinstance(value, ast.Call) and dotted_name(value.func) in ("device", "torch.device"):
        parts = [*value.args, *(keyword.value for keyword in value.keywords)]
        constants = [part.value for part in parts if isinstance(part, ast.Constant)]
        text = ":".join([str(part) for part in constants if isinstance(part, str) or _is_size(part)])
    elif isinstance(value, ast.Constant) and isinstance(value.value, str):
        text = value.value
    else:
        return None
    return text if len(text) < 80 and _DEVICE.fullmatch(text) else None


def truth_of(value: ast.expr | None, *, default: bool = False) -> bool:
    """What a literal True or False says; the default for anything else."""
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, bool) else default
