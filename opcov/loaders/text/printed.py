"""Writes a call the way torch.fx prints it, for graphs that no text was read of."""

from __future__ import annotations

from types import EllipsisType

from opcov.graph import Argument, Construct, DictArg, Global, ListArg, Ref, SliceArg

_OPERATORS = {
    "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "gt": "{} > {}", "le": "{} <= {}", "ge": "{} >= {}",
    "pos": "+{}", "neg": "-{}", "invert": "~{}", "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}",
    "floordiv": "{} // {}", "truediv": "{} / {}", "mod": "{} % {}", "pow": "{} ** {}", "lshift": "{} << {}",
    "rshift": "{} >> {}", "and_": "{} & {}", "or_": "{} | {}", "xor": "{} ^ {}", "getitem": "{}[{}]",
    "matmul": "{} @ {}",
}  # fmt: skip
"""`torch.fx.graph.magic_methods`."""


def printed_call(target: str, args: tuple[Argument, ...], kwargs: tuple[tuple[str, Argument], ...]) -> str:
    """The expression of a call, as `torch.fx.graph.CodeGen._gen_python_code` prints it.

    Args:
        target: a function as it is printed, operators as `operator.add`.
        args: positional arguments.
        kwargs: keyword arguments.
    """
    parts = [printed_argument(argument) for argument in args]
    form = _OPERATORS.get(target.removeprefix("operator.")) if target.startswith("operator.") else None
    if form is not None and not kwargs and form.count("{}") == len(parts):
        return form.format(*parts)
    parts += [f"{name} = {printed_argument(value)}" for name, value in kwargs]
    return f"{target}({', '.join(parts)})"


def printed_argument(argument: Argument) -> str:
    """One argument (`CodeGen._gen_python_code._get_repr`)."""
    match argument:
        case Ref(name) | Global(name):
            return name
        case EllipsisType():
            return "Ellipsis"
        case tuple():
            inner = ", ".join(map(printed_argument, argument))
            return f"({inner},)" if len(argument) == 1 else f"({inner})"
        case ListArg(items):
            return f"[{', '.join(map(printed_argument, items))}]"
        case DictArg(items):
            return "{" + ", ".join(f"{printed_argument(key)}: {printed_argument(value)}" for key, value in items) + "}"
        case SliceArg(start, stop, step):
            return f"slice({printed_argument(start)}, {printed_argument(stop)}, {printed_argument(step)})"
        case Construct(name, args, kwargs):
            parts = [*map(printed_argument, args), *(f"{key}={printed_argument(value)}" for key, value in kwargs)]
            return f"{name}({', '.join(parts)})"
        case _:
            return repr(argument)
